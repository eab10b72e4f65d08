//! Builders: a run's position, and the transitions that move it on.

use mandate_journal::{
    Admission, ChainHead, Change, EventBody, Fence, JOURNAL_VERSION, JournalEvent, LeaseRecord, LeaseState, NewRun,
    RunState, RunStatus, SealedPayload, Transition,
};
use mandate_kernel::{
    Attempt, Caller, Class, Digest, Environment, LeaseId, Principal, ResourceName, RunId, StepKey, StepSeq,
    SystemEntropy, Tenant, Timestamp,
};
use mandate_ledger::{Entry, Event, EventKind, Frontier, RunLink, leaf_hash};
use std::sync::atomic::{AtomicI64, Ordering};

/// A moment that no other id was made at, so that ids sort as they were made.
pub(crate) fn tick() -> Timestamp {
    static NOW: AtomicI64 = AtomicI64::new(1_795_000_000_000);
    Timestamp::from_millis(NOW.fetch_add(1, Ordering::SeqCst))
}

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub(crate) fn caller(name: &str) -> Caller {
    Caller::system(tenant(name), "test")
}

pub(crate) fn run_id() -> RunId {
    RunId::generate(tick(), &SystemEntropy).unwrap()
}

/// Where a run stands, as its driver knows it.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    pub(crate) tenant: Tenant,
    pub(crate) run: RunId,
    pub(crate) seq: u64,
    pub(crate) epoch: u64,
    pub(crate) chain: ChainHead,
}

pub(crate) fn new_run(tenant: &Tenant) -> NewRun {
    NewRun {
        worker: ResourceName::new("finance/quarterly-summary").unwrap(),
        worker_version: Digest::of(b"worker"),
        environment: Environment::new("sandbox").unwrap(),
        purpose: "to test".to_owned(),
        class: Class::default(),
        initiator: Principal::user(tenant.clone(), "finance-lead"),
        started_at: Timestamp::from_millis(1_795_000_000_000),
        header: serde_json::json!({"machine": 1}),
        start_key: None,
    }
}

pub(crate) fn status(state: RunState) -> RunStatus {
    RunStatus { state, waiting_for: None, since: tick(), problem: None }
}

pub(crate) fn entry(tenant: &Tenant, kind: EventKind, run: Option<RunLink>) -> Entry {
    let (tenant, actor) = (tenant.clone(), "user:finance-lead".to_owned());
    let details = serde_json::json!({"status": "allow"});
    Event { time: tick(), tenant, kind, actor, run, details }.encode().unwrap()
}

pub(crate) fn payload(text: &str) -> SealedPayload {
    let subject = "user:finance-lead".to_owned();
    SealedPayload { commitment: Digest::of(text.as_bytes()), subject, ciphertext: text.as_bytes().to_vec() }
}

impl Position {
    /// Before a run's first transition.
    pub(crate) fn fresh(tenant: &Tenant) -> Self {
        Self::of(tenant, run_id())
    }

    pub(crate) fn of(tenant: &Tenant, run: RunId) -> Self {
        Self { tenant: tenant.clone(), run, seq: 0, epoch: 1, chain: ChainHead { next: 0, last: None } }
    }

    /// A transition of nothing at this position.
    pub(crate) fn nothing(&self) -> Transition {
        Transition {
            tenant: self.tenant.clone(),
            run: self.run.clone(),
            fence: Fence { journal_seq: self.seq, epoch: self.epoch, revocations: None },
            create: None,
            claim: None,
            events: Vec::new(),
            entries: Vec::new(),
            chain: self.chain,
            admission: None,
            leases: Vec::new(),
            approvals: Vec::new(),
            timers: Vec::new(),
            payloads: Vec::new(),
            status: None,
        }
    }

    /// One event and one ledger entry of this kind.
    pub(crate) fn moved(&self, kind: EventKind) -> Transition {
        let seq = self.seq + 1;
        let body = EventBody::Woke { timer: u32::try_from(seq).unwrap() };
        let link = RunLink { run: self.run.clone(), seq: self.chain.next, prev: self.chain.last };
        let entry = entry(&self.tenant, kind, Some(link));
        Transition {
            events: vec![JournalEvent { v: JOURNAL_VERSION, seq, at: tick(), body }],
            chain: ChainHead { next: self.chain.next + 1, last: Some(entry.leaf_hash()) },
            entries: vec![entry],
            ..self.nothing()
        }
    }

    /// The run's first transition.
    pub(crate) fn start(&self) -> Transition {
        Transition {
            create: Some(new_run(&self.tenant)),
            claim: None,
            status: Some(status(RunState::Running)),
            ..self.moved(EventKind::RunStarted)
        }
    }

    /// A step that admits nothing.
    pub(crate) fn step(&self) -> Transition {
        self.moved(EventKind::StepDecided)
    }

    pub(crate) fn key(&self, seq: u32, attempt: u32) -> StepKey {
        StepKey { run: self.run.clone(), seq: StepSeq(seq), attempt: Attempt(attempt) }
    }

    /// A step that admits an attempt, by a decision that saw this revocation sequence.
    pub(crate) fn admit(&self, seq: u32, attempt: u32, revocations: u64) -> Transition {
        let mut transition = self.step();
        transition.fence.revocations = Some(revocations);
        transition.admission = Some(Admission { step: self.key(seq, attempt), request: Digest::of(b"request") });
        transition
    }

    pub(crate) fn lease(&self, seq: u32) -> LeaseRecord {
        LeaseRecord {
            lease: LeaseId::generate(tick(), &SystemEntropy).unwrap(),
            step: self.key(seq, 1),
            credential: ResourceName::new("finance/ledgerbook").unwrap(),
            version: 1,
            not_after: tick(),
            state: LeaseState::Intended,
        }
    }

    /// The position once this transition is committed.
    pub(crate) fn after(&self, t: &Transition) -> Self {
        Self { seq: t.events.last().map_or(self.seq, |e| e.seq), chain: t.chain, ..self.clone() }
    }
}

pub(crate) fn change(name: &str) -> Change {
    Change::new(tenant(name), tick(), "user:admin".to_owned())
}

/// Appends everything that waits to a tree, as a sequencer does.
pub(crate) fn round(frontier: &Frontier, waiting: &[mandate_journal::PendingEntry]) -> mandate_journal::Integration {
    let mut grown = frontier.clone();
    let nodes = waiting.iter().flat_map(|entry| grown.append(leaf_hash(&entry.bytes))).collect();
    let taken = waiting.iter().map(|entry| entry.key).collect();
    mandate_journal::Integration { from_size: frontier.size(), taken, nodes, frontier: grown }
}
