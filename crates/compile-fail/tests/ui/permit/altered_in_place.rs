//! The request is lent to be read, not to be written.

use mandate_gate::{Permit, Prepared, Step};

fn through_the_loan(permit: &mut Permit<Step>, other: Prepared) {
    *permit.prepared() = other;
}

fn main() {}
