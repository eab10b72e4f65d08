//! Each token and each proof is accepted once.

use mandate_kernel::{Digest, Timestamp};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Mutex,
};

/// Why an id was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// It was there before.
    #[error("used before")]
    Seen,
    /// It can't be remembered, so it must not be accepted.
    #[error("the record of used ids is full or out of reach")]
    Unavailable,
}

/// Remembers what was used. A service of several instances needs one that they share.
pub trait ReplayCache: Send + Sync {
    /// Records an id, atomically: of two calls with the same id before `until`, one succeeds.
    ///
    /// # Errors
    /// [`ReplayError`]. What can't be remembered until `until` is refused.
    fn first_use(&self, id: Digest, until: Timestamp, now: Timestamp) -> Result<(), ReplayError>;
}

/// Remembers up to a fixed number of ids in memory. When it is full of ids that are still good, it
/// refuses new ones rather than forget. A restart forgets: run it with a leeway and lifetimes that
/// are short, or share a durable one.
#[derive(Debug)]
pub struct BoundedReplayCache {
    capacity: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    ids: HashSet<Digest>,
    /// The same ids by their end, so that the expired ones come first.
    ends: BTreeSet<(Timestamp, Digest)>,
}

impl BoundedReplayCache {
    /// A cache for so many ids. A call takes two: the token's and the proof's.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, used: Mutex::default() }
    }
}

impl ReplayCache for BoundedReplayCache {
    fn first_use(&self, id: Digest, until: Timestamp, now: Timestamp) -> Result<(), ReplayError> {
        // A poisoned lock means that a record may be missing: refuse.
        let mut used = self.used.lock().map_err(|_| ReplayError::Unavailable)?;
        while let Some(expired) = used.ends.first().copied().filter(|(end, _)| *end <= now) {
            used.ends.remove(&expired);
            used.ids.remove(&expired.1);
        }
        if used.ids.contains(&id) {
            return Err(ReplayError::Seen);
        }
        if used.ids.len() >= self.capacity {
            return Err(ReplayError::Unavailable);
        }
        used.ids.insert(id);
        used.ends.insert((until, id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn an_id_is_good_once_until_its_end() {
        let cache = BoundedReplayCache::new(10);
        let id = Digest::of(b"a");
        assert_eq!(cache.first_use(id, at(100), at(0)), Ok(()));
        assert_eq!(cache.first_use(id, at(100), at(99)), Err(ReplayError::Seen));
        assert_eq!(cache.first_use(id, at(200), at(100)), Ok(()));
    }

    #[test]
    fn a_full_cache_refuses_and_recovers() {
        let cache = BoundedReplayCache::new(2);
        for name in [&b"a"[..], b"b"] {
            assert_eq!(cache.first_use(Digest::of(name), at(100), at(0)), Ok(()));
        }
        assert_eq!(cache.first_use(Digest::of(b"c"), at(100), at(0)), Err(ReplayError::Unavailable));
        assert_eq!(cache.first_use(Digest::of(b"a"), at(100), at(0)), Err(ReplayError::Seen));
        assert_eq!(cache.first_use(Digest::of(b"c"), at(200), at(100)), Ok(()));
    }

    #[test]
    fn of_many_at_once_one_wins() {
        let cache = BoundedReplayCache::new(100);
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| cache.first_use(Digest::of(b"x"), at(9), at(0)).is_ok())).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    }
}
