//! Permits: what admission returns, and what an effect, the issuer and the vault demand.

use crate::live::Guard;
use crate::{Prepared, StepFacts};
use mandate_identity::Authority;
use mandate_kernel::{Action, Caller, DecisionId, Timestamp};
use std::sync::Arc;

mod sealed {
    pub trait KindOfPermit {}
}

/// What a permit is for. Closed: [`Step`] and [`Access`].
pub trait Kind: sealed::KindOfPermit {
    /// What the permit carries.
    type Granted;
}

/// One attempt at one step: one decision, one exact request.
pub enum Step {}

/// One request of a caller to this system: read or change a resource.
pub enum Access {}

impl sealed::KindOfPermit for Step {}
impl sealed::KindOfPermit for Access {}
impl Kind for Step {
    type Granted = StepGranted;
}
impl Kind for Access {
    type Granted = AccessGranted;
}

/// What a step's permit carries. Only the gate makes one.
pub struct StepGranted {
    pub(crate) facts: Arc<StepFacts>,
    pub(crate) prepared: Prepared,
    pub(crate) hop: Option<Authority>,
    pub(crate) not_after: Timestamp,
    pub(crate) guard: Guard,
}

/// What an access permit carries.
pub struct AccessGranted {
    pub(crate) caller: Caller,
    pub(crate) action: Action,
    pub(crate) resource: String,
}

/// Leave to do one thing once. There is no way to make, copy, store or print one outside this crate.
pub struct Permit<K: Kind> {
    pub(crate) decision: DecisionId,
    pub(crate) granted: K::Granted,
}

/// The permit was not spent in time: it ended, or a stop came first. Nothing was done; the step has to
/// ask again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("permit of decision {decision} expired, or its run was stopped, before it was spent; the step asks again")]
pub struct Expired {
    /// The decision.
    pub decision: DecisionId,
}

impl<K: Kind> Permit<K> {
    /// The decision behind it.
    #[must_use]
    pub const fn decision(&self) -> &DecisionId {
        &self.decision
    }
}

impl Permit<Access> {
    /// Who may.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.granted.caller
    }
    /// What they may do.
    #[must_use]
    pub const fn action(&self) -> Action {
        self.granted.action
    }
    /// To which resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.granted.resource
    }
}

impl Permit<Step> {
    /// The facts that were judged.
    #[must_use]
    pub fn facts(&self) -> &StepFacts {
        &self.granted.facts
    }
    /// The exact request.
    #[must_use]
    pub const fn prepared(&self) -> &Prepared {
        &self.granted.prepared
    }
    /// The authority a hop token for it may carry; `None` where the step rests on a grant alone.
    #[must_use]
    pub const fn hop(&self) -> Option<&Authority> {
        self.granted.hop.as_ref()
    }
    /// When it expires.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.granted.not_after
    }

    /// Spends the permit: it is gone, and one performance of its request may begin.
    ///
    /// # Errors
    /// [`Expired`] when it is too late, also because somebody stopped the run meanwhile.
    pub fn spend(self, now: Timestamp) -> Result<Spent, Expired> {
        if now >= self.granted.not_after || !self.granted.guard.on_wire() {
            return Err(Expired { decision: self.decision });
        }
        Ok(Spent { decision: self.decision, granted: self.granted })
    }
}

/// A spent permit: the request in it is being performed. While it lives, a stop waits for it.
pub struct Spent {
    decision: DecisionId,
    granted: StepGranted,
}

impl Spent {
    /// The decision behind it.
    #[must_use]
    pub const fn decision(&self) -> &DecisionId {
        &self.decision
    }
    /// The facts that were judged.
    #[must_use]
    pub fn facts(&self) -> &StepFacts {
        &self.granted.facts
    }
    /// The exact request to send.
    #[must_use]
    pub const fn prepared(&self) -> &Prepared {
        &self.granted.prepared
    }
    /// Resolves when somebody stops this run: whatever is on the wire then is in doubt.
    pub async fn stopped(&self) {
        self.granted.guard.stopped().await;
    }
}
