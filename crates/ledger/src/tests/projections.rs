//! Projections say what a verified passport says, and nothing of a passport that does not hold.

use super::*;
use crate::projection::{openlineage, prov_json};
use std::collections::BTreeSet;

fn value(n: u8) -> String {
    crate::leaf_hash(&[n]).to_string()
}

fn labelled(n: u8) -> Value {
    json!({
        "commitment": value(n),
        "labels": {
            "confidentiality": "confidential", "integrity": "derived", "readers": {"groups": ["finance"]},
            "categories": [], "sources": [{"digest": value(90), "origin": "input"}],
        },
    })
}

fn decided(step: u64, attempt: u64, status: &str, root: Value) -> Value {
    json!({
        "step": step, "attempt": attempt, "status": status, "function": "warehouse.revenue",
        "decision": format!("dec_{step}_{attempt}"), "function_version": value(80), "authority": root,
        "on_behalf_of": "user:finance-lead", "arguments": labelled(u8::try_from(10 * step).unwrap()),
        "policy": {"digest": value(81), "summary": "because"}, "reason": null,
    })
}

/// Step 1 fails and succeeds at its second attempt, step 2 rests on a grant and stays unknown, step 3 is refused.
fn world() -> World {
    let mut world = World::new();
    let own = json!({"root": "initiator", "subject": "user:finance-lead"});
    let lent = json!({"root": "grant", "grant": "g", "owner": "user:finance-director"});
    let start = json!({
        "worker": "finance/quarterly-summary", "purpose": "close", "worker_version": value(82), "input": labelled(1),
    });
    world.record(EventKind::RunStarted, Some(0), start);
    world.record(EventKind::StepDecided, Some(0), decided(1, 1, "allow", own.clone()));
    world.record(EventKind::StepFailed, Some(0), json!({"step": 1, "attempt": 1}));
    world.record(EventKind::StepDecided, Some(0), decided(1, 2, "allow", own.clone()));
    let done = json!({
        "step": 1, "attempt": 2, "function": "warehouse.revenue", "observed": {"reply_digest": value(91)},
        "output": labelled(11),
    });
    world.record(EventKind::StepSucceeded, Some(0), done);
    world.record(EventKind::StepDecided, Some(0), decided(2, 1, "allow", lent));
    world.record(EventKind::StepDecided, Some(0), decided(3, 1, "deny", own));
    let mut file = labelled(12);
    file["digest"] = json!(value(92));
    world.record(EventKind::ArtifactSigned, Some(0), file);
    world.record(EventKind::RunRefused, Some(0), json!({"output": null}));
    world
}

fn opened(world: &World) -> crate::VerifiedPassport {
    passport::open(&world.passport(&run_id(0)), &world.anchor).unwrap()
}

fn ids(document: &Value, kind: &str) -> BTreeSet<String> {
    document[kind].as_object().unwrap().keys().cloned().collect()
}

fn has(document: &Value, kind: &str, parts: &[(&str, String)]) -> bool {
    let records = document[kind].as_object().unwrap().values();
    records.into_iter().any(|record| parts.iter().all(|(name, value)| record[*name] == json!(value)))
}

#[test]
fn prov_tells_who_did_what_with_what() {
    let document = prov_json(&opened(&world()));
    let run = format!("activity:{}", run_id(0));
    let step = |step: u8, attempt: u8| format!("{run}/{step}/{attempt}");
    let digest = |n: u8| format!("digest:{}", value(n).replace(':', "/"));
    // The test world writes every entry as finance-lead, so each is an act of theirs too.
    let activities = ids(&document, "activity").into_iter().filter(|id| !id.contains("/act/")).collect::<BTreeSet<_>>();
    assert_eq!(activities, BTreeSet::from([run.clone(), step(1, 1), step(1, 2), step(2, 1)]));
    let decisions = ids(&document, "entity").into_iter().filter(|id| id.starts_with("decision:")).count();
    assert_eq!(decisions, 4);
    assert_eq!(document["entity"]["decision:dec_3_1"]["mandate:status"], "deny");
    assert_eq!(document["activity"][&step(1, 1)]["mandate:outcome"], "step-failed");
    assert_eq!(document["activity"][&step(2, 1)]["mandate:outcome"], "unknown");
    assert!(document["activity"][&step(2, 1)].get("prov:endTime").is_none());

    let of = |activity: String, entity: String| [("prov:activity", activity), ("prov:entity", entity)];
    assert!(has(&document, "used", &of(run.clone(), digest(1))));
    assert!(has(&document, "used", &of(step(1, 2), digest(10))));
    assert!(has(&document, "wasGeneratedBy", &of(step(1, 2), digest(11))));
    assert!(has(&document, "used", &of(step(1, 2), digest(91))));
    assert!(has(&document, "wasGeneratedBy", &of(run.clone(), digest(92))));
    assert!(!has(&document, "wasGeneratedBy", &[("prov:activity", step(1, 1))]));
    let derived = |from: u8, by: u8| [("prov:generatedEntity", digest(from)), ("prov:usedEntity", digest(by))];
    assert!(has(&document, "wasDerivedFrom", &derived(11, 10)));
    assert!(has(&document, "wasDerivedFrom", &derived(10, 90)));

    let lead = "agent:user/finance-lead".to_owned();
    let on_behalf = |activity: String, who: &str| {
        has(
            &document,
            "actedOnBehalfOf",
            &[("prov:activity", activity), ("prov:responsible", format!("agent:user/{who}"))],
        )
    };
    let worker = "agent:worker/finance/quarterly-summary".to_owned();
    assert!(has(
        &document,
        "actedOnBehalfOf",
        &[("prov:delegate", worker.clone()), ("prov:responsible", lead.clone()), ("prov:activity", run.clone())]
    ));
    assert!(on_behalf(step(1, 1), "finance-lead") && !on_behalf(step(1, 1), "finance-director"));
    assert!(on_behalf(step(2, 1), "finance-lead") && on_behalf(step(2, 1), "finance-director"));
    assert_eq!(document["agent"][&lead]["prov:type"]["$"], "prov:Person");
    assert_eq!(document["agent"][&worker]["prov:type"]["$"], "prov:SoftwareAgent");
}

/// Every name that a relation uses is told what it is, and every prefix is declared.
#[test]
fn prov_names_nothing_it_does_not_tell() {
    let document = prov_json(&opened(&world()));
    let known: BTreeSet<String> =
        ["entity", "activity", "agent"].iter().flat_map(|kind| ids(&document, kind)).collect();
    let prefixes = ids(&document, "prefix");
    for (kind, records) in document.as_object().unwrap() {
        for (id, record) in records.as_object().unwrap() {
            if kind == "prefix" {
                continue;
            }
            assert!(id.starts_with("_:") || prefixes.contains(id.split_once(':').unwrap().0), "{id}");
            for (name, value) in record.as_object().unwrap() {
                let refers = id.starts_with("_:") && name.starts_with("prov:") && name != "prov:time";
                assert!(!refers || known.contains(value.as_str().unwrap()), "{kind} {id} {name} {value}");
                assert!(!value.is_null(), "{id} {name}");
            }
        }
    }
}

#[test]
fn a_run_refused_at_its_start_has_no_worker_that_acted() {
    let mut world = World::new();
    world.record(EventKind::RunRefused, Some(0), json!({"worker": "finance/quarterly-summary", "purpose": "no"}));
    let document = prov_json(&opened(&world));
    assert_eq!(ids(&document, "agent"), BTreeSet::from(["agent:user/finance-lead".to_owned()]));
    assert!(document.get("actedOnBehalfOf").is_none() && document.get("used").is_none());
    assert_eq!(document["activity"][format!("activity:{}", run_id(0))]["mandate:state"], "refused");
    let events = openlineage(&opened(&world));
    assert_eq!(events.iter().map(|e| &e["eventType"]).collect::<Vec<_>>(), ["START", "FAIL"]);
}

#[test]
fn openlineage_tells_each_attempt_and_its_data() {
    let world = world();
    let events = openlineage(&opened(&world));
    let types: Vec<_> = events.iter().map(|event| event["eventType"].as_str().unwrap()).collect();
    assert_eq!(types, ["START", "START", "FAIL", "START", "COMPLETE", "START", "FAIL"]);
    let (run, done) = (&events[0]["run"]["runId"], &events[4]);
    assert_eq!(&done["run"]["facets"]["parent"]["run"]["runId"], run);
    assert_eq!(&events[6]["run"]["runId"], run);
    assert_ne!(&events[1]["run"]["runId"], &events[3]["run"]["runId"]);
    assert_eq!(done["job"]["name"], "finance/quarterly-summary.warehouse.revenue");
    let names = |list: &Value| list.as_array().unwrap().iter().map(|d| d["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(&done["inputs"]), [json!(value(10)), json!(value(90))]);
    assert_eq!(names(&done["outputs"]), [json!(value(11))]);
    assert_eq!(names(&events[6]["outputs"]), [json!(value(92))]);
    let bytes = world.passport(&run_id(0));
    assert_eq!(openlineage(&passport::open(&bytes, &world.anchor).unwrap()), events, "the same each time");
}

#[test]
fn what_does_not_hold_is_not_projected() {
    let world = world();
    let mut bytes = world.passport(&run_id(0));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(passport::open(&bytes, &world.anchor).is_err());
    assert!(passport::open(&world.passport(&run_id(0)), &World::with_seeds(50).anchor).is_err());
}

/// A name from outside can't collide with another or break out of its prefix.
#[test]
fn odd_names_stay_apart() {
    let name = |actor: &str| {
        let mut world = World::new();
        let time = Timestamp::from_secs(1_790_000_000);
        let link = Some(RunLink { run: run_id(0), seq: 0, prev: None });
        let (kind, actor) = (EventKind::RunRefused, actor.to_owned());
        world.push(&Event { time, tenant: demo(), kind, actor, run: link, details: json!({}) });
        ids(&prov_json(&opened(&world)), "agent").pop_first().unwrap()
    };
    assert_eq!(name("user:a b"), "agent:user/a%20b");
    assert_eq!(name("user:a%20b"), "agent:user/a%2520b");
    assert_eq!(name("user:é"), "agent:user/%C3%A9");
    assert_ne!(name("user:a:b"), name("user:a/b"));
    assert_ne!(name("user:a\nb"), name("user:a b"));
}
