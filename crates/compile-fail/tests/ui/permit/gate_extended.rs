//! The gate gets no methods from outside.

use mandate_gate::{Gate, Permit, Step};

impl Gate {
    fn wave_through(&self) -> Permit<Step> {
        loop {}
    }
}

fn main() {}
