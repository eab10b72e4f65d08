//! The tenant's configuration as decisions need it: policies compiled, bindings and entitlements read.
//! A snapshot, replaced when the store's generation has moved on.

use crate::EngineError;
use crate::pinned::read;
use mandate_directory::{
    EntitlementSpec, EventSourceSpec, PolicySpec, RoleBindingSpec, STANDING_GRANT, StandingGrantSpec,
};
use mandate_journal::{ResourceRecord, TenantStore};
use mandate_kernel::{Digest, ResourceName, Tenant};
use mandate_policy::{PolicySet, PolicySource};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// One snapshot.
pub struct Catalog {
    /// The store's generation it was read at.
    pub generation: u64,
    /// The policies in force: the built-in ones and the tenant's.
    pub policies: Arc<PolicySet>,
    /// Who holds which role on what.
    pub bindings: Vec<RoleBindingSpec>,
    /// What people may do elsewhere.
    pub entitlements: Vec<EntitlementSpec>,
    /// Who may send which events.
    pub event_sources: Vec<(ResourceName, EventSourceSpec)>,
    /// Under which grants Workers start by themselves, each with its version.
    pub standing_grants: Vec<(u64, StandingGrantSpec)>,
}

impl Catalog {
    pub(crate) async fn read(store: &dyn TenantStore, tenant: &Tenant) -> Result<Self, EngineError> {
        // The generation is read first: a change in between makes the snapshot look older than it is,
        // and it is read again.
        let generation = store.generation().await?;
        let policies = compiled(tenant, store.resources("Policy").await?)?;
        Ok(Self {
            generation,
            policies,
            bindings: read_all(store, "RoleBinding").await?,
            entitlements: read_all(store, "Entitlement").await?,
            event_sources: event_sources(store).await?,
            standing_grants: standing_grants(store).await?,
        })
    }
}

/// What a set was compiled from: the same gives the same.
type Key = (Tenant, Vec<(String, Digest)>);

/// Sets compiled lately. Most changes of a configuration leave its policies alone.
static COMPILED: Mutex<VecDeque<(Key, Arc<PolicySet>)>> = Mutex::new(VecDeque::new());

/// Sets that are kept.
const KEPT: usize = 64;

fn compiled(tenant: &Tenant, records: Vec<ResourceRecord>) -> Result<Arc<PolicySet>, EngineError> {
    let mut sources = Vec::new();
    for record in records {
        let policy: PolicySpec = read(&record)?;
        sources.push((policy.source_name(&record.name), policy.text));
    }
    let texts = sources.iter().map(|(name, text)| (name.clone(), Digest::of(text.as_bytes()))).collect();
    let key: Key = (tenant.clone(), texts);
    let held = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, set)) = held().iter().find(|(of, _)| *of == key) {
        return Ok(Arc::clone(set));
    }
    let sources: Vec<_> = sources.into_iter().map(|(name, text)| PolicySource::new(name, text)).collect();
    let policies = PolicySet::compile(&sources).map_err(|e| {
        EngineError::Inconsistent(format!("stored policies do not compile, so nothing is allowed: {e}"))
    })?;
    let set = Arc::new(policies);
    let mut kept = held();
    kept.push_front((key, Arc::clone(&set)));
    kept.truncate(KEPT);
    Ok(set)
}

async fn read_all<T: DeserializeOwned>(store: &dyn TenantStore, kind: &str) -> Result<Vec<T>, EngineError> {
    let records = store.resources(kind).await?;
    records.iter().map(read).collect()
}

async fn event_sources(store: &dyn TenantStore) -> Result<Vec<(ResourceName, EventSourceSpec)>, EngineError> {
    let named = |record: &ResourceRecord| {
        let name = ResourceName::new(record.name.clone()).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        Ok((name, read(record)?))
    };
    store.resources("EventSource").await?.iter().map(named).collect()
}

async fn standing_grants(store: &dyn TenantStore) -> Result<Vec<(u64, StandingGrantSpec)>, EngineError> {
    store.resources(STANDING_GRANT).await?.iter().map(|record| Ok((record.version, read(record)?))).collect()
}
