//! What leads to a permit, and what follows from one, can't be forged either.

use mandate_gate::{Allowed, Judged, Spent};
use mandate_kernel::DecisionId;

fn allowed(decision: DecisionId, real: Allowed) -> Judged {
    Judged::Allowed(Box::new(Allowed { decision, ..real }))
}

fn spent(decision: DecisionId, real: Spent) -> Spent {
    Spent { decision, ..real }
}

fn main() {}
