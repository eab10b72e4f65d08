//! Processes, one after the other, until everything that was to happen has happened and every run has settled.

use crate::house::{open, pause, person, tenant};
use crate::journey::resolve;
use crate::simulation::check;
use crate::simulation::memory::{Memory, Promise, state_word};
use crate::simulation::plan::{Happening, Plan};
use crate::simulation::program::EVENTS;
use mandate_engine::{Answer, AnswerError, Engine, EngineError, TenantContext};
use mandate_journal::{ApprovalKind, ApprovalQuery, ApprovalState, RunRecord, WaitingFor};
use mandate_kernel::{Caller, Digest, GroupName};
use mandate_testkit::{Ended, SimEntropy, World};
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::time::Instant;

/// Processes of one seed.
const PROCESSES: usize = 60;

/// How long a process looks at its runs before the calm comes, in simulated milliseconds.
const PATIENCE: u64 = 20 * 60 * 1_000;

/// How long runs may take in the calm, with people who answer: longer than any authority lasts, and than the
/// clock was set back.
const CALM: u64 = 3 * 60 * 60 * 1_000;

/// One seed being lived.
pub(crate) struct Life<'a> {
    pub(crate) seed: u64,
    pub(crate) world: &'a World,
    pub(crate) plan: &'a Plan,
    pub(crate) memory: RefCell<Memory>,
    /// What people decide.
    minds: SimEntropy,
}

fn boss() -> Caller {
    Caller { groups: [GroupName::new("bosses").unwrap()].into(), ..person("bert") }
}

impl<'a> Life<'a> {
    pub(crate) fn new(seed: u64, world: &'a World, plan: &'a Plan) -> Self {
        Self { seed, world, plan, memory: RefCell::default(), minds: SimEntropy::new(seed ^ 0x3141) }
    }

    /// Lives it all, and says what is wrong.
    pub(crate) fn live(self) -> (Memory, Vec<String>) {
        let mut settled = false;
        while !settled && self.memory.borrow().processes < PROCESSES {
            self.memory.borrow_mut().processes += 1;
            match self.world.process(async |engine| self.process(&engine).await) {
                Ended::Done(done) => settled = done,
                Ended::Crashed => self.memory.borrow_mut().crashes += 1,
            }
            self.look_at_the_ledger();
        }
        if !settled {
            return (self.memory.into_inner(), vec!["it never settled".to_owned()]);
        }
        self.world.faults.calm();
        self.world.effects.calm();
        let mut wrong = self.world.process(async |engine| self.last_look(&engine).await).done();
        let memory = self.memory.into_inner();
        wrong.extend(memory.wrong.iter().cloned());
        (memory, wrong)
    }

    /// The tree only grows, and every acknowledged entry is in it or waits for it: after each process.
    fn look_at_the_ledger(&self) {
        let (tree, waiting, cosigned) = self.world.store.peek_leaves(&tenant());
        let mut memory = self.memory.borrow_mut();
        let process = memory.processes;
        if !tree.starts_with(&memory.leaves) || cosigned < memory.cosigned {
            memory.wrong.push("the ledger's tree is not the one it was, grown".to_owned());
        }
        let held: std::collections::BTreeSet<&Digest> = tree.iter().chain(&waiting).collect();
        let lost = self.world.store.acknowledged().iter().filter(|leaf| !held.contains(leaf)).count();
        if lost > 0 {
            memory.wrong.push(format!("{lost} acknowledged entries are gone after process {process}"));
        }
        (memory.leaves, memory.cosigned) = (tree, cosigned);
    }

    /// One process. `true` when nothing is left to happen and every run has settled.
    async fn process(&self, engine: &Arc<Engine>) -> bool {
        let began = Instant::now();
        let age = || self.memory.borrow().lived + u64::try_from(began.elapsed().as_millis()).unwrap();
        let done = match self.wake(engine).await {
            Some(context) => tokio::select! {
                biased;
                restart = self.happenings(engine, &context, &age) => !restart,
                () = self.people(engine, &context) => false,
            },
            None => true,
        };
        engine.close();
        let lived = age();
        self.memory.borrow_mut().lived = lived;
        done
    }

    /// A process begins.
    async fn wake(&self, engine: &Arc<Engine>) -> Option<Arc<TenantContext>> {
        let refused = |error: &EngineError| {
            let wrong = matches!(error, EngineError::RolledBack { .. } | EngineError::Unrecorded { .. });
            if wrong {
                self.memory.borrow_mut().wrong.push(error.to_string());
            }
            wrong
        };
        let context = loop {
            match engine.open_tenant(&tenant()).await {
                Ok(context) => break context,
                Err(error) if refused(&error) => return None,
                Err(_) => pause(700).await,
            }
        };
        while let Err(error) = engine.keep_ledger(&context).await {
            if refused(&error) {
                return None;
            }
            pause(700).await;
        }
        while engine.recover().await.is_err() {
            pause(700).await;
        }
        Some(context)
    }

    /// What is to happen, each at its time; then the runs settle. `true` when the process is to begin anew.
    async fn happenings(&self, engine: &Arc<Engine>, context: &Arc<TenantContext>, age: &impl Fn() -> u64) -> bool {
        loop {
            let next = self.memory.borrow().next;
            let Some((at, what)) = self.plan.happenings.get(next).copied() else { break };
            pause(at.saturating_sub(age())).await;
            if matches!(what, Happening::Crash | Happening::Restart) {
                self.happened(what);
                if what == Happening::Crash {
                    self.world.faults.crash_now();
                    return std::future::pending().await;
                }
                return true;
            }
            for _ in 0..200 {
                if self.happen(engine, context, what, next).await {
                    break;
                }
                pause(300).await;
            }
            self.happened(what);
        }
        let began = Instant::now();
        while began.elapsed().as_millis() < u128::from(PATIENCE) && !self.settled() {
            pause(500).await;
        }
        for _ in 0..120 {
            if self.world.store.peek_sequenced(&tenant()) {
                break;
            }
            pause(500).await;
        }
        false
    }

    fn happened(&self, what: Happening) {
        let mut memory = self.memory.borrow_mut();
        memory.next += 1;
        memory.meet(what.word());
    }

    /// Every run, past all faults.
    pub(crate) fn runs(&self) -> Vec<RunRecord> {
        let runs = self.world.store.peek_runs(&tenant());
        runs.iter().filter_map(|run| self.world.store.peek_run(&tenant(), run)).collect()
    }

    /// Whether every run has ended, or waits for an event that may never come.
    fn settled(&self) -> bool {
        self.runs()
            .iter()
            .all(|run| run.status.state.is_terminal() || run.status.waiting_for == Some(WaitingFor::Event))
    }

    /// People look every now and then, and answer what they are asked.
    async fn people(&self, engine: &Arc<Engine>, context: &Arc<TenantContext>) {
        loop {
            pause(500 + self.minds.below(12_000)).await;
            let runs = self.runs();
            for run in runs.iter().filter(|run| run.status.waiting_for == Some(WaitingFor::OutcomeUnknown)) {
                resolve(self.world, engine, context, run).await;
            }
            if runs.iter().any(|run| !run.status.state.is_terminal()) {
                let mood = self.minds.below(20);
                self.answer(engine, context, mood).await;
            }
        }
    }

    /// Somebody answers what they are asked: most say yes (`mood` above 2), some no, some to something else.
    async fn answer(&self, engine: &Arc<Engine>, context: &Arc<TenantContext>, mood: u64) {
        let query = ApprovalQuery { limit: 10, state: Some(ApprovalState::Pending), ..ApprovalQuery::default() };
        let Ok(page) = engine.approvals(context, &boss(), query).await else { return };
        for view in page.items {
            let id = view.record.approval.clone();
            let approve = mood != 0;
            let form = (approve && view.record.kind == ApprovalKind::Review).then(|| json!({"verdict": "good"}));
            let digest = if mood == 1 { Digest::of(b"another request") } else { view.record.binding };
            let said = engine.answer(context, &boss(), &id, Answer { approve, digest, comment: None, form }).await;
            let mut memory = self.memory.borrow_mut();
            match said {
                Ok(view) if mood == 1 => {
                    memory.wrong.push(format!("an answer to something else settled {id}: {:?}", view.record.state));
                }
                Ok(view) => {
                    memory.meet(if approve { "an approval" } else { "a denial" });
                    memory.promises.push(Promise::Answered(id, view.record.state));
                }
                Err(AnswerError::Mismatch) => memory.meet("an answer to something else"),
                Err(_) => memory.meet("an answer that was not taken"),
            }
        }
    }

    /// A new process with nothing going wrong any more, and people who answer.
    async fn last_look(&self, engine: &Arc<Engine>) -> Vec<String> {
        let context = open(engine).await;
        let began = Instant::now();
        let mut rounds = 0u64;
        while began.elapsed().as_millis() < u128::from(CALM) {
            let runs = self.runs();
            if runs.iter().all(|run| run.status.state.is_terminal()) {
                break;
            }
            for run in &runs {
                if rounds == 0 {
                    self.memory.borrow_mut().meet(state_word(run));
                }
                match run.status.waiting_for {
                    Some(WaitingFor::OutcomeUnknown) => resolve(self.world, engine, &context, run).await,
                    Some(WaitingFor::Approval) => self.answer(engine, &context, 19).await,
                    Some(WaitingFor::Event) => {
                        for kind in EVENTS {
                            self.memory.borrow_mut().told += 1;
                            let id = format!("told {}", self.memory.borrow().told);
                            self.deliver(engine, &context, &id, kind).await;
                        }
                    }
                    _ => {}
                }
            }
            rounds += 1;
            pause(if rounds < 60 { 2_000 } else { 30_000 }).await;
        }
        for _ in 0..60 {
            if self.world.store.peek_sequenced(&tenant()) {
                break;
            }
            pause(1_000).await;
        }
        check::violations(self, &context).await
    }
}
