//! A tenant's keys: one per generation, each sealed under the root key.

use crate::{
    Place, VaultError,
    key::{Key, KeyRef},
    place::TENANT_KEY,
    seal::{self, Sealed},
    tenant::Shared,
};
use mandate_journal::SecretRecord;
use mandate_kernel::Tenant;
use std::{collections::BTreeMap, sync::Arc};

/// The tenant keys in memory, by generation.
#[derive(Default)]
pub(crate) struct Ring {
    keys: BTreeMap<u32, Arc<Key>>,
}

/// The place of a generation's key. Each generation is a name of its own, so that it can be destroyed
/// by itself.
fn place(tenant: &Tenant, generation: u32) -> Place {
    Place::new(tenant, TENANT_KEY, &generation.to_string(), 1)
}

/// Makes the key of a generation, sealed for the store.
pub(crate) fn generate(shared: &Shared, tenant: &Tenant, generation: u32) -> Result<(Key, SecretRecord), VaultError> {
    let key = Key::generate(shared.entropy.as_ref())?;
    let place = place(tenant, generation);
    let sealed = seal::seal(&shared.root.0, &place, key.expose(), shared.entropy.as_ref())?;
    Ok((key, shared.record(place, sealed)))
}

impl Ring {
    /// Opens what the store holds.
    pub(crate) fn open(shared: &Shared, tenant: &Tenant, records: &[SecretRecord]) -> Result<Self, VaultError> {
        let mut ring = Self::default();
        for record in records {
            let found = Place::new(tenant, TENANT_KEY, &record.name, record.version);
            let malformed = || VaultError::Malformed { place: found.to_string() };
            let generation: u32 = record.name.parse().map_err(|_| malformed())?;
            let sealed = Sealed::parse(&record.sealed, &found)?;
            if sealed.wrapped_by != shared.root.0.id() {
                return Err(VaultError::WrongRootKey {
                    tenant: tenant.to_string(),
                    sealed_by: sealed.wrapped_by.to_string(),
                    given: shared.root.id(),
                });
            }
            let data_key = sealed.unwrap_key(&shared.root.0, &found)?;
            let key = Key::from_slice(sealed.open_value(&data_key, &found)?.expose()).ok_or_else(malformed)?;
            ring.keys.insert(generation, Arc::new(key));
        }
        Ok(ring)
    }

    /// This ring and one more generation.
    pub(crate) fn with(&self, generation: u32, key: Key) -> Self {
        let mut keys = self.keys.clone();
        keys.insert(generation, Arc::new(key));
        Self { keys }
    }

    /// This ring and one generation less.
    pub(crate) fn without(&self, generation: u32) -> Self {
        let mut keys = self.keys.clone();
        keys.remove(&generation);
        Self { keys }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The generation that new values are sealed under.
    pub(crate) fn newest(&self) -> Option<(u32, &Arc<Key>)> {
        self.keys.last_key_value().map(|(generation, key)| (*generation, key))
    }

    /// Generations with their keys, the newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (u32, &Arc<Key>)> {
        self.keys.iter().rev().map(|(generation, key)| (*generation, key))
    }

    pub(crate) fn by_id(&self, id: KeyRef) -> Option<&Arc<Key>> {
        self.keys.values().find(|key| key.id() == id)
    }

    pub(crate) fn get(&self, generation: u32) -> Option<&Arc<Key>> {
        self.keys.get(&generation)
    }
}
