//! The seal on the kinds can't be named.

enum Mine {}

impl mandate_gate::permit::sealed::KindOfPermit for Mine {}

fn main() {}
