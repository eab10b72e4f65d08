//! An effect is performed for a spent permit, and for nothing less.

use mandate_gate::{Credentials, Effect, Permit, Prepared, Step};

async fn unspent(effect: &dyn Effect, permit: &Permit<Step>) {
    let _ = effect.perform(permit, Credentials::default()).await;
}

async fn unjudged(effect: &dyn Effect, prepared: &Prepared) {
    let _ = effect.perform(prepared, Credentials::default()).await;
}

fn main() {}
