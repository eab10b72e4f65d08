//! One run, driven: the machine's intents become durable steps.

use crate::board::{Aside, Board, End, Next, Waits, machine_timer};
use crate::claims::Own;
use crate::draft::Draft;
use crate::evaluate::Evaluated;
use crate::header::RunHeader;
use crate::history::History;
use crate::load::standing;
use crate::pinned::Pinned;
use crate::seen::Results;
use crate::turns::Place;
use crate::{Catalog, Engine, EngineError, TenantContext, doubt, record};
use mandate_flow::{ErrorKind, Event, Labelled, Machine, OfData, Open, TimerId, WorkflowError};
use mandate_gate::{AdmitError, StandingFacts};
use mandate_identity::Authority;
use mandate_issuer::MintedEnvelope;
use mandate_journal::{
    CommitError, EpochKey, EventBody, NewRun, Problem, RunState, RunStatus, Stored, TimerChange, TimerRecord,
    WaitingFor,
};
use mandate_kernel::{Digest, Duration, Labels, RunId, Timestamp, crash};
use mandate_ledger::EventKind;
use mandate_vault::SubjectKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// Why a run is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// A process ended in the middle of it.
    Recovery,
    /// A timer is due.
    Timer,
    /// A person resolved a doubt, or stopped it.
    Person,
    /// An event came.
    Event,
}

/// How driving ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It waits; whoever wakes it loads it again.
    Parked,
    /// It is over.
    Finished,
}

/// What a step came to.
pub(crate) enum StepEnd {
    /// The machine is told.
    Tell(Event),
    /// It waits for something outside, and the run goes on with what else there is.
    Aside(Aside),
    /// Its effect is under way.
    Flying,
    /// Somebody stopped the run.
    Stopped,
    /// The run is over.
    Over,
}

/// A run in memory.
pub(crate) struct Driver {
    pub context: Arc<TenantContext>,
    pub run: RunId,
    pub new: NewRun,
    pub header: RunHeader,
    pub pinned: Pinned,
    pub catalog: Arc<Catalog>,
    /// What the run holds under this catalog, once a step has asked.
    pub held: OnceLock<Authority>,
    pub machine: Machine,
    /// What the machine has open.
    pub board: Board,
    /// Whether what the machine wants was wanted before, and is in the journal with all that came of it.
    pub replaying: bool,
    /// Whether the run is ending: nothing that lands is told any more.
    pub over: bool,
    /// The draft as it was before the run was said to go on, and what the run waited for.
    pub as_found: Option<(Draft, WaitingFor)>,
    pub history: History,
    /// What models may be shown of it.
    pub results: Results,
    pub draft: Draft,
    pub subject: SubjectKey,
    pub standing: StandingFacts,
    /// The run's first envelope, and the digest of the latest one.
    pub root: MintedEnvelope,
    pub latest_envelope: Digest,
    /// Timers that are set in the store.
    pub timers: BTreeSet<String>,
    /// Time spent on expressions since the run was taken up.
    pub evaluating: Duration,
    /// The turn it works in.
    pub place: Place,
    /// The run as this node's own.
    pub own: Own,
    /// Told when the run's beginning is durable.
    pub begun: Option<oneshot::Sender<Result<(), CommitError>>>,
}

impl Driver {
    /// Drives the run until it ends or waits.
    pub(crate) async fn drive(mut self, engine: &Arc<Engine>) -> Result<Ended, EngineError> {
        let ended = self.go_on(engine).await;
        if let Err(EngineError::Commit(error) | EngineError::Admit(AdmitError::Commit(error))) = &ended
            && let Some(begun) = self.begun.take()
        {
            // Whoever asked for the start is told why there is none; they may have gone.
            let _ = begun.send(Err(error.clone()));
        }
        ended
    }

    async fn go_on(&mut self, engine: &Arc<Engine>) -> Result<Ended, EngineError> {
        if self.history.ended {
            for name in std::mem::take(&mut self.timers) {
                self.draft.timer(TimerChange::Clear(name));
            }
            self.commit(engine).await?;
            return Ok(Ended::Finished);
        }
        if self.is_stopped() {
            return self.cancel(engine).await;
        }
        if let Some(ended) = self.catch_up(engine).await? {
            return Ok(ended);
        }
        loop {
            if let Some(ended) = self.evaluate_all(engine).await? {
                return Ok(ended);
            }
            match self.board.end.take() {
                Some(End::Complete(output)) => return self.complete(engine, output).await,
                Some(End::Fault(error, labels)) => return self.fault(engine, &error, &labels).await,
                None => {}
            }
            let held = engine.holds.holds(&self.run) || engine.is_draining();
            let next = if held { None } else { self.board.next(engine.ports.clock.now()) };
            let (open, end) = match next {
                Some(Next::Timer(id, span)) => (Open::Timer(id), self.sleep(engine, id, span)),
                Some(Next::Emit(id, event)) => (Open::Emit(id), self.emit(engine, id, event).await?),
                Some(Next::Call(asked)) => (Open::Call(asked.wanted.seq), self.step(engine, *asked).await?),
                None if !self.board.flights.is_empty() => {
                    // What is known is durable while nothing but the effects can go on.
                    self.commit(engine).await?;
                    let due = self.board.next_due().filter(|_| !held);
                    match self.until_landed(engine, due).await? {
                        Some((seq, end)) => (Open::Call(seq), end),
                        None => continue,
                    }
                }
                None if held => {
                    self.commit(engine).await?;
                    return Ok(Ended::Parked);
                }
                None => return self.park(engine).await,
            };
            match end {
                StepEnd::Tell(event) if self.board.has(open) => self.tell(engine, event)?,
                StepEnd::Aside(aside) if self.board.has(open) => {
                    self.board.aside.insert(open, aside);
                }
                StepEnd::Tell(_) | StepEnd::Aside(_) | StepEnd::Flying => {}
                StepEnd::Stopped => return self.cancel(engine).await,
                StepEnd::Over => return Ok(Ended::Finished),
            }
            self.give_way(engine).await;
        }
    }

    /// The run ends by an error that nothing caught. What it says of the run's data is for those who may read
    /// that; the ledger gets none of it.
    async fn fault(&mut self, engine: &Engine, error: &WorkflowError, labels: &Labels) -> Result<Ended, EngineError> {
        let shown = error.shown();
        let said = (shown != WorkflowError { of_data: OfData::NONE, ..error.clone() })
            .then(|| self.seal(&json!({"error": error}), labels))
            .transpose()?;
        self.end(engine, RunState::Faulted, said, None, Some(problem_of(&shown))).await
    }

    /// Does every evaluation, in the order asked. Gives the run's end if it ends on the way.
    pub(crate) async fn evaluate_all(&mut self, engine: &Engine) -> Result<Option<Ended>, EngineError> {
        while let Some(evaluation) = self.board.evaluations.pop_front() {
            match self.evaluate(engine, evaluation).await? {
                Evaluated::Tell(event) => self.tell(engine, event)?,
                Evaluated::Stopped => return self.cancel(engine).await.map(Some),
                Evaluated::Exhausted => {
                    let why = "the run has used up the time it may spend on expressions";
                    let problem = problem_of(&WorkflowError::new(ErrorKind::Expression, why));
                    return self.end(engine, RunState::Faulted, None, None, Some(problem)).await.map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Sets a timer of the machine, or tells it that it fired.
    fn sleep(&mut self, engine: &Engine, id: TimerId, span: Duration) -> StepEnd {
        let now = engine.ports.clock.now();
        let name = machine_timer(id);
        let set = self.history.timers.get(&id.0).copied();
        let due = set.unwrap_or_else(|| now.plus(span));
        if set.is_none() {
            self.event(now, EventBody::TimerSet { timer: id.0, due });
        }
        if due <= now {
            self.event(now, EventBody::Woke { timer: id.0 });
            self.clear_timer(&name);
            return StepEnd::Tell(Event::Woke { id, at: now });
        }
        if !self.timers.contains(&name) {
            self.set_timer(name, due);
        }
        StepEnd::Aside(Aside { waits: Waits::Timer, until: Some(due) })
    }

    /// Adds a journal event, and takes it in.
    pub(crate) fn event(&mut self, at: Timestamp, body: EventBody) {
        // The machine is told by whoever adds it.
        let _ = self.history.note(at, body.clone());
        self.draft.event(at, body);
    }

    pub(crate) fn set_timer(&mut self, name: String, due: Timestamp) {
        self.draft.timer(TimerChange::Set(TimerRecord { name: name.clone(), due }));
        self.timers.insert(name);
    }

    pub(crate) fn clear_timer(&mut self, name: &str) {
        if self.timers.remove(name) {
            self.draft.timer(TimerChange::Clear(name.to_owned()));
        }
    }

    /// Makes the draft durable.
    pub(crate) async fn commit(&mut self, engine: &Engine) -> Result<(), EngineError> {
        if self.draft.is_empty() {
            return Ok(());
        }
        crash::point("engine.before-commit");
        self.context.store.commit(self.draft.transition()).await?;
        crash::point("engine.after-commit");
        self.was_committed(engine);
        Ok(())
    }

    pub(crate) fn was_committed(&mut self, engine: &Engine) {
        self.keep_claim(engine);
        if self.draft.sets_timer() {
            engine.timers_changed.notify_one();
        }
        self.draft.committed();
        self.as_found = None;
        self.context.entries_waiting.notify_one();
        if let Some(begun) = self.begun.take() {
            // Nobody may be waiting for it any more.
            let _ = begun.send(Ok(()));
        }
    }

    /// Nothing can go on: the run waits, for the most telling of what is set aside.
    async fn park(&mut self, engine: &Arc<Engine>) -> Result<Ended, EngineError> {
        let Some(waits) = self.board.waits() else {
            return Err(EngineError::Inconsistent(format!("{} has nothing to do and has not ended", self.run)));
        };
        let Some(waiting) = waits.said() else {
            self.commit(engine).await?;
            engine.keep(&self.context, &self.run, self.own.claimed.take(), self.board.next_due());
            return Ok(Ended::Parked);
        };
        if let Some((before, found)) = self.as_found.take()
            && found == waiting
            && !self.draft.has_events()
        {
            // It waits as before: nothing is said twice.
            self.draft = before;
            self.commit(engine).await?;
            return Ok(Ended::Parked);
        }
        let problem = match waits {
            Waits::Doubt(problem) => Some(*problem),
            _ => None,
        };
        let now = engine.ports.clock.now();
        let details = record::state(RunState::Waiting, Some(waiting), problem.as_ref());
        self.draft.entry(now, EventKind::RunWaiting, "system:engine".to_owned(), details)?;
        self.draft.status(RunStatus { state: RunState::Waiting, waiting_for: Some(waiting), since: now, problem });
        self.commit(engine).await?;
        engine.claims.due_at(self.board.next_due());
        Ok(Ended::Parked)
    }

    async fn complete(&mut self, engine: &Engine, output: Labelled) -> Result<Ended, EngineError> {
        let now = engine.ports.clock.now();
        let stored = self.seal(&output.value, &output.labels)?;
        let artifact = self.sign_artifact(now, &output)?;
        self.end(engine, RunState::Completed, Some(stored), artifact, None).await
    }

    /// The run is over.
    pub(crate) async fn end(
        &mut self,
        engine: &Engine,
        state: RunState,
        output: Option<Stored>,
        artifact: Option<Stored>,
        problem: Option<Problem>,
    ) -> Result<Ended, EngineError> {
        self.drain(engine).await?;
        let now = engine.ports.clock.now();
        let in_doubt = doubt::named(&self.history);
        let kind = match state {
            RunState::Completed => EventKind::RunCompleted,
            RunState::Refused => EventKind::RunRefused,
            RunState::Cancelled => EventKind::RunKilled,
            _ => EventKind::RunFaulted,
        };
        let mut details = record::state(state, None, problem.as_ref());
        if let (Value::Object(map), Some(output)) = (&mut details, &output) {
            map.insert("output".to_owned(), record::commitment(output));
        }
        if let (Value::Object(map), false) = (&mut details, in_doubt.is_empty()) {
            map.insert("in_doubt".to_owned(), Value::from(in_doubt));
        }
        for name in std::mem::take(&mut self.timers) {
            self.draft.timer(TimerChange::Clear(name));
        }
        self.draft.event(now, EventBody::Ended { output, artifact, problem: problem.clone() });
        self.draft.entry(now, kind, "system:engine".to_owned(), details)?;
        self.draft.status(RunStatus { state, waiting_for: None, since: now, problem });
        self.commit(engine).await?;
        tracing::info!(run = %self.run, tenant = %self.context.tenant, state = state.as_str(), "run ended");
        Ok(Ended::Finished)
    }

    /// Whether somebody stopped this run.
    pub(crate) fn is_stopped(&self) -> bool {
        self.standing.revoked.iter().any(|key| matches!(key, EpochKey::Run(_)))
    }

    /// The run was stopped: what was on the wire is in doubt and said so, then it is over.
    pub(crate) async fn cancel(&mut self, engine: &Engine) -> Result<Ended, EngineError> {
        self.drain(engine).await?;
        let (now, actor) = (engine.ports.clock.now(), self.actor());
        let in_doubt = doubt::record(&self.history, &mut self.draft, now, &actor, |_| true)?;
        self.history.doubt_lost(|_| true);
        let doubt = (!in_doubt.is_empty()).then(|| format!("; in doubt: {}", in_doubt.join(", ")));
        let problem = Problem {
            type_: "https://mandate.dev/problems/run-stopped".to_owned(),
            title: "The run was stopped".to_owned(),
            status: 409,
            detail: Some(format!("a person stopped it{}", doubt.unwrap_or_default())),
            instance: None,
            decision: None,
        };
        self.end(engine, RunState::Cancelled, None, None, Some(problem)).await
    }

    /// Reads the revocation facts again, in one moment.
    pub(crate) async fn refresh_standing(&mut self) -> Result<(), EngineError> {
        self.standing = standing(self.context.store.as_ref(), &self.header).await?;
        Ok(())
    }

    /// Whether configuration or standing has changed since they were read.
    pub(crate) async fn is_outdated(&self) -> Result<bool, EngineError> {
        Ok(self.context.store.standing(&[]).await?.revocations != self.standing.revocations)
    }

    /// Configuration or standing has changed: read everything a decision depends on again.
    pub(crate) async fn refresh(&mut self) -> Result<(), EngineError> {
        self.refresh_standing().await?;
        self.catalog = self.context.catalog().await?;
        self.held = OnceLock::new();
        let store = Arc::clone(&self.context.store);
        self.pinned.refresh_credentials(store.as_ref()).await
    }
}

pub(crate) fn problem_of(error: &mandate_flow::WorkflowError) -> Problem {
    Problem {
        type_: error.type_.clone(),
        title: error.title.clone().unwrap_or_else(|| "Workflow error".to_owned()),
        status: error.status,
        detail: error.detail.clone(),
        instance: error.instance.as_ref().map(ToString::to_string),
        decision: None,
    }
}
