//! Runs when nothing goes wrong with the machine: started, refused, invisible, repeated, waiting.

use crate::house::{
    alice, call, events, forbid, journal, open, pause, person, policy, record, request, run_alone, settled,
    small_worker, start, start_as, tenant, worker, world,
};
use crate::invariants::violations;
use mandate_engine::{StartError, StartRequest};
use mandate_journal::{EventBody, Outcome, RunQuery, RunState, WaitingFor};
use mandate_kernel::{Attempt, ResourceName, StepSeq};
use mandate_ledger::{Entry, EventKind};
use mandate_testkit::{Act, World};
use serde_json::json;

fn admitted(world: &World, run: &mandate_kernel::RunId) -> Vec<(StepSeq, Attempt, String)> {
    let of = |event: &mandate_journal::JournalEvent| match &event.body {
        EventBody::Admitted { step, attempt, decision, .. } => Some((*step, *attempt, decision.to_string())),
        _ => None,
    };
    journal(world, run).iter().filter_map(of).collect()
}

#[test]
fn a_run_completes_with_everything_in_order() {
    let world = world(1, &small_worker());
    let (wrong, steps) = world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            pause(3_000).await;
            (violations(&world, &context, &ended).await, admitted(&world, &run).len())
        })
        .done();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(steps, 5);
}

#[test]
fn ten_steps_are_eleven_commits() {
    let tasks: Vec<_> = (0..10).map(|n| call(&format!("s{n}"), "sim.read", &json!({"n": n}))).collect();
    let world = world(2, &worker(&json!(tasks)));
    let before = world.store.commits();
    assert_eq!(run_alone(&world).status.state, RunState::Completed);
    assert_eq!(world.store.commits() - before, 11);
}

#[test]
fn a_start_refused_to_one_who_sees_the_worker_is_a_run() {
    let world = world(3, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let started = start_as(&engine, &person("carol")).await.unwrap();
            assert_eq!(started.state, RunState::Refused);
            let refused = record(&context, &started.run).await;
            assert_eq!(refused.status.state, RunState::Refused);
            assert!(refused.status.problem.unwrap().decision.is_some());
            let kinds: Vec<_> = events(&context, &started.run).await.iter().map(|event| event.kind).collect();
            assert_eq!(kinds, [EventKind::RunRefused]);
            pause(3_000).await;
        })
        .done();
    assert!(world.effects.received().is_empty());
    // A process that begins over it has nothing to do with it.
    assert_eq!(world.process(async |engine| engine.recover().await.unwrap()).done(), 0);
}

#[test]
fn an_invisible_worker_is_an_absent_one_and_both_are_recorded() {
    let world = world(4, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let absent = StartRequest { worker: ResourceName::new("house/absent").unwrap(), ..request() };
            for (request, who) in [(request(), "bob"), (absent.clone(), "bob"), (absent, "alice")] {
                let name = request.worker.clone();
                let refused = engine.start(&person(who), request).await;
                let Err(StartError::NotVisible(told, _)) = &refused else { panic!("{refused:?}") };
                assert_eq!(*told, name);
            }
            let runs = context.store().runs(RunQuery { limit: 10, ..RunQuery::default() }).await.unwrap();
            assert!(runs.items.is_empty());
            pause(3_000).await;
        })
        .done();
    let (entries, ..) = world.store.peek_ledger(&tenant());
    let denied = entries.iter().map(|bytes| Entry::decode(bytes).unwrap().1);
    let denied: Vec<_> = denied.filter(|event| event.kind == EventKind::AccessDenied).collect();
    let actors: Vec<_> = denied.iter().map(|event| event.actor.as_str()).collect();
    assert_eq!(actors, ["user:bob", "user:bob", "user:alice"]);
}

#[test]
fn a_bad_request_makes_no_run() {
    let world = world(5, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let bad = [
                StartRequest { purpose: "  ".to_owned(), ..request() },
                StartRequest { purpose: "two\nlines".to_owned(), ..request() },
                StartRequest { purpose: "x".repeat(1_001), ..request() },
                StartRequest { environment: Some("production".parse().unwrap()), ..request() },
                StartRequest { input: json!("x".repeat(2 << 20)), ..request() },
            ];
            for request in bad {
                let refused = engine.start(&alice(), request).await;
                assert!(matches!(refused, Err(StartError::BadRequest(_))), "{refused:?}");
            }
            let runs = context.store().runs(RunQuery { limit: 10, ..RunQuery::default() }).await.unwrap();
            assert!(runs.items.is_empty());
        })
        .done();
}

#[test]
fn a_start_key_starts_one_run() {
    let world = world(6, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let keyed = || StartRequest { start_key: Some("k".to_owned()), ..request() };
            let first = engine.start(&alice(), keyed()).await.unwrap().run;
            let again = engine.start(&alice(), keyed()).await;
            assert!(matches!(&again, Err(StartError::Duplicate(run)) if *run == first), "{again:?}");
            settled(&engine, &context, &first).await;
            let again = engine.start(&alice(), keyed()).await;
            assert!(matches!(&again, Err(StartError::Duplicate(run)) if *run == first), "{again:?}");
        })
        .done();
    assert_eq!(world.effects.accepted().len(), 1);
}

/// A Worker whose one step stands in a `try` that catches everything.
fn catching() -> serde_json::Value {
    let step = call("asked", "sim.once", &json!({"n": 1}));
    worker(&json!([
        {"attempt": {"try": [step], "catch": {"do": [{"note": {"set": {"swallowed": true}}}]}}},
        call("after", "sim.read", &json!({"n": 2})),
    ]))
}

#[test]
fn a_refusal_is_not_caught() {
    let world = world(7, &catching());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            forbid(&context, "sim.once").await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Refused);
            let problem = ended.status.problem.unwrap();
            assert!(problem.type_.ends_with("/policy-denied") && problem.decision.is_some(), "{problem:?}");
        })
        .done();
    assert!(world.effects.received().is_empty());
}

#[test]
fn an_error_is_caught() {
    let world = world(8, &catching());
    world.effects.script("once", [Act::Definite(422)]);
    assert_eq!(run_alone(&world).status.state, RunState::Completed);
    assert_eq!(world.effects.received_by("read").len(), 1);
}

#[test]
fn a_retry_is_a_new_decision_under_the_same_key() {
    let world = world(9, &worker(&json!([call("asked", "sim.write", &json!({"n": 1, "size": "s"}))])));
    world.effects.script("write", [Act::Transient, Act::Break, Act::Answer]);
    let ended = run_alone(&world);
    assert_eq!(ended.status.state, RunState::Completed);
    let received = world.effects.received_by("write");
    assert_eq!(received.len(), 3);
    let keys: std::collections::BTreeSet<_> = received.iter().map(|r| r.step.idempotency_key()).collect();
    let decisions: std::collections::BTreeSet<_> = received.iter().map(|r| r.decision.clone()).collect();
    assert_eq!((keys.len(), decisions.len(), world.effects.accepted().len()), (1, 3, 1));
    assert!(received.iter().all(|r| r.admitted && r.credentials && r.request == received[0].request));
    let due: Vec<_> = journal(&world, &ended.run)
        .iter()
        .filter_map(|event| match event.body {
            EventBody::AttemptFailed { retry_at, .. } => Some(retry_at.since(event.at).as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!(due, [250, 500]);
}

#[test]
fn attempts_end() {
    let world = world(10, &worker(&json!([call("asked", "sim.read", &json!({"n": 1}))])));
    world.effects.script("read", [Act::Transient; 9]);
    let ended = run_alone(&world);
    assert_eq!(ended.status.state, RunState::Faulted);
    assert_eq!(world.effects.received().len(), 3);
    assert!(world.store.peek_loose_ends(&tenant(), &ended.run).1.is_empty());
}

#[test]
fn a_silent_receiver_of_a_read_is_asked_again_and_of_a_once_is_not() {
    let tasks = json!([call("a", "sim.read", &json!({"n": 1})), call("b", "sim.once", &json!({"n": 1}))]);
    let world = world(11, &worker(&tasks));
    world.effects.script("read", [Act::Hang, Act::Answer]);
    world.effects.script("once", [Act::WorkAndHang]);
    let waits = run_alone(&world);
    assert_eq!(waits.status.waiting_for, Some(WaitingFor::OutcomeUnknown));
    assert_eq!((world.effects.received_by("read").len(), world.effects.received_by("once").len()), (2, 1));
    let problem = waits.status.problem.unwrap().detail.unwrap();
    assert!(problem.contains("mandate runs resolve") && problem.contains("--step 2"), "{problem}");
}

#[test]
fn a_gated_step_waits_and_reaches_nobody() {
    let world = world(12, &small_worker());
    let text = r#"@id("house.gate") @description("Ask.") @gate("approval:boss")
        forbid (principal, action == Action::"function.call", resource == Function::"house/sim.once");"#;
    world
        .process(async |engine| {
            let context = open(&engine).await;
            policy(&context, text).await;
            let run = start(&engine).await;
            let waits = settled(&engine, &context, &run).await;
            assert_eq!((waits.status.state, waits.status.waiting_for), (RunState::Waiting, Some(WaitingFor::Approval)));
            assert!(matches!(journal(&world, &run).last().unwrap().body, EventBody::Gated { .. }));
        })
        .done();
    assert!(world.effects.received_by("once").is_empty());
}

#[test]
fn output_carries_every_source_that_flowed_in() {
    let world = world(13, &small_worker());
    let ended = run_alone(&world);
    let events = journal(&world, &ended.run);
    let output = events.iter().find_map(|event| match &event.body {
        EventBody::Ended { output, .. } => output.clone(),
        _ => None,
    });
    let labels = output.unwrap().labels;
    for event in &events {
        let stored = match &event.body {
            EventBody::Returned { outcome: Outcome::Value(stored), .. } => stored,
            EventBody::Started { input, .. } => input,
            _ => continue,
        };
        assert!(stored.labels.sources.is_subset(&labels.sources) && !stored.labels.sources.is_empty());
        assert!(stored.labels.flows_to(&labels), "{:?} > {labels:?}", stored.labels);
    }
    let origins: std::collections::BTreeSet<_> = labels.sources.iter().map(|source| source.origin.as_str()).collect();
    assert_eq!(origins, ["input", "sim.once", "sim.read", "sim.write"].into());
}
