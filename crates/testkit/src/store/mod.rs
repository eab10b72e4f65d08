//! A store in memory that keeps the contract of the ports, and can be made to fail at any step.

mod log;
mod occasions;
mod resources;
mod runs;
mod state;
mod tenant;
mod transition;

pub use log::TreeNodes;
pub use tenant::SimTenant;

use crate::fault::{Faults, Lost};
use async_trait::async_trait;
use mandate_engine::Tenants;
use mandate_journal::{
    ApprovalRecord, EpochKey, EventBody, JournalEvent, LeaseRecord, RunRecord, RunState, StoreError, System,
    TenantStore, TimerRecord,
};
use mandate_kernel::{ApprovalId, Caller, DecisionId, Digest, RunId, StepKey, Tenant, Timestamp};
use mandate_ledger::leaf_hash;
use state::State;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The disk: it outlives processes. A clone is the same one.
#[derive(Clone)]
pub struct SimStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<BTreeMap<Tenant, State>>,
    pub(crate) faults: Arc<Faults>,
    /// Leaf hashes of ledger entries whose commit was acknowledged.
    acknowledged: Mutex<Vec<Digest>>,
    commits: AtomicUsize,
    /// What a disk that acknowledges early goes back to in a crash.
    before_last: Mutex<BTreeMap<Tenant, State>>,
}

impl Shared {
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<Tenant, State>) -> T) -> T {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn acknowledge(&self, leaves: Vec<Digest>) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).extend(leaves);
    }

    pub(crate) fn before_last(&self, tenant: &Tenant, state: Option<State>) {
        let mut kept = self.before_last.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(tenant.clone(), state.unwrap_or_default());
    }

    /// A crash: what was acknowledged early and is not on the disk yet is gone.
    pub(crate) fn crashed(&self) {
        let lost = std::mem::take(&mut *self.before_last.lock().unwrap_or_else(PoisonError::into_inner));
        self.with(|all| all.extend(lost));
    }

    pub(crate) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a failed step looks like from outside.
pub(crate) fn unavailable(_: Lost) -> StoreError {
    StoreError::Unavailable("simulated".to_owned())
}

impl SimStore {
    /// An empty disk.
    #[must_use]
    pub fn new(faults: Arc<Faults>) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            faults,
            acknowledged: Mutex::default(),
            commits: AtomicUsize::new(0),
            before_last: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A copy of everything on it as it is now: a backup, to be restored by [`SimStore::restore`].
    #[must_use]
    pub fn backup(&self) -> SimStore {
        let copy = Self::new(Arc::clone(&self.shared.faults));
        let state = self.shared.with(|all| all.clone());
        copy.shared.with(|all| *all = state);
        copy
    }

    /// Replaces everything on it by a backup.
    pub fn restore(&self, backup: &SimStore) {
        let state = backup.shared.with(|all| all.clone());
        self.shared.with(|all| *all = state);
    }

    /// How many transitions were committed so far.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.shared.commits.load(Ordering::SeqCst)
    }

    /// Leaf hashes of all entries whose commit was acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Digest> {
        self.shared.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A run's journal, past all faults.
    #[must_use]
    pub fn peek_journal(&self, tenant: &Tenant, run: &RunId) -> Vec<JournalEvent> {
        let of = |state: &State| state.runs.get(run).map(|row| runs::journal(row));
        self.shared.with(|all| all.get(tenant).and_then(of)).unwrap_or_default()
    }

    /// A run's open leases and its timers, past all faults.
    #[must_use]
    pub fn peek_loose_ends(&self, tenant: &Tenant, run: &RunId) -> (Vec<LeaseRecord>, Vec<TimerRecord>) {
        let of = |state: &State| state.runs.get(run).map(|row| (row.open_leases(), row.timers()));
        self.shared.with(|all| all.get(tenant).and_then(of)).unwrap_or_default()
    }

    /// The ledger past all faults: entries in tree order, how many still wait, nodes, cosigned checkpoint.
    #[must_use]
    pub fn peek_ledger(&self, tenant: &Tenant) -> (Vec<Vec<u8>>, usize, TreeNodes, Option<String>) {
        self.shared.with(|all| {
            let log = all.get(tenant).map(|state| state.log.clone()).unwrap_or_default();
            let entries = log.entries.iter().map(|entry| entry.bytes.clone()).collect();
            (entries, log.pending.len(), TreeNodes(log.nodes), log.cosigned)
        })
    }

    /// Past all faults: leaf hashes of the entries in the tree in its order, those of entries that wait, and the
    /// size of the newest cosigned checkpoint.
    #[must_use]
    pub fn peek_leaves(&self, tenant: &Tenant) -> (Vec<Digest>, Vec<Digest>, u64) {
        self.shared.with(|all| {
            let log = all.get(tenant).map(|state| state.log.clone()).unwrap_or_default();
            let leaf = |kept: &Arc<state::Kept>| leaf_hash(&kept.bytes);
            (log.entries.iter().map(leaf).collect(), log.pending.values().map(leaf).collect(), log.cosigned_size)
        })
    }

    /// Whether every durable entry is in the tree and under a cosigned checkpoint, past all faults.
    #[must_use]
    pub fn peek_sequenced(&self, tenant: &Tenant) -> bool {
        self.shared.with(|all| {
            all.get(tenant).is_some_and(|state| {
                state.log.pending.is_empty() && state.log.cosigned_size == state.log.entries.len() as u64
            })
        })
    }

    /// A run as it is on the disk, past all faults.
    #[must_use]
    pub fn peek_run(&self, tenant: &Tenant, run: &RunId) -> Option<RunRecord> {
        self.shared.with(|all| Some(all.get(tenant)?.runs.get(run)?.record.clone()))
    }

    /// An approval as it is on the disk, past all faults.
    #[must_use]
    pub fn peek_approval(&self, tenant: &Tenant, approval: &ApprovalId) -> Option<ApprovalRecord> {
        self.shared.with(|all| all.get(tenant)?.approvals.get(approval).cloned())
    }

    /// Every run on the disk, past all faults.
    #[must_use]
    pub fn peek_runs(&self, tenant: &Tenant) -> Vec<RunId> {
        self.shared.with(|all| all.get(tenant).map(|state| state.runs.keys().cloned().collect()).unwrap_or_default())
    }

    /// Whether the journal says that this very attempt was admitted by this decision for this request.
    #[must_use]
    pub fn admitted(&self, tenant: &Tenant, key: &StepKey, by: &DecisionId, asked: &Digest) -> bool {
        let is_it = |event: &Arc<JournalEvent>| {
            matches!(&event.body, EventBody::Admitted { step, attempt, decision, request, .. }
                if *step == key.seq && *attempt == key.attempt && decision == by && request == asked)
        };
        self.shared.with(|all| {
            let row = all.get(tenant).and_then(|state| state.runs.get(&key.run));
            row.is_some_and(|row| row.journal.iter().rev().any(is_it))
        })
    }
}

impl Tenants for SimStore {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        Arc::new(SimTenant::new(self.clone(), caller.tenant().clone()))
    }

    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl System for SimStore {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let read = || self.shared.with(|all| all.keys().cloned().collect());
        self.shared.faults.pass("store.tenants", read).await.map_err(unavailable)
    }

    async fn unfinished(&self) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let read = || {
            self.shared.with(|all| {
                let mut found = Vec::new();
                for (tenant, state) in all.iter() {
                    let unfinished = |row: &&Arc<state::Row>| {
                        let stopped = state.epochs.contains_key(&EpochKey::Run(row.record.run.to_string()));
                        let now = row.record.status.state;
                        now == RunState::Running || !row.open_leases().is_empty() || (stopped && !now.is_terminal())
                    };
                    found.extend(
                        state.runs.values().filter(unfinished).map(|row| (tenant.clone(), row.record.run.clone())),
                    );
                }
                found
            })
        };
        self.shared.faults.pass("store.unfinished", read).await.map_err(unavailable)
    }

    async fn due(&self, by: Timestamp, limit: usize) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let read = || {
            self.shared.with(|all| {
                let mut due: Vec<(Timestamp, Tenant, RunId)> = Vec::new();
                for (tenant, state) in all.iter() {
                    for row in state.runs.values() {
                        let first = row.timers.values().min().filter(|first| **first <= by);
                        due.extend(first.map(|first| (*first, tenant.clone(), row.record.run.clone())));
                    }
                }
                due.sort();
                due.into_iter().take(limit).map(|(_, tenant, run)| (tenant, run)).collect()
            })
        };
        self.shared.faults.pass("store.due", read).await.map_err(unavailable)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = || {
            let of = |state: &State| state.runs.values().flat_map(|row| row.timers.values().copied()).min();
            self.shared.with(|all| all.values().filter_map(of).min())
        };
        self.shared.faults.pass("store.next-due", read).await.map_err(unavailable)
    }
}
