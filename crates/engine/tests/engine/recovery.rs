//! What a new process, or the same one after a bad time, finds and does.

use crate::house::{
    call, configure, journal, open, pause, permit, record, run_alone, settled, small_worker, start, tenant, worker,
    world,
};
use crate::invariants::violations;
use mandate_journal::{EpochKey, EventBody, RunState, WaitingFor};
use mandate_kernel::Duration;
use mandate_testkit::{Act, Fault};
use serde_json::json;

#[test]
fn a_timer_is_kept_across_a_restart() {
    let world = world(40, &small_worker());
    let run = world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            while crate::house::record(&context, &run).await.status.waiting_for != Some(WaitingFor::Timer) {
                pause(10).await;
            }
            run
        })
        .done();
    let due = world.store.peek_loose_ends(&tenant(), &run).1[0].due;
    world.clock.advance(Duration::from_secs(600));
    let ended = world
        .process(async |engine| {
            let context = open(&engine).await;
            settled(&engine, &context, &run).await
        })
        .done();
    assert_eq!(ended.status.state, RunState::Completed);
    let woke = journal(&world, &run).into_iter().find(|event| matches!(event.body, EventBody::Woke { .. })).unwrap();
    assert!(woke.at > due);
    assert_eq!(world.effects.received_by("once").len(), 1);
}

#[test]
fn a_retry_is_kept_across_a_restart() {
    let world = world(41, &worker(&json!([call("a", "sim.read", &json!({"n": 1}))])));
    world.effects.script("read", [Act::Transient]);
    let run = world
        .process(async |engine| {
            open(&engine).await;
            let run = start(&engine).await;
            while !matches!(journal(&world, &run).last().unwrap().body, EventBody::AttemptFailed { .. }) {
                pause(1).await;
            }
            run
        })
        .done();
    let ended = world.process(async |engine| {
        let context = open(&engine).await;
        settled(&engine, &context, &run).await
    });
    assert_eq!(ended.done().status.state, RunState::Completed);
    assert_eq!(world.effects.received().len(), 2);
}

#[test]
fn a_store_out_of_reach_for_a_while_stops_nothing_for_good() {
    // From each step of the run on, the store is out of reach for five seconds.
    let world_of = || world(42, &worker(&json!([call("a", "sim.read", &json!({"n": 1}))])));
    let calm = world_of();
    assert_eq!(run_alone(&calm).status.state, RunState::Completed);
    let steps = calm.faults.trace();
    let begun = steps.iter().position(|step| step == "store.commit-admission").unwrap();
    for (index, step) in steps.iter().enumerate().take(begun + 12).skip(begun + 1) {
        let world = world_of();
        world.faults.at(index, Fault::Unavailable(5_000));
        let wrong = world
            .process(async |engine| {
                let context = open(&engine).await;
                let run = start(&engine).await;
                pause(20_000).await;
                let record = settled(&engine, &context, &run).await;
                pause(3_000).await;
                violations(&world, &context, &record).await
            })
            .done();
        assert_eq!(wrong, Vec::<String>::new(), "from step {index}, {step}");
    }
}

#[test]
fn a_lease_of_a_step_stopped_before_it_was_sent_is_ended() {
    // A stop between the decision and its permit: the commit passed, its answer is late, nothing was sent.
    let tasks = json!([call("a", "sim.read", &json!({"n": 1})), call("b", "sim.write", &json!({"n": 1, "size": "s"}))]);
    let world_of = || world(43, &worker(&tasks));
    let calm = world_of();
    run_alone(&calm);
    let is_admission = |step: &(usize, String)| step.1 == "store.commit-admission";
    let second = calm.faults.trace().into_iter().enumerate().filter(is_admission).nth(1).unwrap().0;
    let world = world_of();
    world.faults.at(second, Fault::Late(100));
    let run = world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            pause(50).await;
            let record = crate::house::record(&context, &run).await;
            let permit = crate::house::permit(&engine, &context, mandate_kernel::Action::RunKill, &record).await;
            let (killed, record) = engine.kill(&context, &permit, &record).await.unwrap();
            assert_eq!(record.status.state, RunState::Cancelled);
            assert!(!killed.in_flight[0].on_wire, "{killed:?}");
            run
        })
        .done();
    assert!(world.effects.received_by("write").is_empty());
    assert_eq!(world.store.peek_loose_ends(&tenant(), &run), (Vec::new(), Vec::new()));
}

#[test]
fn a_run_goes_on_under_what_is_configured_at_its_next_step() {
    let world = world(44, &small_worker());
    let run = world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            while crate::house::record(&context, &run).await.status.waiting_for != Some(WaitingFor::Timer) {
                pause(10).await;
            }
            configure(&context, "Note", "house/note", Some(json!({})), &[EpochKey::User("user:alice".to_owned())])
                .await;
            run
        })
        .done();
    let ended = world.process(async |engine| {
        let context = open(&engine).await;
        settled(&engine, &context, &run).await
    });
    assert_eq!(ended.done().status.state, RunState::Refused);
    assert!(world.effects.received_by("write").is_empty());
}

#[test]
fn a_resolution_that_is_durable_without_an_answer_is_acted_upon() {
    let live = |broken: Option<usize>| {
        let world = world(45, &worker(&json!([call("a", "sim.once", &json!({"n": 1}))])));
        world.effects.script("once", [Act::Break]);
        if let Some(index) = broken {
            world.faults.at(index, Fault::FailsButPersists);
        }
        let (answered, state) = world
            .process(async |engine| {
                let context = open(&engine).await;
                let run = start(&engine).await;
                let waits = settled(&engine, &context, &run).await;
                assert_eq!(waits.status.waiting_for, Some(WaitingFor::OutcomeUnknown));
                let permit = permit(&engine, &context, mandate_kernel::Action::RunResolve, &waits).await;
                let answered = engine.resolve(&context, &permit, &waits, None, Some(json!({}))).await.is_ok();
                pause(5_000).await;
                (answered, record(&context, &run).await.status.state)
            })
            .done();
        (world.faults.trace(), answered, state)
    };
    let (calm, answered, _) = live(None);
    assert!(answered);
    let taken = calm.iter().position(|step| step == "store.take-over").unwrap();
    let commit = taken + calm[taken..].iter().position(|step| step == "store.commit").unwrap();
    let (_, answered, state) = live(Some(commit));
    assert_eq!((answered, state), (false, RunState::Completed));
}
