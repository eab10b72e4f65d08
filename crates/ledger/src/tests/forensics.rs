//! The four causes, and what looks like them and is something else.

use super::{demo, run_id};
use crate::{Cause, Event, EventKind, RunLink, findings};
use mandate_kernel::Timestamp;
use serde_json::{Value, json};

/// A run's events, each at its place.
fn run(events: &[(EventKind, Value)]) -> Vec<Event> {
    let at = |seq: u32| Some(RunLink { run: run_id(1), seq, prev: None });
    let event = |(seq, (kind, details)): (u32, &(EventKind, Value))| Event {
        time: Timestamp::from_secs(1),
        tenant: demo(),
        kind: *kind,
        actor: "worker:finance/w".to_owned(),
        run: at(seq),
        details: details.clone(),
    };
    (0..).zip(events).map(event).collect()
}

fn causes(events: &[(EventKind, Value)]) -> Vec<Cause> {
    findings(&run(events)).iter().map(|finding| finding.cause).collect()
}

fn started() -> (EventKind, Value) {
    (EventKind::RunStarted, json!({"worker": "finance/w"}))
}

fn decided(step: u64, function: &str, method: &str) -> (EventKind, Value) {
    let details = json!({
        "step": step, "function": function, "status": "allow", "path": format!("/do/{step}/{function}"),
        "request": {"method": method}, "arguments": {"labels": {"integrity": "derived", "sources": []}},
    });
    (EventKind::StepDecided, details)
}

fn refused(step: u64, function: &str, integrity: &str, origins: &[&str]) -> (EventKind, Value) {
    let sources: Vec<Value> = origins.iter().map(|origin| json!({"origin": origin, "digest": "sha256:x"})).collect();
    let details = json!({
        "step": step, "function": function, "status": "deny", "reason": "it may not go there",
        "request": {"method": "mail"}, "arguments": {"labels": {"integrity": integrity, "sources": sources}},
    });
    (EventKind::StepDecided, details)
}

fn succeeded(step: u64, function: &str, checks: &Value) -> (EventKind, Value) {
    (EventKind::StepSucceeded, json!({"step": step, "function": function, "checks": checks}))
}

fn failed(step: u64, function: &str, last: bool, detail: &str) -> (EventKind, Value) {
    let problem = json!({"type": "https://example.org/errors/communication", "detail": detail});
    (EventKind::StepFailed, json!({"step": step, "function": function, "final": last, "problem": problem}))
}

fn faulted(error: &str, at: &str) -> (EventKind, Value) {
    let problem = json!({"type": format!("https://example.org/errors/{error}"), "instance": at, "detail": "no"});
    (EventKind::RunFaulted, json!({"state": "faulted", "problem": problem}))
}

fn check(name: &str, passed: bool) -> Value {
    json!([{"check": name, "at": "/as_of", "passed": passed, "found": "as of long ago"}])
}

fn read() -> [(EventKind, Value); 3] {
    [started(), decided(1, "warehouse.revenue", "GET"), succeeded(1, "warehouse.revenue", &check("fresh", true))]
}

fn after_reading(more: &[(EventKind, Value)]) -> Vec<(EventKind, Value)> {
    [&read()[..], more].concat()
}

/// A model has answered.
fn drafted() -> [(EventKind, Value); 2] {
    [decided(2, "infer", "model"), succeeded(2, "infer", &json!([]))]
}

#[test]
fn each_cause_is_told_from_its_entries() {
    let stale = [started(), succeeded(1, "warehouse.revenue", &check("fresh", false))];
    let told = findings(&run(&stale));
    assert_eq!(
        (told.len(), told[0].cause, told[0].step, &told[0].evidence[..]),
        (1, Cause::StaleData, Some(1), &[1][..])
    );
    assert!(told[0].says.contains("warehouse.revenue") && told[0].says.contains("as of long ago"), "{}", told[0].says);
    assert_eq!(causes(&[started(), succeeded(1, "f", &check("about", false))]), [Cause::MisScopedRetrieval]);

    let mailed = after_reading(
        &[&drafted()[..], &[refused(3, "mail.send", "untrusted", &["infer", "warehouse.revenue"])]].concat(),
    );
    let told = findings(&run(&mailed));
    assert_eq!(
        (told.len(), told[0].cause, told[0].step, &told[0].evidence[..]),
        (1, Cause::PromptInjection, Some(3), &[5][..])
    );
    assert!(told[0].says.contains("infer") && told[0].says.contains("it may not go there"), "{}", told[0].says);
    let tool = after_reading(&[decided(2, "infer", "model"), failed(2, "infer", true, "the model asked for a tool")]);
    assert_eq!(causes(&tool), [Cause::PromptInjection]);

    for error in ["validation", "expression", "data", "runtime"] {
        let told = findings(&run(&after_reading(&[faulted(error, "/do/1/check")])));
        assert_eq!((told.len(), told[0].cause, told[0].step), (1, Cause::BadTransform, None), "{error}");
        assert_eq!(told[0].evidence, [2, 3], "every answer, and the end");
    }
}

#[test]
fn an_ordinary_run_has_none() {
    assert_eq!(causes(&[]), []);
    assert_eq!(causes(&read()), []);
    let ended = (EventKind::RunCompleted, json!({"state": "completed"}));
    assert_eq!(causes(&after_reading(&[&drafted()[..], &[ended]].concat())), []);
    let odd = json!([{"check": "odd", "passed": false}, {"check": "fresh"}, {"passed": false}, 5]);
    assert_eq!(causes(&[started(), succeeded(1, "f", &odd)]), []);
}

#[test]
fn a_refusal_without_a_model_s_hand_in_it_is_no_injection() {
    for last in [
        // Nothing of it came from a model.
        refused(3, "mail.send", "untrusted", &["warehouse.revenue", "input"]),
        refused(3, "mail.send", "untrusted", &[]),
        // A model looked on, and what was sent is derived of other things.
        refused(3, "mail.send", "derived", &["infer"]),
    ] {
        assert_eq!(causes(&after_reading(&[&drafted()[..], std::slice::from_ref(&last)].concat())), [], "{last:?}");
    }
    // A function of that name that is no model.
    let local = [decided(2, "infer", "local"), refused(3, "mail.send", "untrusted", &["infer"])];
    assert_eq!(causes(&after_reading(&local)), []);
    // Waiting for an approval is no refusal.
    let (kind, mut details) = refused(3, "mail.send", "untrusted", &["infer"]);
    details["status"] = json!("not-yet");
    assert_eq!(causes(&after_reading(&[&drafted()[..], &[(kind, details)]].concat())), []);
    // Somebody else's failure that speaks of tools.
    assert_eq!(causes(&after_reading(&[failed(2, "warehouse.revenue", true, "it asked for a tool")])), []);
}

#[test]
fn a_call_that_failed_is_no_bad_transform() {
    // The fault is that of the call.
    let call = [decided(2, "ledgerbook.costs", "GET"), faulted("validation", "/do/2/ledgerbook.costs")];
    assert_eq!(causes(&after_reading(&call)), []);
    // A call failed for good and was caught: what came after rests on less than was asked.
    let caught = [failed(2, "ledgerbook.costs", true, "no answer"), faulted("validation", "/do/3/check")];
    assert_eq!(causes(&after_reading(&caught)), []);
    // A call failed, was asked for again and failed for good.
    let retried = [failed(2, "ledgerbook.costs", false, "no answer"), failed(2, "ledgerbook.costs", true, "no answer")];
    let given_up = [&retried[..], &[faulted("communication", "/do/2/ledgerbook.costs")]].concat();
    assert_eq!(causes(&after_reading(&given_up)), []);
    // The receivers', the gate's and people's errors are not the Worker's.
    for error in ["communication", "timeout", "authorization", "odd"] {
        assert_eq!(causes(&after_reading(&[faulted(error, "/do/1/check")])), [], "{error}");
    }
    // Nothing was read yet.
    assert_eq!(causes(&[started(), faulted("validation", "/")]), []);
    // Answered at the second attempt: the source was right after all.
    let mended = [
        failed(2, "ledgerbook.costs", false, "no answer"),
        succeeded(2, "ledgerbook.costs", &json!([])),
        faulted("validation", "/do/3/check"),
    ];
    assert_eq!(causes(&after_reading(&mended)), [Cause::BadTransform]);
}

#[test]
fn what_is_wrong_with_the_sources_comes_before_what_was_made_of_them() {
    let both = [
        started(),
        succeeded(1, "f", &check("fresh", false)),
        succeeded(2, "g", &check("about", false)),
        faulted("validation", "/do/3/check"),
    ];
    assert_eq!(causes(&both), [Cause::StaleData, Cause::MisScopedRetrieval]);
}
