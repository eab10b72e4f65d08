//! What was judged is what is done: the request can't be swapped, before admission or after.

use mandate_gate::{Allowed, Permit, Prepared, Spent, Step};

fn before(allowed: &mut Allowed, other: Prepared) {
    allowed.prepared = other;
}

fn after(permit: &mut Permit<Step>, other: Prepared) {
    permit.granted.prepared = other;
}

fn last(spent: &mut Spent, other: Prepared) {
    spent.granted.prepared = other;
}

fn main() {}
