//! Holding a run still: whoever writes to a run that is not its driver asks the driver to stop first.
//!
//! A run may wait for a person in one branch while another goes on. The driver then finishes what is on the
//! wire, makes it durable and leaves; no other takes the run up until the hold ends.

use crate::claims::Claimed;
use crate::driver::Wake;
use crate::{Engine, EngineError, TenantContext};
use mandate_kernel::RunId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

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

/// While it lives, no driver has the run, of this process or of another node.
pub(crate) struct Hold {
    engine: Arc<Engine>,
    context: Arc<TenantContext>,
    run: RunId,
    interrupted: bool,
    /// What is written while it lives is written at this epoch.
    pub(crate) epoch: u64,
    claim: Option<Claimed>,
}

/// Between two looks whether another node has let go of a run.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(40);

impl Engine {
    /// Has the run's driver leave, wherever it is, and keeps others away. Nobody else writes to the run while
    /// the hold lives: what is read then stays so.
    ///
    /// # Errors
    /// [`EngineError::Timeout`] when another node does not let go of it; others when the store can't be asked.
    pub(crate) async fn hold(self: &Arc<Self>, context: &Arc<TenantContext>, run: &RunId) -> Result<Hold, EngineError> {
        self.holds.with(|all| all.entry(run.clone()).or_default().by += 1);
        let mut hold = Hold {
            engine: Arc::clone(self),
            context: Arc::clone(context),
            run: run.clone(),
            interrupted: false,
            epoch: 0,
            claim: None,
        };
        hold.interrupted = self.until_idle(run).await;
        let since = Instant::now();
        loop {
            match self.acquire(context, run).await {
                Ok((epoch, claim)) => {
                    (hold.epoch, hold.claim) = (epoch, claim);
                    return Ok(hold);
                }
                Err(EngineError::HeldElsewhere(_)) if since.elapsed() < self.patience_with_nodes() => {
                    // Its driver there leaves for us; somebody has to drive it on.
                    hold.interrupted |= self.ask_for(context, run).await?;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(EngineError::HeldElsewhere(_)) => {
                    return Err(EngineError::Timeout(format!("that another node lets go of {run}")));
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Another node asks for a run: its driver leaves, and does not come back by itself.
    pub(crate) async fn leave_to_others(self: &Arc<Self>, run: &RunId) {
        self.holds.with(|all| all.entry(run.clone()).or_default().by += 1);
        self.until_idle(run).await;
        self.holds.with(|all| {
            if let Some(held) = all.get_mut(run) {
                held.by -= 1;
                if held.by == 0 {
                    all.remove(run);
                }
            }
        });
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
        self.claim = None;
        // Whatever could go on goes on.
        if self.interrupted || missed == Some(true) {
            self.engine.resume(&self.context, &self.run, Wake::Person);
        }
    }
}
