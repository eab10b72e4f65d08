//! A secret has no `Display`.

use mandate_kernel::Secret;

fn main() {
    let secret = Secret::new(String::from("x"));
    println!("{}", secret);
}
