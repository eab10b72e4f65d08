//! A permit can't be copied, neither by itself nor inside of something.

use mandate_gate::{Access, Permit, Step};

fn pair(permit: Permit<Step>) -> (Permit<Step>, Permit<Step>) {
    (permit.clone(), permit)
}

fn inside(permit: &Option<Permit<Access>>) -> Option<Permit<Access>> {
    permit.clone()
}

fn main() {}
