//! A round of the sequencer: checked and encoded before the database is.

use mandate_journal::{Integration, StoreError};
use std::collections::BTreeSet;

/// A round that agrees with itself, its frontier encoded.
#[derive(Debug)]
pub(crate) struct CheckedRound {
    pub(crate) round: Integration,
    pub(crate) frontier: Vec<u8>,
    /// Why it can't be written, if it contradicts itself. A round on another tree than the stored one is
    /// told that first.
    pub(crate) contradiction: Option<StoreError>,
}

impl CheckedRound {
    /// Everything that can be found out without the database.
    pub(crate) fn new(round: Integration) -> Result<Self, StoreError> {
        let frontier = serde_json::to_vec(&round.frontier)
            .map_err(|e| StoreError::Corrupt(format!("the frontier can't be written: {e}")))?;
        let leaves = round.nodes.iter().filter(|node| node.level == 0).count();
        let grown = round.from_size.checked_add(round.taken.len() as u64);
        let once = round.taken.iter().collect::<BTreeSet<_>>().len() == round.taken.len();
        let agrees = once && leaves == round.taken.len() && grown == Some(round.frontier.size());
        let contradiction = (!agrees).then(|| {
            let taken = round.taken.len();
            StoreError::Corrupt(format!(
                "a sequencer round contradicts itself: {taken} entries, each once: {once}, {leaves} leaves"
            ))
        });
        Ok(Self { round, frontier, contradiction })
    }
}
