//! A clock that follows the paused time of the process it is attached to.

use mandate_kernel::{Clock, Duration, Timestamp};
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// When simulated time begins.
const BEGINNING: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// Time that moves only as the simulation moves it.
pub struct SimClock {
    hands: Mutex<Hands>,
}

struct Hands {
    base: Timestamp,
    since: Option<Instant>,
}

impl Hands {
    fn now(&self) -> Timestamp {
        let passed = self.since.map_or(0, |since| u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.base.plus(Duration::from_millis(passed))
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self { hands: Mutex::new(Hands { base: BEGINNING, since: None }) }
    }
}

impl SimClock {
    fn with<T>(&self, f: impl FnOnce(&mut Hands) -> T) -> T {
        f(&mut self.hands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the time of the runtime this is called in, from where the clock stands.
    pub(crate) fn attach(&self) {
        self.with(|hands| hands.since = Some(Instant::now()));
    }

    /// Stands still at the time reached. To be called in the runtime it was attached to.
    pub(crate) fn freeze(&self) {
        self.with(|hands| *hands = Hands { base: hands.now(), since: None });
    }

    /// Moves on, without waking anybody: as if the machine had slept.
    pub fn advance(&self, span: Duration) {
        self.with(|hands| hands.base = hands.base.plus(span));
    }

    /// Says another time, forwards or back: as if somebody had set the machine's clock.
    pub fn set(&self, to: Timestamp) {
        self.with(|hands| {
            let since = hands.since.map(|_| Instant::now());
            *hands = Hands { base: to, since };
        });
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.with(|hands| hands.now())
    }
}
