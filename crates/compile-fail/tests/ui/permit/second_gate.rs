//! Nobody else makes permits: no gate by literal, no gate of one's own.

use mandate_gate::{Allowed, Gate, Kind, Live, Permit, Step};

fn literal(live: Live) -> Gate {
    Gate { live }
}

struct OwnGate;

impl OwnGate {
    fn admit(&self, allowed: &Allowed, granted: <Step as Kind>::Granted) -> Permit<Step> {
        Permit { decision: allowed.decision().clone(), granted }
    }
}

fn main() {}
