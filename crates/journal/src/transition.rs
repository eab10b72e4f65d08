//! One durable step of a run.

use crate::{ApprovalChange, ChainHead, JournalEvent, LeaseChange, NewClaim, NewRun, RunStatus, SealedPayload};
use mandate_kernel::{Digest, RunId, StepKey, Tenant, Timestamp};
use mandate_ledger::Entry;
use serde::{Deserialize, Serialize};

/// What must still be true for a transition to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence {
    /// The journal sequence the transition builds on; 0 for a new run.
    pub journal_seq: u64,
    /// The run's epoch, held by whoever drives it.
    pub epoch: u64,
    /// The tenant's revocation sequence the decision saw. `None` for transitions that admit nothing:
    /// recording what happened must not fail because somebody was revoked meanwhile.
    pub revocations: Option<u64>,
}

/// The durable, unique mark of a spent decision (I1): a second one for the same attempt is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Which attempt.
    pub step: StepKey,
    /// Digest of the request admitted.
    pub request: Digest,
}

/// A timer as stored. The wake-up is a row, not a task (waiting runs cost no memory).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerRecord {
    /// Name within the run: `machine:3`, `retry:2`.
    pub name: String,
    /// When it is due.
    pub due: Timestamp,
}

/// A change to a run's timers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// Set, or set anew.
    Set(TimerRecord),
    /// Remove; removing an absent one is fine.
    Clear(String),
}

/// Everything that becomes true at one moment of a run.
#[derive(Debug, Clone)]
pub struct Transition {
    /// The tenant. The store refuses one that is not its caller's.
    pub tenant: Tenant,
    /// The run.
    pub run: RunId,
    /// What must still be true.
    pub fence: Fence,
    /// Present when the run begins here.
    pub create: Option<NewRun>,
    /// Which node drives the run that begins here, where several share the database.
    pub claim: Option<NewClaim>,
    /// New journal events, numbered on from the fence's sequence.
    pub events: Vec<JournalEvent>,
    /// New ledger entries, in order; each links to the one before.
    pub entries: Vec<Entry>,
    /// Where the run's ledger chain stands afterwards.
    pub chain: ChainHead,
    /// The attempt admitted, if any.
    pub admission: Option<Admission>,
    /// Lease intents and ends.
    pub leases: Vec<LeaseChange>,
    /// Approvals asked for and answered.
    pub approvals: Vec<ApprovalChange>,
    /// Timers.
    pub timers: Vec<TimerChange>,
    /// Payloads the events name.
    pub payloads: Vec<SealedPayload>,
    /// The run's state afterwards; `None` leaves it.
    pub status: Option<RunStatus>,
}
