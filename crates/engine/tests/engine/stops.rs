//! Stopping a run wherever it is, and saying what became of an effect in doubt.

use crate::house::{
    call, events, journal, open, pause, permit, record, settled, small_worker, start, tenant, worker, world,
};
use mandate_engine::{Engine, Killed, ResolveError, TenantContext};
use mandate_journal::{Doubt, EventBody, Outcome, RunRecord, RunState, WaitingFor};
use mandate_kernel::{Action, Confidentiality, Integrity, RunId, StepSeq};
use mandate_ledger::EventKind;
use mandate_testkit::{Act, World};
use serde_json::json;
use std::sync::Arc;

async fn kill(engine: &Arc<Engine>, context: &Arc<TenantContext>, run: &RunId) -> (Killed, RunRecord) {
    let record = record(context, run).await;
    let permit = permit(engine, context, Action::RunKill, &record).await;
    engine.kill(context, &permit, &record).await.unwrap()
}

/// Starts the run, stops it once `ready`, and sees that nothing follows.
fn stopped_when(world: &World, ready: impl Fn(&World, &RunId) -> bool) -> (Killed, RunRecord) {
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            while !ready(world, &run) {
                pause(1).await;
            }
            let (killed, record) = kill(&engine, &context, &run).await;
            assert_eq!(record.status.state, RunState::Cancelled);
            let seen = world.effects.received().len();
            pause(120_000).await;
            assert_eq!(world.effects.received().len(), seen, "a receiver saw something after the stop");
            assert_eq!(world.store.peek_loose_ends(&tenant(), &run), (Vec::new(), Vec::new()));
            let last = events(&context, &run).await.pop().unwrap();
            assert_eq!(last.kind, EventKind::RunKilled);
            (killed, record)
        })
        .done()
}

fn in_doubt(world: &World, run: &RunId) -> Vec<(StepSeq, Doubt)> {
    let of = |event: &mandate_journal::JournalEvent| match event.body {
        EventBody::InDoubt { step, why, .. } => Some((step, why)),
        _ => None,
    };
    journal(world, run).iter().filter_map(of).collect()
}

#[test]
fn a_run_that_waits_for_a_time_is_stopped() {
    let world = world(30, &small_worker());
    let (killed, record) = stopped_when(&world, |world, run| {
        journal(world, run).iter().any(|event| matches!(event.body, EventBody::TimerSet { .. }))
    });
    assert!(killed.in_flight.is_empty() && !killed.already_ended);
    assert!(in_doubt(&world, &record.run).is_empty());
}

#[test]
fn a_run_between_two_attempts_is_stopped() {
    let world = world(31, &small_worker());
    world.effects.script("read", [Act::Transient; 3]);
    let (killed, _) = stopped_when(&world, |world, run| {
        journal(world, run).iter().any(|event| matches!(event.body, EventBody::AttemptFailed { .. }))
    });
    assert!(killed.in_flight.is_empty());
}

#[test]
fn a_read_on_the_wire_is_cancelled_without_a_doubt() {
    let world = world(32, &small_worker());
    world.effects.script("read", [Act::Hang]);
    let (killed, record) = stopped_when(&world, |world, _| !world.effects.received().is_empty());
    assert_eq!(killed.in_flight.len(), 1);
    assert!(killed.in_flight[0].on_wire);
    assert!(in_doubt(&world, &record.run).is_empty());
}

#[test]
fn an_action_on_the_wire_is_in_doubt_and_said_so() {
    for (receiver, function, arguments) in
        [("once", "sim.once", json!({"n": 1})), ("write", "sim.write", json!({"n": 1, "size": "s"}))]
    {
        let world = world(33, &worker(&json!([call("a", function, &arguments)])));
        world.effects.script(receiver, [Act::WorkAndHang]);
        let (killed, record) = stopped_when(&world, |world, _| !world.effects.received().is_empty());
        let found = &killed.in_flight[0];
        assert!(
            found.on_wire && found.function.as_str() == function && found.destination == format!("local:{receiver}")
        );
        assert!(found.token_valid_until > killed.stopped_at);
        assert_eq!(in_doubt(&world, &record.run), [(StepSeq(1), Doubt::Stopped)]);
        let detail = record.status.problem.unwrap().detail.unwrap();
        assert!(detail.contains("in doubt") && detail.contains(function), "{detail}");
    }
}

#[test]
fn what_a_crash_hid_is_still_in_doubt_when_the_run_is_stopped() {
    for effect in ["once", "write"] {
        let arguments = if effect == "once" { json!({"n": 1}) } else { json!({"n": 1, "size": "s"}) };
        let world = world(34, &worker(&json!([call("a", &format!("sim.{effect}"), &arguments)])));
        world.effects.script(effect, [Act::WorkAndHang]);
        let run = world
            .process(async |engine| {
                open(&engine).await;
                let run = start(&engine).await;
                while world.effects.received().is_empty() {
                    pause(1).await;
                }
                // The process ends here, with the request on the wire.
                run
            })
            .done();
        let record = world
            .process(async |engine| {
                let context = engine.open_tenant(&tenant()).await.unwrap();
                // The stop comes before anybody has looked at what the crash left.
                kill(&engine, &context, &run).await.1
            })
            .done();
        assert_eq!(record.status.state, RunState::Cancelled);
        assert_eq!(in_doubt(&world, &run), [(StepSeq(1), Doubt::Crash)]);
        assert!(record.status.problem.unwrap().detail.unwrap().contains(&format!("sim.{effect}")));
        assert_eq!(world.store.peek_loose_ends(&tenant(), &run), (Vec::new(), Vec::new()));
        assert_eq!(world.effects.received().len(), 1);
    }
}

#[test]
fn a_run_in_doubt_that_is_stopped_still_says_so() {
    let world = world(35, &worker(&json!([call("a", "sim.once", &json!({"n": 1}))])));
    world.effects.script("once", [Act::Break]);
    let (_, record) = stopped_when(&world, |world, run| !in_doubt(world, run).is_empty());
    assert!(record.status.problem.unwrap().detail.unwrap().contains("sim.once"));
    assert_eq!(in_doubt(&world, &record.run), [(StepSeq(1), Doubt::Connection)]);
}

#[test]
fn a_stop_at_every_moment_of_a_run_is_final() {
    for step in 0..60 {
        let world = world(36, &small_worker());
        let (_, record) = stopped_when(&world, |world, run| {
            world.faults.trace().len() >= 60 + step * 3
                || journal(world, run).iter().any(|event| matches!(event.body, EventBody::TimerSet { .. }))
        });
        for received in world.effects.received() {
            assert!(received.admitted, "{received:?}");
        }
        assert!(record.status.problem.is_some());
    }
}

#[test]
fn a_run_that_has_ended_is_not_stopped() {
    let world = world(37, &small_worker());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            settled(&engine, &context, &run).await;
            let (killed, record) = kill(&engine, &context, &run).await;
            assert!(killed.already_ended && record.status.state == RunState::Completed);
        })
        .done();
}

/// A run whose once step is in doubt, resolved: whether it happened, as a person says.
fn resolved(world: &World, happened: Option<serde_json::Value>) -> RunRecord {
    world.effects.script("once", [Act::Break]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let waits = settled(&engine, &context, &run).await;
            assert_eq!(waits.status.waiting_for, Some(WaitingFor::OutcomeUnknown));
            let permit = permit(&engine, &context, Action::RunResolve, &waits).await;
            let other = engine.resolve(&context, &permit, &waits, Some(StepSeq(9)), happened.clone()).await;
            assert!(matches!(other, Err(ResolveError::NothingInDoubt(_))), "{other:?}");
            engine.resolve(&context, &permit, &waits, None, happened.clone()).await.unwrap();
            let ended = settled(&engine, &context, &run).await;
            let again = engine.resolve(&context, &permit, &ended, None, happened).await;
            assert!(matches!(again, Err(ResolveError::NothingInDoubt(_))), "{again:?}");
            ended
        })
        .done()
}

fn one_step() -> serde_json::Value {
    worker(&json!([call("a", "sim.once", &json!({"n": 1}))]))
}

#[test]
fn what_did_not_happen_is_asked_again_under_a_new_decision() {
    let world = world(38, &one_step());
    let ended = resolved(&world, None);
    assert_eq!(ended.status.state, RunState::Completed);
    let received = world.effects.received_by("once");
    assert_eq!(received.len(), 2);
    assert_ne!(received[0].decision, received[1].decision);
    assert_eq!(received[0].step.idempotency_key(), received[1].step.idempotency_key());
}

#[test]
fn what_happened_is_not_asked_again_and_a_persons_word_is_labelled_so() {
    let world = world(39, &one_step());
    let ended = resolved(&world, Some(json!({"done": "by hand"})));
    assert_eq!(ended.status.state, RunState::Completed);
    assert_eq!(world.effects.received_by("once").len(), 1);
    let word = journal(&world, &ended.run).into_iter().find_map(|event| match event.body {
        EventBody::Resolved { value, by, .. } => {
            assert_eq!(by, "user:alice");
            value
        }
        _ => None,
    });
    let labels = word.unwrap().labels;
    assert_eq!(labels.integrity, Integrity::Untrusted);
    // What the function returns is internal, whoever says it (I7).
    assert_eq!(labels.confidentiality, Confidentiality::Internal);
    assert!(labels.sources.iter().any(|source| source.origin == "input") || !labels.sources.is_empty());
    assert!(
        !journal(&world, &ended.run)
            .iter()
            .any(|event| matches!(event.body, EventBody::Returned { outcome: Outcome::Error(_), .. }))
    );
}
