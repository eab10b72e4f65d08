//! A stop whose revocation is durable and whose rest was lost, and a lease that outlived its run.

use crate::house::{KEY, call, events, open, permit, record, settled, small_worker, start, tenant, worker, world};
use mandate_engine::{Engine, TenantContext};
use mandate_journal::{
    Change, EpochKey, Fence, LeaseChange, LeaseRecord, LeaseState, RunRecord, RunState, Transition, WaitingFor,
};
use mandate_kernel::{Action, Attempt, LeaseId, ResourceName, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use mandate_ledger::{Entry, EventKind};
use mandate_testkit::{Act, World};
use serde_json::json;
use std::sync::Arc;

/// The first half of a stop: from here on nothing of the run is admitted, and nobody ends it.
async fn half_a_stop(context: &TenantContext, run: &RunId) {
    let mut change = Change::new(tenant(), Timestamp::from_secs(1), "user:alice".to_owned());
    change.revoke.push(EpochKey::Run(run.to_string()));
    context.store().change(change).await.unwrap();
}

/// A run that waits for a person.
async fn waiting(engine: &Arc<Engine>, context: &Arc<TenantContext>) -> RunRecord {
    let run = start(engine).await;
    let record = settled(engine, context, &run).await;
    assert_eq!(record.status.waiting_for, Some(WaitingFor::OutcomeUnknown));
    record
}

fn in_doubt(seed: u64) -> World {
    let world = world(seed, &worker(&json!([call("a", "sim.once", &json!({"n": 1}))])));
    world.effects.script("once", [Act::Break]);
    world
}

#[test]
fn a_second_stop_finishes_what_the_first_began() {
    let world = in_doubt(70);
    world
        .process(async |engine| {
            let context = open(&engine).await;
            let waits = waiting(&engine, &context).await;
            half_a_stop(&context, &waits.run).await;
            let permit = permit(&engine, &context, Action::RunKill, &waits).await;
            let (killed, ended) = engine.kill(&context, &permit, &waits).await.unwrap();
            assert!(!killed.already_ended);
            assert_eq!(ended.status.state, RunState::Cancelled);
        })
        .done();
}

#[test]
fn a_start_ends_runs_that_were_stopped_and_did_not_end() {
    let world = in_doubt(71);
    let run = world
        .process(async |engine| {
            let context = open(&engine).await;
            let waits = waiting(&engine, &context).await;
            half_a_stop(&context, &waits.run).await;
            waits.run
        })
        .done();
    world
        .process(async |engine| {
            let context = open(&engine).await;
            for _ in 0..1_000 {
                if record(&context, &run).await.status.state.is_terminal() {
                    break;
                }
                crate::house::pause(10).await;
            }
            let ended = record(&context, &run).await;
            assert_eq!(ended.status.state, RunState::Cancelled);
            assert_eq!(events(&context, &run).await.pop().unwrap().kind, EventKind::RunKilled);
            assert!(engine.ports().tenants.system().unfinished().await.unwrap().is_empty());
        })
        .done();
    assert_eq!(world.effects.received().len(), 1);
}

#[test]
fn the_end_of_a_lease_is_recorded_also_after_its_run() {
    let world = world(72, &small_worker());
    let (run, lease) = world
        .process(async |engine| {
            let context = open(&engine).await;
            let run = start(&engine).await;
            let ended = settled(&engine, &context, &run).await;
            assert_eq!(ended.status.state, RunState::Completed);
            let lease = LeaseRecord {
                lease: LeaseId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap(),
                step: StepKey { run: run.clone(), seq: StepSeq(1), attempt: Attempt(1) },
                credential: ResourceName::new(KEY).unwrap(),
                version: 1,
                not_after: Timestamp::from_secs(9),
                state: LeaseState::Intended,
            };
            let epoch = context.store().take_over(&run).await.unwrap();
            let left = Transition {
                tenant: tenant(),
                run: run.clone(),
                fence: Fence { journal_seq: ended.journal_seq, epoch, revocations: None },
                create: None,
                claim: None,
                events: Vec::new(),
                entries: Vec::new(),
                chain: ended.chain,
                admission: None,
                leases: vec![LeaseChange::Intend(lease.clone())],
                approvals: Vec::new(),
                timers: Vec::new(),
                payloads: Vec::new(),
                status: None,
            };
            context.store().commit(left).await.unwrap();
            (run, lease.lease)
        })
        .done();
    world
        .process(async |engine| {
            let context = open(&engine).await;
            while !context.store().open_leases(&run).await.unwrap().is_empty() {
                crate::house::pause(10).await;
            }
            let chain = events(&context, &run).await;
            assert_eq!(chain.last().unwrap().kind, EventKind::RunCompleted, "the chain ends where it ended");
            crate::house::pause(5_000).await;
        })
        .done();
    let (entries, ..) = world.store.peek_ledger(&tenant());
    let ends = |bytes: &Vec<u8>| {
        let (_, event) = Entry::decode(bytes).unwrap();
        event.kind == EventKind::LeaseEnded
            && event.run.is_none()
            && event.details["lease"] == json!(lease)
            && event.details["of_run"] == json!(run)
    };
    assert_eq!(entries.iter().filter(|bytes| ends(bytes)).count(), 1);
}
