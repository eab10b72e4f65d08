//! The engine: tenants, live drivers, and the tasks that keep runs moving.

use crate::active::{Active, Driving};
use crate::claims::{Claimed, Claims, NodeConfig};
use crate::draft::Draft;
use crate::driver::{Driver, Ended, Wake};
use crate::events::EventSink;
use crate::history::History;
use crate::hold::Holds;
use crate::turns::{Shares, Turns};
use crate::{EngineError, Names, Ports, TenantContext, doubt, record, switches};
use mandate_flow::Need;
use mandate_gate::{AdmitError, Gate, Live};
use mandate_journal::{CommitError, EventBody, Problem, RunRecord, RunState, RunStatus, TimerChange};
use mandate_kernel::{Duration, RunId, Tenant};
use mandate_ledger::EventKind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use tokio::sync::{Notify, Semaphore, watch};
use tracing::Instrument as _;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Public URL of this installation; issuers of tokens lie below it.
    pub public_url: String,
    /// Name of the installation's logs, without scheme or port.
    pub log_name: String,
    /// How long entries may wait before the sequencer integrates them.
    pub sequence_every: Duration,
    /// What the operator turned on that is off otherwise.
    pub allow: BTreeSet<Need>,
    /// How runs are shared with other nodes on the same database; `None` when there are no others.
    pub node: Option<NodeConfig>,
}

/// Expressions evaluated at one time.
const EVALUATIONS: usize = 1;

/// Drives runs. Cheap to clone through its `Arc`.
pub struct Engine {
    pub(crate) ports: Ports,
    pub(crate) config: EngineConfig,
    pub(crate) gate: Gate,
    tenants: RwLock<BTreeMap<Tenant, Arc<TenantContext>>>,
    pub(crate) active: Mutex<BTreeMap<RunId, Active>>,
    /// Runs that are looked at again after a while, and not before, however often their timer is due.
    resting: Mutex<BTreeSet<RunId>>,
    /// Wakes the scheduler: a timer was set that may be the next.
    pub(crate) timers_changed: Notify,
    pub(crate) closing: watch::Sender<bool>,
    /// Whether this node leaves its runs to others.
    pub(crate) draining: watch::Sender<bool>,
    /// The runs that are this node's own.
    pub(crate) claims: Arc<Claims>,
    /// Runs between two attempts, which stay this node's own.
    pub(crate) kept: Mutex<BTreeMap<RunId, Claimed>>,
    /// Places for expressions being evaluated: fewer than there are threads for everything else.
    pub(crate) evaluations: Semaphore,
    /// Runs that another node asked for.
    leaving: Mutex<BTreeSet<RunId>>,
    /// Runs being stopped: their drivers look at their standing before they go on.
    stopping: Mutex<BTreeSet<RunId>>,
    /// Runs that somebody else than their driver writes to.
    pub(crate) holds: Holds,
    /// Who may work now.
    pub(crate) turns: Arc<Turns>,
    /// Where emitted events go besides the runs that listen.
    pub(crate) sink: OnceLock<Arc<dyn EventSink>>,
}

impl Engine {
    /// An engine over its ports. It owns the only gate.
    #[must_use]
    pub fn new(ports: Ports, config: EngineConfig) -> Arc<Self> {
        Arc::new(Self {
            draining: watch::Sender::new(false),
            claims: Claims::new(config.node.clone()),
            kept: Mutex::default(),
            ports,
            config,
            gate: Gate::new(Live::default()),
            tenants: RwLock::default(),
            active: Mutex::default(),
            resting: Mutex::default(),
            timers_changed: Notify::new(),
            closing: watch::Sender::new(false),
            evaluations: Semaphore::new(EVALUATIONS),
            leaving: Mutex::default(),
            stopping: Mutex::default(),
            holds: Holds::default(),
            turns: Arc::default(),
            sink: OnceLock::new(),
        })
    }

    /// Opens a tenant: its store and its keys. Idempotent. [`Engine::keep_ledger`] comes after, once the
    /// witness can know the keys.
    ///
    /// # Errors
    /// [`EngineError::Unrecorded`] when its configuration is not what its ledger records; others when store
    /// or keys can't be opened.
    pub async fn open_tenant(self: &Arc<Self>, tenant: &Tenant) -> Result<Arc<TenantContext>, EngineError> {
        if let Some(context) = self.tenant(tenant) {
            return Ok(context);
        }
        let names = Names::new(&self.config.public_url, &self.config.log_name, tenant);
        let context = Arc::new(TenantContext::open(&self.ports, names, tenant.clone()).await?);
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), Arc::clone(&context));
        Ok(context)
    }

    /// Asks the witness whether this ledger is the one it knows, records which of the operator's switches are on
    /// where that changed, and begins to sequence it. Call it once for each tenant.
    ///
    /// # Errors
    /// [`EngineError::RolledBack`] when the witness has seen more than this store holds.
    pub async fn keep_ledger(self: &Arc<Self>, context: &Arc<TenantContext>) -> Result<(), EngineError> {
        self.check_not_rolled_back(context).await?;
        switches::record(&self.ports, context, &self.config.allow).await?;
        tokio::spawn(Arc::clone(self).sequence(Arc::clone(context)));
        Ok(())
    }

    /// A tenant that is open.
    #[must_use]
    pub fn tenant(&self, tenant: &Tenant) -> Option<Arc<TenantContext>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned()
    }

    /// Every open tenant.
    #[must_use]
    pub fn open_tenants(&self) -> Vec<Arc<TenantContext>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Shares out work like this from now on.
    pub fn share(&self, shares: Shares) {
        self.turns.set(shares);
    }

    /// Tells the gauges how long the lines of runs are that want to go on.
    pub fn measure_turns(&self) {
        self.turns.measure();
    }

    /// The ports.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Stops taking up work. Runs stay where their journal is.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(crate) fn is_stopping(&self, run: &RunId) -> bool {
        self.stopping.lock().unwrap_or_else(PoisonError::into_inner).contains(run)
    }

    pub(crate) fn set_stopping(&self, run: &RunId, stopping: bool) {
        let mut all = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        if stopping {
            all.insert(run.clone());
        } else {
            all.remove(run);
        }
    }

    /// Notes that a run is being left to others, or that it was; `false` when that was known.
    pub(crate) fn leaving(&self, run: &RunId, leaving: bool) -> bool {
        let mut all = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        if leaving { all.insert(run.clone()) } else { all.remove(run) }
    }

    pub(crate) fn require_tenant(&self, tenant: &Tenant) -> Result<Arc<TenantContext>, EngineError> {
        self.tenant(tenant).ok_or_else(|| EngineError::Absent(format!("tenant {tenant}")))
    }

    /// Drives a run in a task of its own. Does nothing when a driver of this process has it already.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        run: RunId,
        driver: impl Future<Output = Result<Driver, EngineError>> + Send + 'static,
    ) -> bool {
        {
            let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_draining() || active.contains_key(&run) || self.holds.refuses(&run) {
                return false;
            }
            active.insert(run.clone(), Active { done: watch::Sender::new(false), abort: None });
        }
        let engine = Arc::clone(self);
        let (place, id) = (Driving { engine: Arc::clone(self), run: run.clone() }, run.clone());
        let span = tracing::info_span!("run", %run);
        let driving = async move {
            let ended = match driver.await {
                Ok(driver) => driver.drive(&engine).await,
                Err(error) => Err(error),
            };
            drop(place);
            match ended {
                Ok(Ended::Parked | Ended::Finished) => {}
                Err(
                    EngineError::Commit(CommitError::DuplicateStart { run: first })
                    | EngineError::Admit(AdmitError::Commit(CommitError::DuplicateStart { run: first })),
                ) => tracing::info!(%run, %first, "the start was a repetition; there is one run"),
                Err(error) if error.is_fenced() => tracing::info!(%run, "another driver has this run"),
                Err(error) if error.is_passing() => {
                    tracing::error!(%run, %error, "driver stopped; the run is taken up again");
                    engine.retry_later(run);
                }
                Err(error) => {
                    tracing::error!(%run, %error, "the run can't go on");
                    if let Err(error) = engine.give_up(&run, &error).await {
                        tracing::error!(%run, %error, "and that can't be recorded now");
                        if !error.is_fenced() {
                            engine.retry_later(run);
                        }
                    }
                }
            }
        };
        let abort = tokio::spawn(driving.instrument(span)).abort_handle();
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(active) = active.get_mut(&id) {
            active.abort = Some(abort);
        }
        true
    }

    /// A driver met something that no repetition mends: the run ends, and says so. An action that was
    /// admitted and not recorded is in doubt, and said to be.
    async fn give_up(&self, run: &RunId, cause: &EngineError) -> Result<(), EngineError> {
        for context in self.open_tenants() {
            let Some(record) = context.store.run(run).await? else { continue };
            if record.status.state.is_terminal() {
                return Ok(());
            }
            let (epoch, _claim) = self.acquire(&context, run).await?;
            let record = context.store.run(run).await?.unwrap_or(record);
            let now = self.ports.clock.now();
            let problem = Problem {
                type_: "https://mandate.dev/problems/engine".to_owned(),
                title: "The run can't go on".to_owned(),
                status: 500,
                detail: Some(cause.to_string()),
                instance: None,
                decision: None,
            };
            let mut draft = Draft::new(context.tenant.clone(), run.clone(), record.journal_seq, epoch, record.chain);
            let history = History::of(context.store.journal(run).await?);
            doubt::record(&history, &mut draft, now, "system:engine", |_| true)?;
            for timer in context.store.timers(run).await? {
                draft.timer(TimerChange::Clear(timer.name));
            }
            draft.event(now, EventBody::Ended { output: None, artifact: None, problem: Some(problem.clone()) });
            let details = record::state(RunState::Faulted, None, Some(&problem));
            draft.entry(now, EventKind::RunFaulted, "system:engine".to_owned(), details)?;
            draft.status(RunStatus { state: RunState::Faulted, waiting_for: None, since: now, problem: Some(problem) });
            context.store.commit(draft.transition()).await?;
            draft.committed();
            context.entries_waiting.notify_one();
        }
        Ok(())
    }

    /// A driver stopped because of its surroundings (a full disk, a locked database). The run is where
    /// its journal is; look again after a while.
    pub(crate) fn retry_later(self: &Arc<Self>, run: RunId) {
        if !self.rest(&run) {
            return;
        }
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                if *engine.closing.borrow() {
                    return;
                }
                engine.resting.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
                match engine.take_up(&run).await {
                    Ok(()) => return,
                    Err(error) => tracing::debug!(%run, %error, "it can't be looked at yet"),
                }
                if !engine.rest(&run) {
                    return;
                }
            }
        });
    }

    /// Lays a run to rest; `false` when somebody has done so, who will look at it again.
    fn rest(&self, run: &RunId) -> bool {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).insert(run.clone())
    }

    pub(crate) fn rests(&self, run: &RunId) -> bool {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner).contains(run)
    }

    /// Takes a run up if it is in the middle of something.
    async fn take_up(self: &Arc<Self>, run: &RunId) -> Result<(), EngineError> {
        for context in self.open_tenants() {
            if let Some(record) = context.store.run(run).await?
                && record.status.state == RunState::Running
            {
                self.resume(&context, run, Wake::Recovery);
            }
        }
        Ok(())
    }

    /// Takes a run up where its journal is.
    pub(crate) fn resume(self: &Arc<Self>, context: &Arc<TenantContext>, run: &RunId, wake: Wake) -> bool {
        let (engine, context, id) = (Arc::clone(self), Arc::clone(context), run.clone());
        self.spawn(run.clone(), async move {
            let place = engine.turns.take_up(&context.tenant).await;
            let acquired = engine.acquire(&context, &id).await?;
            let mut driver = Driver::load(&engine, context, &id, wake, acquired).await?;
            driver.place = place;
            Ok(driver)
        })
    }

    /// The run, once it has ended or waits for something outside, or after `patience`.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be read, or there is none.
    pub async fn settled(
        &self,
        context: &TenantContext,
        run: &RunId,
        patience: Duration,
    ) -> Result<RunRecord, EngineError> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from(patience);
        loop {
            let record = context.store.run(run).await?.ok_or_else(|| EngineError::Absent(format!("run {run}")))?;
            let late = tokio::time::Instant::now() >= deadline || self.is_draining();
            if record.status.state != RunState::Running || late {
                return Ok(record);
            }
            let look_again = async {
                if !self.until_idle(run).await {
                    // Between two attempts a run has no driver, only a timer.
                    tokio::time::sleep(self.look_every()).await;
                }
            };
            // Late or not, the next look tells.
            let _ = tokio::time::timeout_at(deadline, look_again).await;
        }
    }

    /// Looks at everything a crash may have left: runs in the middle, leases not ended. Then starts the
    /// timers. With other nodes on the same database it begins to claim what nobody drives. Call it once, after the tenants are open.
    ///
    /// # Errors
    /// [`EngineError`] when the store can't be read.
    pub async fn recover(self: &Arc<Self>) -> Result<usize, EngineError> {
        if self.claims.node().is_some() {
            return self.share_runs().await;
        }
        let unfinished = self.ports.tenants.system().unfinished().await?;
        let mut taken = 0;
        for (tenant, run) in unfinished {
            let Some(context) = self.tenant(&tenant) else {
                tracing::warn!(%tenant, %run, "a run waits for a tenant that is not served here");
                continue;
            };
            taken += usize::from(self.resume(&context, &run, Wake::Recovery));
        }
        tokio::spawn(Arc::clone(self).schedule());
        for context in self.open_tenants() {
            tokio::spawn(Arc::clone(self).keep_occasions(context));
        }
        Ok(taken)
    }
}
