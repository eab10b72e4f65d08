//! The simulated store against the contract that every store keeps.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers outside of test functions"
)]

#[path = "../../store/tests/contract/mod.rs"]
mod contract;

use contract::Backend;
use mandate_engine::Tenants;
use mandate_journal::{System, TenantStore};
use mandate_kernel::Caller;
use mandate_testkit::{Faults, SimStore};
use std::sync::Arc;

struct Simulated(SimStore);

impl Backend for Simulated {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        self.0.of(caller)
    }
    fn system(&self) -> Arc<dyn System> {
        self.0.system()
    }
}

fn fresh() -> Simulated {
    Simulated(SimStore::new(Arc::new(Faults::default())))
}

contract_suite!(crate::fresh);
