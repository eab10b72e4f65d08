//! How many events a source may send.

use super::MOST_EVENTS;
use mandate_kernel::{Duration, ResourceName, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The part of a minute's events that may come at once.
const BURST: i64 = 6;

/// For each source, when its bucket is full again, in microseconds (GCRA). Sources are registered, so that
/// the table is as small as the configuration.
#[derive(Default)]
pub(super) struct Rates(Mutex<BTreeMap<ResourceName, i64>>);

impl Rates {
    /// Takes `count` events at `per_minute`; or says how long until they may come.
    pub(super) fn take(
        &self,
        source: &ResourceName,
        per_minute: u32,
        count: usize,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let per_minute = i64::from(per_minute.max(1));
        let cost = 60_000_000 / per_minute;
        let depth = cost.saturating_mul((per_minute / BURST).max(1));
        let now = now.as_millis().saturating_mul(1_000);
        let asked = cost.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX));
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // No bucket is emptier than after a whole batch: else the clock was set back, and would keep the source
        // out for as long.
        let emptiest = depth.saturating_add(cost.saturating_mul(MOST_EVENTS as i64));
        let held = table.get(source).copied().filter(|full| full.saturating_sub(now) <= emptiest);
        let held = held.unwrap_or(now).max(now);
        let then = held.saturating_add(asked);
        // A batch larger than the bucket passes when the bucket is full.
        let over = then.saturating_sub(now).saturating_sub(depth.max(asked));
        if over > 0 {
            return Err(Duration::from_millis(u64::try_from(over / 1_000).unwrap_or_default() + 1));
        }
        table.insert(source.clone(), then);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_burst_then_its_rate() {
        let (rates, name) = (Rates::default(), ResourceName::new("finance/erp").unwrap());
        let at = |ms: i64| Timestamp::from_millis(1_800_000_000_000 + ms);
        for _ in 0..10 {
            assert_eq!(rates.take(&name, 60, 1, at(0)), Ok(()));
        }
        let wait = rates.take(&name, 60, 1, at(0)).unwrap_err();
        assert!((900..=1_001).contains(&wait.as_millis()), "{wait:?}");
        assert_eq!(rates.take(&ResourceName::new("finance/other").unwrap(), 60, 1, at(0)), Ok(()));
        assert_eq!(rates.take(&name, 60, 1, at(1_000)), Ok(()));
        assert!(rates.take(&name, 60, 1, at(1_000)).is_err());
        // A batch as large as all of it waits for all of it; nothing is refused for ever.
        assert!(rates.take(&name, 60, 50, at(5_000)).is_err());
        assert_eq!(rates.take(&name, 60, 50, at(60_000)), Ok(()));
        assert!(rates.take(&name, 60, 1, at(61_000)).is_err());
    }
}
