//! Signing keys: the log's, the evidence's, the tokens'. The seed never leaves; signatures do.

use crate::{TenantVault, VaultError, place::SIGNING_KEY, tenant::check_name};
use mandate_journal::SecretRecord;
use mandate_kernel::{Ed25519Signer, Secret};
use std::sync::{Arc, PoisonError};
use zeroize::Zeroize;

impl TenantVault {
    /// The signing key of a role (`log`, `evidence`, `token`). The first one, ordinal 1, is made when
    /// the role has none; later ones come from [`TenantVault::new_signing_key`] and must be there.
    ///
    /// # Errors
    /// [`VaultError::Missing`], and whatever the store says.
    pub async fn signing_key(&self, role: &str, ordinal: u32) -> Result<Arc<Ed25519Signer>, VaultError> {
        let at = (role.to_owned(), ordinal);
        let cached = || self.core.signers.lock().unwrap_or_else(PoisonError::into_inner).get(&at).cloned();
        if let Some(signer) = cached() {
            return Ok(signer);
        }
        check_name(role)?;
        self.ensure_tenant().await?;
        let _making = self.core.making.lock().await;
        if let Some(signer) = cached() {
            return Ok(signer);
        }
        let place = self.core.place(SIGNING_KEY, role, ordinal);
        let seed = match self.core.store.secret(SIGNING_KEY, role, Some(ordinal)).await? {
            Some(stored) => self.core.open(&stored).await?,
            None if ordinal == 1 && self.core.store.secret(SIGNING_KEY, role, None).await?.is_none() => {
                let (_, record) = self.new_signing_key(role, 1).await?;
                self.core.create_once(record).await?
            }
            None => return Err(VaultError::Missing { place: place.to_string() }),
        };
        let undecryptable = || VaultError::Undecryptable { place: place.to_string() };
        let mut bytes: [u8; 32] = seed.expose().as_slice().try_into().map_err(|_| undecryptable())?;
        let signer = Ed25519Signer::from_seed(&Secret::new(bytes)).map_err(|_| undecryptable());
        bytes.zeroize();
        let signer = Arc::new(signer?);
        self.core.signers.lock().unwrap_or_else(PoisonError::into_inner).insert(at, signer.clone());
        Ok(signer)
    }

    /// Makes a further signing key for a role. The caller commits the record together with the
    /// statement by which the old key vouches for the new one.
    ///
    /// # Errors
    /// Whatever the store or the source of randomness says.
    pub async fn new_signing_key(
        &self,
        role: &str,
        ordinal: u32,
    ) -> Result<(Arc<Ed25519Signer>, SecretRecord), VaultError> {
        check_name(role)?;
        let (signer, seed) = Ed25519Signer::generate(self.core.shared.entropy.as_ref())?;
        let record = self.core.seal(self.core.place(SIGNING_KEY, role, ordinal), seed.expose()).await?;
        Ok((Arc::new(signer), record))
    }
}
