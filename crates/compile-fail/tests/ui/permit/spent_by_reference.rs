//! Who borrows a permit (the issuer, the vault) can't spend it.

use mandate_gate::{Permit, Spent, Step};
use mandate_kernel::Timestamp;
use std::sync::Arc;

fn borrowed(permit: &Permit<Step>, now: Timestamp) -> Option<Spent> {
    permit.spend(now).ok()
}

fn shared(permit: Arc<Permit<Step>>, now: Timestamp) -> Option<Spent> {
    permit.spend(now).ok()
}

fn main() {}
