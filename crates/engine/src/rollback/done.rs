//! What a run did, from its journal, as far as its ledger bears it out: who can write to the database alone can't have
//! something undone that was never done, or with other values.

#![expect(clippy::indexing_slicing, reason = "a member that a JSON value does not have reads as null")]

use crate::{EngineError, TenantContext};
use mandate_journal::{Doubt, EventBody, JournalEvent, Outcome, Resolution, RunRecord, Stored};
use mandate_kernel::{Attempt, EffectClass, StepSeq};
use mandate_ledger::{Entry, Event, EventKind};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the sequencer may take for a run's last entries.
const PATIENCE: u32 = 50;
const LOOK: Duration = Duration::from_millis(100);

/// One call that a run made.
pub(super) struct Done {
    pub(super) step: StepSeq,
    attempt: Attempt,
    pub(super) function: String,
    pub(super) effect: EffectClass,
    /// The arguments that were sent.
    pub(super) arguments: Stored,
    pub(super) end: End,
    /// An attempt before may have reached the receiver.
    tried: bool,
    /// A person said what became of it.
    by_person: bool,
}

/// How it ended.
pub(super) enum End {
    /// It was done.
    Value {
        /// What it returned.
        result: Stored,
    },
    /// It was not done.
    Nothing,
    /// Nobody knows.
    Doubt,
}

/// The calls of a run in the order in which they were first made; those that were not done left out.
pub(super) async fn of(context: &TenantContext, record: &RunRecord) -> Result<Vec<Done>, EngineError> {
    let mut all = folded(context.store.journal(&record.run).await?);
    let entries = entries(context, record).await?;
    if let Some(one) = all.iter().find(|one| !one.borne_out(&entries)) {
        return Err(EngineError::Forged(format!("step {} in the journal of {}", one.step.0, record.run)));
    }
    let allowed = |event: &&Event| event.kind == EventKind::StepDecided && event.details["status"] == "allow";
    let hidden = |event: &&Event| !all.iter().any(|one| event.details["step"] == json!(one.step));
    // A question to a person is allowed too, and is no call.
    let is_call = |event: &&Event| event.details["effect"] != json!(EffectClass::Read);
    if entries.iter().filter(allowed).filter(is_call).any(|event| hidden(&event)) {
        return Err(EngineError::Forged(format!("the journal of {}, which lacks a step,", record.run)));
    }
    all.retain(|one| !matches!(one.end, End::Nothing));
    Ok(all)
}

fn folded(journal: Vec<JournalEvent>) -> Vec<Done> {
    let mut all: Vec<Done> = Vec::new();
    for event in journal {
        match event.body {
            EventBody::Admitted { step, attempt, function, effect, arguments, .. } => {
                let end = End::Doubt;
                let new = Done { step, attempt, function, effect, arguments, end, tried: false, by_person: false };
                match all.iter_mut().find(|one| one.step == step) {
                    Some(held) => *held = Done { tried: held.tried, ..new },
                    None => all.push(new),
                }
            }
            EventBody::Returned { step, outcome, .. } => end(&mut all, step, |one| match outcome {
                Outcome::Value(result) => End::Value { result },
                // What was sent before and not answered may have been done.
                Outcome::Error(_) if one.tried && one.effect != EffectClass::Read => End::Doubt,
                Outcome::Error(_) => End::Nothing,
            }),
            EventBody::AttemptFailed { step, .. } => end(&mut all, step, |one| {
                one.tried = true;
                End::Doubt
            }),
            EventBody::InDoubt { step, why: Doubt::Crash | Doubt::Connection | Doubt::Stopped, .. } => {
                end(&mut all, step, |_| End::Doubt);
            }
            EventBody::Resolved { step, resolution, value, .. } => end(&mut all, step, |one| {
                one.by_person = true;
                match (resolution, value) {
                    (Resolution::Happened, Some(result)) => End::Value { result },
                    (Resolution::Happened, None) => End::Doubt,
                    (Resolution::DidNotHappen, _) => End::Nothing,
                }
            }),
            _ => {}
        }
    }
    all
}

fn end(all: &mut [Done], step: StepSeq, how: impl FnOnce(&mut Done) -> End) {
    if let Some(one) = all.iter_mut().find(|one| one.step == step) {
        let end = how(one);
        one.end = end;
    }
}

/// The run's entries, all of which are in the tree that the witness sees.
async fn entries(context: &TenantContext, record: &RunRecord) -> Result<Vec<Event>, EngineError> {
    for _ in 0..PATIENCE {
        let read = context.store.run_entries(&record.run).await?;
        if read.iter().all(|(index, _)| index.is_some()) {
            let decode = |bytes: &[u8]| Entry::decode(bytes).map(|(_, event)| event);
            let decoded: Result<Vec<Event>, _> = read.iter().map(|(_, bytes)| decode(bytes)).collect();
            return decoded.map_err(|e| EngineError::Inconsistent(format!("an entry of {}: {e}", record.run)));
        }
        context.entries_waiting.notify_one();
        tokio::time::sleep(LOOK).await;
    }
    Err(EngineError::Timeout(format!("the ledger's tree to hold {}", record.run)))
}

impl Done {
    /// Whether the ledger says that this was allowed with these arguments, and gave this result.
    fn borne_out(&self, entries: &[Event]) -> bool {
        let at = |event: &&Event, kind: EventKind| event.kind == kind && event.details["step"] == json!(self.step);
        let exactly = |event: &&Event| event.details["attempt"] == json!(self.attempt);
        let decided = entries.iter().any(|event| {
            at(&event, EventKind::StepDecided)
                && exactly(&event)
                && event.details["status"] == "allow"
                && event.details["function"] == Value::String(self.function.clone())
                && event.details["effect"] == json!(self.effect)
                && event.details["arguments"]["commitment"] == json!(self.arguments.commitment)
        });
        let ended = match &self.end {
            End::Value { .. } if self.by_person => entries.iter().any(|event| at(&event, EventKind::StepResolved)),
            End::Value { result } => entries.iter().any(|event| {
                at(&event, EventKind::StepSucceeded)
                    && exactly(&event)
                    && event.details["output"]["commitment"] == json!(result.commitment)
            }),
            End::Nothing | End::Doubt => true,
        };
        decided && ended
    }
}
