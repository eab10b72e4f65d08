//! The tenant's configuration as decisions need it: policies compiled, bindings and entitlements read.
//! A snapshot, replaced when the store's generation has moved on.

use crate::EngineError;
use crate::pinned::read;
use mandate_directory::{EntitlementSpec, PolicySpec, RoleBindingSpec};
use mandate_journal::TenantStore;
use mandate_policy::{PolicySet, PolicySource};
use serde::de::DeserializeOwned;
use std::sync::Arc;

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
}

impl Catalog {
    pub(crate) async fn read(store: &dyn TenantStore) -> Result<Self, EngineError> {
        // The generation is read first: a change in between makes the snapshot look older than it is,
        // and it is read again.
        let generation = store.generation().await?;
        let mut sources = Vec::new();
        for record in store.resources("Policy").await? {
            let policy: PolicySpec = read(&record)?;
            sources.push(PolicySource::new(policy.source_name(&record.name), policy.text));
        }
        let policies = PolicySet::compile(&sources).map_err(|e| {
            EngineError::Inconsistent(format!("stored policies do not compile, so nothing is allowed: {e}"))
        })?;
        Ok(Self {
            generation,
            policies: Arc::new(policies),
            bindings: read_all(store, "RoleBinding").await?,
            entitlements: read_all(store, "Entitlement").await?,
        })
    }
}

async fn read_all<T: DeserializeOwned>(store: &dyn TenantStore, kind: &str) -> Result<Vec<T>, EngineError> {
    let records = store.resources(kind).await?;
    records.iter().map(read).collect()
}
