//! The vault, and its part for one tenant: keys, once made, and what hangs on them.

use crate::{
    CredentialProvider, Place, RootKey, SubjectKey, VaultError,
    key::Key,
    lent::Lent,
    place::{SUBJECT_KEY, TENANT_KEY, UNDER_TENANT_KEY, WRAPPED_KEY},
    provider::StaticProvider,
    ring::{self, Ring},
    seal::{self, Sealed},
};
use mandate_journal::{Change, CommitError, SecretRecord, TenantStore};
use mandate_kernel::{Clock, Ed25519Signer, Entropy, Secret, Tenant};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

/// As whom the vault makes keys.
const ACTOR: &str = "system:vault";

/// The longest subject or role.
const MAX_NAME: usize = 256;

/// All tenants' vault: the root key and the ports.
#[derive(Clone)]
pub struct Vault {
    shared: Arc<Shared>,
}

/// The root key and the ports, shared by all tenants.
pub(crate) struct Shared {
    pub(crate) root: RootKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// One tenant's vault. Cheap to clone; clones share the keys in memory, which are wiped with the last.
#[derive(Clone)]
pub struct TenantVault {
    pub(crate) core: Arc<Core>,
    pub(crate) provider: Arc<dyn CredentialProvider>,
}

/// What the clones of a tenant's vault share.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tenant: Tenant,
    pub(crate) store: Arc<dyn TenantStore>,
    /// Replaced as a whole; empty until first used.
    ring: RwLock<Arc<Ring>>,
    /// Held while the tenant keys are read for the first time. Nothing else is locked under it.
    loading: tokio::sync::Mutex<()>,
    /// Held while another key is made, read for the first time or destroyed, so that it is done once.
    pub(crate) making: tokio::sync::Mutex<()>,
    pub(crate) subjects: Mutex<BTreeMap<String, SubjectKey>>,
    pub(crate) signers: Mutex<BTreeMap<(String, u32), Arc<Ed25519Signer>>>,
    lent: Mutex<Lent>,
}

impl Vault {
    /// A vault under this root key.
    #[must_use]
    pub fn new(root: RootKey, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { shared: Arc::new(Shared { root, clock, entropy }) }
    }

    /// One tenant's vault. `store` must be that tenant's. Make one per tenant and clone it: two made
    /// apart don't share what they have in memory.
    #[must_use]
    pub fn tenant(&self, tenant: Tenant, store: Arc<dyn TenantStore>) -> TenantVault {
        let core = Arc::new(Core {
            shared: self.shared.clone(),
            tenant,
            store,
            ring: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
            making: tokio::sync::Mutex::default(),
            subjects: Mutex::default(),
            signers: Mutex::default(),
            lent: Mutex::default(),
        });
        TenantVault { provider: Arc::new(StaticProvider::new(core.clone())), core }
    }
}

impl TenantVault {
    /// The same vault with another provider of leased credentials.
    #[must_use]
    pub fn with_provider(self, provider: Arc<dyn CredentialProvider>) -> Self {
        Self { provider, ..self }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.core.tenant
    }

    /// Makes the tenant key, unless there is one. Of several callers, here and in other processes, one
    /// makes it and all use that one.
    ///
    /// # Errors
    /// [`VaultError::WrongRootKey`]; [`VaultError::Shredded`] when the tenant's keys were destroyed but
    /// its secrets are still there; and whatever the store says.
    pub async fn ensure_tenant(&self) -> Result<(), VaultError> {
        self.core.ring().await.map(drop)
    }
}

impl Shared {
    pub(crate) fn record(&self, place: Place, sealed: Vec<u8>) -> SecretRecord {
        SecretRecord {
            kind: place.kind,
            name: place.name,
            version: place.version,
            sealed,
            created_at: self.clock.now(),
        }
    }
}

impl Core {
    pub(crate) fn place(&self, kind: &str, name: &str, version: u32) -> Place {
        Place::new(&self.tenant, kind, name, version)
    }

    pub(crate) fn change(&self) -> Change {
        Change::new(self.tenant.clone(), self.shared.clock.now(), ACTOR.to_owned())
    }

    /// What leases have read.
    pub(crate) fn lent(&self) -> MutexGuard<'_, Lent> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cached_ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_ring(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The tenant keys; made if this tenant never had any.
    pub(crate) async fn ring(&self) -> Result<Arc<Ring>, VaultError> {
        let cached = self.cached_ring();
        if !cached.is_empty() {
            return Ok(cached);
        }
        let _loading = self.loading.lock().await;
        let cached = self.cached_ring();
        if !cached.is_empty() {
            return Ok(cached);
        }
        self.load_or_make().await
    }

    async fn load_or_make(&self) -> Result<Arc<Ring>, VaultError> {
        let loaded = self.load().await?;
        if !loaded.is_empty() {
            return Ok(loaded);
        }
        for kind in UNDER_TENANT_KEY {
            if let Some(orphan) = self.store.secrets(kind).await?.first() {
                let place = self.place(kind, &orphan.name, orphan.version).to_string();
                return Err(VaultError::Shredded { place });
            }
        }
        let (_, record) = ring::generate(&self.shared, &self.tenant, 1)?;
        match self.store.change(Change { secrets: vec![record], ..self.change() }).await {
            // A conflict means that another process was faster.
            Ok(_) | Err(CommitError::VersionConflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // Read back: whoever was first, what is stored is what everyone uses.
        let loaded = self.load().await?;
        if loaded.is_empty() {
            return Err(VaultError::Missing { place: format!("tenant key of tenant {}", self.tenant) });
        }
        Ok(loaded)
    }

    /// Reads the tenant keys anew.
    pub(crate) async fn load(&self) -> Result<Arc<Ring>, VaultError> {
        let records = self.store.secrets(TENANT_KEY).await?;
        self.set_ring(Ring::open(&self.shared, &self.tenant, &records)?);
        Ok(self.cached_ring())
    }

    /// Seals a value for a place, under the newest tenant key.
    pub(crate) async fn seal(&self, place: Place, value: &[u8]) -> Result<SecretRecord, VaultError> {
        let ring = self.ring().await?;
        let (_, kek) = ring.newest().ok_or_else(|| VaultError::Missing { place: place.to_string() })?;
        let sealed = seal::seal(kek, &place, value, self.shared.entropy.as_ref())?;
        Ok(self.shared.record(place, sealed))
    }

    /// Opens a record.
    pub(crate) async fn open(&self, record: &SecretRecord) -> Result<Secret<Vec<u8>>, VaultError> {
        let place = self.place(&record.kind, &record.name, record.version);
        let data_key = self.data_key(record, &place).await?;
        Sealed::parse(&record.sealed, &place)?.open_value(&data_key, &place)
    }

    /// The data key of a record: by its own head, or by one that a later generation wrapped.
    pub(crate) async fn data_key(&self, record: &SecretRecord, place: &Place) -> Result<Key, VaultError> {
        let held = self.ring().await?;
        if let Some(key) = self.unwrap_by(&held, record, place).await? {
            return Ok(key);
        }
        // Another process may have gone on to a new generation.
        let fresh = self.load().await?;
        let found = self.unwrap_by(&fresh, record, place).await?;
        found.ok_or_else(|| VaultError::Shredded { place: place.to_string() })
    }

    async fn unwrap_by(&self, ring: &Ring, record: &SecretRecord, place: &Place) -> Result<Option<Key>, VaultError> {
        let sealed = Sealed::parse(&record.sealed, place)?;
        if let Some(kek) = ring.by_id(sealed.wrapped_by) {
            return sealed.unwrap_key(kek, place).map(Some);
        }
        for (generation, kek) in ring.newest_first() {
            let name = wrapped_name(generation, &record.kind, &record.name);
            if let Some(head) = self.store.secret(WRAPPED_KEY, &name, Some(record.version)).await? {
                return Sealed::parse(&head.sealed, place)?.unwrap_key(kek, place).map(Some);
            }
        }
        Ok(None)
    }

    /// Stores a record, unless there is one already, and reads back what is there.
    pub(crate) async fn create_once(&self, record: SecretRecord) -> Result<Secret<Vec<u8>>, VaultError> {
        let (kind, name, version) = (record.kind.clone(), record.name.clone(), record.version);
        match self.store.change(Change { secrets: vec![record], ..self.change() }).await {
            Ok(_) | Err(CommitError::VersionConflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let missing = || VaultError::Missing { place: self.place(&kind, &name, version).to_string() };
        let stored = self.store.secret(&kind, &name, Some(version)).await?.ok_or_else(missing)?;
        self.open(&stored).await
    }

    /// A subject's key from memory.
    pub(crate) fn cached_subject(&self, subject: &str) -> Option<SubjectKey> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner).get(subject).cloned()
    }

    /// Reads a subject's key, or makes it.
    pub(crate) async fn subject_bytes(&self, subject: &str) -> Result<Secret<Vec<u8>>, VaultError> {
        check_name(subject)?;
        self.kept_key(SUBJECT_KEY, subject).await
    }

    /// Reads a key of 32 random bytes, or makes it.
    pub(crate) async fn kept_key(&self, kind: &str, name: &str) -> Result<Secret<Vec<u8>>, VaultError> {
        if let Some(stored) = self.store.secret(kind, name, Some(1)).await? {
            return self.open(&stored).await;
        }
        let key = Key::generate(self.shared.entropy.as_ref())?;
        let record = self.seal(self.place(kind, name, 1), key.expose()).await?;
        self.create_once(record).await
    }
}

/// The name of a data key wrapped again. Neither generation nor kind can hold a colon.
pub(crate) fn wrapped_name(generation: u32, kind: &str, name: &str) -> String {
    format!("{generation}:{kind}:{name}")
}

/// Bounds names that are not checked by their type.
pub(crate) fn check_name(name: &str) -> Result<(), VaultError> {
    if (1..=MAX_NAME).contains(&name.len()) && !name.contains(char::is_control) {
        Ok(())
    } else {
        let given = name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Err(VaultError::Name { given })
    }
}
