//! Several nodes on one database: each claims what nobody drives, renews what it drives, lets go of what another
//! asks for, and stops in time when it can't renew.
//!
//! What other nodes say by notification is a hint; everything is found by looking, every second at the latest.

use crate::claims::{Claimed, NodeConfig};
use crate::driver::{Driver, Wake};
use crate::{Engine, EngineError, TenantContext};
use mandate_journal::{Claim, ClaimQuery, EpochKey, RunState, StoreError, System};
use mandate_kernel::{Duration, RunId, Tenant, Timestamp};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::Duration as StdDuration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// The longest a node goes without looking.
const LOOK_EVERY: StdDuration = StdDuration::from_secs(1);
/// The shortest between two looks for runs to claim.
const CLAIM_EVERY: StdDuration = StdDuration::from_millis(150);
/// Between two looks whether a lease runs out.
const WATCH_EVERY: StdDuration = StdDuration::from_millis(100);
/// Runs claimed at once.
const BATCH: usize = 64;
/// How long a lead in sequencing lasts without being renewed.
const LEAD: Duration = Duration::from_secs(3);
/// How often the end of a run that another node drives is looked for.
const LOOK_FOR_END: StdDuration = StdDuration::from_millis(100);
/// The same in a process that drives every run itself.
const LOOK_HERE: StdDuration = StdDuration::from_millis(20);

/// What the node's loop remembers.
struct Round {
    renewed: Instant,
    /// When runs were claimed last, and whether there may be more.
    claimed: Instant,
    full: bool,
    /// When it was looked last what others ask for.
    looked: Instant,
    generations: BTreeMap<Tenant, u64>,
}

impl Engine {
    /// Has a run for this process: its epoch, raised. See [`crate::claims::Claims::take`].
    pub(crate) async fn acquire(
        &self,
        context: &TenantContext,
        run: &RunId,
    ) -> Result<(u64, Option<Claimed>), EngineError> {
        self.claims.take(self.ports.tenants.system().as_ref(), context, run).await
    }

    /// Asks another node to let go of a run; `false` when none has it.
    pub(crate) async fn ask_for(&self, context: &TenantContext, run: &RunId) -> Result<bool, EngineError> {
        let Some(node) = self.claims.node() else { return Ok(false) };
        Ok(self.ports.tenants.system().ask(&node.name, &context.tenant, run).await?)
    }

    /// How long to wait for another node: it may have to finish an effect, or be gone.
    pub(crate) fn patience_with_nodes(&self) -> StdDuration {
        self.claims
            .node()
            .map_or(StdDuration::ZERO, |node| StdDuration::from(node.lease) * 2 + StdDuration::from_secs(20))
    }

    pub(crate) fn look_every(&self) -> StdDuration {
        if self.claims.node().is_some() { LOOK_FOR_END } else { LOOK_HERE }
    }

    /// Whether this process is the one that sequences the tenant's ledger now.
    pub(crate) async fn leads(&self, context: &TenantContext) -> Result<bool, StoreError> {
        let Some(node) = self.claims.node() else { return Ok(true) };
        self.ports.tenants.system().lead(&node.name, LEAD, &context.tenant).await
    }

    /// A run between two attempts stays this node's own, and is looked at when it is due.
    pub(crate) fn keep(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        run: &RunId,
        claim: Option<Claimed>,
        due: Option<Timestamp>,
    ) {
        let Some(claim) = claim else { return };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone(), claim);
        let wait = due.map_or(LOOK_EVERY, |due| due.since(self.ports.clock.now()).into());
        let (engine, context, run) = (Arc::clone(self), Arc::clone(context), run.clone());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let kept = engine.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
            if kept.is_some() {
                engine.resume(&context, &run, Wake::Timer);
                // The driver takes it anew; until then it is not to be had by others.
                engine.until_idle(&run).await;
            }
        });
    }

    /// Begins to share runs with other nodes. Gives how many were claimed at once.
    pub(crate) async fn share_runs(self: &Arc<Self>) -> Result<usize, EngineError> {
        let Some(node) = self.claims.node().cloned() else { return Ok(0) };
        let taken = self.claim_some(&node).await?;
        tokio::spawn(Arc::clone(self).watch_leases());
        tokio::spawn(Arc::clone(self).mind_runs(node));
        Ok(taken)
    }

    /// Stops what is driven here as soon as its lease is not renewed in time. It asks nobody.
    async fn watch_leases(self: Arc<Self>) {
        let mut closing = self.closing.subscribe();
        loop {
            for run in self.claims.lapsed() {
                tracing::error!(%run, "the claim could not be renewed in time; another node may take the run");
                self.abandon(&run);
            }
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = tokio::time::sleep(WATCH_EVERY) => {}
            }
        }
    }

    /// Nothing of the run goes on here.
    fn abandon(&self, run: &RunId) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
        self.abort(run);
    }

    async fn mind_runs(self: Arc<Self>, node: NodeConfig) {
        let mut closing = self.closing.subscribe();
        let system = self.ports.tenants.system();
        let now = Instant::now();
        let mut round = Round { renewed: now, claimed: now, full: false, looked: now, generations: BTreeMap::new() };
        loop {
            let mut nudged = false;
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = self.claims.freed.notified() => {}
                () = system.nudged() => nudged = true,
                () = tokio::time::sleep(self.until_claim(&round).min(node.renew_every())) => {}
            }
            if let Err(error) = self.mind_once(&node, system.as_ref(), &mut round, nudged).await {
                tracing::error!(%error, "runs can't be shared out now");
                tokio::time::sleep(CLAIM_EVERY).await;
            }
        }
    }

    /// How long until runs are claimed again: once a second, sooner when a run is due that waits, or when there
    /// were more than one round takes.
    fn until_claim(&self, round: &Round) -> StdDuration {
        let due = self.claims.soonest().map(|soonest| soonest.since(self.ports.clock.now()).into());
        let pause = if round.full { CLAIM_EVERY } else { LOOK_EVERY };
        let since = round.claimed.elapsed();
        let regular = pause.saturating_sub(since);
        due.map_or(regular, |due: StdDuration| regular.min(due.max(CLAIM_EVERY.saturating_sub(since))))
    }

    /// One round. Renewing and letting go happen one after the other, so that neither undoes the other.
    async fn mind_once(
        self: &Arc<Self>,
        node: &NodeConfig,
        system: &dyn System,
        round: &mut Round,
        nudged: bool,
    ) -> Result<(), EngineError> {
        if round.renewed.elapsed() >= node.renew_every() {
            self.renew(node, system).await?;
            round.renewed = Instant::now();
        }
        self.release_freed(node, system).await?;
        if nudged || round.looked.elapsed() >= LOOK_EVERY {
            for (tenant, run) in in_time(node, system.asked(&node.name)).await? {
                self.let_go(&tenant, &run);
            }
            round.looked = Instant::now();
        }
        if self.until_claim(round).is_zero() && !self.is_draining() {
            round.full = self.claim_some(node).await? >= BATCH;
            round.claimed = Instant::now();
            self.follow_configuration(&mut round.generations).await?;
        }
        Ok(())
    }

    async fn renew(&self, node: &NodeConfig, system: &dyn System) -> Result<(), EngineError> {
        let all = self.claims.all();
        if all.is_empty() {
            return Ok(());
        }
        let since = Instant::now();
        let kept = in_time(node, system.hold(&node.name, node.lease, &all)).await?;
        for run in self.claims.renewed(&all, since, &kept) {
            tracing::info!(%run, "another node has this run");
            self.abandon(&run);
        }
        Ok(())
    }

    async fn release_freed(&self, node: &NodeConfig, system: &dyn System) -> Result<(), EngineError> {
        let free = self.claims.to_release(|run| self.gate.live().has(run));
        if free.is_empty() {
            return Ok(());
        }
        let released = in_time(node, system.release(&node.name, &free)).await;
        if released.is_err() {
            self.claims.release_later(free);
        }
        released
    }

    /// Lets go of everything, as far as the database can be reached.
    pub(crate) async fn release_all(&self) {
        let Some(node) = self.claims.node() else { return };
        let system = self.ports.tenants.system();
        for _ in 0..20 {
            match self.release_freed(node, system.as_ref()).await {
                Err(error) => tracing::warn!(%error, "runs can't be let go of now; their leases run out"),
                Ok(()) if !self.claims.has_any() => return,
                Ok(()) => {}
            }
            tokio::time::sleep(StdDuration::from_millis(20)).await;
        }
    }

    /// Claims runs that nobody drives, and drives them.
    async fn claim_some(self: &Arc<Self>, node: &NodeConfig) -> Result<usize, EngineError> {
        let due_by = self.ports.clock.now();
        let query = ClaimQuery {
            node: node.name.clone(),
            tenants: self.open_tenants().iter().map(|context| context.tenant.clone()).collect(),
            lease: node.lease,
            due_by,
            limit: BATCH,
        };
        let asked = Instant::now();
        let system = self.ports.tenants.system();
        let claims = in_time(node, system.claim(query)).await?;
        let count = claims.len();
        if count < BATCH {
            self.claims.looked_at(due_by);
        }
        for claim in claims {
            let Some(context) = self.tenant(&claim.tenant) else { continue };
            self.resume_claimed(context, claim, asked);
        }
        Ok(count)
    }

    fn resume_claimed(self: &Arc<Self>, context: Arc<TenantContext>, claim: Claim, asked: Instant) {
        let (engine, run, epoch) = (Arc::clone(self), claim.run.clone(), claim.epoch);
        let Some(claimed) = self.claims.took(claim, asked) else { return };
        let id = run.clone();
        // Not driven now, it comes free with the guard.
        let _ = self.spawn(run, async move {
            let state = context.store.run(&id).await?.map(|record| record.status.state);
            let wake = if state == Some(RunState::Waiting) { Wake::Timer } else { Wake::Recovery };
            let place = engine.turns.take_up(&context.tenant).await;
            let mut driver = Driver::load(&engine, context, &id, wake, (epoch, Some(claimed))).await?;
            driver.place = place;
            Ok(driver)
        });
    }

    /// Another node asks for a run: because somebody stopped it, or to write to it.
    fn let_go(self: &Arc<Self>, tenant: &Tenant, run: &RunId) {
        let Some(context) = self.tenant(tenant) else { return };
        if !self.leaving(run, true) {
            return;
        }
        let (engine, run) = (Arc::clone(self), run.clone());
        let span = tracing::info_span!("let-go", %run);
        let leaving = async move {
            let key = EpochKey::Run(run.to_string());
            let standing = context.store.standing(std::slice::from_ref(&key)).await;
            if standing.is_ok_and(|standing| standing.epochs.first().is_some_and(|epoch| *epoch > 0)) {
                // It was stopped: nothing of it stays on the wire, and its driver ends it.
                engine.set_stopping(&run, true);
                engine.gate.live().stop(&run).await;
                engine.until_idle(&run).await;
                engine.set_stopping(&run, false);
            } else {
                engine.leave_to_others(&run).await;
            }
            engine.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
            engine.leaving(&run, false);
        };
        tokio::spawn(leaving.instrument(span));
    }

    /// Keys that another node introduced are published here before anything is signed by them.
    async fn follow_configuration(
        self: &Arc<Self>,
        generations: &mut BTreeMap<Tenant, u64>,
    ) -> Result<(), EngineError> {
        for context in self.open_tenants() {
            let generation = context.store.generation().await?;
            if generations.insert(context.tenant.clone(), generation).is_some_and(|before| before != generation) {
                let engine = Arc::clone(self);
                tokio::spawn(async move {
                    if let Err(error) = context.follow_keys(&engine.ports).await {
                        tracing::error!(tenant = %context.tenant, %error, "keys can't be read again now");
                    }
                });
            }
        }
        Ok(())
    }
}

/// An answer of the store, or that there was none in time to act by it.
async fn in_time<T>(
    node: &NodeConfig,
    asked: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, EngineError> {
    match tokio::time::timeout(node.renew_every(), asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(EngineError::Timeout("an answer of the database about who drives what".to_owned())),
    }
}
