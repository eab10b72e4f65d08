//! Secrets can't be compared: it would take a time that tells about them.

use mandate_kernel::Secret;

fn same(a: &Secret<String>, b: &Secret<String>) -> bool {
    a == b
}

fn main() {}
