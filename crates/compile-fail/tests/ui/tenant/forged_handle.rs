//! A handle can't be put together, nor turned to another tenant.

use mandate_kernel::Tenant;
use mandate_store::TenantHandle;

fn forge(tenant: Tenant, other: &TenantHandle) -> TenantHandle {
    TenantHandle { tenant, ..other.clone() }
}

fn main() {}
