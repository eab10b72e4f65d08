//! Reading runs.

use super::SimTenant;
use super::state::Row;
use async_trait::async_trait;
use mandate_journal::{
    ApprovalQuery, ApprovalRecord, ApprovalState, EpochKey, JournalEvent, LeaseRecord, OpenCounts, Page, RunQuery,
    RunRecord, RunState, Runs, SealedPayload, Standing, StoreError, TimerRecord, event_timer,
};
use mandate_kernel::{ApprovalId, Digest, RunId};

#[async_trait]
impl Runs for SimTenant {
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        self.read("store.run", |state| state.runs.get(run).map(|row| row.record.clone())).await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalEvent>, StoreError> {
        self.read("store.journal", |state| state.runs.get(run).map(|row| journal(row)).unwrap_or_default()).await
    }

    async fn runs(&self, query: RunQuery) -> Result<Page<RunRecord>, StoreError> {
        self.read("store.runs", |state| {
            let limit = query.limit.min(1_000);
            let wanted = |record: &&RunRecord| {
                query.before.as_ref().is_none_or(|before| record.run < *before)
                    && query.worker.as_ref().is_none_or(|worker| record.new.worker == *worker)
            };
            let newest_first = state.runs.values().rev().map(|row| &row.record).filter(wanted);
            let mut items: Vec<_> = newest_first.take(limit + 1).cloned().collect();
            let more = items.len() > limit;
            items.truncate(limit);
            Page { items, more }
        })
        .await
    }

    async fn payload(&self, commitment: &Digest) -> Result<Option<SealedPayload>, StoreError> {
        self.read("store.payload", |state| state.payloads.get(commitment).map(|payload| SealedPayload::clone(payload)))
            .await
    }

    async fn open_leases(&self, run: &RunId) -> Result<Vec<LeaseRecord>, StoreError> {
        self.read("store.open-leases", |state| state.runs.get(run).map(|row| row.open_leases()).unwrap_or_default())
            .await
    }

    async fn timers(&self, run: &RunId) -> Result<Vec<TimerRecord>, StoreError> {
        self.read("store.timers", |state| state.runs.get(run).map(|row| row.timers()).unwrap_or_default()).await
    }

    async fn listening(&self, event_type: &str, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let names = [event_timer(Some(event_type)), event_timer(None)];
        self.read("listening", |state| {
            let listens = |row: &super::state::Row| names.iter().any(|name| row.timers.contains_key(name));
            let found = state.runs.iter().filter(|(run, row)| after.is_none_or(|after| *run > after) && listens(row));
            found.map(|(run, _)| run.clone()).take(limit).collect()
        })
        .await
    }

    async fn approval(&self, approval: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        self.read("store.approval", |state| state.approvals.get(approval).cloned()).await
    }

    async fn approvals(&self, query: ApprovalQuery) -> Result<Page<ApprovalRecord>, StoreError> {
        self.read("store.approvals", |state| {
            let limit = query.limit.min(1_000);
            let wanted = |record: &&ApprovalRecord| {
                query.before.as_ref().is_none_or(|before| record.approval < *before)
                    && query.state.is_none_or(|state| record.state == state)
                    && query.run.as_ref().is_none_or(|run| record.run == *run)
            };
            let mut items: Vec<_> = state.approvals.values().rev().filter(wanted).take(limit + 1).cloned().collect();
            let more = items.len() > limit;
            items.truncate(limit);
            Page { items, more }
        })
        .await
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        self.read("store.open-counts", |state| {
            let in_state =
                |wanted: RunState| state.runs.values().filter(|row| row.record.status.state == wanted).count() as u64;
            let pending = |record: &&ApprovalRecord| record.state == ApprovalState::Pending;
            OpenCounts {
                running: in_state(RunState::Running),
                waiting: in_state(RunState::Waiting),
                approvals: state.approvals.values().filter(pending).count() as u64,
                leases: state.runs.values().map(|row| row.open_leases().len() as u64).sum(),
                unsequenced: state.log.pending.len() as u64,
            }
        })
        .await
    }

    async fn take_over(&self, run: &RunId) -> Result<u64, StoreError> {
        self.write("store.take-over", |state| {
            let row = state.row_mut(run);
            let row = row.ok_or_else(|| StoreError::Corrupt(format!("there is no run {run} to take over")))?;
            row.record.epoch += 1;
            Ok(row.record.epoch)
        })
        .await
    }

    async fn standing(&self, keys: &[EpochKey]) -> Result<Standing, StoreError> {
        self.read("store.standing", |state| Standing {
            revocations: state.revocations,
            epochs: keys.iter().map(|key| state.epochs.get(key).copied().unwrap_or(0)).collect(),
        })
        .await
    }

    async fn run_entries(&self, run: &RunId) -> Result<Vec<(Option<u64>, Vec<u8>)>, StoreError> {
        self.read("store.run-entries", |state| {
            let integrated = state.log.entries.iter().enumerate().map(|(index, kept)| (Some(index as u64), kept));
            let waiting = state.log.pending.values().map(|kept| (None, kept));
            let mut found: Vec<_> = integrated
                .chain(waiting)
                .filter_map(|(index, kept)| {
                    let (of, seq) = kept.link.as_ref()?;
                    (of == run).then(|| (*seq, index, kept.bytes.clone()))
                })
                .collect();
            found.sort();
            found.into_iter().map(|(_, index, bytes)| (index, bytes)).collect()
        })
        .await
    }
}

/// A run's journal.
pub(super) fn journal(row: &Row) -> Vec<JournalEvent> {
    row.journal.iter().map(|event| JournalEvent::clone(event)).collect()
}
