//! Approvals: what a person's yes is bound to, and which of those given still count.

use crate::{Prepared, StepFacts};
use mandate_kernel::{ApprovalId, Digest, Timestamp};
use mandate_policy::GateKind;
use std::collections::BTreeSet;

/// Somebody's yes to a step, as the run's journal holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenApproval {
    /// Which.
    pub approval: ApprovalId,
    /// The gate it passes.
    pub gate: GateKind,
    /// What it is bound to: [`binding`] of what was shown.
    pub binding: Digest,
    /// Who said yes, as a subject.
    pub by: String,
    /// When it loses its force.
    pub until: Timestamp,
}

/// What an approval is bound to: the step, the exact request with its destination, and the versions of
/// Worker, function and credential. Any change to one of them needs a new approval (design, Authority).
/// An attempt's number is not part of it: a repeated attempt sends the same request under the same key.
#[must_use]
pub fn binding(facts: &StepFacts, prepared: &Prepared) -> Digest {
    let credential = facts.credential.as_ref();
    let (name, version) = credential.map_or((String::new(), 0), |c| (c.name.to_string(), c.version));
    let (request, seq, version) = (prepared.digest(), facts.step.seq.0.to_be_bytes(), version.to_be_bytes());
    let parts: [&[u8]; 10] = [
        facts.step.run.as_str().as_bytes(),
        &seq,
        facts.path.0.as_bytes(),
        facts.function.as_str().as_bytes(),
        facts.function_version.as_bytes(),
        request.as_bytes(),
        prepared.destination.as_bytes(),
        facts.worker_version.as_bytes(),
        name.as_bytes(),
        &version,
    ];
    // Each part behind its length, so that no two lists of parts run together.
    let mut bytes = b"mandate/approval/v1\0".to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Digest::of(&bytes)
}

/// The gates that approvals have passed for this very request, as policies write them. An approval of
/// another request, a late one and the initiator's own count for nothing.
pub(crate) fn passed(facts: &StepFacts, prepared: &Prepared, now: Timestamp) -> BTreeSet<String> {
    if facts.approvals.is_empty() {
        return BTreeSet::new();
    }
    let (binding, initiator) = (binding(facts, prepared), facts.initiator.subject());
    let counts = |given: &&GivenApproval| given.binding == binding && given.until > now && given.by != initiator;
    facts.approvals.iter().filter(counts).map(|given| given.gate.to_string()).collect()
}
