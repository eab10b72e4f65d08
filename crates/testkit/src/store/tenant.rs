//! A disk as one tenant sees it.

use super::state::State;
use super::{SimStore, unavailable};
use crate::Sabotage;
use mandate_journal::{CommitError, StoreError};
use mandate_kernel::Tenant;

/// [`mandate_journal::TenantStore`] over a [`SimStore`].
#[derive(Clone)]
pub struct SimTenant {
    pub(super) store: SimStore,
    pub(super) tenant: Tenant,
}

impl SimTenant {
    pub(super) const fn new(store: SimStore, tenant: Tenant) -> Self {
        Self { store, tenant }
    }

    pub(super) async fn read<T>(&self, name: &'static str, read: impl FnOnce(&State) -> T) -> Result<T, StoreError> {
        let shared = &self.store.shared;
        let step = || {
            shared.with(|all| match all.get(&self.tenant) {
                Some(state) => read(state),
                None => read(&State::default()),
            })
        };
        shared.faults.pass(name, step).await.map_err(unavailable)
    }

    /// Works on a copy, which replaces the original only if nothing was refused.
    pub(super) async fn write<T, E: From<StoreError>>(
        &self,
        name: &'static str,
        write: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let shared = &self.store.shared;
        let step = || {
            shared.with(|all| {
                let mut copy = all.get(&self.tenant).cloned().unwrap_or_default();
                let done = write(&mut copy)?;
                let before = all.insert(self.tenant.clone(), copy);
                if shared.faults.sabotaged(Sabotage::AcknowledgesEarly) {
                    shared.before_last(&self.tenant, before);
                }
                Ok(done)
            })
        };
        shared.faults.pass(name, step).await.map_err(unavailable)?
    }

    pub(super) fn check_tenant(&self, given: &Tenant) -> Result<(), CommitError> {
        if *given == self.tenant {
            Ok(())
        } else {
            Err(CommitError::Invalid(format!("it is for tenant {given}, and was given to tenant {}", self.tenant)))
        }
    }
}
