//! A secret can't be cloned.

use mandate_kernel::Secret;

fn main() {
    let secret = Secret::new(String::from("x"));
    let _ = (secret.clone(), secret);
}
