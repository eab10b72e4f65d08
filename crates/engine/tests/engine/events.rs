//! Events that runs emit and listen to.

use crate::house::{alice, events, journal, open, pause, record, request, settled, start, tenant, worker, world};
use crate::invariants::violations;
use crate::replay::{End, recorded};
use mandate_engine::{DeliverError, Delivered, Engine, StartError, StartRequest, TenantContext};
use mandate_flow::Labelled;
use mandate_journal::{EventBody, RunState, WaitingFor};
use mandate_kernel::{Digest, Integrity, Labels, RunId, Source};
use mandate_ledger::EventKind;
use mandate_testkit::{Ended, Fault, World};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::Arc;

fn event(id: &str, kind: &str, data: &Value) -> Labelled {
    let source = Source { origin: "outside".to_owned(), digest: Digest::of(b"outside") };
    Labelled {
        value: json!({"specversion": "1.0", "id": id, "source": "/shop", "type": kind, "data": data}),
        labels: Labels { integrity: Integrity::Untrusted, sources: [source].into(), ..Labels::default() },
    }
}

fn listening() -> Value {
    let listen = json!({"listen": {"to": {"one": {"with": {"type": "paid", "data": "${ .n == 7 }"}}}}});
    worker(&json!([{"l": listen}, {"r": {"call": "sim.read", "with": {"n": "${ .[0].n }"}}}]))
}

async fn waits_for_event(engine: &Arc<Engine>, context: &TenantContext, run: &RunId) {
    assert_eq!(settled(engine, context, run).await.status.waiting_for, Some(WaitingFor::Event));
}

async fn kinds(context: &TenantContext, run: &RunId, kind: EventKind) -> usize {
    events(context, run).await.iter().filter(|event| event.kind == kind).count()
}

#[test]
fn a_run_waits_for_an_event_as_rows_and_goes_on_with_the_one_that_fits() {
    let world = world(110, &listening());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            waits_for_event(&engine, &context, &run).await;
            assert_eq!(world.store.peek_loose_ends(&tenant(), &run).1[0].name, "event:paid");
            let other = engine.deliver(&context, &event("1", "sent", &json!({"n": 7}))).await.unwrap();
            assert_eq!(other, Delivered::default());
            let unfit = engine.deliver(&context, &event("2", "paid", &json!({"n": 8}))).await.unwrap();
            assert_eq!(unfit, Delivered { taken: 1, known: 0 });
            pause(1_000).await;
            waits_for_event(&engine, &context, &run).await;
            assert_eq!(kinds(&context, &run, EventKind::RunWaiting).await, 1, "it waits as before");
            let again = engine.deliver(&context, &event("2", "paid", &json!({"n": 7}))).await.unwrap();
            assert_eq!(again, Delivered { taken: 0, known: 1 }, "the same id is the same event");
            engine.deliver(&context, &event("3", "paid", &json!({"n": 7}))).await.unwrap();
            pause(1_000).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            let End::Completed(_, labels) = recorded(&context, &ended).await else { panic!("{ended:?}") };
            assert_eq!(labels.integrity, Integrity::Untrusted);
            assert!(labels.sources.iter().any(|source| source.origin == "outside"));
            assert_eq!(kinds(&context, &run, EventKind::EventReceived).await, 2);
            let late = engine.deliver(&context, &event("4", "paid", &json!({"n": 7}))).await.unwrap();
            assert_eq!(late, Delivered::default());
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn what_is_no_event_is_refused() {
    let world = world(111, &listening());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            for value in [
                json!({}),
                json!({"specversion": "0.3", "id": "1", "source": "/", "type": "paid"}),
                json!({"specversion": "1.0", "id": "", "source": "/", "type": "paid"}),
                json!({"specversion": "1.0", "id": "1", "source": "/", "type": "pa\nid"}),
                json!({"specversion": "1.0", "id": "1", "source": "/", "type": "paid", "data": "x".repeat(2 << 20)}),
            ] {
                let event = Labelled { value, labels: Labels::default() };
                assert!(matches!(engine.deliver(&context, &event).await, Err(DeliverError::Invalid(_))));
            }
        })
        .done();
}

/// One branch listens to what the other emits.
fn own_ear() -> Value {
    let listen = json!({"listen": {"to": {"one": {"with": {"type": "ready"}, "correlate": {"run": {"from": ".data.run", "expect": "${ $workflow.id }"}}}}}});
    let emit = json!({"do": [
        {"look": {"call": "sim.read", "with": {"n": 1}}},
        {"tell": {"emit": {"event": {"with": {"type": "ready", "data": {"run": "${ $workflow.id }", "n": "${ .n }"}}}}}},
        {"act": {"call": "sim.once", "with": {"n": 1}}},
    ]});
    worker(&json!([{"f": {"fork": {"branches": [{"ear": listen}, {"mouth": emit}]}}}]))
}

#[test]
fn a_run_hears_what_another_branch_emits() {
    let (_, wrong) = lives(None);
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_crash_at_any_step_loses_no_event() {
    let (trace, _) = lives(None);
    let persists = |step: &String| step.starts_with("effect.") || step.contains("commit") || step.contains("take-over");
    let points: Vec<usize> =
        trace.iter().enumerate().filter(|(_, step)| persists(step)).map(|(index, _)| index).collect();
    assert!(points.len() > 8, "{trace:?}");
    let wrong = crate::parallel::for_each(&points, |index| lives(Some(*index)).1);
    let wrong: Vec<_> = points.iter().zip(wrong).filter(|(_, wrong)| !wrong.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The run through a crash after that step: its I/O steps and what is wrong.
fn lives(crash: Option<usize>) -> (Vec<String>, Vec<String>) {
    let world = world(112, &own_ear());
    if let Some(index) = crash {
        world.faults.at(index, Fault::CrashAfter);
    }
    let run = RefCell::new(None::<RunId>);
    for _ in 0..4 {
        let life = world.process(async |engine| {
            let context = open(&engine).await;
            let started = begin(&engine).await;
            run.borrow_mut().replace(started.clone());
            for _ in 0..100 {
                let found = record(&context, &started).await;
                if found.status.waiting_for == Some(WaitingFor::OutcomeUnknown) {
                    let leave =
                        crate::house::permit(&engine, &context, mandate_kernel::Action::RunResolve, &found).await;
                    let _ = engine.resolve(&context, &leave, &found, None, Some(json!({"done": true}))).await;
                }
                if found.status.state.is_terminal() {
                    break;
                }
                pause(500).await;
            }
        });
        if life == Ended::Done(()) {
            break;
        }
    }
    let trace = world.faults.trace();
    let run = run.into_inner().unwrap();
    let wrong = world
        .process(async |engine| {
            let context = open(&engine).await;
            pause(3_000).await;
            let ended = record(&context, &run).await;
            let mut wrong = violations(&world, &context, &ended).await;
            if ended.status.state != RunState::Completed {
                wrong.push(format!("it is {:?}", ended.status));
            }
            wrong.extend(heard_once(&world, &run));
            wrong
        })
        .done();
    (trace, wrong)
}

async fn begin(engine: &Arc<Engine>) -> RunId {
    let request = StartRequest { start_key: Some("once".to_owned()), ..request() };
    match engine.start(&alice(), request).await {
        Ok(started) => started.run,
        Err(StartError::Duplicate(run)) => run,
        Err(error) => panic!("{error}"),
    }
}

fn heard_once(world: &World, run: &RunId) -> Option<String> {
    let heard = journal(world, run).iter().filter(|e| matches!(e.body, EventBody::Received { .. })).count();
    (heard != 1).then(|| format!("the event was received {heard} times"))
}
