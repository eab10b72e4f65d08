//! What is lent can't be kept.

use mandate_kernel::Secret;

fn kept(secret: &Secret<String>) -> String {
    *secret.expose()
}

fn main() {}
