//! Seeds that once failed, each with what was wrong.

use crate::simulation::simulate;

fn holds(seed: u64) {
    let lived = simulate(seed, None);
    assert!(lived.wrong.is_empty(), "{:?}\n{}", lived.wrong, lived.told);
}
