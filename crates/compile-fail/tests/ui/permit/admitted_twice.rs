//! One decision, one permit: admission takes the decision away.

use mandate_gate::{Allowed, Gate};
use mandate_journal::{Commit, Transition};

async fn twice(gate: &Gate, allowed: Box<Allowed>, transition: Transition, commit: &dyn Commit) {
    let _first = gate.admit(allowed, transition.clone(), commit).await;
    let _second = gate.admit(allowed, transition, commit).await;
}

fn main() {}
