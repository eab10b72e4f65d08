//! What is counted about runs. A count is taken when what it counts is durable, and only then; its labels
//! come from closed sets and name no person and no run.

use mandate_journal::{Declined, EventBody, RunStatus};
use mandate_kernel::{EffectClass, Tenant};
use metrics::counter;

/// One thing to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    RunStarted,
    RunEnded(&'static str),
    /// A verdict about a step or a start: `allow`, `deny` or `not-yet`.
    Decision(&'static str),
    /// How an attempt ended.
    Step {
        outcome: &'static str,
        effect: EffectClass,
    },
    ApprovalAsked,
    ApprovalSettled(&'static str),
}

/// What a journal event says about itself.
pub(crate) fn of_event(body: &EventBody) -> Vec<Mark> {
    match body {
        EventBody::Started { .. } => vec![Mark::RunStarted],
        EventBody::Admitted { .. } => vec![Mark::Decision("allow")],
        EventBody::Gated { approvals, .. } => {
            let asked = approvals.iter().map(|_| Mark::ApprovalAsked);
            std::iter::once(Mark::Decision("not-yet")).chain(asked).collect()
        }
        EventBody::Asked { .. } => vec![Mark::Decision("allow"), Mark::ApprovalAsked],
        EventBody::Approved { .. } | EventBody::Answered { approved: true, .. } => {
            vec![Mark::ApprovalSettled("approved")]
        }
        EventBody::Answered { approved: false, .. } | EventBody::Declined { why: Declined::Denied, .. } => {
            vec![Mark::ApprovalSettled("denied")]
        }
        EventBody::Declined { why: Declined::Expired, .. } => vec![Mark::ApprovalSettled("expired")],
        _ => Vec::new(),
    }
}

/// What a new state says.
pub(crate) fn of_status(status: &RunStatus) -> Option<Mark> {
    status.state.is_terminal().then(|| Mark::RunEnded(status.state.as_str()))
}

/// Counts what has become durable.
pub(crate) fn count(tenant: &Tenant, marks: &[Mark]) {
    for mark in marks {
        let tenant = tenant.to_string();
        match mark {
            Mark::RunStarted => counter!("mandate_runs_started_total", "tenant" => tenant),
            Mark::RunEnded(state) => counter!("mandate_runs_ended_total", "tenant" => tenant, "state" => *state),
            Mark::Decision(verdict) => {
                counter!("mandate_decisions_total", "tenant" => tenant, "verdict" => *verdict)
            }
            Mark::Step { outcome, effect } => counter!(
                "mandate_steps_total", "tenant" => tenant, "outcome" => *outcome, "effect" => effect_name(*effect)
            ),
            Mark::ApprovalAsked => counter!("mandate_approvals_asked_total", "tenant" => tenant),
            Mark::ApprovalSettled(state) => {
                counter!("mandate_approvals_decided_total", "tenant" => tenant, "state" => *state)
            }
        }
        .increment(1);
    }
}

/// Counts a verdict about a caller's request.
pub(crate) fn access(tenant: &Tenant, allowed: bool) {
    let verdict = if allowed { "allow" } else { "deny" };
    counter!("mandate_access_decisions_total", "tenant" => tenant.to_string(), "verdict" => verdict).increment(1);
}

const fn effect_name(effect: EffectClass) -> &'static str {
    match effect {
        EffectClass::Read => "read",
        EffectClass::Idempotent => "idempotent",
        EffectClass::Once => "once",
    }
}
