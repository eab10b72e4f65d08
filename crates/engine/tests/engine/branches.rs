//! Branches: effects side by side, what is cut off, and what a run waits for when several things stand open.

use crate::house::{
    events, forked_worker, journal, open, pause, permit, person, policy, record, run_alone, settled, start, tenant,
    worker, world,
};
use crate::invariants::violations;
use crate::replay::{End, recorded};
use mandate_engine::{Answer, ApprovalView, Engine, TenantContext};
use mandate_journal::{ApprovalQuery, ApprovalState, Doubt, EventBody, Outcome, RunRecord, RunState, WaitingFor};
use mandate_kernel::{Action, Caller, GroupName, RunId, StepSeq};
use mandate_ledger::EventKind;
use mandate_testkit::{Act, Fault, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const GATE: &str = r#"@id("house.gate") @description("The bosses look at it first.") @gate("approval:bosses")
    forbid (principal, action == Action::"function.call", resource == Function::"house/sim.write");"#;

fn fork(compete: bool, branches: &Value) -> Value {
    json!({"fork": {"compete": compete, "branches": branches}})
}

fn read(n: u32) -> Value {
    json!({"call": "sim.read", "with": {"n": n}})
}

fn once() -> Value {
    json!({"call": "sim.once", "with": {"n": 1}})
}

fn write() -> Value {
    json!({"call": "sim.write", "with": {"n": 1, "size": "s"}})
}

fn long(tasks: &Value) -> Value {
    let mut worker = worker(tasks);
    worker["authoritySeconds"] = json!(36_000);
    worker
}

fn boss() -> Caller {
    Caller { groups: BTreeSet::from([GroupName::new("bosses").unwrap()]), ..person("bert") }
}

async fn asked(engine: &Engine, context: &TenantContext) -> Vec<ApprovalView> {
    let query = ApprovalQuery { limit: 10, ..ApprovalQuery::default() };
    engine.approvals(context, &boss(), query).await.unwrap().items
}

async fn yes(engine: &Arc<Engine>, context: &Arc<TenantContext>) {
    let view = asked(engine, context).await.remove(0);
    let answer = Answer { approve: true, digest: view.record.binding, comment: None, form: None };
    engine.answer(context, &boss(), &view.record.approval, answer).await.unwrap();
}

fn count(world: &World, run: &RunId, is: impl Fn(&EventBody) -> bool) -> usize {
    journal(world, run).iter().filter(|event| is(&event.body)).count()
}

async fn kinds(context: &TenantContext, run: &RunId, kind: EventKind) -> usize {
    events(context, run).await.iter().filter(|event| event.kind == kind).count()
}

async fn output(context: &TenantContext, record: &RunRecord) -> Value {
    match recorded(context, record).await {
        End::Completed(value, _) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn effects_of_branches_overlap_and_each_is_judged_and_recorded() {
    let tasks = json!([{"f": fork(false, &json!([{"a": read(1)}, {"b": read(2)}, {"c": write()}]))}]);
    let world = world(80, &worker(&tasks));
    world.effects.script("read", [Act::Slow(4_000), Act::Slow(4_000)]);
    world.effects.script("write", [Act::Slow(3_000)]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let begun = tokio::time::Instant::now();
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            let took = begun.elapsed();
            assert!(took >= Duration::from_secs(4) && took < Duration::from_secs(6), "{took:?}");
            let said = output(&context, &ended).await;
            assert_eq!(said, json!([{"rows": [1, 2], "n": 1}, {"rows": [1, 2], "n": 2}, {"ok": true}]));
            // Three decisions before the first result: each is durable before its request leaves.
            let decided = |body: &EventBody| matches!(body, EventBody::Admitted { .. });
            let first: Vec<bool> = journal(&world, &run).iter().skip(1).take(3).map(|e| decided(&e.body)).collect();
            assert_eq!(first, [true; 3]);
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn what_is_cut_off_on_the_wire_ends_as_it_does_and_is_recorded() {
    let tasks = json!([{"f": fork(true, &json!([{"slow": once()}, {"quick": read(2)}]))}, call_after()]);
    let world = world(81, &worker(&tasks));
    world.effects.script("once", [Act::Slow(2_000)]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            let returned = |body: &EventBody| {
                matches!(body, EventBody::Returned { step: StepSeq(1), outcome: Outcome::Value(_), .. })
            };
            assert_eq!(count(&world, &run, returned), 1);
            assert_eq!(output(&context, &ended).await, json!({"rows": [1, 2], "n": 9}));
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

fn call_after() -> Value {
    json!({"after": read(9)})
}

#[test]
fn a_deadline_leaves_a_doubt_that_the_end_of_the_run_still_tells() {
    let mut timed = once();
    timed["timeout"] = json!({"after": {"seconds": 1}});
    let tasks = json!([
        {"t": {"try": [{"act": timed}], "catch": {"errors": {"with": {"status": 408}}, "do": [call_after()]}}},
    ]);
    let world = world(82, &worker(&tasks));
    world.effects.script("once", [Act::WorkAndHang]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            assert_eq!(
                count(&world, &run, |body| matches!(body, EventBody::InDoubt { why: Doubt::Connection, .. })),
                1
            );
            let last = events(&context, &run).await.pop().unwrap();
            assert_eq!((last.kind, &last.details["in_doubt"]), (EventKind::RunCompleted, &json!(["sim.once"])));
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_crash_while_a_cut_off_effect_is_on_the_wire_leaves_a_doubt() {
    let mut timed = once();
    timed["timeout"] = json!({"after": {"seconds": 1}});
    let tasks = json!([
        {"t": {"try": [{"act": timed}], "catch": {"do": [{"w": {"wait": {"minutes": 1}}}, call_after()]}}},
    ]);
    let world = world(83, &worker(&tasks));
    world.effects.script("once", [Act::WorkAndHang]);
    let run = world
        .process(async |engine| {
            open(&engine).await;
            let run = start(&engine).await;
            while count(&world, &run, |body| matches!(body, EventBody::Woke { .. })) == 0 {
                pause(1).await;
            }
            run
        })
        .done();
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            assert_eq!(count(&world, &run, |body| matches!(body, EventBody::InDoubt { why: Doubt::Crash, .. })), 1);
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

fn gate_and_timer() -> Value {
    let timer = json!({"do": [{"w": {"wait": {"seconds": 30}}}, {"r": read(4)}, {"v": {"wait": {"seconds": 30}}}]});
    long(&json!([{"f": fork(false, &json!([{"gated": write()}, {"timer": timer}]))}]))
}

#[test]
fn a_run_waits_for_the_most_telling_and_says_so_once() {
    let world = world(84, &gate_and_timer());
    world
        .process(async |engine| {
            let context = open(&engine).await;
            policy(&context, GATE).await;
            let run = start(&engine).await;
            let waits = settled(&engine, &context, &run).await;
            assert_eq!(waits.status.waiting_for, Some(WaitingFor::Approval));
            assert_eq!(kinds(&context, &run, EventKind::RunWaiting).await, 1);
            let before = world.store.peek_loose_ends(&tenant(), &run).1.len();
            assert_eq!(before, 2, "a timer for the approval and one for the pause");
            while count(&world, &run, |body| matches!(body, EventBody::TimerSet { .. })) < 2 {
                pause(1_000).await;
            }
            pause(1_000).await;
            let again = record(&context, &run).await;
            assert_eq!(again.status.waiting_for, Some(WaitingFor::Approval));
            assert_eq!(world.effects.received_by("read").len(), 1);
            assert_eq!(kinds(&context, &run, EventKind::RunWaiting).await, 2);
            yes(&engine, &context).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_person_is_heard_while_another_branch_goes_on() {
    let reads: Vec<Value> = (0..20).map(|n| json!({format!("r{n}"): read(n)})).collect();
    let tasks = json!([{"f": fork(false, &json!([{"gated": write()}, {"busy": {"do": reads}}]))}]);
    let world = world(85, &long(&tasks));
    world.effects.script("read", [Act::Slow(2_000); 20]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            policy(&context, GATE).await;
            let run = start(&engine).await;
            while asked(&engine, &context).await.is_empty() {
                pause(10).await;
            }
            assert_eq!(record(&context, &run).await.status.state, RunState::Running);
            let begun = tokio::time::Instant::now();
            yes(&engine, &context).await;
            assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
            assert!(world.effects.received_by("read").len() < 5);
            let ended = settled(&engine, &context, &run).await;
            for _ in 0..60 {
                pause(1_000).await;
            }
            let ended = if ended.status.state.is_terminal() { ended } else { record(&context, &run).await };
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            assert_eq!(world.effects.received_by("read").len(), 20, "no read was lost or repeated");
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn an_approval_of_a_branch_that_is_cut_off_is_withdrawn() {
    let tasks = json!([{"f": fork(true, &json!([{"gated": write()}, {"w": {"wait": {"seconds": 5}}}]))}]);
    let world = world(86, &long(&tasks));
    world
        .process(async |engine| {
            let context = open(&engine).await;
            policy(&context, GATE).await;
            let run = start(&engine).await;
            while !record(&context, &run).await.status.state.is_terminal() {
                pause(1_000).await;
            }
            let ended = record(&context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            assert_eq!(asked(&engine, &context).await[0].record.state, ApprovalState::Withdrawn);
            assert!(world.effects.received_by("write").is_empty());
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_stop_tells_all_that_was_on_the_wire() {
    let tasks = json!([{"f": fork(false, &json!([{"a": once()}, {"b": write()}, {"c": read(1)}, {"d": once()}]))}]);
    let world = world(87, &worker(&tasks));
    world.effects.script("once", [Act::WorkAndHang, Act::WorkAndHang]);
    world.effects.script("write", [Act::WorkAndHang]);
    world.effects.script("read", [Act::Hang]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            while world.effects.received().len() < 4 {
                pause(1).await;
            }
            let found = record(&context, &run).await;
            let permit = permit(&engine, &context, Action::RunKill, &found).await;
            let (killed, record) = engine.kill(&context, &permit, &found).await.unwrap();
            assert_eq!(record.status.state, RunState::Cancelled);
            assert_eq!(killed.in_flight.iter().filter(|flight| flight.on_wire).count(), 4);
            assert_eq!(count(&world, &run, |body| matches!(body, EventBody::InDoubt { why: Doubt::Stopped, .. })), 3);
            let detail = record.status.problem.clone().unwrap().detail.unwrap();
            assert_eq!(detail.matches("sim.").count(), 3, "{detail}");
            assert_eq!(world.store.peek_loose_ends(&tenant(), &run), (Vec::new(), Vec::new()));
            pause(10_000).await;
            assert_eq!(world.effects.received().len(), 4);
            assert_eq!(violations(&world, &context, &record).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_refusal_in_one_branch_ends_the_run_after_the_others_have_landed() {
    let tasks = json!([{"f": fork(false, &json!([{"a": once()}, {"b": {"do": [{"r": read(1)}, {"w": write()}]}}]))}]);
    let world = world(88, &worker(&tasks));
    world.effects.script("once", [Act::Slow(3_000)]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            crate::house::forbid(&context, "sim.write").await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Refused);
            let returned = |body: &EventBody| {
                matches!(body, EventBody::Returned { step: StepSeq(1), outcome: Outcome::Value(_), .. })
            };
            assert_eq!(count(&world, &run, returned), 1, "the effect that was under way is recorded");
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn two_doubts_are_resolved_one_by_one() {
    let tasks = json!([{"f": fork(false, &json!([{"a": once()}, {"b": once()}]))}]);
    let world = world(89, &worker(&tasks));
    world.effects.script("once", [Act::Break, Act::Break]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let waits = settled(&engine, &context, &run).await;
            assert_eq!(waits.status.waiting_for, Some(WaitingFor::OutcomeUnknown));
            let leave = || permit(&engine, &context, Action::RunResolve, &waits);
            let which = engine.resolve(&context, &leave().await, &waits, None, None).await.unwrap_err().to_string();
            assert!(which.contains("1, 2"), "{which}");
            let one = engine.resolve(&context, &leave().await, &waits, Some(StepSeq(2)), Some(json!({"x": 2}))).await;
            assert_eq!(one.unwrap().status.waiting_for, Some(WaitingFor::OutcomeUnknown));
            engine.resolve(&context, &leave().await, &waits, None, Some(json!({"x": 1}))).await.unwrap();
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(output(&context, &ended).await, json!([{"x": 1}, {"x": 2}]));
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_word_on_a_doubt_that_wins_a_competition_withdraws_the_approval_beside_it() {
    let tasks = json!([{"f": fork(true, &json!([{"gated": write()}, {"doubted": once()}, {"w": {"wait": {"hours": 9}}}]))}, call_after()]);
    let world = world(92, &long(&tasks));
    world.effects.script("once", [Act::Break]);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            policy(&context, GATE).await;
            let run = start(&engine).await;
            let waits = settled(&engine, &context, &run).await;
            assert_eq!(waits.status.waiting_for, Some(WaitingFor::OutcomeUnknown), "the most telling");
            let leave = permit(&engine, &context, Action::RunResolve, &waits).await;
            let ended = engine.resolve(&context, &leave, &waits, None, Some(json!({"x": 1}))).await.unwrap();
            assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
            assert_eq!(kinds(&context, &run, EventKind::ApprovalExpired).await, 1);
            assert_eq!(asked(&engine, &context).await[0].record.state, ApprovalState::Withdrawn);
            assert_eq!(world.store.peek_loose_ends(&tenant(), &run), (Vec::new(), Vec::new()));
            pause(3_000).await;
            assert_eq!(violations(&world, &context, &ended).await, Vec::<String>::new());
        })
        .done();
}

#[test]
fn a_crash_at_any_step_with_an_approval_and_a_timer_open_loses_nothing() {
    let calm = gated(None);
    assert_eq!(calm.1, Vec::<String>::new());
    let persists = |step: &String| step.starts_with("effect.") || step.contains("commit") || step.contains("take-over");
    let points: Vec<usize> =
        calm.0.iter().enumerate().filter(|(_, step)| persists(step)).map(|(index, _)| index).collect();
    assert!(points.len() > 8, "{:?}", calm.0);
    let wrong = crate::parallel::for_each(&points, |index| gated(Some(*index)).1);
    let wrong: Vec<_> = points.iter().zip(wrong).filter(|(_, wrong)| !wrong.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The run with the gate and the timer, through a crash after that step; its I/O steps and what is wrong.
fn gated(crash: Option<usize>) -> (Vec<String>, Vec<String>) {
    let world = world(90, &gate_and_timer());
    world.process(async |engine| policy(&engine.open_tenant(&tenant()).await.unwrap(), GATE).await).done();
    world.faults.forget();
    if let Some(index) = crash {
        world.faults.at(index, Fault::CrashAfter);
    }
    let run = std::cell::RefCell::new(None::<RunId>);
    for _ in 0..5 {
        let life = world.process(async |engine| {
            let context = open(&engine).await;
            if run.borrow().is_none() {
                let request =
                    mandate_engine::StartRequest { start_key: Some("k".to_owned()), ..crate::house::request() };
                let id = match engine.start(&crate::house::alice(), request).await {
                    Ok(started) => started.run,
                    Err(mandate_engine::StartError::Duplicate(run)) => run,
                    Err(error) => panic!("{error}"),
                };
                *run.borrow_mut() = Some(id);
            }
            let run = run.borrow().clone().unwrap();
            for _ in 0..600 {
                let found = record(&context, &run).await;
                if found.status.state.is_terminal() {
                    break;
                }
                let late = count(&world, &run, |body| matches!(body, EventBody::TimerSet { .. })) > 1;
                if late && asked(&engine, &context).await.iter().any(|view| view.record.state == ApprovalState::Pending)
                {
                    yes(&engine, &context).await;
                }
                pause(500).await;
            }
        });
        if life == mandate_testkit::Ended::Done(()) {
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
            wrong
        })
        .done();
    (trace, wrong)
}

#[test]
fn everything_beside_everything_completes() {
    let world = world(91, &forked_worker());
    let ended = run_alone(&world);
    assert_eq!(ended.status.state, RunState::Completed, "{:?}", ended.status.problem);
}
