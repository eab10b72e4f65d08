//! Only the gate enters permits into the table of the living.

use mandate_gate::{InFlight, Live};

fn enter(live: &Live, info: InFlight) {
    let _guard = live.register(info);
}

fn main() {}
