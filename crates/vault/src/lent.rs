//! Sealed credentials as they were read for a lease, kept while nothing can have changed them.
//!
//! Every change of a secret raises the tenant's revocation sequence in its own transaction, and the admission that a
//! lease follows was committed at one sequence. What was read for a permit of that sequence is what stood there when
//! the permit was admitted, so it is good for the next permit of the same. What is kept is sealed as in the store.

use mandate_journal::SecretRecord;
use mandate_kernel::ResourceName;
use std::collections::BTreeMap;

/// Records kept; beyond that it begins anew.
const MAX_KEPT: usize = 256;

/// The records of one revocation sequence.
#[derive(Default)]
pub(crate) struct Lent {
    /// The sequence of the newest permit, and how often everything was forgotten.
    seen: (u64, u64),
    records: BTreeMap<(ResourceName, u32), SecretRecord>,
}

/// When a record was looked for: what is found by a read that begins after it may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment((u64, u64));

impl Lent {
    /// A permit admitted at this sequence asks for a lease: what was read at another is forgotten.
    pub(crate) fn at(&mut self, sequence: u64) {
        if self.seen.0 != sequence {
            self.forget();
            self.seen.0 = sequence;
        }
    }

    /// Forgets everything, and whatever is being read now.
    pub(crate) fn forget(&mut self) {
        self.records.clear();
        self.seen.1 = self.seen.1.wrapping_add(1);
    }

    /// A record that is kept, or the moment at which it was looked for.
    pub(crate) fn find(&self, credential: &ResourceName, version: u32) -> Result<SecretRecord, Moment> {
        self.records.get(&(credential.clone(), version)).cloned().ok_or(Moment(self.seen))
    }

    /// Keeps what a read found, if nothing was forgotten since it began.
    pub(crate) fn keep(&mut self, since: Moment, credential: &ResourceName, record: &SecretRecord) {
        if since != Moment(self.seen) {
            return;
        }
        if self.records.len() >= MAX_KEPT {
            self.records.clear();
        }
        self.records.insert((credential.clone(), record.version), record.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::Timestamp;

    fn record(version: u32) -> SecretRecord {
        let (kind, name) = ("credential".to_owned(), "finance/key".to_owned());
        SecretRecord { kind, name, version, sealed: vec![1], created_at: Timestamp::EPOCH }
    }

    #[test]
    fn what_was_read_at_another_sequence_is_forgotten() {
        let name = ResourceName::new("finance/key").unwrap();
        let mut lent = Lent::default();
        lent.at(3);
        let moment = lent.find(&name, 1).unwrap_err();
        lent.keep(moment, &name, &record(1));
        lent.at(3);
        assert_eq!(lent.find(&name, 1).unwrap(), record(1));
        assert!(lent.find(&name, 2).is_err(), "another version is another record");
        lent.at(4);
        assert!(lent.find(&name, 1).is_err());
        lent.at(3);
        assert!(lent.find(&name, 1).is_err(), "a permit of an older sequence brings nothing back");
    }

    #[test]
    fn what_is_being_read_while_something_changes_is_not_kept() {
        let name = ResourceName::new("finance/key").unwrap();
        let mut lent = Lent::default();
        let before = lent.find(&name, 1).unwrap_err();
        lent.forget();
        lent.keep(before, &name, &record(1));
        assert!(lent.find(&name, 1).is_err(), "shredded while it was read");
        let (early, _) = (lent.find(&name, 1).unwrap_err(), lent.at(5));
        lent.keep(early, &name, &record(1));
        assert!(lent.find(&name, 1).is_err(), "read before the sequence rose");
    }
}
