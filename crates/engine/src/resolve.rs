//! A person says what became of an effect in doubt.

use crate::draft::Draft;
use crate::driver::Wake;
use crate::header::RunHeader;
use crate::history::{History, StepState};
use crate::load::open;
use crate::pinned::read;
use crate::{Engine, EngineError, TenantContext};
use mandate_directory::FunctionSpec;
use mandate_gate::{Access, Permit};
use mandate_journal::{EventBody, Resolution, RunRecord, RunState, RunStatus};
use mandate_kernel::{Digest, FunctionName, Integrity, Labels, Source, StepSeq, canonical_json};
use mandate_ledger::EventKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Why a doubt was not resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing is in doubt there.
    #[error("{0}")]
    NothingInDoubt(String),
    /// It could not be recorded.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl Engine {
    /// Records a person's word on the step in doubt, and lets the run go on. `value` is what the run
    /// goes on with when the effect happened.
    ///
    /// # Errors
    /// [`ResolveError`].
    pub async fn resolve(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        permit: &Permit<Access>,
        record: &RunRecord,
        step: Option<StepSeq>,
        happened: Option<Value>,
    ) -> Result<RunRecord, ResolveError> {
        let run = &record.run;
        let hold = self.hold(context, run).await?;
        let history = History::of(context.store.journal(run).await.map_err(EngineError::from)?);
        let in_doubt = |seq: &StepSeq| matches!(history.steps.get(seq), Some(StepState::InDoubt { .. }));
        let all: Vec<StepSeq> = history.steps.keys().copied().filter(in_doubt).collect();
        let seq = match (all.as_slice(), step) {
            ([], _) => {
                return Err(ResolveError::NothingInDoubt(format!(
                    "no step of {run} is in doubt; it is {}",
                    record.status.state.as_str()
                )));
            }
            ([found], None) => *found,
            (several, None) => {
                let named: Vec<String> = several.iter().map(|seq| seq.0.to_string()).collect();
                return Err(ResolveError::NothingInDoubt(format!(
                    "steps {} of {run} are in doubt; say which",
                    named.join(", ")
                )));
            }
            (_, Some(asked)) if in_doubt(&asked) => asked,
            ([found, ..], Some(asked)) => {
                return Err(ResolveError::NothingInDoubt(format!(
                    "step {} of {run} is in doubt, not step {}",
                    found.0, asked.0
                )));
            }
        };
        let epoch = hold.epoch;
        let fresh = context.store.run(run).await.map_err(EngineError::from)?;
        let Some(fresh) = fresh.filter(|r| !r.status.state.is_terminal()) else {
            return Err(ResolveError::NothingInDoubt(format!("{run} does not wait for this any more")));
        };
        let by = permit.caller().principal.subject();
        let now = self.ports.clock.now();
        let mut draft = Draft::new(context.tenant().clone(), run.clone(), fresh.journal_seq, epoch, fresh.chain);
        let resolution = if happened.is_some() { Resolution::Happened } else { Resolution::DidNotHappen };
        let value = match happened {
            None => None,
            Some(value) => {
                let subject = context.vault.subject(&fresh.new.initiator.subject()).await.map_err(EngineError::from)?;
                let labels = self.labels_of_word(context, &fresh, &history, seq, &value).await?;
                let (stored, payload) = subject.seal(&value, &labels).map_err(EngineError::from)?;
                draft.payload(payload);
                Some(stored)
            }
        };
        draft.event(now, EventBody::Resolved { step: seq, resolution, by: by.clone(), value });
        draft.entry(
            now,
            EventKind::StepResolved,
            by,
            json!({"step": seq, "resolution": resolution, "decision": permit.decision()}),
        )?;
        draft.status(RunStatus { state: RunState::Running, waiting_for: None, since: now, problem: None });
        if let Err(error) = context.store.commit(draft.transition()).await {
            // It may be durable all the same; then somebody has to drive the run.
            self.retry_later(run.clone());
            return Err(EngineError::from(error).into());
        }
        draft.committed();
        context.entries_waiting.notify_one();
        drop(hold);
        self.resume(context, run, Wake::Person);
        Ok(self.settled(context, run, mandate_kernel::Duration::from_secs(10)).await?)
    }

    /// The labels of a person's word on a step: those of what the function would have returned, except
    /// that it is not the receiver's answer and can't be relied on like one (I7).
    async fn labels_of_word(
        &self,
        context: &TenantContext,
        record: &RunRecord,
        history: &History,
        step: StepSeq,
        value: &Value,
    ) -> Result<Labels, EngineError> {
        let header: RunHeader = serde_json::from_value(record.new.header.clone())
            .map_err(|e| EngineError::Inconsistent(format!("header of {}: {e}", record.run)))?;
        let unknown = || EngineError::Inconsistent(format!("step {} of {} calls nothing", step.0, record.run));
        let name = history.functions.get(&step).ok_or_else(unknown)?;
        let function = FunctionName::new(name.clone()).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let pin = header.functions.get(&function).ok_or_else(unknown)?;
        let resource = function.in_project(&record.new.worker.project());
        let stored = context.store.resource_by_digest("Function", resource.as_str(), &pin.function).await?;
        let spec: FunctionSpec = read(&stored.ok_or_else(unknown)?)?;
        let source = Source { origin: format!("resolved:{name}"), digest: Digest::of(&canonical_json(value)?) };
        Ok(Labels { integrity: Integrity::Untrusted, sources: BTreeSet::from([source]), ..spec.returns.labels() })
    }

    /// The input a run was started with; `None` for one that was refused at its start.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be read.
    pub async fn input(&self, context: &TenantContext, record: &RunRecord) -> Result<Option<Value>, EngineError> {
        let history = History::of(context.store.journal(&record.run).await?);
        let Some((_, stored, _)) = history.input else { return Ok(None) };
        let subject = context.vault.subject(&record.new.initiator.subject()).await?;
        open(context, &subject, &stored).await.map(Some)
    }

    /// What an error that ended the run says of its data: a member `error` (RFC 9457); `None` where everything it
    /// says is shown to all who see the run.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be read.
    pub async fn error_said(&self, context: &TenantContext, record: &RunRecord) -> Result<Option<Value>, EngineError> {
        if record.status.state != RunState::Faulted {
            return Ok(None);
        }
        let ended = context.store.journal(&record.run).await?.into_iter().rev().find_map(|event| match event.body {
            EventBody::Ended { output, .. } => output,
            _ => None,
        });
        let Some(stored) = ended else { return Ok(None) };
        let subject = context.vault.subject(&record.new.initiator.subject()).await?;
        open(context, &subject, &stored).await.map(|said| said.get("error").cloned())
    }

    /// The run's output, or its artefact's file, opened.
    ///
    /// # Errors
    /// [`EngineError::Absent`] when the run has none (yet).
    pub async fn artifact(&self, context: &TenantContext, record: &RunRecord) -> Result<Vec<u8>, EngineError> {
        let ended = context.store.journal(&record.run).await?.into_iter().rev().find_map(|event| match event.body {
            EventBody::Ended { artifact, .. } => artifact,
            _ => None,
        });
        let stored = ended.ok_or_else(|| EngineError::Absent(format!("an artefact of {}", record.run)))?;
        let subject = context.vault.subject(&record.new.initiator.subject()).await?;
        match open(context, &subject, &stored).await? {
            Value::String(text) => Ok(text.into_bytes()),
            _ => Err(EngineError::Inconsistent(format!("the artefact of {} is not a file", record.run))),
        }
    }
}
