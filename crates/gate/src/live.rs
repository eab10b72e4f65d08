//! Permits that are alive right now, so that an acknowledged stop can wait for them (I9).

use mandate_kernel::{DecisionId, FunctionName, RunId, StepKey, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// One permit that was alive when a stop came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InFlight {
    /// Which attempt.
    pub step: StepKey,
    /// The function called.
    pub function: FunctionName,
    /// Where to.
    pub destination: String,
    /// The decision that admitted it.
    pub decision: DecisionId,
    /// Whether the request was on the wire: if so its effect is in doubt.
    pub on_wire: bool,
    /// Until when an outside verifier may still accept the token minted for it.
    pub token_valid_until: Timestamp,
}

/// What a stop found and waited for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stopped {
    /// The permits that were alive.
    pub in_flight: Vec<InFlight>,
}

struct Entry {
    info: InFlight,
    stop: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    next: u64,
    alive: BTreeMap<u64, Entry>,
}

/// The live permits of this process.
#[derive(Clone)]
pub struct Live {
    table: Arc<Mutex<Table>>,
    /// Rises whenever a permit ends.
    ended: watch::Sender<u64>,
}

impl Default for Live {
    fn default() -> Self {
        Self { table: Arc::default(), ended: watch::Sender::new(0) }
    }
}

impl Live {
    fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        // A panic while holding the lock leaves the table consistent: each change is one insert or remove.
        f(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Registers a permit that is about to be admitted. It comes before the commit on purpose: a stop
    /// that commits later sees it, one that committed earlier makes the commit fail.
    pub(crate) fn register(&self, info: InFlight) -> Guard {
        let (stop, stopped) = watch::channel(false);
        let id = self.with(|table| {
            table.next += 1;
            table.alive.insert(table.next, Entry { info, stop });
            table.next
        });
        Guard { id, live: self.clone(), stopped }
    }

    /// How many permits are alive.
    #[must_use]
    pub fn count(&self) -> usize {
        self.with(|table| table.alive.len())
    }

    /// Whether a permit of `run` is alive.
    #[must_use]
    pub fn has(&self, run: &RunId) -> bool {
        self.with(|table| table.alive.values().any(|entry| entry.info.step.run == *run))
    }

    /// Cancels every live permit of `run` and returns when none is left. Call it after the revocation
    /// is durable. What is reported as `on_wire` is in doubt.
    pub async fn stop(&self, run: &RunId) -> Stopped {
        let mut ended = self.ended.subscribe();
        let in_flight = self.with(|table| {
            let of_run = table.alive.values().filter(|entry| entry.info.step.run == *run);
            of_run
                .map(|entry| {
                    entry.stop.send_replace(true);
                    entry.info.clone()
                })
                .collect()
        });
        while self.with(|table| table.alive.values().any(|entry| entry.info.step.run == *run)) {
            if ended.changed().await.is_err() {
                break;
            }
        }
        Stopped { in_flight }
    }
}

/// Keeps a permit in the table of the living; dropping it is its end.
pub(crate) struct Guard {
    id: u64,
    live: Live,
    stopped: watch::Receiver<bool>,
}

impl Guard {
    /// Marks the permit as on the wire; `false` once a stop has come. Both happen under the table's
    /// lock, so that what a stop reported as not sent is never sent afterwards.
    pub(crate) fn on_wire(&self) -> bool {
        self.live.with(|table| {
            let entry = table.alive.get_mut(&self.id).filter(|entry| !*entry.stop.borrow());
            entry.map(|entry| entry.info.on_wire = true).is_some()
        })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    pub(crate) async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        // An error means the table is gone, and with it anybody who could stop: wait for ever.
        if stopped.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.live.with(|table| table.alive.remove(&self.id));
        self.live.ended.send_modify(|n| *n = n.wrapping_add(1));
    }
}
