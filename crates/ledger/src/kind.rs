//! The closed set of things the ledger records.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident => $text:literal, $scope:ident),+ $(,)?) => {
        /// What happened. The text form is stable: it is written into entries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl EventKind {
            /// Every kind, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The kind as entries write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Whether an entry of this kind belongs to a run's chain.
            #[must_use]
            pub const fn run_scope(self) -> RunScope {
                match self { $(Self::$variant => RunScope::$scope),+ }
            }
        }
    };
}

/// Whether an entry carries a link into a run's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunScope {
    /// It always does.
    Always,
    /// It may: a lease can also end after its run has, and then stands alone.
    Maybe,
    /// It never does: the run's chain ends with the run, whatever is done about it later.
    Never,
}

event_kinds!(
    /// A run was admitted and began. Always the first entry of its run.
    RunStarted => "run-started", Always,
    /// A run was refused: at its start (its only entry), or by the gate later on (its last).
    RunRefused => "run-refused", Always,
    /// The gate judged a step. `details.status` is `allow`, `deny` or `not-yet`.
    StepDecided => "step-decided", Always,
    /// An admitted step was performed.
    StepSucceeded => "step-succeeded", Always,
    /// An admitted step was performed and failed.
    StepFailed => "step-failed", Always,
    /// A crash or a lost reply hid a step's outcome.
    StepInDoubt => "step-in-doubt", Always,
    /// A step waits for a person's word on its exact request.
    ApprovalRequested => "approval-requested", Always,
    /// Somebody approved.
    ApprovalGiven => "approval-given", Always,
    /// Somebody said no.
    ApprovalDenied => "approval-denied", Always,
    /// Nobody answered in time.
    ApprovalExpired => "approval-expired", Always,
    /// An answer was refused: late, twice, or over another request.
    ApprovalRefused => "approval-refused", Never,
    /// Someone, or the receiver, said what became of a step in doubt.
    StepResolved => "step-resolved", Always,
    /// A credential lease ended: revoked, expired, or its residual validity reported.
    LeaseEnded => "lease-ended", Maybe,
    /// A run waits for an approval, a step-up, a timer, an event or a resolution.
    RunWaiting => "run-waiting", Always,
    /// A waiting or paused run goes on.
    RunResumed => "run-resumed", Always,
    /// A run goes on after its process ended unexpectedly.
    RunRecovered => "run-recovered", Always,
    /// A run emitted an event.
    EventEmitted => "event-emitted", Always,
    /// An event came for a run that listens.
    EventReceived => "event-received", Always,
    /// An event of a registered source came through the door and will be handed on.
    EventAccepted => "event-accepted", Never,
    /// Events of an authenticated sender were turned away at the door. `details.count` says how many.
    EventRefused => "event-refused", Never,
    /// A Worker did not start by itself though it was due.
    ScheduleRefused => "schedule-refused", Never,
    /// A run ended well.
    RunCompleted => "run-completed", Always,
    /// A run ended by an error nothing caught.
    RunFaulted => "run-faulted", Always,
    /// A run was cancelled.
    RunCancelled => "run-cancelled", Always,
    /// A run was stopped at once, its authority revoked.
    RunKilled => "run-killed", Always,
    /// A run's result was signed. `details.digest` is the digest of the artefact file.
    ArtifactSigned => "artifact-signed", Always,
    /// Someone was refused something outside a run.
    AccessDenied => "access-denied", Never,
    /// Authority was withdrawn at once: nothing that rests on it is admitted from here on.
    AuthorityRevoked => "authority-revoked", Never,
    /// A configuration resource was applied.
    ResourceApplied => "resource-applied", Never,
    /// A new secret value was put in.
    SecretPut => "secret-put", Never,
    /// An embedded grant was given.
    GrantGiven => "grant-given", Never,
    /// An embedded grant was revoked by someone entitled to.
    GrantRevoked => "grant-revoked", Never,
    /// An embedded grant lapsed because what it was given for changed.
    GrantInvalidated => "grant-invalidated", Never,
    /// The first key of a role came into use; the trust anchor pins it.
    KeyIntroduced => "key-introduced", Never,
    /// A successor key came into use. `details.statement` is its signed statement
    /// ([`crate::KeyStatement`] in [`crate::Dsse`]), so that a log carries its own key history.
    KeyRotated => "key-rotated", Never,
    /// The ledger was exported.
    LedgerExported => "ledger-exported", Never,
    /// A run's passport was exported.
    PassportExported => "passport-exported", Never,
    /// A run's artefact was handed out.
    ArtifactRead => "artifact-read", Never,
    /// The state was restored from a backup, and nothing works on it until it is released; or more became known
    /// of what it lacks.
    StateQuarantined => "state-quarantined", Never,
    /// The effects of a run begin to be undone, by the run that the entry names.
    RollbackStarted => "rollback-started", Never,
    /// Somebody entitled to let a restored state work again.
    StateReleased => "state-released", Never,
);

impl EventKind {
    /// Whether a run may begin with this.
    #[must_use]
    pub const fn begins_run(self) -> bool {
        matches!(self, Self::RunStarted | Self::RunRefused)
    }

    /// Whether a run ends with this: nothing of the run may follow.
    #[must_use]
    pub const fn ends_run(self) -> bool {
        self.end_state().is_some()
    }

    /// The state a run is left in by a terminal kind; `None` for the others.
    #[must_use]
    pub const fn end_state(self) -> Option<&'static str> {
        match self {
            Self::RunRefused => Some("refused"),
            Self::RunCompleted => Some("completed"),
            Self::RunFaulted => Some("faulted"),
            Self::RunCancelled | Self::RunKilled => Some("cancelled"),
            _ => None,
        }
    }

    /// The kind written as `text`, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
