//! One tenant as the engine holds it: its store, vault, keys, issuer and configuration snapshot.

use crate::keys::{PUBLISHED_BEFORE_USE, TenantKeys};
use crate::occasion::Occasion;
use crate::pinned::CurrentWorkers;
use crate::rows::Rows;
use crate::{Catalog, EngineError, Ports, configuration};
use mandate_issuer::Issuer;
use mandate_journal::TenantStore;
use mandate_kernel::{Caller, PublicKey, Signer, Tenant};
use mandate_ledger::{Algorithm, Role, TenantAnchor, VerifierKey};
use mandate_vault::TenantVault;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::{Notify, watch};

/// The names a tenant goes by outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Issuer of its tokens, a URL.
    pub issuer: String,
    /// Origin of its ledger (C2SP tlog-checkpoint).
    pub origin: String,
}

impl Names {
    /// The names of `tenant` below a public URL. The ledger's origin has no port or scheme, so that it
    /// outlives a move of the server.
    #[must_use]
    pub fn new(public_url: &str, log_name: &str, tenant: &Tenant) -> Self {
        let issuer = format!("{}/t/{tenant}", public_url.trim_end_matches('/'));
        Self { origin: format!("{log_name}/t/{tenant}"), issuer }
    }
}

/// Tells that something was committed.
#[derive(Default)]
pub(crate) struct Arrivals {
    sequencer: Notify,
    commits: watch::Sender<u64>,
}

impl Arrivals {
    pub(crate) fn notify_one(&self) {
        self.commits.send_modify(|count| *count = count.wrapping_add(1));
        self.sequencer.notify_one();
    }

    /// For the sequencer alone: each commit wakes one waiter.
    pub(crate) async fn notified(&self) {
        self.sequencer.notified().await;
    }
}

/// One tenant.
pub struct TenantContext {
    pub(crate) tenant: Tenant,
    pub(crate) names: Names,
    pub(crate) store: Arc<dyn TenantStore>,
    pub(crate) vault: TenantVault,
    pub(crate) rows: Rows,
    keys: RwLock<Arc<TenantKeys>>,
    issuer: RwLock<Arc<Issuer>>,
    catalog: RwLock<Option<Arc<Catalog>>>,
    pub(crate) workers: CurrentWorkers,
    /// Wakes the sequencer, and whoever watches runs: something was committed.
    pub(crate) entries_waiting: Arrivals,
    /// Wakes those who wait for a newer cosigned checkpoint.
    pub(crate) cosigned: Notify,
    /// What is in hand of events and schedules.
    pub(crate) occasion: Occasion,
}

impl TenantContext {
    pub(crate) async fn open(ports: &Ports, names: Names, tenant: Tenant) -> Result<Self, EngineError> {
        let store = ports.tenants.of(&Caller::system(tenant.clone(), "engine"));
        // Before anything of it is used, keys included.
        configuration::check(store.as_ref(), &tenant).await?;
        let vault = ports.vault.tenant(tenant.clone(), Arc::clone(&store));
        vault.ensure_tenant().await?;
        let keys = TenantKeys::open(ports, &tenant, &names.origin, store.as_ref(), &vault).await?;
        let issuer = new_issuer(ports, &names, Arc::clone(&keys.token))?;
        let rows = Rows::open(&vault).await?;
        Ok(Self {
            tenant,
            names,
            store,
            vault,
            rows,
            keys: RwLock::new(Arc::new(keys)),
            issuer: RwLock::new(Arc::new(issuer)),
            catalog: RwLock::new(None),
            workers: CurrentWorkers::default(),
            entries_waiting: Arrivals::default(),
            cosigned: Notify::new(),
            occasion: Occasion::default(),
        })
    }

    /// The tenant's name.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The names it goes by.
    #[must_use]
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// Its store, confined to this tenant.
    #[must_use]
    pub fn store(&self) -> &dyn TenantStore {
        self.store.as_ref()
    }

    /// Says that entries were written which the sequencer should look at soon.
    pub fn entries_arrived(&self) {
        self.entries_waiting.notify_one();
        // Most of what is written apart from runs is configuration.
        self.occasion.arrived.notify_one();
    }

    /// Changes with each commit of this process. A commit of another process is found by looking.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.entries_waiting.commits.subscribe()
    }

    /// Its vault.
    #[must_use]
    pub const fn vault(&self) -> &TenantVault {
        &self.vault
    }

    /// What authenticates its rows.
    #[must_use]
    pub const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// The newest public key of a role.
    #[must_use]
    pub fn public_key(&self, role: Role) -> PublicKey {
        self.keys().public(role)
    }

    /// What a trust anchor pins of this tenant: its first keys.
    ///
    /// # Errors
    /// [`EngineError`] when they can't be read.
    pub async fn anchor(&self) -> Result<TenantAnchor, EngineError> {
        let first =
            |role: Role| async move { Ok::<_, EngineError>(self.vault.signing_key(role.as_str(), 1).await?.public()) };
        let origin = self.names.origin.clone();
        let log = VerifierKey::new(origin.clone(), Algorithm::Ed25519, first(Role::Log).await?)
            .map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        Ok(TenantAnchor { origin, log, evidence: first(Role::Evidence).await?, token: first(Role::Token).await? })
    }

    pub(crate) fn keys(&self) -> Arc<TenantKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn issuer(&self) -> Arc<Issuer> {
        Arc::clone(&self.issuer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every public key that signed tokens of this tenant: what receivers verify by.
    #[must_use]
    pub fn token_keys(&self) -> Vec<PublicKey> {
        self.keys().token_history.clone()
    }

    /// Publishes a token key that does not sign yet.
    pub(crate) fn publish_token_key(&self, key: PublicKey) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let mut keys = TenantKeys::clone(&held);
        keys.token_history.push(key);
        *held = Arc::new(keys);
    }

    /// The issuer as it was when token key `ordinal` was in use.
    pub(crate) async fn issuer_at(&self, ports: &Ports, ordinal: u32) -> Result<Issuer, EngineError> {
        let signer = self.vault.signing_key(Role::Token.as_str(), ordinal).await?;
        new_issuer(ports, &self.names, signer)
    }

    /// Reads the keys again, after a rotation.
    pub(crate) async fn reload_keys(&self, ports: &Ports) -> Result<(), EngineError> {
        let keys = TenantKeys::open(ports, &self.tenant, &self.names.origin, self.store.as_ref(), &self.vault).await?;
        let issuer = new_issuer(ports, &self.names, Arc::clone(&keys.token))?;
        *self.issuer.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(issuer);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Reads the keys again when another process of this store may have introduced one. A token key is published
    /// before it signs.
    pub(crate) async fn follow_keys(&self, ports: &Ports) -> Result<(), EngineError> {
        let fresh = TenantKeys::open(ports, &self.tenant, &self.names.origin, self.store.as_ref(), &self.vault).await?;
        let held = self.keys();
        if fresh.statements.len() == held.statements.len() {
            return Ok(());
        }
        if fresh.token_ordinal != held.token_ordinal {
            let (token, token_ordinal) = (Arc::clone(&held.token), held.token_ordinal);
            let published = TenantKeys { token, token_ordinal, ..fresh };
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
            tokio::time::sleep(PUBLISHED_BEFORE_USE).await;
        }
        self.reload_keys(ports).await
    }

    /// The configuration as it is now.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be read: nothing is allowed then.
    pub async fn catalog(&self) -> Result<Arc<Catalog>, EngineError> {
        let generation = self.store.generation().await?;
        let held = self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = held
            && held.generation == generation
        {
            return Ok(held);
        }
        let fresh = Arc::new(Catalog::read(self.store.as_ref(), &self.tenant).await?);
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

fn new_issuer(ports: &Ports, names: &Names, token: Arc<dyn Signer>) -> Result<Issuer, EngineError> {
    Ok(Issuer::new(names.issuer.clone(), token, Arc::clone(&ports.clock), Arc::clone(&ports.entropy))?)
}
