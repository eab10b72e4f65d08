//! One run from start to end through any number of crashes, with people who do what people do: start it
//! again when they got no answer, find out what became of an effect in doubt, perhaps stop it.

use crate::house::{alice, open, pause, request, tenant};
use crate::invariants::violations;
use mandate_engine::{Engine, StartError, Target, TenantContext};
use mandate_journal::{EventBody, RunRecord, RunState, WaitingFor};
use mandate_kernel::{Action, RunId, StepKey, StepSeq};
use mandate_testkit::{Ended, World};
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;

/// What people remember, across processes.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) run: Option<RunId>,
    /// Stop it after so many milliseconds of a process.
    pub(crate) kill_after: Option<u64>,
    /// A stop was acknowledged; the receivers had seen so many requests.
    pub(crate) killed_at: Option<usize>,
    /// Something happened that must not.
    pub(crate) wrong: Vec<String>,
    pub(crate) crashes: usize,
    /// I/O steps until it had settled.
    pub(crate) steps: usize,
}

/// Lives through processes until the run has settled, and says what is wrong then.
pub(crate) fn live(world: &World, memory: Memory) -> (Memory, Vec<String>) {
    let memory = RefCell::new(memory);
    let mut settled = false;
    for _ in 0..40 {
        match world.process(async |engine| process(world, &engine, &memory).await) {
            Ended::Done(()) => {
                settled = true;
                break;
            }
            Ended::Crashed => memory.borrow_mut().crashes += 1,
        }
    }
    if !settled {
        return (memory.into_inner(), vec!["it never settled".to_owned()]);
    }
    memory.borrow_mut().steps = world.faults.trace().len();
    world.faults.calm();
    world.effects.calm();
    let mut wrong = world.process(async |engine| last_look(world, &engine, &memory).await).done();
    let memory = memory.into_inner();
    wrong.extend(memory.wrong.iter().cloned());
    (memory, wrong)
}

/// A new process, with nothing going wrong any more: whatever was left over is put in order.
async fn last_look(world: &World, engine: &Arc<Engine>, memory: &RefCell<Memory>) -> Vec<String> {
    let context = open(engine).await;
    let Some(run) = memory.borrow().run.clone() else { return vec!["no run was started".to_owned()] };
    let record = follow(world, engine, &context, &run, memory).await;
    pause(5_000).await;
    let Some(record) = record else { return vec![format!("{run} was started and is gone")] };
    let mut wrong = violations(world, &context, &record).await;
    if let Some(seen) = memory.borrow().killed_at {
        let now = world.effects.received().len();
        if now > seen {
            wrong.push(format!("after an acknowledged stop receivers saw {} more requests", now - seen));
        }
        if record.status.state != RunState::Cancelled {
            wrong.push(format!("it was stopped, and is {:?}", record.status.state));
        }
    }
    wrong
}

async fn process(world: &World, engine: &Arc<Engine>, memory: &RefCell<Memory>) {
    let context = loop {
        match engine.open_tenant(&tenant()).await {
            Ok(context) => break context,
            Err(_) => pause(700).await,
        }
    };
    while let Err(error) = engine.keep_ledger(&context).await {
        if matches!(error, mandate_engine::EngineError::RolledBack { .. }) {
            memory.borrow_mut().wrong.push(error.to_string());
            return;
        }
        pause(700).await;
    }
    while engine.recover().await.is_err() {
        pause(700).await;
    }
    let run = begin(engine, memory).await;
    let kill = memory.borrow().kill_after.filter(|_| memory.borrow().killed_at.is_none());
    let stop = async {
        if let Some(after) = kill {
            pause(after).await;
            stop(world, engine, &context, &run, memory).await;
        }
    };
    tokio::join!(stop, async {
        if follow(world, engine, &context, &run, memory).await.is_none() {
            memory.borrow_mut().wrong.push(format!("{run} was acknowledged and is gone"));
        }
    });
    // The ledger settles by itself; faults end, so it does.
    for _ in 0..600 {
        let (entries, waiting, _, _) = world.store.peek_ledger(&tenant());
        let head = context.store().head().await;
        if waiting == 0 && head.is_ok_and(|head| head.cosigned_size == entries.len() as u64) {
            return;
        }
        pause(500).await;
    }
}

/// Starts the run, again and again until there is an answer.
async fn begin(engine: &Arc<Engine>, memory: &RefCell<Memory>) -> RunId {
    if let Some(run) = memory.borrow().run.clone() {
        return run;
    }
    for _ in 0..600 {
        let request = mandate_engine::StartRequest { start_key: Some("once".to_owned()), ..request() };
        let run = match engine.start(&alice(), request).await {
            Ok(started) => started.run,
            Err(StartError::Duplicate(run)) => run,
            Err(_) => {
                pause(300).await;
                continue;
            }
        };
        memory.borrow_mut().run = Some(run.clone());
        return run;
    }
    panic!("it can't be started");
}

/// Follows the run until it has settled, and resolves what is in doubt by what the receiver knows.
async fn follow(
    world: &World,
    engine: &Arc<Engine>,
    context: &Arc<TenantContext>,
    run: &RunId,
    memory: &RefCell<Memory>,
) -> Option<RunRecord> {
    for _ in 0..4_000 {
        match context.store().run(run).await {
            Err(_) => {}
            Ok(None) => return None,
            Ok(Some(record)) if record.status.state.is_terminal() => return Some(record),
            Ok(Some(record)) if record.status.waiting_for == Some(WaitingFor::OutcomeUnknown) => {
                resolve(world, engine, context, &record).await;
            }
            Ok(Some(_)) => {}
        }
        pause(400).await;
    }
    memory.borrow_mut().wrong.push("it does not settle".to_owned());
    context.store().run(run).await.ok().flatten()
}

pub(crate) async fn resolve(world: &World, engine: &Arc<Engine>, context: &Arc<TenantContext>, record: &RunRecord) {
    let Ok(permit) = engine.authorize(context, &alice(), Action::RunResolve, &Target::Run(record)).await else {
        return;
    };
    let mut doubts = Vec::new();
    for event in crate::house::journal(world, &record.run) {
        match event.body {
            EventBody::InDoubt { step, .. } => doubts.push(step),
            EventBody::Resolved { step, .. } => doubts.retain(|doubt| *doubt != step),
            _ => {}
        }
    }
    let in_doubt = doubts.first().copied();
    let key = |seq: StepSeq| StepKey { run: record.run.clone(), seq, attempt: mandate_kernel::Attempt(1) };
    let happened = in_doubt.is_some_and(|seq| {
        let key = key(seq).idempotency_key();
        world.effects.done().contains_key(&key) || world.effects.accepted().contains_key(&key)
    });
    let value = happened.then(|| json!({"done": true, "ok": true}));
    // What can't be recorded now is tried again at the next look.
    let _ = engine.resolve(context, &permit, record, in_doubt, value).await;
}

async fn stop(
    world: &World,
    engine: &Arc<Engine>,
    context: &Arc<TenantContext>,
    run: &RunId,
    memory: &RefCell<Memory>,
) {
    for _ in 0..100 {
        if let Ok(Some(record)) = context.store().run(run).await
            && let Ok(permit) = engine.authorize(context, &alice(), Action::RunKill, &Target::Run(&record)).await
            && let Ok((killed, record)) = engine.kill(context, &permit, &record).await
        {
            if !killed.already_ended {
                memory.borrow_mut().killed_at = Some(world.effects.received().len());
            }
            if !record.status.state.is_terminal() {
                memory.borrow_mut().wrong.push(format!("a stop was acknowledged, and it is {:?}", record.status.state));
            }
            return;
        }
        pause(300).await;
    }
    memory.borrow_mut().wrong.push("it can't be stopped".to_owned());
}
