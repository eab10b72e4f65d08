//! Leave to see a credential is not leave to use its secret.

use mandate_gate::{Access, Permit};
use mandate_journal::LeaseRecord;
use mandate_vault::TenantVault;

async fn lend(vault: &TenantVault, permit: &Permit<Access>, record: &LeaseRecord) {
    let _ = vault.lease(permit, record).await;
}

fn main() {}
