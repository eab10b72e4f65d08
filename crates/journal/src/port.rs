//! The ports a store implements. [`TenantStore`] is what `store.of(&caller)` gives: everything on it
//! is confined to the caller's tenant (I5). [`System`] is the closed list of queries without a
//! tenant; they return ids only.

use crate::{
    ApprovalQuery, ApprovalRecord, Change, EpochKey, Integration, JournalEvent, LeaseRecord, LogHead, Occasions,
    PendingEntry, ResourceRecord, ResourceState, RunRecord, SealedPayload, SecretRecord, Standing, TimerRecord,
    Transition,
};
use async_trait::async_trait;
use mandate_kernel::{ApprovalId, Digest, Duration, ResourceName, RunId, Tenant, Timestamp};

/// Why a transition or change was not committed. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Somebody was revoked since the decision: judge again.
    #[error("authority was revoked in tenant {tenant} while this step was decided; it has to be decided again")]
    Revoked {
        /// The tenant.
        tenant: Tenant,
        /// The revocation sequence now.
        now: u64,
    },
    /// Another driver has moved the run on, or the run's epoch was raised: stop driving it.
    #[error("run {run} is driven by someone else, or was stopped")]
    Fenced {
        /// The run.
        run: RunId,
    },
    /// The attempt was admitted before.
    #[error("attempt {step} was admitted before; a decision is spent once")]
    AlreadyAdmitted {
        /// The attempt.
        step: String,
    },
    /// A run with this start key exists.
    #[error("a run was started with this Idempotency-Key before")]
    DuplicateStart {
        /// That run.
        run: RunId,
    },
    /// A resource or secret is not at the version the write expects.
    #[error("{kind} {name} is at version {actual}, not {expected}; read it again and repeat the change")]
    VersionConflict {
        /// Kind.
        kind: String,
        /// Name.
        name: String,
        /// Version expected.
        expected: u64,
        /// Version found.
        actual: u64,
    },
    /// The transition contradicts itself or the tenant it was given to.
    #[error("transition refused: {0}")]
    Invalid(String),
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store could not read or write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// For now: locked, busy, full disk. Nothing was written; try again.
    #[error("the database can't be written now ({0}); nothing was changed")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("the database holds something unreadable: {0}")]
    Corrupt(String),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// The name of the row that says that a run listens to events of this type, or of any. It is a timer that is
/// never due.
#[must_use]
pub fn event_timer(event_type: Option<&str>) -> String {
    event_type.map_or_else(|| "event*".to_owned(), |name| format!("event:{name}"))
}

/// Commits transitions.
#[async_trait]
pub trait Commit: Send + Sync {
    /// Commits a transition whole, or not at all. When this returns `Ok`, it is on disk.
    ///
    /// # Errors
    /// [`CommitError`]; nothing was changed then.
    async fn commit(&self, transition: Transition) -> Result<(), CommitError>;
}

/// Which runs to list: newest first.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// At most this many.
    pub limit: usize,
    /// Only runs older than this one (a cursor).
    pub before: Option<RunId>,
    /// Only runs of this Worker.
    pub worker: Option<ResourceName>,
}

/// A page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// How much stands open in a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenCounts {
    /// Runs in state `running`.
    pub running: u64,
    /// Runs in state `waiting`.
    pub waiting: u64,
    /// Approvals nobody has answered.
    pub approvals: u64,
    /// Leases that have not ended.
    pub leases: u64,
    /// Durable ledger entries that are not in the tree yet.
    pub unsequenced: u64,
}

/// Reads runs.
#[async_trait]
pub trait Runs: Send + Sync {
    /// One run; `None` when this tenant has none of that id.
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError>;
    /// Its journal, in order.
    async fn journal(&self, run: &RunId) -> Result<Vec<JournalEvent>, StoreError>;
    /// Its journal after sequence number `after`, in order, at most `limit` events.
    async fn journal_after(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<JournalEvent>, StoreError> {
        let journal = self.journal(run).await?;
        Ok(journal.into_iter().filter(|event| event.seq > after).take(limit).collect())
    }
    /// How much stands open now, for those who watch the system. A store that does not count says so.
    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        Err(StoreError::Unavailable("this store counts nothing".to_owned()))
    }
    /// Runs, newest first.
    async fn runs(&self, query: RunQuery) -> Result<Page<RunRecord>, StoreError>;
    /// Runs that listen to events of a type: those with a timer of the name [`event_timer`] gives for it, or
    /// for any type. In the order of their ids, after `after`, at most `limit`: whoever wants all of them asks
    /// until there are none.
    async fn listening(&self, event_type: &str, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>, StoreError>;
    /// A payload by commitment.
    async fn payload(&self, commitment: &Digest) -> Result<Option<SealedPayload>, StoreError>;
    /// Leases of a run that are not ended.
    async fn open_leases(&self, run: &RunId) -> Result<Vec<LeaseRecord>, StoreError>;
    /// Timers of a run.
    async fn timers(&self, run: &RunId) -> Result<Vec<TimerRecord>, StoreError>;
    /// One approval; `None` when this tenant has none of that id.
    async fn approval(&self, approval: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError>;
    /// Approvals, newest first.
    async fn approvals(&self, query: ApprovalQuery) -> Result<Page<ApprovalRecord>, StoreError>;
    /// Takes the run over: raises its epoch and returns it. Whoever held it before is fenced.
    async fn take_over(&self, run: &RunId) -> Result<u64, StoreError>;
    /// Revocation sequence and epochs, read in one moment.
    async fn standing(&self, keys: &[EpochKey]) -> Result<Standing, StoreError>;
    /// Ledger entries of a run with their tree index, in chain order; `None` index: not integrated yet.
    async fn run_entries(&self, run: &RunId) -> Result<Vec<(Option<u64>, Vec<u8>)>, StoreError>;
}

/// Reads and changes resources and secrets.
#[async_trait]
pub trait Resources: Send + Sync {
    /// Commits an administrative change whole, or not at all. Returns the tenant's revocation sequence.
    async fn change(&self, change: Change) -> Result<u64, CommitError>;
    /// The current version of a resource.
    async fn resource(&self, kind: &str, name: &str) -> Result<Option<ResourceRecord>, StoreError>;
    /// A version by its digest, also when it is no longer current (runs pin digests).
    async fn resource_by_digest(
        &self,
        kind: &str,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<ResourceRecord>, StoreError>;
    /// All current resources of a kind, by name.
    async fn resources(&self, kind: &str) -> Result<Vec<ResourceRecord>, StoreError>;
    /// Where every resource of every kind stands, deleted ones included, in the order of kind and name. The
    /// digests are computed from what is stored.
    async fn inventory(&self) -> Result<Vec<ResourceState>, StoreError>;
    /// A number that rises with each change of resources in the tenant: caches compare it.
    async fn generation(&self) -> Result<u64, StoreError>;
    /// One sealed secret; `version` `None` is the newest.
    async fn secret(&self, kind: &str, name: &str, version: Option<u32>) -> Result<Option<SecretRecord>, StoreError>;
    /// All sealed secrets of a kind.
    async fn secrets(&self, kind: &str) -> Result<Vec<SecretRecord>, StoreError>;
}

/// Reads and grows the tenant's ledger.
#[async_trait]
pub trait Log: Send + Sync {
    /// Up to `limit` entries that are not in the tree yet.
    async fn pending(&self, limit: usize) -> Result<Vec<PendingEntry>, StoreError>;
    /// The head of the tree.
    async fn head(&self) -> Result<LogHead, StoreError>;
    /// Makes a sequencer round durable; `false` when the tree is not at `from_size` any more.
    async fn integrate(&self, round: Integration) -> Result<bool, StoreError>;
    /// Records a checkpoint signed by the log.
    async fn record_signed(&self, size: u64, note: String) -> Result<(), StoreError>;
    /// Records a checkpoint that carries the witness quorum.
    async fn record_cosigned(&self, size: u64, note: String) -> Result<(), StoreError>;
    /// Entries `from..to` of the tree, in order.
    async fn entries(&self, from: u64, to: u64) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Nodes of complete subtrees, in the order asked; `None` for absent ones.
    async fn nodes(&self, at: &[(u8, u64)]) -> Result<Vec<Option<Digest>>, StoreError>;
}

/// All of a store, for one tenant.
pub trait TenantStore: Commit + Runs + Resources + Log + Occasions {}
impl<T: Commit + Runs + Resources + Log + Occasions> TenantStore for T {}

/// A run that a node drives, and the epoch its commits have to carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The run's tenant.
    pub tenant: Tenant,
    /// The run.
    pub run: RunId,
    /// Its epoch.
    pub epoch: u64,
}

/// Who drives a run that begins, where several nodes share a database. It is recorded with the run's beginning, so
/// that no other node finds the run without a driver in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// The node's name: its own among all that share the database.
    pub node: String,
    /// For how long others keep away, counted by the database's clock.
    pub lease: Duration,
}

/// Which runs a node claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimQuery {
    /// The node's name: its own among all that share the database, and the same after a restart or a new one.
    pub node: String,
    /// Only runs of these tenants: those that the node serves.
    pub tenants: Vec<Tenant>,
    /// For how long others keep away, counted by the database's clock. Hold them again well before that.
    pub lease: Duration,
    /// Timers count as due up to then.
    pub due_by: Timestamp,
    /// At most this many.
    pub limit: usize,
}

/// The closed list of queries that know no tenant (I5). They return ids only.
#[async_trait]
pub trait System: Send + Sync {
    /// Tenants that exist.
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError>;
    /// Runs in state `running`, those that were stopped and have not ended, and those with leases still
    /// open though they ended: what a restart has to look at.
    async fn unfinished(&self) -> Result<Vec<(Tenant, RunId)>, StoreError>;
    /// Runs with a timer due by then.
    async fn due(&self, by: Timestamp, limit: usize) -> Result<Vec<(Tenant, RunId)>, StoreError>;
    /// When the next timer is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Claims runs for a node: those that [`System::unfinished`] names and those with a due timer, as far as no
    /// node holds them. Each comes with its epoch raised, so that whoever drove it before is fenced at its next
    /// commit ([`CommitError::Fenced`]). Of several nodes that ask at the same time each gets other runs.
    async fn claim(&self, query: ClaimQuery) -> Result<Vec<Claim>, StoreError> {
        let _ = query;
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Holds runs that the node drives for `lease` from now: those it claimed, and those it began, which need no
    /// claim first. Gives those it holds now. One that is missing is another node's, or its epoch was raised:
    /// stop driving it. A lease that ran out can be held again as long as nobody else has the run.
    async fn hold(&self, node: &str, lease: Duration, runs: &[Claim]) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let _ = (node, lease, runs);
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Lets go of runs that the node drives no longer: they ended, wait, or are left to others in a drain. What
    /// other nodes hold is left alone, and so is what this node has taken anew, at another epoch. A run that
    /// another node has asked for is its own for a few seconds.
    async fn release(&self, node: &str, runs: &[Claim]) -> Result<(), StoreError> {
        let _ = (node, runs);
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Claims one run for a node, whatever state it is in, and gives its epoch, raised. `None` when another node
    /// holds it, or there is no such run.
    async fn acquire(
        &self,
        node: &str,
        lease: Duration,
        tenant: &Tenant,
        run: &RunId,
    ) -> Result<Option<u64>, StoreError> {
        let _ = (node, lease, tenant, run);
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Asks whoever holds a run to let go of it, for the few seconds that follow; `false` when no other node holds
    /// it now.
    async fn ask(&self, node: &str, tenant: &Tenant, run: &RunId) -> Result<bool, StoreError> {
        let _ = (node, tenant, run);
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Runs that a node holds and that others ask for.
    async fn asked(&self, node: &str) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let _ = node;
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Takes, or keeps, the lead in sequencing a tenant's ledger; `false` while another node has it. The lead only
    /// saves work: [`Log::integrate`] compares for itself.
    async fn lead(&self, node: &str, lease: Duration, tenant: &Tenant) -> Result<bool, StoreError> {
        let _ = (node, lease, tenant);
        Err(StoreError::Unavailable("this store shares no runs out".to_owned()))
    }
    /// Resolves when another node may have something for this one. A hint: it may be lost, and may come for
    /// nothing. One task waits for it.
    async fn nudged(&self) {
        std::future::pending().await
    }
}
