//! Nobody else makes permits: no gate by literal, no gate of one's own.

use mandate_gate::{Allowed, Gate, Live, Permit, Step};

fn literal(live: Live) -> Gate {
    Gate { live }
}

struct OwnGate;

impl OwnGate {
    fn admit(&self, allowed: Allowed) -> Permit<Step> {
        Permit { decision: allowed.decision, granted: allowed.facts }
    }
}

fn main() {}
