//! Where leased credentials come from.

use crate::{VaultError, place::CREDENTIAL, tenant::Core};
use async_trait::async_trait;
use mandate_journal::LeaseRecord;
use mandate_kernel::{Secret, Timestamp};
use std::sync::Arc;

/// Why a provider did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The value in this vault can't be given.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// For now: out of reach. Trying again may help.
    #[error("the credential provider can't be reached: {0}")]
    Unavailable(String),
    /// For good.
    #[error("the credential provider refused: {0}")]
    Refused(String),
}

/// Issues and revokes credentials for leases. All calls are about a lease whose intent is durable, so
/// that nothing issued is ever forgotten.
#[async_trait]
pub trait CredentialProvider: Send + Sync {
    /// Issues the credential of a lease.
    ///
    /// # Errors
    /// [`ProviderError`]; something may have been issued all the same, which is why the lease is ended.
    async fn issue(&self, lease: &LeaseRecord) -> Result<Secret<String>, ProviderError>;

    /// Revokes what was issued for a lease. Idempotent, and fine when nothing ever was.
    ///
    /// # Errors
    /// [`ProviderError`]; it has to be tried again.
    async fn revoke(&self, lease: &LeaseRecord) -> Result<(), ProviderError>;

    /// Whether revoking has any effect at the receiver.
    fn can_revoke(&self) -> bool;

    /// Until when a receiver may still accept what was issued for a lease that can't be revoked; `None`
    /// when nothing but a change at the receiver ends it.
    fn residual(&self, lease: &LeaseRecord) -> Option<Timestamp>;
}

/// Lends values kept in this vault. The receiver knows nothing of leases: what it accepts ends only when
/// the credential's owner changes it there.
pub(crate) struct StaticProvider {
    core: Arc<Core>,
}

impl StaticProvider {
    pub(crate) const fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

#[async_trait]
impl CredentialProvider for StaticProvider {
    async fn issue(&self, lease: &LeaseRecord) -> Result<Secret<String>, ProviderError> {
        let place = || self.core.place(CREDENTIAL, lease.credential.as_str(), lease.version).to_string();
        let kept = self.core.lent().find(&lease.credential, lease.version);
        let value = match kept {
            Ok(stored) => self.core.open(&stored).await?,
            Err(moment) => {
                let found = self.core.store.secret(CREDENTIAL, lease.credential.as_str(), Some(lease.version)).await;
                let found = found.map_err(VaultError::from)?;
                let stored = found.ok_or_else(|| VaultError::Missing { place: place() })?;
                let value = self.core.open(&stored).await?;
                // Only what could be opened: a damaged row that was mended is good at once.
                self.core.lent().keep(moment, &lease.credential, &stored);
                value
            }
        };
        let text = std::str::from_utf8(value.expose()).map_err(|_| VaultError::Undecryptable { place: place() })?;
        Ok(Secret::new(text.to_owned()))
    }

    async fn revoke(&self, _lease: &LeaseRecord) -> Result<(), ProviderError> {
        Ok(())
    }

    fn can_revoke(&self) -> bool {
        false
    }

    fn residual(&self, _lease: &LeaseRecord) -> Option<Timestamp> {
        None
    }
}
