//! A lease demands a permit; the record alone lends nothing.

use mandate_journal::LeaseRecord;
use mandate_vault::TenantVault;

async fn lend(vault: &TenantVault, record: &LeaseRecord) {
    let _ = vault.lease(record).await;
}

fn main() {}
