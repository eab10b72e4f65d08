//! What is on the disk of one tenant.

use mandate_journal::{
    ApprovalRecord, ArrivalRecord, EpochKey, JournalEvent, LeaseRecord, ResourceRecord, RunRecord, ScheduleRecord,
    SealedPayload, SecretRecord, TimerRecord,
};
use mandate_kernel::{ApprovalId, Digest, LeaseId, ResourceName, RunId, Timestamp};
use mandate_ledger::Frontier;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Every version of every resource, by kind and name; `None` is a deletion.
pub(crate) type Versions = BTreeMap<(String, String), Vec<Option<ResourceRecord>>>;

/// One tenant's data. A write works on a copy that replaces it whole; what it does not touch is shared with the
/// original.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) revocations: u64,
    pub(crate) generation: u64,
    pub(crate) epochs: BTreeMap<EpochKey, u64>,
    pub(crate) runs: BTreeMap<RunId, Arc<Row>>,
    pub(crate) approvals: BTreeMap<ApprovalId, ApprovalRecord>,
    /// Every version of a resource, oldest first; `None` is a deletion.
    pub(crate) resources: Arc<Versions>,
    pub(crate) secrets: Arc<BTreeMap<(String, String, u32), SecretRecord>>,
    pub(crate) payloads: BTreeMap<Digest, Arc<SealedPayload>>,
    pub(crate) log: Log,
    /// Events at the door in the order in which they came, and whether they were handed on.
    pub(crate) arrivals: Vec<(ArrivalRecord, bool)>,
    pub(crate) schedules: BTreeMap<ResourceName, ScheduleRecord>,
}

/// One run.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) record: RunRecord,
    pub(crate) journal: Vec<Arc<JournalEvent>>,
    pub(crate) admissions: BTreeMap<(u32, u32), Digest>,
    pub(crate) leases: BTreeMap<LeaseId, (LeaseRecord, bool)>,
    pub(crate) timers: BTreeMap<String, Timestamp>,
}

impl Row {
    pub(crate) fn open_leases(&self) -> Vec<LeaseRecord> {
        self.leases.values().filter(|(_, ended)| !ended).map(|(lease, _)| lease.clone()).collect()
    }

    pub(crate) fn timers(&self) -> Vec<TimerRecord> {
        let mut timers: Vec<_> =
            self.timers.iter().map(|(name, due)| TimerRecord { name: name.clone(), due: *due }).collect();
        timers.sort_by(|a, b| (a.due, &a.name).cmp(&(b.due, &b.name)));
        timers
    }
}

/// A ledger entry with its place in a run.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) link: Option<(RunId, u32)>,
    pub(crate) bytes: Vec<u8>,
}

/// The ledger.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) last_key: u64,
    pub(crate) pending: BTreeMap<u64, Arc<Kept>>,
    pub(crate) entries: Vec<Arc<Kept>>,
    pub(crate) nodes: BTreeMap<(u8, u64), Digest>,
    pub(crate) frontier: Option<Frontier>,
    pub(crate) signed: Option<String>,
    pub(crate) signed_size: u64,
    pub(crate) cosigned: Option<String>,
    pub(crate) cosigned_size: u64,
}

impl Log {
    pub(crate) fn append(&mut self, entries: Vec<Kept>) {
        for entry in entries {
            self.last_key += 1;
            self.pending.insert(self.last_key, Arc::new(entry));
        }
    }

    pub(crate) fn frontier(&self) -> Frontier {
        self.frontier.clone().unwrap_or_default()
    }
}

impl State {
    /// A run's row, to be changed.
    pub(crate) fn row_mut(&mut self, run: &RunId) -> Option<&mut Row> {
        self.runs.get_mut(run).map(Arc::make_mut)
    }
}
