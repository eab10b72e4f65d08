//! `call: approval`: a person's answer is data.

use crate::house::{call, configure, events, open, pause, person, settled, start, worker, world};
use mandate_engine::{Answer, AnswerError, ApprovalView, Engine, TenantContext};
use mandate_journal::{ApprovalKind, ApprovalQuery, RunState, WaitingFor};
use mandate_kernel::{Caller, GroupName, RunId};
use mandate_ledger::EventKind;
use mandate_testkit::World;
use serde_json::{Value, json};
use std::sync::Arc;

fn reviewer() -> Caller {
    Caller { groups: [GroupName::new("reviewers").unwrap()].into(), ..person("rita") }
}

/// A Worker that asks, and goes on with what was said.
fn asking() -> Value {
    let form = json!({"type": "object", "required": ["verdict"], "additionalProperties": false,
        "properties": {"verdict": {"type": "string", "enum": ["good", "bad"]}}});
    let mut asking = worker(&json!([
        call("looked", "approval", &json!({"title": "Look at this", "data": {"n": "${ .n }"}, "form": form})),
        {"tell": {"set": {"said": "${ .looked }"}}},
    ]));
    asking["functions"] = json!(["approval", "sim.write"]);
    asking["authoritySeconds"] = json!(3_600);
    asking
}

fn house(seed: u64) -> World {
    let world = world(seed, &asking());
    world
        .process(async |engine| {
            let context = engine.open_tenant(&crate::house::tenant()).await.unwrap();
            let function = json!({
                "effect": "read", "model": "workflow-bound", "returns": {"integrity": "derived"},
                "target": {"review": {"groups": ["reviewers"], "expires": "PT30M"}},
            });
            configure(&context, "Function", "house/approval", Some(function), &[]).await;
            let entitled = json!({
                "subjects": ["user:alice"], "environments": ["sandbox"], "scopes": [],
                "audiences": ["urn:mandate:review"], "functions": {"approval": {}},
            });
            configure(&context, "Entitlement", "house/reviews", Some(entitled), &[]).await;
        })
        .done();
    world
}

async fn asked(engine: &Arc<Engine>, context: &Arc<TenantContext>) -> (RunId, ApprovalView) {
    let run = start(engine).await;
    let waits = settled(engine, context, &run).await;
    assert_eq!(waits.status.waiting_for, Some(WaitingFor::Approval), "{:?}", waits.status.problem);
    let query = ApprovalQuery { limit: 1, ..ApprovalQuery::default() };
    let view = engine.approvals(context, &reviewer(), query).await.unwrap().items.remove(0);
    (run, view)
}

async fn output(context: &TenantContext, engine: &Engine, run: &RunId) -> Value {
    let record = crate::house::record(context, run).await;
    let file = engine.artifact(context, &record).await.unwrap();
    let text = String::from_utf8(file).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_a_person_says_is_what_the_step_returns() {
    for (approve, form) in [(true, Some(json!({"verdict": "good"}))), (false, None)] {
        let world = house(70);
        world
            .process(async |engine| {
                let context = open(&engine).await;
                let (run, view) = asked(&engine, &context).await;
                assert_eq!((view.record.kind, &view.shown["title"]), (ApprovalKind::Review, &json!("Look at this")));
                assert_eq!(view.shown["arguments"]["data"], json!({"n": 1}));
                let answer = Answer { approve, digest: view.record.binding, comment: None, form: form.clone() };
                engine.answer(&context, &reviewer(), &view.record.approval, answer).await.unwrap();
                let ended = settled(&engine, &context, &run).await;
                assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
                let artefact = output(&context, &engine, &run).await.to_string();
                let outcome = if approve { "approved" } else { "denied" };
                assert!(!artefact.is_empty());
                let told = events(&context, &run).await;
                let given = told
                    .iter()
                    .find(|e| e.kind == if approve { EventKind::ApprovalGiven } else { EventKind::ApprovalDenied });
                assert_eq!(given.unwrap().actor, "user:rita", "{outcome}");
            })
            .done();
    }
}

#[test]
fn an_answer_that_does_not_fit_the_form_is_not_taken() {
    let world = house(71);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let (run, view) = asked(&engine, &context).await;
            for form in [None, Some(json!({"verdict": "maybe"})), Some(json!({})), Some(json!([1]))] {
                let answer = Answer { approve: true, digest: view.record.binding, comment: None, form };
                let refused = engine.answer(&context, &reviewer(), &view.record.approval, answer).await;
                assert!(matches!(refused, Err(AnswerError::Form(_))), "{refused:?}");
            }
            assert_eq!(crate::house::record(&context, &run).await.status.state, RunState::Waiting);
        })
        .done();
}

#[test]
fn nobody_answers_in_time() {
    let world = house(72);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let (run, _) = asked(&engine, &context).await;
            pause(1_900_000).await;
            let ended = settled(&engine, &context, &run).await;
            let problem = ended.status.problem.unwrap();
            assert_eq!(ended.status.state, RunState::Faulted);
            assert!(problem.type_.ends_with("/timeout"), "{problem:?}");
            assert!(events(&context, &run).await.iter().any(|event| event.kind == EventKind::ApprovalExpired));
        })
        .done();
}
