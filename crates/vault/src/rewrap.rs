//! New tenant keys, and the end of old ones. Data keys are wrapped again; no value is encrypted again.
//!
//! A new generation only adds records, in one change: a secret that is put in at the same moment is
//! sealed under one generation or the other and is never lost. An old generation goes when nothing
//! needs it any more.

use crate::{
    TenantVault, VaultError,
    place::{CREDENTIAL, SUBJECT_KEY, TENANT_KEY, UNDER_TENANT_KEY, WRAPPED_KEY},
    ring,
    seal::{self, Sealed},
    tenant::{Core, wrapped_name},
};
use mandate_journal::{Change, EpochKey};
use mandate_kernel::ResourceName;
use std::{collections::BTreeSet, sync::PoisonError};

impl TenantVault {
    /// Makes the next tenant key, wraps every data key under it, and commits both with `change`, which
    /// carries the evidence. Returns the new generation. It is for regular rotation: after a leak of an
    /// old tenant key, put new secrets in as well.
    ///
    /// # Errors
    /// [`VaultError::Commit`] with a conflict when another process was faster, and whatever else the
    /// store says; nothing was changed then.
    pub async fn rewrap(&self, mut change: Change) -> Result<u32, VaultError> {
        self.ensure_tenant().await?;
        let core = &self.core;
        let _making = core.making.lock().await;
        let held = core.load().await?;
        let generation = held.newest().map_or(1, |(newest, _)| newest.saturating_add(1));
        let (key, record) = ring::generate(&core.shared, &core.tenant, generation)?;
        change.secrets.push(record);
        for kind in UNDER_TENANT_KEY {
            for record in core.store.secrets(kind).await? {
                let place = core.place(kind, &record.name, record.version);
                let data_key = core.data_key(&record, &place).await?;
                let head = seal::wrap(&key, &place, &data_key, core.shared.entropy.as_ref())?;
                let name = wrapped_name(generation, kind, &record.name);
                change.secrets.push(core.shared.record(core.place(WRAPPED_KEY, &name, record.version), head));
            }
        }
        core.store.change(change).await?;
        core.set_ring(held.with(generation, key));
        Ok(generation)
    }

    /// Destroys an old generation's tenant key, once every secret can be opened without it.
    ///
    /// # Errors
    /// [`VaultError::StillNeeded`] when it is the newest or a secret still needs it;
    /// [`VaultError::Missing`] when there is no such generation.
    pub async fn retire(&self, generation: u32, mut change: Change) -> Result<(), VaultError> {
        let core = &self.core;
        self.ensure_tenant().await?;
        let _making = core.making.lock().await;
        let held = core.load().await?;
        let place = || core.place(TENANT_KEY, &generation.to_string(), 1).to_string();
        let retired = held.get(generation).ok_or_else(|| VaultError::Missing { place: place() })?.id();
        let needed = |why: String| VaultError::StillNeeded { generation, why };
        if held.newest().is_some_and(|(newest, _)| newest == generation) {
            return Err(needed("it is the newest; make a new one first".to_owned()));
        }
        let wrapped: BTreeSet<(String, u32)> =
            core.store.secrets(WRAPPED_KEY).await?.into_iter().map(|r| (r.name, r.version)).collect();
        for kind in UNDER_TENANT_KEY {
            for record in core.store.secrets(kind).await? {
                let place = core.place(kind, &record.name, record.version);
                let elsewhere = held.newest_first().any(|(other, _)| {
                    other != generation && wrapped.contains(&(wrapped_name(other, kind, &record.name), record.version))
                });
                if Sealed::parse(&record.sealed, &place)?.wrapped_by == retired && !elsewhere {
                    return Err(needed(format!("{place} is sealed under it alone; rewrap once more")));
                }
            }
        }
        change.shred.push((TENANT_KEY.to_owned(), generation.to_string()));
        let prefix = format!("{generation}:");
        let heads: BTreeSet<String> =
            wrapped.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(&prefix)).collect();
        change.shred.extend(heads.into_iter().map(|name| (WRAPPED_KEY.to_owned(), name)));
        core.store.change(change).await?;
        core.set_ring(held.without(generation));
        Ok(())
    }

    /// Destroys a subject's key, and with it all payloads of that subject, for good.
    ///
    /// # Errors
    /// Whatever the store says; nothing was destroyed then.
    pub async fn shred_subject(&self, subject: &str, change: Change) -> Result<(), VaultError> {
        let _making = self.core.making.lock().await;
        self.core.shred(SUBJECT_KEY, subject, change).await?;
        let forgotten = self.core.subjects.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
        if let Some(key) = forgotten {
            key.shred();
        }
        Ok(())
    }

    /// Destroys all versions of a credential's value for good, and raises its epoch: no permit admitted later lends it.
    ///
    /// # Errors
    /// Whatever the store says; nothing was destroyed then.
    pub async fn shred_credential(&self, credential: &ResourceName, mut change: Change) -> Result<(), VaultError> {
        let _making = self.core.making.lock().await;
        change.revoke.push(EpochKey::Credential(credential.to_string()));
        let shredded = self.core.shred(CREDENTIAL, credential.as_str(), change).await;
        // Also when it failed: nobody knows whether it is gone.
        self.core.lent().forget();
        shredded
    }

    /// Destroys the tenant's keys of all generations: every secret and every payload of the tenant is
    /// lost for good. Signing keys already handed out to this process sign on until it ends.
    ///
    /// # Errors
    /// Whatever the store says; nothing was destroyed then.
    pub async fn shred_tenant(&self, mut change: Change) -> Result<(), VaultError> {
        let core = &self.core;
        let _making = core.making.lock().await;
        for record in core.store.secrets(TENANT_KEY).await? {
            change.shred.push((TENANT_KEY.to_owned(), record.name));
        }
        core.store.change(change).await?;
        core.set_ring(ring::Ring::default());
        let subjects = std::mem::take(&mut *core.subjects.lock().unwrap_or_else(PoisonError::into_inner));
        subjects.into_values().for_each(|key| key.shred());
        self.core.lent().forget();
        core.signers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }
}

impl Core {
    /// Destroys a record with every head under which its data key was wrapped.
    async fn shred(&self, kind: &str, name: &str, mut change: Change) -> Result<(), VaultError> {
        change.shred.push((kind.to_owned(), name.to_owned()));
        // Of generations that are gone already the heads are gone too, or can't be unwrapped.
        let suffix = format!(":{kind}:{name}");
        let heads: BTreeSet<String> = self
            .store
            .secrets(WRAPPED_KEY)
            .await?
            .into_iter()
            .map(|record| record.name)
            .filter(|wrapped| wrapped.strip_suffix(&suffix).is_some_and(|g| g.bytes().all(|b| b.is_ascii_digit())))
            .collect();
        change.shred.extend(heads.into_iter().map(|name| (WRAPPED_KEY.to_owned(), name)));
        self.store.change(change).await?;
        Ok(())
    }
}
