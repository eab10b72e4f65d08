//! Leave to read or change a resource is not leave to do a step, and the other way round.

use mandate_gate::{Access, Permit, Step};
use mandate_kernel::Timestamp;

fn needs_step(_: &Permit<Step>) {}
fn needs_access(_: &Permit<Access>) {}

fn confused(access: Permit<Access>, step: Permit<Step>, now: Timestamp) {
    needs_step(&access);
    needs_access(&step);
    let _caller = step.caller();
    let _spent = access.spend(now);
}

fn main() {}
