//! There are two kinds of permit, and nobody adds one.

use mandate_gate::{Kind, Permit};

enum Mine {}

impl Kind for Mine {
    type Granted = ();
}

fn forge() -> Option<Permit<Mine>> {
    None
}

fn main() {}
