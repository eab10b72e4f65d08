//! The drivers of this process: which runs have one, until when, and how one is ended where it stands.

use crate::Engine;
use mandate_kernel::RunId;
use std::sync::{Arc, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A driver of this process.
pub(crate) struct Active {
    /// Told when it is gone.
    pub done: watch::Sender<bool>,
    /// Ends it where it stands. `None` until its task is there.
    pub abort: Option<AbortHandle>,
}

/// Stands for a driver while it lives, however it ends.
pub(crate) struct Driving {
    pub engine: Arc<Engine>,
    pub run: RunId,
}

impl Drop for Driving {
    fn drop(&mut self) {
        let active = self.engine.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
        if let Some(active) = active {
            active.done.send_replace(true);
        }
    }
}

impl Engine {
    /// Ends the driver of a run where it stands, as the end of the process would.
    pub(crate) fn abort(&self, run: &RunId) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(abort) = active.get(run).and_then(|active| active.abort.as_ref()) {
            abort.abort();
        }
    }

    /// Runs that are driven here now.
    pub(crate) fn driven(&self) -> Vec<RunId> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Resolves when no driver of this process has the run; says whether one had.
    pub(crate) async fn until_idle(&self, run: &RunId) -> bool {
        let receiver = {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            active.get(run).map(|active| active.done.subscribe())
        };
        let Some(mut receiver) = receiver else { return false };
        // An error means the driver is gone as well.
        let _ = receiver.wait_for(|done| *done).await;
        true
    }
}
