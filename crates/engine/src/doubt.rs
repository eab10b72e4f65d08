//! Effects whose outcome nobody knows when a run ends before it could be found out.

use crate::EngineError;
use crate::draft::Draft;
use crate::history::{History, StepState};
use mandate_journal::{Doubt, EventBody};
use mandate_kernel::{EffectClass, StepSeq, Timestamp};
use mandate_ledger::EventKind;
use serde_json::json;

/// Records every admitted action without a recorded outcome as in doubt, if nobody will perform that step
/// again, and names the functions of all that are. A read changes nothing, so nobody needs to find out about it.
pub(crate) fn record(
    history: &History,
    draft: &mut Draft,
    at: Timestamp,
    actor: &str,
    ended: impl Fn(StepSeq) -> bool,
) -> Result<Vec<String>, EngineError> {
    let mut named = Vec::new();
    for (step, state) in &history.steps {
        match state {
            StepState::Open { attempt, effect, .. } if *effect != EffectClass::Read && ended(*step) => {
                let (why, function) = (Doubt::Crash, name(history, *step));
                let detail = "the process ended before the answer was recorded";
                let details =
                    json!({"step": step, "attempt": attempt, "function": function, "why": why, "detail": detail});
                draft.entry(at, EventKind::StepInDoubt, actor.to_owned(), details)?;
                draft.event(at, EventBody::InDoubt { step: *step, attempt: *attempt, why });
                named.push(function);
            }
            StepState::InDoubt { .. } => named.push(name(history, *step)),
            _ => {}
        }
    }
    Ok(named)
}

/// The functions of all steps in doubt.
pub(crate) fn named(history: &History) -> Vec<String> {
    let in_doubt = history.steps.iter().filter(|(_, state)| matches!(state, StepState::InDoubt { .. }));
    in_doubt.map(|(step, _)| name(history, *step)).collect()
}

fn name(history: &History, step: StepSeq) -> String {
    history.functions.get(&step).cloned().unwrap_or_else(|| format!("step {}", step.0))
}
