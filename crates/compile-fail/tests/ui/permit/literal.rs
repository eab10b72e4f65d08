//! A permit can't be put together: its fields are private.

use mandate_gate::{Access, Permit, Step};
use mandate_kernel::DecisionId;

fn renamed(decision: DecisionId, real: Permit<Step>) -> Permit<Step> {
    Permit { decision, ..real }
}

fn from_parts(decision: DecisionId) -> Permit<Access> {
    Permit::<Access> { decision, granted: () }
}

fn main() {}
