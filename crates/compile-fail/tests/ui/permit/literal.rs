//! A permit can't be put together: its fields are private.

use mandate_gate::{Access, Kind, Permit, Step};
use mandate_kernel::DecisionId;

fn renamed(decision: DecisionId, real: Permit<Step>) -> Permit<Step> {
    Permit { decision, ..real }
}

fn from_parts(decision: DecisionId, granted: <Access as Kind>::Granted) -> Permit<Access> {
    Permit { decision, granted }
}

fn main() {}
