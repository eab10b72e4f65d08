//! A run as the store lists it: identity that never changes, and a state that does.

use crate::Problem;
use mandate_kernel::{Class, Digest, Environment, Principal, ResourceName, RunId, Timestamp};
use serde::{Deserialize, Serialize};

/// The state of a run. Text forms are part of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Steps are being performed.
    Running,
    /// Nothing happens until a person, a time or an event comes: see [`WaitingFor`].
    Waiting,
    /// Stopped by a person, and can be resumed.
    Paused,
    /// Ended with a result.
    Completed,
    /// Ended by a decision of the gate.
    Refused,
    /// Ended by an error.
    Faulted,
    /// Ended by a person.
    Cancelled,
}

impl RunState {
    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Refused | Self::Faulted | Self::Cancelled)
    }

    /// The state's text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Faulted => "faulted",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a waiting run waits for. Text forms are part of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitingFor {
    /// A person of a group has to approve an exact request.
    Approval,
    /// The initiator has to sign in again, more strongly.
    StepUp,
    /// A time.
    Timer,
    /// An event.
    Event,
    /// Somebody has to find out what became of an effect.
    OutcomeUnknown,
}

impl WaitingFor {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::StepUp => "step-up",
            Self::Timer => "timer",
            Self::Event => "event",
            Self::OutcomeUnknown => "outcome-unknown",
        }
    }
}

/// Where a run's chain of ledger entries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainHead {
    /// How many entries the run has in the ledger; the next one has this sequence number.
    pub next: u32,
    /// Leaf hash of the latest one; `None` before the first.
    pub last: Option<Digest>,
}

/// The part of a run that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// The state.
    pub state: RunState,
    /// What it waits for; only in state `waiting`.
    pub waiting_for: Option<WaitingFor>,
    /// When this state was entered.
    pub since: Timestamp,
    /// What went wrong, in states `refused`, `faulted` and `waiting` for `outcome-unknown`.
    pub problem: Option<Problem>,
}

/// A run about to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRun {
    /// `PROJECT/NAME` of the Worker.
    pub worker: ResourceName,
    /// Hash of the Worker version the run is pinned to.
    pub worker_version: Digest,
    /// The environment it belongs to.
    pub environment: Environment,
    /// Why it was started, in the initiator's words.
    pub purpose: String,
    /// Its class.
    pub class: Class,
    /// Who started it.
    pub initiator: Principal,
    /// When.
    pub started_at: Timestamp,
    /// The engine's pinned facts (authority, functions, epochs, …); opaque to the store.
    pub header: serde_json::Value,
    /// The caller's Idempotency-Key, unique per tenant and initiator.
    pub start_key: Option<String>,
}

/// A run as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// What never changes.
    pub new: NewRun,
    /// What does.
    pub status: RunStatus,
    /// Sequence number of the latest journal event; 0 for none.
    pub journal_seq: u64,
    /// The run's epoch: whoever drives it must hold this number.
    pub epoch: u64,
    /// Where its ledger chain stands.
    pub chain: ChainHead,
}
