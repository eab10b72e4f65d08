//! What is to become durable with a run's next commit.

use crate::EngineError;
use crate::meter::{self, Mark};
use mandate_journal::{
    ApprovalChange, ChainHead, EventBody, Fence, JOURNAL_VERSION, JournalEvent, LeaseChange, NewClaim, NewRun,
    RunStatus, SealedPayload, TimerChange, Transition,
};
use mandate_kernel::{RunId, Tenant, Timestamp};
use mandate_ledger::{Details, Entry, Event, EventKind, RunLink};
use serde_json::Value;

/// A transition in the making. Cloning one keeps a point to go back to when a decision has to be made
/// again.
#[derive(Clone)]
pub(crate) struct Draft {
    tenant: Tenant,
    run: RunId,
    /// The journal sequence that is durable.
    journal_seq: u64,
    epoch: u64,
    chain: ChainHead,
    create: Option<NewRun>,
    claim: Option<NewClaim>,
    events: Vec<JournalEvent>,
    entries: Vec<Entry>,
    leases: Vec<LeaseChange>,
    approvals: Vec<ApprovalChange>,
    timers: Vec<TimerChange>,
    payloads: Vec<SealedPayload>,
    status: Option<RunStatus>,
    marks: Vec<Mark>,
}

impl Draft {
    /// For a run whose journal stands at `journal_seq` and whose ledger chain stands at `chain`.
    pub(crate) const fn new(tenant: Tenant, run: RunId, journal_seq: u64, epoch: u64, chain: ChainHead) -> Self {
        Self {
            tenant,
            run,
            journal_seq,
            epoch,
            chain,
            create: None,
            claim: None,
            events: Vec::new(),
            entries: Vec::new(),
            leases: Vec::new(),
            approvals: Vec::new(),
            timers: Vec::new(),
            payloads: Vec::new(),
            status: None,
            marks: Vec::new(),
        }
    }

    pub(crate) fn create(&mut self, new: NewRun) {
        self.create = Some(new);
    }

    /// The run that begins is driven here, and not by another node.
    pub(crate) fn claim(&mut self, claim: Option<NewClaim>) {
        self.claim = claim;
    }

    /// Adds a journal event.
    pub(crate) fn event(&mut self, at: Timestamp, body: EventBody) {
        let seq = self.journal_seq + self.events.len() as u64 + 1;
        self.marks.extend(meter::of_event(&body));
        self.events.push(JournalEvent { v: JOURNAL_VERSION, seq, at, body });
    }

    /// The epoch it is written at.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether anything happened that the journal has to know.
    pub(crate) const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Adds a ledger entry and links it to the run's previous one.
    pub(crate) fn entry(
        &mut self,
        at: Timestamp,
        kind: EventKind,
        actor: String,
        details: impl Details,
    ) -> Result<(), EngineError> {
        let link = RunLink { run: self.run.clone(), seq: self.chain.next, prev: self.chain.last };
        let event = Event { time: at, tenant: self.tenant.clone(), kind, actor, run: Some(link), details };
        let entry = event.encode()?;
        self.chain = ChainHead { next: self.chain.next + 1, last: Some(entry.leaf_hash()) };
        self.entries.push(entry);
        Ok(())
    }

    /// Adds a ledger entry that stands alone: the run's chain has ended.
    pub(crate) fn entry_alone(
        &mut self,
        at: Timestamp,
        kind: EventKind,
        actor: String,
        details: Value,
    ) -> Result<(), EngineError> {
        let event = Event { time: at, tenant: self.tenant.clone(), kind, actor, run: None, details };
        self.entries.push(event.encode()?);
        Ok(())
    }

    pub(crate) fn lease(&mut self, change: LeaseChange) {
        self.leases.push(change);
    }

    pub(crate) fn approval(&mut self, change: ApprovalChange) {
        self.approvals.push(change);
    }

    pub(crate) fn timer(&mut self, change: TimerChange) {
        self.timers.push(change);
    }

    /// Whether a timer is set by it, which may be the next that is due.
    pub(crate) fn sets_timer(&self) -> bool {
        self.timers.iter().any(|change| matches!(change, TimerChange::Set(_)))
    }

    pub(crate) fn payload(&mut self, payload: SealedPayload) {
        self.payloads.push(payload);
    }

    /// Counts something, once this is durable.
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.marks.push(mark);
    }

    pub(crate) fn status(&mut self, status: RunStatus) {
        self.marks.extend(meter::of_status(&status));
        self.status = Some(status);
    }

    /// Whether there is anything to commit.
    pub(crate) const fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.entries.is_empty()
            && self.leases.is_empty()
            && self.approvals.is_empty()
            && self.timers.is_empty()
            && self.status.is_none()
    }

    /// The transition, without admission.
    pub(crate) fn transition(&self) -> Transition {
        Transition {
            tenant: self.tenant.clone(),
            run: self.run.clone(),
            fence: Fence { journal_seq: self.journal_seq, epoch: self.epoch, revocations: None },
            create: self.create.clone(),
            claim: self.claim.clone(),
            events: self.events.clone(),
            entries: self.entries.clone(),
            chain: self.chain,
            admission: None,
            leases: self.leases.clone(),
            approvals: self.approvals.clone(),
            timers: self.timers.clone(),
            payloads: self.payloads.clone(),
            status: self.status.clone(),
        }
    }

    /// The transition is durable: begin the next one.
    pub(crate) fn committed(&mut self) {
        meter::count(&self.tenant, &std::mem::take(&mut self.marks));
        self.journal_seq += self.events.len() as u64;
        self.create = None;
        self.claim = None;
        self.events.clear();
        self.entries.clear();
        self.leases.clear();
        self.approvals.clear();
        self.timers.clear();
        self.payloads.clear();
        self.status = None;
    }
}
