//! The seal on the kinds can't be named.

enum Mine {}

impl mandate_gate::permit::sealed::Sealed for Mine {}

fn main() {}
