//! A step that waits for people, or was refused, can't be admitted.

use mandate_gate::{Gate, NotYet, Refusal};
use mandate_journal::{Commit, Transition};

async fn waiting(gate: &Gate, waits: Box<NotYet>, transition: Transition, commit: &dyn Commit) {
    let _ = gate.admit(waits, transition, commit).await;
}

async fn refused(gate: &Gate, refusal: Box<Refusal>, transition: Transition, commit: &dyn Commit) {
    let _ = gate.admit(refusal, transition, commit).await;
}

fn main() {}
