//! `call: infer`: what a model is shown of earlier results is decided by their labels.

use crate::house::{call, configure, open, settled, start, tenant, worker, world};
use mandate_journal::{EventBody, Outcome, RunRecord, RunState};
use mandate_kernel::{Confidentiality, Integrity, Labels};
use mandate_testkit::World;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn asking(with: &Value) -> Value {
    let mut asking = worker(&json!([
        call("looked", "sim.read", &json!({"n": 1})),
        {"draft": {"call": "infer", "with": with}},
    ]));
    asking["functions"] = json!(["sim.read", "infer", "sim.write"]);
    asking
}

fn function(clearance: &str) -> Value {
    json!({
        "effect": "read", "model": "delegated", "scopes": ["sim.use"],
        "target": {"model": {"connection": "none", "model": "m", "clearance": {"confidentiality": clearance, "data": ["financial"]}}},
    })
}

/// Runs it, and gives what the model was asked with.
fn run(seed: u64, clearance: &str, with: &Value) -> (World, RunRecord, Option<Value>) {
    let world = world(seed, &asking(with));
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    world.effects.answers("model", move |arguments| {
        *kept.lock().unwrap() = Some(arguments.clone());
        json!({"text": "a draft"})
    });
    world.effects.answers("read", |_| json!({"rows": [{"sum": 5, "desk": "desk-04"}]}));
    let ended = world
        .process(async |engine| {
            let context = engine.open_tenant(&tenant()).await.unwrap();
            configure(&context, "Function", "house/infer", Some(function(clearance)), &[]).await;
            let connection = json!({"environments": {"sandbox": {"url": "https://model.example/v1", "audience": "urn:mandate:local:model"}}});
            configure(&context, "Connection", "house/none", Some(connection), &[]).await;
            let mut read = context.store().resource("Function", "house/sim.read").await.unwrap().unwrap().spec;
            read["returns"]["data"] = json!(["financial"]);
            read["returns"]["fields"] = json!([{"at": "/rows/*/desk", "confidentiality": "restricted", "data": ["personal"]}]);
            configure(&context, "Function", "house/sim.read", Some(read), &[]).await;
            let entitled = json!({
                "subjects": ["user:alice"], "environments": ["sandbox"], "scopes": ["sim.use"],
                "audiences": ["urn:mandate:local:model"], "functions": {"infer": {}},
            });
            configure(&context, "Entitlement", "house/models", Some(entitled), &[]).await;
            let context = open(&engine).await;
            let run = start(&engine).await;
            settled(&engine, &context, &run).await
        })
        .done();
    let asked = seen.lock().unwrap().take();
    (world, ended, asked)
}

fn output(world: &World, run: &RunRecord) -> Labels {
    let returned = crate::house::journal(world, &run.run).into_iter().rev().find_map(|event| match event.body {
        EventBody::Returned { outcome: Outcome::Value(stored), .. } => Some(stored.labels),
        _ => None,
    });
    returned.unwrap()
}

#[test]
fn a_model_sees_what_it_is_cleared_for_and_its_answer_is_tainted_by_it() {
    let (world, ended, asked) =
        run(80, "internal", &json!({"instructions": "Draft.", "sources": ["looked"], "schema": {}}));
    assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
    let asked = asked.unwrap();
    assert_eq!(asked["shown"][0]["value"], json!({"rows": [{"sum": 5, "desk": "[withheld]"}]}));
    assert_eq!(asked["shown"][0]["withheld"], json!(["/rows/0/desk"]));
    assert_eq!((&asked["shown"][0]["source"], &asked["shown"][0]["function"]), (&json!("looked"), &json!("sim.read")));
    assert!(asked.get("sources").is_none());
    let labels = output(&world, &ended);
    assert_eq!((labels.confidentiality, labels.integrity), (Confidentiality::Internal, Integrity::Untrusted));
    assert!(labels.sources.iter().any(|source| source.origin == "sim.read"));
}

#[test]
fn a_model_without_clearance_sees_nothing() {
    let (_, ended, asked) = run(81, "public", &json!({"instructions": "Draft.", "sources": ["looked"], "schema": {}}));
    assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
    assert_eq!(asked.unwrap()["shown"][0]["value"], "[withheld]");
}

#[test]
fn what_goes_around_the_labels_reaches_no_model() {
    for (with, why) in [
        (json!({"instructions": "Draft.", "input": "${ .looked }"}), "beyond the model's clearance"),
        (json!({"instructions": "${ \"Draft \" + .looked.rows[0].desk }"}), "beyond the model's clearance"),
        (json!({"instructions": "Draft.", "sources": ["nowhere"]}), "no such task has returned"),
        (json!({"instructions": "Draft.", "sources": ["looked", "looked"]}), "twice"),
        (json!({"instructions": "Draft.", "shown": []}), "the engine adds"),
        (json!({"instructions": "Draft.", "sources": [1]}), "list of task names"),
        (json!({"instructions": "Draft.", "sources": "looked"}), "list of task names"),
    ] {
        let (_, ended, asked) = run(82, "internal", &with);
        assert_eq!((ended.status.state, asked), (RunState::Faulted, None), "{with}");
        let detail = ended.status.problem.unwrap().detail.unwrap();
        assert!(detail.contains(why), "{with}: {detail}");
    }
}
