//! Timers: rows that are due become drivers.

use crate::Engine;
use crate::driver::Wake;
use std::sync::Arc;
use std::time::Duration;

/// The longest the scheduler sleeps without looking: a timer set by another process is found by then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs woken in one round.
const BATCH: usize = 256;

impl Engine {
    /// Wakes runs whose timers are due, until the engine closes.
    pub(crate) async fn schedule(self: Arc<Self>) {
        let mut closing = self.closing.subscribe();
        loop {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = self.next_look() => {}
            }
            if self.is_draining() {
                return;
            }
            let now = self.ports.clock.now();
            match self.ports.tenants.system().due(now, BATCH).await {
                Err(error) => tracing::error!(%error, "timers can't be read"),
                Ok(due) => {
                    for (tenant, run) in due {
                        if let Some(context) = self.tenant(&tenant)
                            && !self.rests(&run)
                        {
                            self.resume(&context, &run, Wake::Timer);
                        }
                    }
                }
            }
        }
    }

    async fn next_look(&self) {
        let next = self.ports.tenants.system().next_due().await.ok().flatten();
        let now = self.ports.clock.now();
        // A due run whose driver is just ending is still listed: never spin on it.
        let wait =
            next.map_or(LOOK_EVERY, |due| Duration::from(due.since(now)).clamp(Duration::from_millis(10), LOOK_EVERY));
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => {}
            () = self.timers_changed.notified() => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}
