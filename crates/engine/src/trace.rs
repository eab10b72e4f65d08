//! The trace of a run: which of its tasks ran, in which order, also those without effects.
//!
//! Nothing is stored for it. The run's journal is told to a machine that keeps a trace, as it is when a run is taken
//! up, but for the run's driver: nothing is taken over, asked for or changed.

use crate::evaluate::ended;
use crate::history::{History, Returned, Told};
use crate::load::open;
use crate::pinned::read;
use crate::{Engine, EngineError, TenantContext, WildOutcome};
use mandate_directory::WorkerSpec;
use mandate_flow::{
    EmitId, Evaluation, Event, Failure, Intent, Labelled, ListenId, Machine, OfData, Open, Program, Start, TaskTrace,
    TimerId, WorkflowError,
};
use mandate_journal::{RunRecord, Stored};
use mandate_kernel::{Labels, RunId, StepPath, StepSeq};
use mandate_vault::SubjectKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::runtime::{Handle, RuntimeFlavor};

/// A task that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// What the machine knows of it. Its marks are the journal's sequences.
    pub task: TaskTrace,
    /// Whether data decided that it ran.
    pub depends: bool,
}

impl Engine {
    /// The tasks of a run that began so far, in that order.
    ///
    /// # Errors
    /// [`EngineError`] when the run can't be told again: its machine's version is not here, its data was destroyed.
    pub async fn tasks(&self, context: &TenantContext, record: &RunRecord) -> Result<Vec<Traced>, EngineError> {
        let run = &record.run;
        let (mut history, mut told) = (History::default(), VecDeque::new());
        for event in context.store.journal(run).await? {
            let seq = event.seq;
            told.extend(history.note(event.at, event.body).map(|what| (seq, what)));
        }
        // Refused at its start.
        let Some((started_at, input, version)) = history.input.clone() else { return Ok(Vec::new()) };
        if version != Machine::VERSION {
            let why = format!("{run} was begun by machine version {version}, which is not here");
            return Err(EngineError::Inconsistent(why));
        }
        let worker = record.new.worker.as_str();
        let found = context.store.resource_by_digest("Worker", worker, &record.new.worker_version).await?;
        let found = found.ok_or_else(|| EngineError::Absent(format!("Worker {worker} in the version of {run}")))?;
        let program = Program::from_json(read::<WorkerSpec>(&found)?.document)
            .map_err(|e| EngineError::Inconsistent(format!("Worker {worker} does not compile: {e}")))?;
        let subject = context.vault.subject(&record.new.initiator.subject()).await?;
        let value = open(context, &subject, &input).await?;
        let start = Start { run: run.clone(), input: Labelled { value, labels: input.labels.clone() }, started_at };
        let (machine, intents) = Machine::traced(Arc::new(program), start, 1);
        let mut again = Again {
            engine: self,
            context,
            run,
            subject,
            limits: std::mem::take(&mut history.evaluations),
            machine,
            evaluations: VecDeque::new(),
            lent: BTreeMap::new(),
            listens: BTreeMap::new(),
            met: input.labels,
        };
        again.intake(intents);
        again.evaluate_all().await?;
        while let Some((seq, what)) = told.pop_front() {
            again.machine.mark(seq);
            again.tell(what).await?;
        }
        let traced = |task: &TaskTrace| Traced { depends: task.control != Labels::default(), task: task.clone() };
        Ok(again.machine.tasks().map(traced).collect())
    }
}

/// A run that is told again.
struct Again<'a> {
    engine: &'a Engine,
    context: &'a TenantContext,
    run: &'a RunId,
    subject: SubjectKey,
    /// Evaluations that a limit ended.
    limits: BTreeMap<u32, Option<String>>,
    machine: Machine,
    evaluations: VecDeque<Evaluation>,
    /// The labels of each call's arguments.
    lent: BTreeMap<StepSeq, Labels>,
    listens: BTreeMap<ListenId, Option<BTreeSet<String>>>,
    /// The labels of all that the run has met: what a model was shown is a part of it.
    met: Labels,
}

impl Again<'_> {
    fn intake(&mut self, intents: Vec<Intent>) {
        for intent in intents {
            match intent {
                Intent::Evaluate(evaluation) => self.evaluations.push_back(evaluation),
                Intent::Call { seq, arguments, .. } => {
                    self.lent.insert(seq, arguments.labels);
                }
                Intent::Listen { id, types, .. } => {
                    self.listens.insert(id, types);
                }
                Intent::Cancel(Open::Evaluation(id)) => self.evaluations.retain(|evaluation| evaluation.id != id),
                _ => {}
            }
        }
    }

    /// Tells the machine, if it still waits for that, and does every evaluation that follows.
    async fn apply(&mut self, event: Event) -> Result<(), EngineError> {
        if !self.machine.open().contains(&event.answers()) {
            return Ok(());
        }
        let intents = self.machine.apply(event)?;
        self.intake(intents);
        self.evaluate_all().await
    }

    async fn tell(&mut self, told: Told) -> Result<(), EngineError> {
        match told {
            Told::Woke { timer, at } => self.apply(Event::Woke { id: TimerId(timer), at }).await,
            Told::Emitted { emit, at, .. } => self.apply(Event::Emitted { id: EmitId(emit), at }).await,
            Told::Returned { step, at, outcome } => {
                let Some(lent) = self.lent.get(&step).cloned() else { return Ok(()) };
                let result = match outcome {
                    Returned::Value(stored) => Ok(self.opened(&stored).await?),
                    Returned::Error(problem) => {
                        let error = WorkflowError {
                            type_: problem.type_,
                            status: problem.status,
                            title: Some(problem.title),
                            detail: problem.detail,
                            instance: problem.instance.map(StepPath),
                            of_data: OfData::NONE,
                        };
                        // Labelled by no less than it was.
                        Err(Failure { error, labels: lent.join(&self.met) })
                    }
                };
                self.apply(Event::Returned { seq: step, at, result }).await
            }
            Told::Received { kind, at, event } => {
                let hears = |types: &Option<BTreeSet<String>>| types.as_ref().is_none_or(|types| types.contains(&kind));
                let ids: Vec<ListenId> = self.listens.iter().filter(|(_, t)| hears(t)).map(|(id, _)| *id).collect();
                if ids.is_empty() {
                    return Ok(());
                }
                let event = self.opened(&event).await?;
                for id in ids {
                    self.apply(Event::Received { id, at, event: event.clone() }).await?;
                }
                Ok(())
            }
        }
    }

    async fn opened(&mut self, stored: &Stored) -> Result<Labelled, EngineError> {
        let value = open(self.context, &self.subject, stored).await?;
        self.met = self.met.join(&stored.labels);
        Ok(Labelled { value, labels: stored.labels.clone() })
    }

    async fn evaluate_all(&mut self) -> Result<(), EngineError> {
        while let Some(evaluation) = self.evaluations.pop_front() {
            let id = evaluation.id;
            let wild = match mandate_flow::job(&evaluation) {
                None => Ok(Vec::new()),
                Some(_) if self.limits.contains_key(&id.0) => Err(ended(self.limits.remove(&id.0).flatten())),
                Some(job) => match self.engine.ports.evaluator.evaluate(self.run, &job).await? {
                    WildOutcome::Evaluated(result) => result,
                    WildOutcome::Ended(limit) => {
                        let limit = limit.unwrap_or_else(|| "its process".to_owned());
                        return Err(EngineError::Timeout(format!(
                            "an expression that had a value ended by {limit}: it"
                        )));
                    }
                },
            };
            let place = self.engine.evaluations.acquire().await;
            let result = wild.and_then(|values| match Handle::current().runtime_flavor() {
                RuntimeFlavor::MultiThread => {
                    tokio::task::block_in_place(|| mandate_flow::evaluate_with(&evaluation, values))
                }
                _ => mandate_flow::evaluate_with(&evaluation, values),
            });
            drop(place);
            tokio::task::yield_now().await;
            if self.machine.open().contains(&Open::Evaluation(id)) {
                let intents = self.machine.apply(Event::Evaluated { id, result })?;
                self.intake(intents);
            }
        }
        Ok(())
    }
}
