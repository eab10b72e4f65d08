//! A secret can't be serialised.

use mandate_kernel::Secret;

fn main() {
    let secret = Secret::new(String::from("x"));
    let _ = serde_json::to_string(&secret);
}
