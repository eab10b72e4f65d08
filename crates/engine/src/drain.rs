//! Leaving in order: no new runs, what is on the wire comes to its end, everything else is left to others.

use crate::Engine;
use mandate_kernel::Duration;
use std::sync::{Arc, PoisonError};
use std::time::Duration as StdDuration;
use tokio::time::Instant;

/// Between two looks at what is still driven.
const LOOK: StdDuration = StdDuration::from_millis(20);

/// How a drain ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Runs whose effects were still on the wire when the time was over. They are left as a crash leaves them.
    pub cut_off: usize,
}

impl Engine {
    /// Whether this node begins nothing new.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Begins nothing new from now on: no runs, no claims, and no further step of what is driven here. Callers
    /// who are to ask another node can be told from now on, before [`Engine::drain`] ends what is under way.
    pub fn refuse_new(&self) {
        self.draining.send_replace(true);
    }

    /// Leaves in order: effects that are under way get `patience` to end and are recorded; then nothing is driven
    /// here any more, and other nodes may claim every run at once. Alone on its database, the runs go on at the
    /// next start.
    pub async fn drain(self: &Arc<Self>, patience: Duration) -> Drained {
        self.refuse_new();
        let deadline = Instant::now() + StdDuration::from(patience);
        loop {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
            if self.driven().is_empty() || Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let cut_off = self.driven();
        for run in &cut_off {
            tracing::warn!(%run, "an effect took longer than the node had to leave; the run is left as it is");
            self.abort(run);
            self.until_idle(run).await;
        }
        self.release_all().await;
        Drained { cut_off: cut_off.len() }
    }
}
