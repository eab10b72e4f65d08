//! Reading runs, their journal, payloads, leases, timers and standing.

use super::TenantHandle;
use super::approvals;
use super::codec::{all, one, run};
use super::common::revocations;
use super::fault::Reading;
use crate::checked::epoch_columns;
use crate::codec::{PAGE, blob, digest, int, named, nat, parse, without_gaps};
use async_trait::async_trait;
use mandate_journal::{
    ApprovalQuery, ApprovalRecord, ChainHead, EpochKey, JournalEvent, LeaseRecord, LeaseState, OpenCounts, Page,
    RunQuery, RunRecord, Runs, SealedPayload, Standing, StoreError, TimerRecord, event_timer,
};
use mandate_kernel::{ApprovalId, Attempt, Digest, LeaseId, RunId, StepKey, StepSeq, Tenant, Timestamp};
use rusqlite::{Connection, Row, params};

const RUN: &str = "SELECT r.run, r.new, s.status, s.journal_seq, s.epoch, s.chain_next, s.chain_last
    FROM runs r JOIN run_state s ON s.tenant = r.tenant AND s.run = r.run WHERE r.tenant = ?1 AND r.run = ?2";
const RUNS: &str = "SELECT r.run, r.new, s.status, s.journal_seq, s.epoch, s.chain_next, s.chain_last
    FROM runs r JOIN run_state s ON s.tenant = r.tenant AND s.run = r.run
    WHERE r.tenant = ?1 AND r.run < coalesce(?2, 'run_z') ORDER BY r.run DESC LIMIT ?3";
const RUNS_OF_WORKER: &str = "SELECT r.run, r.new, s.status, s.journal_seq, s.epoch, s.chain_next, s.chain_last
    FROM runs r JOIN run_state s ON s.tenant = r.tenant AND s.run = r.run
    WHERE r.tenant = ?1 AND r.run < coalesce(?2, 'run_z') AND r.worker = ?4 ORDER BY r.run DESC LIMIT ?3";
const JOURNAL: &str = "SELECT seq, event FROM journal WHERE tenant = ?1 AND run = ?2 ORDER BY seq";
const JOURNAL_AFTER: &str =
    "SELECT seq, event FROM journal WHERE tenant = ?1 AND run = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
const RUNS_IN: &str = "SELECT count(*) FROM run_state WHERE tenant = ?1 AND state = ?2";
const LEASES_OPEN: &str = "SELECT count(*) FROM leases WHERE tenant = ?1 AND ended_at IS NULL";
const APPROVALS_PENDING: &str = "SELECT count(*) FROM approvals WHERE tenant = ?1 AND state = 'pending'";
const UNSEQUENCED: &str = "SELECT count(*) FROM ledger_pending WHERE tenant = ?1";
const PAYLOAD: &str = "SELECT subject, ciphertext FROM payloads WHERE tenant = ?1 AND commitment = ?2";
const OPEN_LEASES: &str = "SELECT lease, step, attempt, credential, version, not_after FROM leases
    WHERE tenant = ?1 AND run = ?2 AND ended_at IS NULL ORDER BY lease";
const TIMERS: &str = "SELECT name, due FROM timers WHERE tenant = ?1 AND run = ?2 ORDER BY due, name";
/// Two ranges of the partial index `timers_heard`; its condition is repeated, or it would not be used.
const LISTENING: &str = "SELECT run FROM (SELECT run FROM timers WHERE tenant = ?1 AND name = ?2
        AND name >= 'event' AND name < 'evenu' AND run > ?4 ORDER BY run LIMIT ?5)
    UNION SELECT run FROM (SELECT run FROM timers WHERE tenant = ?1 AND name = ?3
        AND name >= 'event' AND name < 'evenu' AND run > ?4 ORDER BY run LIMIT ?5)
    ORDER BY run LIMIT ?5";
const TAKE_OVER: &str = "UPDATE run_state SET epoch = epoch + 1 WHERE tenant = ?1 AND run = ?2";
const RUN_EPOCH: &str = "SELECT epoch FROM run_state WHERE tenant = ?1 AND run = ?2";
const EPOCH: &str = "SELECT epoch FROM epochs WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
/// Entries not in the tree are few, so they have no index by run: a step would pay for it.
const ENTRIES: &str = "SELECT idx, bytes, chain_seq FROM ledger_entries WHERE tenant = ?1 AND run = ?2
    UNION ALL SELECT NULL, bytes, chain_seq FROM ledger_pending WHERE tenant = ?1 AND run = ?2 ORDER BY 3";

fn record(row: &Row<'_>) -> Reading<RunRecord> {
    let last: Option<Vec<u8>> = row.get(6)?;
    let last = last.map(|bytes| digest(&bytes, "chain head")).transpose()?;
    Ok(RunRecord {
        run: named(row.get(0)?, "run id")?,
        new: parse(row.get_ref(1)?.as_blob().unwrap_or_default(), "a run")?,
        status: parse(row.get_ref(2)?.as_blob().unwrap_or_default(), "a run's status")?,
        journal_seq: nat(row.get(3)?, "journal sequence")?,
        epoch: nat(row.get(4)?, "epoch")?,
        chain: ChainHead { next: nat(row.get(5)?, "chain length")?, last },
    })
}

fn list(conn: &Connection, tenant: &str, query: &RunQuery) -> Reading<Page<RunRecord>> {
    let limit = query.limit.min(PAGE);
    let one_more = int(limit as u64 + 1);
    let before = query.before.as_ref().map(RunId::as_str);
    let mut items = match &query.worker {
        None => all(conn, RUNS, params![tenant, before, one_more], record)?,
        Some(worker) => all(conn, RUNS_OF_WORKER, params![tenant, before, one_more, worker.as_str()], record)?,
    };
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, more })
}

fn journal_row(row: &Row<'_>) -> Reading<(u64, JournalEvent)> {
    let seq: u64 = nat(row.get(0)?, "journal sequence")?;
    Ok((seq, parse::<JournalEvent>(row.get_ref(1)?.as_blob().unwrap_or_default(), "a journal event")?))
}

fn journal(conn: &Connection, tenant: &str, run: &RunId) -> Reading<Vec<JournalEvent>> {
    Ok(without_gaps(run, 1, all(conn, JOURNAL, params![tenant, run.as_str()], journal_row)?)?)
}

fn count(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Reading<u64> {
    Ok(one(conn, sql, params, |row| Ok(nat(row.get(0)?, "a count")?))?.unwrap_or(0))
}

fn lease(row: &Row<'_>, run: &RunId) -> Reading<LeaseRecord> {
    let (seq, attempt) = (StepSeq(nat(row.get(1)?, "step")?), Attempt(nat(row.get(2)?, "attempt")?));
    Ok(LeaseRecord {
        lease: named::<LeaseId>(row.get(0)?, "lease id")?,
        step: StepKey { run: run.clone(), seq, attempt },
        credential: named(row.get(3)?, "credential")?,
        version: nat(row.get(4)?, "credential version")?,
        not_after: Timestamp::from_millis(row.get(5)?),
        state: LeaseState::Intended,
    })
}

fn take_over(conn: &Connection, tenant: &Tenant, run_id: &RunId) -> Reading<u64> {
    let key = params![tenant.as_str(), run_id.as_str()];
    run(conn, TAKE_OVER, key)?;
    let epoch = one(conn, RUN_EPOCH, key, |row| Ok(nat(row.get(0)?, "epoch")?))?;
    epoch.ok_or_else(|| StoreError::Corrupt(format!("tenant {tenant} has no run {run_id} to take over")).into())
}

fn standing(conn: &Connection, tenant: &Tenant, keys: &[EpochKey]) -> Reading<Standing> {
    let epoch = |key| {
        let (kind, name) = epoch_columns(key);
        let found = one(conn, EPOCH, params![tenant.as_str(), kind, name], |row| Ok(nat(row.get(0)?, "epoch")?))?;
        Ok(found.unwrap_or(0))
    };
    let epochs: Reading<Vec<u64>> = keys.iter().map(epoch).collect();
    Ok(Standing { revocations: revocations(conn, tenant)?, epochs: epochs? })
}

#[async_trait]
impl Runs for TenantHandle {
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        let run = run.clone();
        self.read(move |conn, tenant| one(conn, RUN, params![tenant, run.as_str()], record)).await
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalEvent>, StoreError> {
        let run = run.clone();
        self.read(move |conn, tenant| journal(conn, tenant, &run)).await
    }

    async fn journal_after(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<JournalEvent>, StoreError> {
        let run = run.clone();
        let read = move |conn: &Connection, tenant: &str| {
            let rows = params![tenant, run.as_str(), int(after), int(limit as u64)];
            Ok(without_gaps(&run, after.saturating_add(1), all(conn, JOURNAL_AFTER, rows, journal_row)?)?)
        };
        self.read(read).await
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        let read = |conn: &Connection, tenant: &str| {
            Ok(OpenCounts {
                running: count(conn, RUNS_IN, params![tenant, "running"])?,
                waiting: count(conn, RUNS_IN, params![tenant, "waiting"])?,
                approvals: count(conn, APPROVALS_PENDING, params![tenant])?,
                leases: count(conn, LEASES_OPEN, params![tenant])?,
                unsequenced: count(conn, UNSEQUENCED, params![tenant])?,
            })
        };
        self.read(read).await
    }

    async fn runs(&self, query: RunQuery) -> Result<Page<RunRecord>, StoreError> {
        self.read(move |conn, tenant| list(conn, tenant, &query)).await
    }

    async fn payload(&self, commitment: &Digest) -> Result<Option<SealedPayload>, StoreError> {
        let commitment = *commitment;
        let read = move |conn: &Connection, tenant: &str| {
            one(conn, PAYLOAD, params![tenant, blob(Some(&commitment))], |row| {
                Ok(SealedPayload { commitment, subject: row.get(0)?, ciphertext: row.get(1)? })
            })
        };
        self.read(read).await
    }

    async fn open_leases(&self, run: &RunId) -> Result<Vec<LeaseRecord>, StoreError> {
        let run = run.clone();
        self.read(move |conn, tenant| all(conn, OPEN_LEASES, params![tenant, run.as_str()], |row| lease(row, &run)))
            .await
    }

    async fn timers(&self, run: &RunId) -> Result<Vec<TimerRecord>, StoreError> {
        let run = run.clone();
        let read = move |conn: &Connection, tenant: &str| {
            all(conn, TIMERS, params![tenant, run.as_str()], |row| {
                Ok(TimerRecord { name: row.get(0)?, due: Timestamp::from_millis(row.get(1)?) })
            })
        };
        self.read(read).await
    }

    async fn listening(&self, event_type: &str, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let names = (event_timer(Some(event_type)), event_timer(None));
        let (after, limit) = (after.map_or(String::new(), ToString::to_string), int(limit.min(PAGE) as u64));
        let read = move |conn: &Connection, tenant: &str| {
            all(conn, LISTENING, params![tenant, names.0, names.1, after, limit], |row| {
                Ok(named(row.get(0)?, "run id")?)
            })
        };
        self.read(read).await
    }

    async fn approval(&self, approval: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        let approval = approval.clone();
        self.read(move |conn, tenant| approvals::find(conn, tenant, &approval)).await
    }

    async fn approvals(&self, query: ApprovalQuery) -> Result<Page<ApprovalRecord>, StoreError> {
        self.read(move |conn, tenant| approvals::list(conn, tenant, &query)).await
    }

    async fn take_over(&self, run: &RunId) -> Result<u64, StoreError> {
        let run = run.clone();
        self.write("store.take-over", move |conn, tenant| take_over(conn, tenant, &run)).await
    }

    async fn standing(&self, keys: &[EpochKey]) -> Result<Standing, StoreError> {
        let (keys, tenant) = (keys.to_vec(), self.tenant().clone());
        self.read(move |conn, _| standing(conn, &tenant, &keys)).await
    }

    async fn run_entries(&self, run: &RunId) -> Result<Vec<(Option<u64>, Vec<u8>)>, StoreError> {
        let run = run.clone();
        let read = move |conn: &Connection, tenant: &str| {
            all(conn, ENTRIES, params![tenant, run.as_str()], |row| {
                let index: Option<i64> = row.get(0)?;
                Ok((index.map(|index| nat(index, "tree index")).transpose()?, row.get(1)?))
            })
        };
        self.read(read).await
    }
}
