//! What the edge injects can't be printed, as a whole or in part.

use mandate_gate::{Credentials, HopCredential};

fn whole(credentials: &Credentials) -> String {
    format!("{credentials:?}")
}

fn part(hop: &HopCredential) -> String {
    format!("{}", hop.token)
}

fn main() {}
