//! A permit is spent once: spending takes it away.

use mandate_gate::{Permit, Step};
use mandate_kernel::Timestamp;

fn twice(permit: Permit<Step>, now: Timestamp) {
    let _first = permit.spend(now);
    let _second = permit.spend(now);
}

fn looked_at_afterwards(permit: Permit<Step>, now: Timestamp) {
    let _spent = permit.spend(now);
    let _request = permit.prepared();
}

fn in_a_loop(permit: Permit<Step>, now: Timestamp) {
    for _ in 0..2 {
        let _spent = permit.spend(now);
    }
}

fn main() {}
