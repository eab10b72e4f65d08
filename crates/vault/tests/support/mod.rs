//! A store in memory that keeps secrets only, a clock that stands still, and permits by the real gate.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where its setting fails")]

use async_trait::async_trait;
use mandate_gate::{
    AuthorityRoot, CredentialFacts, Gate, GrantFacts, Judged, Live, Permit, Prepared, Request, Slot, StandingFacts,
    Step, StepFacts,
};
use mandate_identity::{Audience, Authority, CanonicalRequest};
use mandate_journal::{
    ApprovalQuery, ApprovalRecord, ChainHead, Change, Commit, CommitError, EpochKey, EventBody, Fence, Integration,
    JOURNAL_VERSION, JournalEvent, LeaseRecord, LeaseState, Log, LogHead, Page, PendingEntry, ResourceRecord,
    ResourceState, Resources, RunQuery, RunRecord, Runs, SealedPayload, SecretRecord, Standing, StoreError, Stored,
    TimerRecord, Transition,
};
use mandate_kernel::{
    ApprovalId, Attempt, Caller, Class, Clock, DecisionId, Digest, Duration, EffectClass, Environment, FunctionName,
    IdentityModel, Labels, LeaseId, Principal, Project, ResourceName, RunId, Secret, StepKey, StepPath, StepSeq,
    SystemEntropy, Tenant, Timestamp,
};
use mandate_policy::PolicySet;
use mandate_vault::{RootKey, TenantVault, Vault};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

/// Secrets by (kind, name, version).
#[derive(Default)]
pub(crate) struct FakeStore {
    pub(crate) secrets: Mutex<BTreeMap<(String, String, u32), SecretRecord>>,
    pub(crate) changes: AtomicU64,
}

impl FakeStore {
    pub(crate) fn all(&self) -> Vec<SecretRecord> {
        self.secrets.lock().unwrap().values().cloned().collect()
    }
    /// Overwrites a record behind the vault's back.
    pub(crate) fn put(&self, record: SecretRecord) {
        let key = (record.kind.clone(), record.name.clone(), record.version);
        self.secrets.lock().unwrap().insert(key, record);
    }
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.all().iter().filter(|r| r.kind == kind).count()
    }
}

#[async_trait]
impl Resources for FakeStore {
    async fn change(&self, change: Change) -> Result<u64, CommitError> {
        // Lets others in between reading and writing.
        tokio::task::yield_now().await;
        let mut secrets = self.secrets.lock().unwrap();
        let mut next = secrets.clone();
        next.retain(|(kind, name, _), _| !change.shred.contains(&(kind.clone(), name.clone())));
        for record in change.secrets {
            let key = (record.kind.clone(), record.name.clone(), record.version);
            if next.insert(key, record.clone()).is_some() {
                let (kind, name) = (record.kind, record.name);
                return Err(CommitError::VersionConflict {
                    kind,
                    name,
                    expected: 0,
                    actual: u64::from(record.version),
                });
            }
        }
        *secrets = next;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(0)
    }
    async fn resource(&self, _: &str, _: &str) -> Result<Option<ResourceRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn resource_by_digest(&self, _: &str, _: &str, _: &Digest) -> Result<Option<ResourceRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn resources(&self, _: &str) -> Result<Vec<ResourceRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn inventory(&self) -> Result<Vec<ResourceState>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn generation(&self) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }
    async fn secret(&self, kind: &str, name: &str, version: Option<u32>) -> Result<Option<SecretRecord>, StoreError> {
        tokio::task::yield_now().await;
        let secrets = self.secrets.lock().unwrap();
        let of_name = secrets.values().filter(|r| r.kind == kind && r.name == name);
        Ok(of_name.filter(|r| version.is_none_or(|v| v == r.version)).max_by_key(|r| r.version).cloned())
    }
    async fn secrets(&self, kind: &str) -> Result<Vec<SecretRecord>, StoreError> {
        tokio::task::yield_now().await;
        Ok(self.all().into_iter().filter(|r| r.kind == kind).collect())
    }
}

#[async_trait]
impl Commit for FakeStore {
    async fn commit(&self, _: Transition) -> Result<(), CommitError> {
        Ok(())
    }
}

impl mandate_journal::Occasions for FakeStore {}

#[async_trait]
impl Runs for FakeStore {
    async fn run(&self, _: &RunId) -> Result<Option<RunRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn journal(&self, _: &RunId) -> Result<Vec<JournalEvent>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn runs(&self, _: RunQuery) -> Result<Page<RunRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn payload(&self, _: &Digest) -> Result<Option<SealedPayload>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn open_leases(&self, _: &RunId) -> Result<Vec<LeaseRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn listening(&self, _: &str, _: Option<&RunId>, _: usize) -> Result<Vec<RunId>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn timers(&self, _: &RunId) -> Result<Vec<TimerRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn approval(&self, _: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn approvals(&self, _: ApprovalQuery) -> Result<Page<ApprovalRecord>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn take_over(&self, _: &RunId) -> Result<u64, StoreError> {
        Err(StoreError::Closed)
    }
    async fn standing(&self, _: &[EpochKey]) -> Result<Standing, StoreError> {
        Err(StoreError::Closed)
    }
    async fn run_entries(&self, _: &RunId) -> Result<Vec<(Option<u64>, Vec<u8>)>, StoreError> {
        Err(StoreError::Closed)
    }
}

#[async_trait]
impl Log for FakeStore {
    async fn pending(&self, _: usize) -> Result<Vec<PendingEntry>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn head(&self) -> Result<LogHead, StoreError> {
        Err(StoreError::Closed)
    }
    async fn integrate(&self, _: Integration) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }
    async fn record_signed(&self, _: u64, _: String) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
    async fn record_cosigned(&self, _: u64, _: String) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
    async fn entries(&self, _: u64, _: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        Err(StoreError::Closed)
    }
    async fn nodes(&self, _: &[(u8, u64)]) -> Result<Vec<Option<Digest>>, StoreError> {
        Err(StoreError::Closed)
    }
}

/// A clock that moves when told.
pub(crate) struct TestClock(AtomicI64);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_795_364_809_000)))
    }
    pub(crate) fn pass(&self, span: Duration) {
        self.0.fetch_add(i64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub(crate) fn root(byte: u8) -> RootKey {
    RootKey::from_bytes(Secret::new([byte; 32])).unwrap()
}

/// One process's vault over a store that may be shared.
pub(crate) fn vault_on(store: &Arc<FakeStore>, clock: &Arc<TestClock>, root_byte: u8) -> TenantVault {
    let vault = Vault::new(root(root_byte), clock.clone(), Arc::new(SystemEntropy));
    vault.tenant(tenant("demo"), store.clone())
}

/// A vault on a store of its own.
pub(crate) fn vault() -> (TenantVault, Arc<FakeStore>, Arc<TestClock>) {
    let (store, clock) = (Arc::new(FakeStore::default()), TestClock::new());
    (vault_on(&store, &clock, 7), store, clock)
}

pub(crate) fn change() -> Change {
    Change::new(tenant("demo"), Timestamp::EPOCH, "user:admin".to_owned())
}

pub(crate) fn credential(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

/// Puts a value in, as the API does.
pub(crate) async fn put(vault: &TenantVault, store: &FakeStore, name: &str, version: u32, value: &str) -> SecretRecord {
    let value = Secret::new(value.as_bytes().to_vec());
    let record = vault.seal_secret(&credential(name), version, value).await.unwrap();
    store.change(Change { secrets: vec![record.clone()], ..change() }).await.unwrap();
    record
}

pub(crate) fn step(attempt: u32) -> StepKey {
    let run = RunId::try_from("run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".to_owned()).unwrap();
    StepKey { run, seq: StepSeq(2), attempt: Attempt(attempt) }
}

pub(crate) fn lease_for(step: StepKey, name: &str, version: u32, not_after: Timestamp) -> LeaseRecord {
    let lease = LeaseId::generate(Timestamp::EPOCH, &SystemEntropy).unwrap();
    LeaseRecord { lease, step, credential: credential(name), version, not_after, state: LeaseState::Intended }
}

fn facts(tenant: &Tenant, step: StepKey, name: &str, version: u32, now: Timestamp) -> StepFacts {
    let environment = Environment::new("sandbox").unwrap();
    let digest = Digest::of(b"version");
    StepFacts {
        step,
        path: StepPath("/do/0".to_owned()),
        function: FunctionName::new("ledgerbook.costs").unwrap(),
        project: Project::new("finance").unwrap(),
        function_version: digest,
        function_class: Class::default(),
        effect: EffectClass::Read,
        model: IdentityModel::ServiceAccount,
        legacy: true,
        scopes: BTreeSet::new(),
        arguments: json!({"quarter": "2026-Q3"}),
        labels: Labels::default(),
        worker: credential("finance/quarterly-summary"),
        worker_version: digest,
        allow_listed: true,
        run_class: Class::default(),
        environment: environment.clone(),
        purpose: "close the quarter".to_owned(),
        initiator: Principal::user(tenant.clone(), "finance-lead"),
        initiator_groups: BTreeSet::new(),
        authority: Authority {
            scopes: BTreeSet::new(),
            audiences: BTreeSet::<Audience>::new(),
            functions: BTreeMap::new(),
            environment: environment.clone(),
            not_after: now.plus(Duration::from_secs(600)),
            depth: 2,
        },
        root: AuthorityRoot::Grant,
        credential: Some(CredentialFacts {
            name: credential(name),
            version,
            environment: environment.clone(),
            destinations: BTreeSet::from(["http://127.0.0.1:4100".to_owned()]),
            exchange: None,
            grant: Some(GrantFacts {
                name: "finance/costs".to_owned(),
                owner: "user:finance-director".to_owned(),
                credential: credential(name),
                worker_version: digest,
                function_version: digest,
                environment,
                not_after: None,
            }),
        }),
        approvals: Vec::new(),
        standing: StandingFacts::default(),
    }
}

/// A permit by the real gate, for a call that uses this credential.
pub(crate) async fn permit(
    in_tenant: &str,
    step: StepKey,
    name: &str,
    version: u32,
    slot: bool,
    now: Timestamp,
) -> Permit<Step> {
    let tenant = tenant(in_tenant);
    let facts = facts(&tenant, step.clone(), name, version, now);
    let request = CanonicalRequest::new("GET", "http://127.0.0.1:4100/costs", None, Vec::new(), None).unwrap();
    let prepared = Prepared {
        request: Request::Http(request),
        destination: "http://127.0.0.1:4100".to_owned(),
        audience: None,
        slot: slot.then(|| Slot::Header { name: "x-api-key".to_owned(), prefix: String::new() }),
    };
    let decision = DecisionId::generate(now, &SystemEntropy).unwrap();
    let gate = Gate::new(Live::default());
    static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::compile(&[]).unwrap());
    let allowed = match gate.judge(decision.clone(), &POLICIES, facts, prepared.clone(), now) {
        Judged::Allowed(allowed) => allowed,
        Judged::Refused(refusal) => panic!("refused: {:?}", refusal.kind),
        Judged::NotYet(_) => panic!("not yet"),
    };
    let admitted = EventBody::Admitted {
        step: step.seq,
        attempt: step.attempt,
        path: StepPath("/do/0".to_owned()),
        function: "ledgerbook.costs".to_owned(),
        decision,
        request: prepared.digest(),
        arguments: Stored { commitment: Digest::of(b""), labels: Labels::default(), size: 0 },
        effect: EffectClass::Read,
        token: None,
        lease: None,
        envelope: Digest::of(b""),
        not_after: allowed.not_after(),
    };
    let transition = Transition {
        run: step.run,
        fence: Fence { journal_seq: 0, epoch: 1, revocations: None },
        create: None,
        claim: None,
        events: vec![JournalEvent { v: JOURNAL_VERSION, seq: 1, at: now, body: admitted }],
        entries: Vec::new(),
        chain: ChainHead { next: 0, last: None },
        admission: None,
        leases: Vec::new(),
        approvals: Vec::new(),
        timers: Vec::new(),
        payloads: Vec::new(),
        status: None,
        tenant: Caller::system(tenant, "test").principal.tenant,
    };
    gate.admit(allowed, transition, &FakeStore::default()).await.unwrap()
}
