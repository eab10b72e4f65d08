//! A tenant's name is not a caller, and what needs no caller has no content.

use mandate_journal::Runs;
use mandate_kernel::{RunId, Tenant};
use mandate_store::{Store, SystemHandle, TenantHandle};

fn by_tenant(store: &Store, tenant: &Tenant) -> TenantHandle {
    store.of(tenant)
}

async fn content_without_tenant(system: &SystemHandle, run: &RunId) {
    let _ = system.run(run).await;
}

fn main() {}
