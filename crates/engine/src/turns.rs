//! Turns: who may work now. A driver works in a turn, between two waits: it judges, records and commits. While an
//! effect is on the wire it has none.
//!
//! Whoever wants a turn stands in line. Tenants take turns one by one, and so do the Workers of a tenant, so that
//! a line of thousands delays nobody in another line. A tenant alone may use all turns; as soon as another one
//! wants some, each has its share and no more ([`Shares`]).

use crate::Engine;
use crate::driver::Driver;
use mandate_kernel::{ResourceName, Tenant};
use metrics::{counter, gauge};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a tenant counts as present after it last wanted a turn.
const PRESENCE: Duration = Duration::from_secs(2);

/// Turns that a driver has one after the other before it gives way to another run of the same Worker.
const ROW: u32 = 32;

/// How work is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Turns at one time.
    pub turns: usize,
    /// Turns at one time that tenants divide among each other while there are several: fewer, so that each turn
    /// is short.
    pub shared: usize,
    /// Runs of one tenant that this node drives at one time. What is beyond is not started.
    pub runs_per_tenant: usize,
    /// Runs of one Worker of a tenant that this node drives at one time.
    pub runs_per_worker: usize,
}

impl Default for Shares {
    fn default() -> Self {
        Self { turns: 64, shared: 8, runs_per_tenant: 5_000, runs_per_worker: 4_000 }
    }
}

/// Too many runs already: nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {running} runs at this moment, as many as this server drives for it; start it again in {} s", retry_after.as_secs())]
pub struct Busy {
    /// Who is busy: `this tenant has` or `this Worker has`.
    pub what: &'static str,
    /// How many runs are being driven.
    pub running: usize,
    /// When to try again.
    pub retry_after: Duration,
}

/// A line within a tenant: a Worker's, or that of runs which are taken up and not known yet.
type Line = Option<ResourceName>;

#[derive(Default)]
struct Of {
    taken: usize,
    lines: BTreeMap<Line, VecDeque<oneshot::Sender<Turn>>>,
    /// Lines that are not empty, in the order of their turns.
    order: VecDeque<Line>,
    wanted_at: Option<Instant>,
    running: usize,
    running_of: BTreeMap<ResourceName, usize>,
}

impl Of {
    fn is_present(&self, now: Instant) -> bool {
        self.taken > 0 || !self.order.is_empty() || self.wanted_at.is_some_and(|at| now - at < PRESENCE)
    }

    /// Whoever stands first in the line whose turn it is.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let line = self.order.pop_front()?;
        let waiting = self.lines.get_mut(&line)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.lines.remove(&line);
        } else {
            self.order.push_back(line);
        }
        first
    }

    fn waiting(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }
}

struct State {
    shares: Shares,
    taken: usize,
    tenants: BTreeMap<Tenant, Of>,
    /// Tenants of whom somebody waits, in the order of their turns.
    round: VecDeque<Tenant>,
}

impl State {
    /// Turns that one tenant may have at one time.
    fn cap(&self, now: Instant) -> usize {
        let present = self.tenants.values().filter(|of| of.is_present(now)).count();
        if present > 1 { (self.shares.shared / present).max(1) } else { self.shares.turns }
    }

    /// Everybody whose turn it is.
    fn serve(&mut self, now: Instant) -> Vec<(Tenant, oneshot::Sender<Turn>)> {
        let cap = self.cap(now);
        let (mut served, mut passed) = (Vec::new(), 0);
        while passed < self.round.len() && self.taken < self.shares.turns {
            let Some(tenant) = self.round.pop_front() else { break };
            let Some(of) = self.tenants.get_mut(&tenant) else { continue };
            if of.taken >= cap {
                self.round.push_back(tenant);
                passed += 1;
                continue;
            }
            let Some(next) = of.next() else { continue };
            if !of.order.is_empty() {
                self.round.push_back(tenant.clone());
            }
            // Whoever has gone meanwhile takes nobody's turn.
            if !next.is_closed() {
                of.taken += 1;
                self.taken += 1;
                served.push((tenant, next));
            }
            passed = 0;
        }
        served
    }
}

/// Shares out turns. One for each engine.
pub struct Turns {
    state: Mutex<State>,
}

impl Default for Turns {
    fn default() -> Self {
        let state = State { shares: Shares::default(), taken: 0, tenants: BTreeMap::new(), round: VecDeque::new() };
        Self { state: Mutex::new(state) }
    }
}

impl Turns {
    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shares out like this from now on.
    pub(crate) fn set(self: &Arc<Self>, shares: Shares) {
        self.with(|state| state.shares = shares);
        self.serve();
    }

    /// Waits for a turn.
    pub(crate) async fn turn(self: &Arc<Self>, tenant: &Tenant, line: Line) -> Turn {
        let (sender, receiver) = oneshot::channel();
        self.with(|state| {
            let of = state.tenants.entry(tenant.clone()).or_default();
            of.wanted_at = Some(Instant::now());
            if of.order.is_empty() {
                state.round.push_back(tenant.clone());
            }
            if !of.lines.contains_key(&line) {
                of.order.push_back(line.clone());
            }
            of.lines.entry(line).or_default().push_back(sender);
        });
        self.serve();
        match receiver.await {
            Ok(turn) => turn,
            // Nobody who stands in line is sent away; without a place one could never go on.
            Err(_) => Turn { turns: Arc::clone(self), tenant: tenant.clone(), counted: false },
        }
    }

    fn serve(self: &Arc<Self>) {
        let served = self.with(|state| state.serve(Instant::now()));
        for (tenant, next) in served {
            // One that can't be handed over comes back when it is dropped.
            drop(next.send(Turn { turns: Arc::clone(self), tenant, counted: true }));
        }
    }

    /// Whether somebody has a better right to this turn now than a run of this Worker that has had `row` in a row.
    pub(crate) fn is_wanted(&self, tenant: &Tenant, worker: &ResourceName, row: u32) -> bool {
        self.with(|state| {
            if state.round.is_empty() {
                return false;
            }
            let cap = state.cap(Instant::now());
            let of = state.tenants.get(tenant);
            let over = of.is_some_and(|of| of.taken > cap);
            let others = state.round.iter().any(|other| {
                other != tenant && state.tenants.get(other).is_some_and(|of| !of.order.is_empty() && of.taken < cap)
            });
            let own = of.is_some_and(|of| of.order.iter().any(|line| row >= ROW || line.as_ref() != Some(worker)));
            over || others || own
        })
    }

    /// Counts a run in that is being driven.
    pub(crate) fn enter(self: &Arc<Self>, tenant: &Tenant, worker: Option<&ResourceName>) -> Running {
        self.with(|state| {
            let of = state.tenants.entry(tenant.clone()).or_default();
            of.running += 1;
            if let Some(worker) = worker {
                *of.running_of.entry(worker.clone()).or_default() += 1;
            }
        });
        Running { turns: Arc::clone(self), tenant: tenant.clone(), worker: worker.cloned() }
    }

    /// Counts a run in that is to be started.
    ///
    /// # Errors
    /// [`Busy`] when the tenant or the Worker has as many as it may.
    pub(crate) fn start(self: &Arc<Self>, tenant: &Tenant, worker: &ResourceName) -> Result<Running, Busy> {
        let busy = self.with(|state| {
            let of = state.tenants.get(tenant)?;
            let of_worker = of.running_of.get(worker).copied().unwrap_or_default();
            let what = if of.running >= state.shares.runs_per_tenant {
                ("this tenant has", of.running)
            } else if of_worker >= state.shares.runs_per_worker {
                ("this Worker has", of_worker)
            } else {
                return None;
            };
            Some((what, of.waiting()))
        });
        match busy {
            None => Ok(self.enter(tenant, Some(worker))),
            Some(((what, running), waiting)) => {
                counter!("mandate_starts_refused_total", "tenant" => tenant.to_string()).increment(1);
                let retry_after = Duration::from_secs((waiting as u64 / 500).clamp(1, 30));
                Err(Busy { what, running, retry_after })
            }
        }
    }

    /// Tells the gauges how long the lines are.
    pub(crate) fn measure(&self) {
        let all: Vec<_> = self.with(|state| {
            let of = |(tenant, of): (&Tenant, &Of)| (tenant.to_string(), of.waiting(), of.taken, of.running);
            state.tenants.iter().map(of).collect()
        });
        for (tenant, waiting, taken, running) in all {
            let number = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            gauge!("mandate_turns_waiting", "tenant" => tenant.clone()).set(number(waiting));
            gauge!("mandate_turns_taken", "tenant" => tenant.clone()).set(number(taken));
            gauge!("mandate_runs_driven", "tenant" => tenant).set(number(running));
        }
    }
}

/// A turn. It ends when it is dropped.
pub(crate) struct Turn {
    turns: Arc<Turns>,
    tenant: Tenant,
    counted: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.counted {
            self.turns.with(|state| {
                state.taken = state.taken.saturating_sub(1);
                if let Some(of) = state.tenants.get_mut(&self.tenant) {
                    of.taken = of.taken.saturating_sub(1);
                    of.wanted_at = Some(Instant::now());
                }
            });
            self.turns.serve();
        }
    }
}

/// A run that is being driven. It is counted out when this is dropped.
pub(crate) struct Running {
    turns: Arc<Turns>,
    tenant: Tenant,
    worker: Option<ResourceName>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.turns.with(|state| {
            let Some(of) = state.tenants.get_mut(&self.tenant) else { return };
            of.running = of.running.saturating_sub(1);
            if let Some(worker) = &self.worker
                && let Some(count) = of.running_of.get_mut(worker)
            {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    of.running_of.remove(worker);
                }
            }
        });
    }
}

/// Where a driver stands: the turn it works in, and its place among those that are counted.
#[derive(Default)]
pub(crate) struct Place {
    turn: Option<Turn>,
    /// Steps taken in it.
    row: u32,
    _running: Option<Running>,
}

impl Place {
    /// A wait begins: somebody else may work.
    pub(crate) fn leave(&mut self) {
        self.turn = None;
    }
}

impl Turns {
    /// A place and a turn for a run that is to be started.
    ///
    /// # Errors
    /// [`Busy`] when the tenant or the Worker has as many as it may.
    pub(crate) async fn begin(self: &Arc<Self>, tenant: &Tenant, worker: &ResourceName) -> Result<Place, Busy> {
        let running = self.start(tenant, worker)?;
        let turn = self.turn(tenant, Some(worker.clone())).await;
        Ok(Place { turn: Some(turn), row: 0, _running: Some(running) })
    }

    /// A place and a turn for a run that is taken up. It is never refused.
    pub(crate) async fn take_up(self: &Arc<Self>, tenant: &Tenant) -> Place {
        let running = self.enter(tenant, None);
        let turn = self.turn(tenant, None).await;
        Place { turn: Some(turn), row: 0, _running: Some(running) }
    }
}

impl Driver {
    /// Between two steps: whoever has a better right to the turn gets it.
    pub(crate) async fn give_way(&mut self, engine: &Engine) {
        self.place.row += 1;
        if engine.turns.is_wanted(&self.context.tenant, &self.new.worker, self.place.row) {
            self.place.leave();
            self.take_turn(engine).await;
        }
    }

    /// Works on in a turn, after a wait without one.
    pub(crate) async fn take_turn(&mut self, engine: &Engine) {
        if self.place.turn.is_none() {
            let line = Some(self.new.worker.clone());
            self.place.turn = Some(engine.turns.turn(&self.context.tenant, line).await);
            self.place.row = 0;
        }
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
