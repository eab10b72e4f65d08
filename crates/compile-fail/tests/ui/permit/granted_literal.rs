//! What a permit carries can't be put together either.

use mandate_gate::{Access, Kind};
use mandate_kernel::{Action, Caller};

type Granted = <Access as Kind>::Granted;

fn granted(caller: Caller) -> Granted {
    Granted { caller, action: Action::SecretPut, resource: String::new() }
}

fn main() {}
