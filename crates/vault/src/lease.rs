//! Leases: a credential lent to one admitted attempt.
//!
//! ```text
//! intent durable, in the transition that admits ─▶ lease ─▶ effect ─▶ end ─▶ end durable
//!                                                  └─ crash: end, at restart ─┘
//! ```

use crate::{ProviderError, TenantVault};
use mandate_gate::{Permit, Step};
use mandate_journal::{LeaseRecord, LeaseState};
use mandate_kernel::{LeaseId, Secret, Timestamp, crash};

/// Why nothing was lent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// The permit is of another tenant than this vault.
    #[error("lease {0}: the permit is of another tenant")]
    Tenant(LeaseId),
    /// The lease serves another attempt than the permit.
    #[error("lease {0} serves another attempt than the permit")]
    Step(LeaseId),
    /// The decision was not about this credential in this version, or about none.
    #[error("lease {0} is for a credential that the decision was not about")]
    Credential(LeaseId),
    /// The request has no place for a credential.
    #[error("lease {0}: the request that was judged has no slot for a credential")]
    NoSlot(LeaseId),
    /// Too late.
    #[error("lease {0} or its permit has expired; the step asks again")]
    Expired(LeaseId),
    /// It was ended before.
    #[error("lease {0} has ended; the step asks again")]
    Ended(LeaseId),
    /// The provider did not issue.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// How a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEnd {
    /// Until when the receiver may still accept what was lent. `None` with `revoked_at_provider`:
    /// nothing is left. `None` without: until its owner changes it at the receiver.
    pub residual: Option<Timestamp>,
    /// Whether it was revoked where it is accepted.
    pub revoked_at_provider: bool,
}

impl TenantVault {
    /// Lends a credential to the attempt that `permit` is for. `record` must be durable as
    /// [`mandate_journal::LeaseChange::Intend`] already: committed with the admission itself.
    ///
    /// # Errors
    /// [`LeaseError`]. End the lease in any case: something may have been issued.
    pub async fn lease(&self, permit: &Permit<Step>, record: &LeaseRecord) -> Result<Secret<String>, LeaseError> {
        self.check(permit, record)?;
        self.core.lent().at(permit.facts().standing.revocations);
        crash::point("vault.before-issue");
        let issued = self.provider.issue(record).await;
        crash::point("vault.after-issue");
        Ok(issued?)
    }

    fn check(&self, permit: &Permit<Step>, record: &LeaseRecord) -> Result<(), LeaseError> {
        let (facts, lease) = (permit.facts(), || record.lease.clone());
        if facts.initiator.tenant != self.core.tenant {
            return Err(LeaseError::Tenant(lease()));
        }
        if facts.step != record.step {
            return Err(LeaseError::Step(lease()));
        }
        if !facts.credential.as_ref().is_some_and(|c| c.name == record.credential && c.version == record.version) {
            return Err(LeaseError::Credential(lease()));
        }
        if permit.prepared().slot.is_none() {
            return Err(LeaseError::NoSlot(lease()));
        }
        if record.state != LeaseState::Intended {
            return Err(LeaseError::Ended(lease()));
        }
        let now = self.core.shared.clock.now();
        if now >= record.not_after || now >= permit.not_after() {
            return Err(LeaseError::Expired(lease()));
        }
        Ok(())
    }

    /// Ends a lease: revokes what was issued for it, where that can be done. Idempotent; fine for a
    /// lease that nothing was ever issued for, and for one whose process died. The caller then records
    /// [`mandate_journal::LeaseChange::End`].
    ///
    /// # Errors
    /// [`ProviderError`]: it is not known to be revoked, and has to be ended again.
    pub async fn end(&self, record: &LeaseRecord) -> Result<LeaseEnd, ProviderError> {
        crash::point("vault.before-revoke");
        let revoked_at_provider = self.provider.can_revoke();
        self.provider.revoke(record).await?;
        crash::point("vault.after-revoke");
        let residual = if revoked_at_provider { None } else { self.provider.residual(record) };
        Ok(LeaseEnd { residual, revoked_at_provider })
    }
}
