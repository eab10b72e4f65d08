//! Which runs this process drives, where several nodes share a database.
//!
//! A node drives only what it has claimed. A claim has a lease by the database's clock; here it counts from before
//! it was asked for, so that a node knows earlier than the database that its time is over, and stops driving by
//! then. Alone on its database (SQLite), a process claims nothing and everything is its own.

use crate::driver::Driver;
use crate::{Engine, EngineError, TenantContext};
use mandate_journal::{Claim, NewClaim, System};
use mandate_kernel::{Duration, RunId, Tenant, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How a node shares runs with others on the same database.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its name: nobody else's, at no time.
    pub name: String,
    /// How long a claim lasts without being renewed: so long others wait for a node that is gone.
    pub lease: Duration,
}

impl NodeConfig {
    fn lease(&self) -> std::time::Duration {
        self.lease.into()
    }

    /// How often leases are renewed.
    pub(crate) fn renew_every(&self) -> std::time::Duration {
        self.lease() / 4
    }

    /// So long before the end of its lease a run is not driven any more: time to stop, and for clocks that go
    /// at different speeds.
    fn margin(&self) -> std::time::Duration {
        self.lease() / 5
    }
}

/// A run this process drives, or holds still.
struct Held {
    claim: Claim,
    /// Until when, by this machine's clock.
    until: Instant,
    /// Guards that are alive.
    users: usize,
    /// Guards of an earlier claim of the same run count for nothing.
    number: u64,
}

#[derive(Default)]
struct Table {
    next: u64,
    held: BTreeMap<RunId, Held>,
    freed: Vec<Claim>,
    /// When a run that waits is due, as far as this process has set it.
    soonest: Option<Timestamp>,
}

/// The claims of this process.
pub(crate) struct Claims {
    node: Option<NodeConfig>,
    table: Mutex<Table>,
    /// There is something to let go of.
    pub(crate) freed: Notify,
}

/// While it lives, the run is this process's own, as far as its lease is renewed.
pub(crate) struct Claimed {
    claims: Arc<Claims>,
    run: RunId,
    number: u64,
}

/// What a driver has of its run.
pub(crate) struct Own {
    /// `None` where this process is alone, and before the run's beginning is durable.
    pub claimed: Option<Claimed>,
    /// When it began to drive.
    since: Instant,
}

impl Own {
    pub(crate) fn of(claimed: Option<Claimed>) -> Self {
        Self { claimed, since: Instant::now() }
    }
}

impl Claims {
    pub(crate) fn new(node: Option<NodeConfig>) -> Arc<Self> {
        Arc::new(Self { node, table: Mutex::default(), freed: Notify::new() })
    }

    /// How this node shares runs; `None` when it is alone.
    pub(crate) const fn node(&self) -> Option<&NodeConfig> {
        self.node.as_ref()
    }

    fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        f(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The claim that goes with the beginning of a run.
    pub(crate) fn for_new_run(&self) -> Option<NewClaim> {
        self.node.as_ref().map(|node| NewClaim { node: node.name.clone(), lease: node.lease })
    }

    /// Takes a claim in that was asked for at `asked`. `None` when this process is alone.
    pub(crate) fn took(self: &Arc<Self>, claim: Claim, asked: Instant) -> Option<Claimed> {
        let node = self.node.as_ref()?;
        let (run, until) = (claim.run.clone(), asked + node.lease());
        let number = self.with(|table| {
            table.next += 1;
            let number = table.next;
            let held = table.held.entry(run.clone()).or_insert(Held { claim: claim.clone(), until, users: 0, number });
            held.users += 1;
            (held.claim, held.until) = (claim, until);
            held.number
        });
        Some(Claimed { claims: Arc::clone(self), run, number })
    }

    /// Has the run for this process: its epoch, raised, and the claim to keep while something is done with it.
    ///
    /// # Errors
    /// [`EngineError::HeldElsewhere`] when another node has it.
    pub(crate) async fn take(
        self: &Arc<Self>,
        system: &dyn System,
        context: &TenantContext,
        run: &RunId,
    ) -> Result<(u64, Option<Claimed>), EngineError> {
        let Some(node) = &self.node else { return Ok((context.store.take_over(run).await?, None)) };
        let asked = Instant::now();
        let acquired = system.acquire(&node.name, node.lease, &context.tenant, run).await?;
        let epoch = acquired.ok_or_else(|| EngineError::HeldElsewhere(run.clone()))?;
        Ok((epoch, self.took(Claim { tenant: context.tenant.clone(), run: run.clone(), epoch }, asked)))
    }

    /// Whether the run may be acted for now: the lease has not run out, or this process is alone.
    pub(crate) fn may_act(&self, run: &RunId) -> bool {
        let Some(node) = &self.node else { return true };
        let by = Instant::now() + node.margin();
        self.with(|table| table.held.get(run).is_some_and(|held| by < held.until))
    }

    /// Whether some part of this process has the run.
    pub(crate) fn has(&self, run: &RunId) -> bool {
        self.with(|table| table.held.contains_key(run))
    }

    /// Everything held.
    pub(crate) fn all(&self) -> Vec<Claim> {
        self.with(|table| table.held.values().map(|held| held.claim.clone()).collect())
    }

    /// What came of renewing `asked` at `since`. Gives the runs that are lost.
    pub(crate) fn renewed(&self, asked: &[Claim], since: Instant, kept: &[(Tenant, RunId)]) -> Vec<RunId> {
        let Some(node) = &self.node else { return Vec::new() };
        let kept: std::collections::BTreeSet<&RunId> = kept.iter().map(|(_, run)| run).collect();
        let mut lost = Vec::new();
        self.with(|table| {
            for claim in asked {
                // Taken anew meanwhile, it has a longer lease at another epoch.
                let Some(held) = table.held.get_mut(&claim.run).filter(|held| held.claim.epoch == claim.epoch) else {
                    continue;
                };
                if kept.contains(&claim.run) {
                    held.until = held.until.max(since + node.lease());
                } else {
                    table.held.remove(&claim.run);
                    lost.push(claim.run.clone());
                }
            }
        });
        lost
    }

    /// Forgets the runs whose lease runs out, and gives them: nothing of them may go on here.
    pub(crate) fn lapsed(&self) -> Vec<RunId> {
        let Some(node) = &self.node else { return Vec::new() };
        let by = Instant::now() + node.margin();
        self.with(|table| {
            let lapsed: Vec<RunId> =
                table.held.iter().filter(|(_, held)| held.until <= by).map(|(run, _)| run.clone()).collect();
            for run in &lapsed {
                table.held.remove(run);
            }
            lapsed
        })
    }

    /// What can be let go of: runs nobody here needs any more, of which no permit is alive.
    pub(crate) fn to_release(&self, alive: impl Fn(&RunId) -> bool) -> Vec<Claim> {
        self.with(|table| {
            let (later, now) = std::mem::take(&mut table.freed).into_iter().partition(|claim| alive(&claim.run));
            table.freed = later;
            now
        })
    }

    /// A run waits until then.
    pub(crate) fn due_at(&self, due: Option<Timestamp>) {
        if let (Some(due), Some(_)) = (due, &self.node) {
            self.with(|table| table.soonest = Some(table.soonest.map_or(due, |soonest| soonest.min(due))));
        }
    }

    /// When the next of the runs that wait is due, of those that this process has set.
    pub(crate) fn soonest(&self) -> Option<Timestamp> {
        self.with(|table| table.soonest)
    }

    /// Those due by then are looked at now.
    pub(crate) fn looked_at(&self, by: Timestamp) {
        self.with(|table| table.soonest = table.soonest.filter(|soonest| *soonest > by));
    }

    /// Whether anything is held, or is still to be let go of.
    pub(crate) fn has_any(&self) -> bool {
        self.with(|table| !table.held.is_empty() || !table.freed.is_empty())
    }

    /// These could not be let go of now.
    pub(crate) fn release_later(&self, claims: Vec<Claim>) {
        self.with(|table| table.freed.extend(claims));
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let freed = self.claims.with(|table| {
            let held = table.held.get_mut(&self.run).filter(|held| held.number == self.number)?;
            held.users -= 1;
            if held.users > 0 {
                return None;
            }
            let held = table.held.remove(&self.run)?;
            table.freed.push(held.claim);
            Some(())
        });
        if freed.is_some() {
            self.claims.freed.notify_one();
        }
    }
}

impl Driver {
    /// The run's beginning is durable, and with it this node's claim; what is driven on was claimed before.
    pub(crate) fn keep_claim(&mut self, engine: &Engine) {
        if self.own.claimed.is_none() && engine.claims.node().is_some() {
            let (tenant, run) = (self.context.tenant.clone(), self.run.clone());
            let claim = Claim { tenant, run, epoch: self.draft.epoch() };
            self.own.claimed = engine.claims.took(claim, self.own.since);
        }
    }
}
