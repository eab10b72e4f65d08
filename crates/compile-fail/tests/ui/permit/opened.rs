//! A permit can't be taken apart either: what it carries never leaves it.

use mandate_gate::{Permit, Step};

fn open(permit: Permit<Step>) {
    let Permit { decision: _, granted: _ } = permit;
}

fn main() {}
