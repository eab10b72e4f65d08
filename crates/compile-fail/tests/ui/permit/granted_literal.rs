//! What a permit carries can't be put together either, and the kinds themselves have no values.

use mandate_gate::{Access, Kind, Step};
use mandate_kernel::{Action, Caller};

fn granted(caller: Caller) -> <Access as Kind>::Granted {
    <Access as Kind>::Granted { caller, action: Action::SecretPut, resource: String::new() }
}

fn kind() -> Step {
    Step {}
}

fn main() {}
