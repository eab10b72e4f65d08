//! A secret is lent, never taken out of its wrapping.

use mandate_kernel::Secret;

fn field(secret: Secret<String>) -> String {
    secret.0
}

fn main() {}
