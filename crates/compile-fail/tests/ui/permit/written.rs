//! A permit can't be shown or stored.

use mandate_gate::{Permit, Step};

fn show(permit: &Permit<Step>) -> String {
    format!("{permit:?}")
}

fn store(permit: &Permit<Step>) -> Option<String> {
    serde_json::to_string(permit).ok()
}

fn main() {}
