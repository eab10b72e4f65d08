//! Holding a run still: whoever writes to a run that is not its driver asks the driver to stop first.
//!
//! A run may wait for a person in one branch while another goes on. The driver then finishes what is on the
//! wire, makes it durable and leaves; no other takes the run up until the hold ends.

use crate::driver::Wake;
use crate::{Engine, TenantContext};
use mandate_kernel::RunId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The runs that are held.
#[derive(Default)]
pub(crate) struct Holds(Mutex<BTreeMap<RunId, Held>>);

#[derive(Default)]
struct Held {
    by: usize,
    /// Somebody would have driven it meanwhile.
    missed: bool,
}

impl Holds {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<RunId, Held>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn holds(&self, run: &RunId) -> bool {
        self.with(|all| all.contains_key(run))
    }

    /// Whether a run may not be driven now. Then it is, as soon as the hold ends.
    pub(crate) fn refuses(&self, run: &RunId) -> bool {
        self.with(|all| all.get_mut(run).map(|held| held.missed = true).is_some())
    }
}

/// While it lives, no driver of this process has the run.
pub(crate) struct Hold {
    engine: Arc<Engine>,
    context: Arc<TenantContext>,
    run: RunId,
    interrupted: bool,
}

impl Engine {
    /// Has the run's driver leave, and keeps others away.
    pub(crate) async fn hold(self: &Arc<Self>, context: &Arc<TenantContext>, run: &RunId) -> Hold {
        self.holds.with(|all| all.entry(run.clone()).or_default().by += 1);
        let mut hold =
            Hold { engine: Arc::clone(self), context: Arc::clone(context), run: run.clone(), interrupted: false };
        hold.interrupted = self.until_idle(run).await;
        hold
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let missed = self.engine.holds.with(|all| {
            let held = all.get_mut(&self.run)?;
            held.by -= 1;
            let (last, missed) = (held.by == 0, held.missed);
            if last {
                all.remove(&self.run);
            }
            Some(last && missed)
        });
        // Whatever could go on goes on.
        if self.interrupted || missed == Some(true) {
            self.engine.resume(&self.context, &self.run, Wake::Person);
        }
    }
}
