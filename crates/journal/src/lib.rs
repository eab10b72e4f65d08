//! What one durable step of a run changes, and the ports that commit and read it.
//!
//! A [`Transition`] is everything that becomes true at one moment of a run: journal events, ledger
//! entries, an admission, lease intents, timers, payloads, the run's state. A store commits it whole
//! or not at all (I6), fenced by the run's journal sequence and epoch and by the tenant's revocation
//! sequence (I9). A [`Change`] is the same for administrative acts.

mod approval;
mod change;
mod event;
mod lease;
mod log;
mod occasion;
mod payload;
mod port;
mod run;
mod transition;

pub use approval::{ApprovalChange, ApprovalKind, ApprovalQuery, ApprovalRecord, ApprovalState};
pub use change::{
    Change, EpochKey, ResourceContent, ResourceRecord, ResourceState, ResourceWrite, SecretRecord, Standing,
};
pub use event::{Declined, Doubt, EventBody, JOURNAL_VERSION, JournalEvent, Outcome, Problem, Resolution};
pub use lease::{LeaseChange, LeaseRecord, LeaseState};
pub use log::{Integration, LogHead, PendingEntry};
pub use occasion::{ARRIVAL, ArrivalChange, ArrivalRecord, Occasions, SCHEDULE, ScheduleRecord, ScheduleWrite};
pub use payload::{SealedPayload, Stored};
pub use port::{
    Claim, ClaimQuery, Commit, CommitError, Log, NewClaim, OpenCounts, Page, Resources, RunQuery, Runs, StoreError,
    System, TenantStore, event_timer,
};
pub use run::{ChainHead, NewRun, RunRecord, RunState, RunStatus, WaitingFor};
pub use transition::{Admission, Fence, TimerChange, TimerRecord, Transition};
