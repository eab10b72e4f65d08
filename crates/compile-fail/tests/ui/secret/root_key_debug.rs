//! A root key has no `Debug`.

use mandate_vault::RootKey;

fn show(key: &RootKey) {
    println!("{key:?}");
}

fn main() {}
