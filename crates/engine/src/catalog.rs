//! The tenant's configuration as decisions need it: policies compiled, bindings and entitlements read.
//! A snapshot, replaced when the store's generation has moved on.

use crate::EngineError;
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
        let policies: Vec<PolicySpec> = read_all(store, "Policy").await?;
        let sources: Vec<_> = policies.into_iter().map(|p| PolicySource::new(p.file, p.text)).collect();
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
    records
        .into_iter()
        .map(|record| {
            serde_json::from_value(record.spec)
                .map_err(|e| EngineError::Inconsistent(format!("{kind} {} can't be read: {e}", record.name)))
        })
        .collect()
}
