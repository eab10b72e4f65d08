//! Reading runs, their journal, payloads, leases, timers and standing.

use super::PostgresTenant;
use super::approvals;
use super::common::{bytes, number, revocations};
use super::fault::Reading;
use super::tenant::read;
use super::work::{Job, Work};
use crate::checked::epoch_columns;
use crate::codec::{PAGE, digest, int, named, parse, without_gaps};
use async_trait::async_trait;
use mandate_journal::{
    ApprovalQuery, ApprovalRecord, ChainHead, EpochKey, JournalEvent, LeaseRecord, LeaseState, OpenCounts, Page,
    RunQuery, RunRecord, Runs, SealedPayload, Standing, StoreError, TimerRecord, event_timer,
};
use mandate_kernel::{ApprovalId, Attempt, Digest, LeaseId, ResourceName, RunId, StepKey, StepSeq, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

const RUN: &str = "SELECT r.run, r.new, s.status, s.journal_seq, s.epoch, s.chain_next, s.chain_last
    FROM runs r JOIN run_state s ON s.tenant = r.tenant AND s.run = r.run WHERE r.tenant = $1 AND r.run = $2";
const RUNS: &str = "SELECT r.run, r.new, s.status, s.journal_seq, s.epoch, s.chain_next, s.chain_last
    FROM runs r JOIN run_state s ON s.tenant = r.tenant AND s.run = r.run
    WHERE r.tenant = $1 AND r.run < coalesce($2::text, 'run_z') AND ($4::text IS NULL OR r.worker = $4)
    ORDER BY r.run DESC LIMIT $3";
const JOURNAL: &str = "SELECT seq, event FROM journal WHERE tenant = $1 AND run = $2 ORDER BY seq";
const JOURNAL_AFTER: &str =
    "SELECT seq, event FROM journal WHERE tenant = $1 AND run = $2 AND seq > $3 ORDER BY seq LIMIT $4";
const OPEN: &str = "SELECT count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state = 'waiting'),
    (SELECT count(*) FROM approvals WHERE tenant = $1 AND state = 'pending'),
    (SELECT count(*) FROM leases WHERE tenant = $1 AND ended_at IS NULL),
    (SELECT count(*) FROM ledger_pending WHERE tenant = $1) FROM run_state WHERE tenant = $1";
const PAYLOAD: &str = "SELECT subject, ciphertext FROM payloads WHERE tenant = $1 AND commitment = $2";
const OPEN_LEASES: &str = "SELECT lease, step, attempt, credential, version, not_after FROM leases
    WHERE tenant = $1 AND run = $2 AND ended_at IS NULL ORDER BY lease";
const TIMERS: &str = "SELECT name, due FROM timers WHERE tenant = $1 AND run = $2 ORDER BY due, name";
/// Two ranges of the partial index `timers_heard`; its condition is repeated, or it would not be used.
const LISTENING: &str = "SELECT run FROM (SELECT run FROM timers WHERE tenant = $1 AND name = $2
        AND name >= 'event' AND name < 'evenu' AND run > $4 ORDER BY run LIMIT $5) typed
    UNION SELECT run FROM (SELECT run FROM timers WHERE tenant = $1 AND name = $3
        AND name >= 'event' AND name < 'evenu' AND run > $4 ORDER BY run LIMIT $5) untyped
    ORDER BY run LIMIT $5";
const TAKE_OVER: &str = "UPDATE run_state SET epoch = epoch + 1 WHERE tenant = $1 AND run = $2 RETURNING epoch";
const EPOCHS: &str = "SELECT coalesce(e.epoch, 0)
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS k (kind, name, place)
    LEFT JOIN (SELECT kind, name, epoch FROM epochs WHERE tenant = $1) e ON e.kind = k.kind AND e.name = k.name
    ORDER BY k.place";
/// Entries not in the tree are few, so they have no index by run: a step would pay for it.
const ENTRIES: &str = "SELECT idx, bytes, chain_seq FROM ledger_entries WHERE tenant = $1 AND run = $2
    UNION ALL SELECT NULL, bytes, chain_seq FROM ledger_pending WHERE tenant = $1 AND run = $2 ORDER BY 3";

fn record(row: &PgRow) -> Reading<RunRecord> {
    let last: Option<&[u8]> = row.try_get(6)?;
    let last = last.map(|bytes| digest(bytes, "chain head")).transpose()?;
    Ok(RunRecord {
        run: named(row.try_get(0)?, "run id")?,
        new: parse(bytes(row, 1)?, "a run")?,
        status: parse(bytes(row, 2)?, "a run's status")?,
        journal_seq: number(row, 3, "journal sequence")?,
        epoch: number(row, 4, "epoch")?,
        chain: ChainHead { next: number(row, 5, "chain length")?, last },
    })
}

async fn list(work: &mut Work, query: &RunQuery) -> Reading<Page<RunRecord>> {
    let limit = query.limit.min(PAGE);
    let asked = work.query(RUNS).bind(query.before.as_ref().map(RunId::as_str)).bind(int(limit as u64 + 1));
    let rows = work.all(asked.bind(query.worker.as_ref().map(ResourceName::as_str))).await?;
    let more = rows.len() > limit;
    let items: Reading<Vec<_>> = rows.iter().take(limit).map(record).collect();
    Ok(Page { items: items?, more })
}

fn events(run: &RunId, first: u64, rows: &[PgRow]) -> Reading<Vec<JournalEvent>> {
    let event = |row: &PgRow| {
        let seq: u64 = number(row, 0, "journal sequence")?;
        Ok((seq, parse::<JournalEvent>(bytes(row, 1)?, "a journal event")?))
    };
    let rows: Reading<Vec<_>> = rows.iter().map(event).collect();
    Ok(without_gaps(run, first, rows?)?)
}

fn lease(row: &PgRow, run: &RunId) -> Reading<LeaseRecord> {
    let (seq, attempt) = (StepSeq(number(row, 1, "step")?), Attempt(number(row, 2, "attempt")?));
    Ok(LeaseRecord {
        lease: named::<LeaseId>(row.try_get(0)?, "lease id")?,
        step: StepKey { run: run.clone(), seq, attempt },
        credential: named(row.try_get(3)?, "credential")?,
        version: number(row, 4, "credential version")?,
        not_after: Timestamp::from_millis(row.try_get(5)?),
        state: LeaseState::Intended,
    })
}

/// Raises a run's epoch. That it is raised once too often, because an answer was lost, does no harm.
struct TakeOver(RunId);

impl Job for TakeOver {
    type Out = u64;
    type Error = StoreError;

    fn point(&self) -> &'static str {
        "store.take-over"
    }

    async fn run(&self, work: &mut Work) -> Reading<u64> {
        match work.one(work.query(TAKE_OVER).bind(self.0.as_str())).await? {
            Some(row) => number(&row, 0, "epoch"),
            None => {
                let told = format!("tenant {} has no run {} to take over", work.tenant(), self.0);
                Err(StoreError::Corrupt(told).into())
            }
        }
    }
}

async fn standing(work: &mut Work, keys: &[EpochKey]) -> Reading<Standing> {
    let columns = keys.iter().map(epoch_columns);
    // A name that can't be kept was never revoked, and matches no row.
    let columns = columns.map(|(kind, name)| (kind, (!name.contains('\0')).then_some(name)));
    let (kinds, names): (Vec<&str>, Vec<Option<&str>>) = columns.unzip();
    let rows = work.all(work.query(EPOCHS).bind(kinds).bind(names)).await?;
    let epochs = rows.iter().map(|row| number(row, 0, "epoch")).collect::<Reading<_>>()?;
    Ok(Standing { revocations: revocations(work).await?, epochs })
}

#[async_trait]
impl Runs for PostgresTenant {
    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, StoreError> {
        read!(self, work => {
            let row = work.one(work.query(RUN).bind(run.as_str())).await?;
            row.as_ref().map(record).transpose()?
        })
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<JournalEvent>, StoreError> {
        read!(self, work => events(run, 1, &work.all(work.query(JOURNAL).bind(run.as_str())).await?)?)
    }

    async fn journal_after(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<JournalEvent>, StoreError> {
        read!(self, work => {
            let query = work.query(JOURNAL_AFTER).bind(run.as_str()).bind(int(after)).bind(int(limit as u64));
            events(run, after.saturating_add(1), &work.all(query).await?)?
        })
    }

    async fn open_counts(&self) -> Result<OpenCounts, StoreError> {
        read!(self, work => match work.one(work.query(OPEN)).await? {
            None => OpenCounts::default(),
            Some(row) => OpenCounts {
                running: number(&row, 0, "a count")?,
                waiting: number(&row, 1, "a count")?,
                approvals: number(&row, 2, "a count")?,
                leases: number(&row, 3, "a count")?,
                unsequenced: number(&row, 4, "a count")?,
            },
        })
    }

    async fn runs(&self, query: RunQuery) -> Result<Page<RunRecord>, StoreError> {
        read!(self, work => list(work, &query).await?)
    }

    async fn payload(&self, commitment: &Digest) -> Result<Option<SealedPayload>, StoreError> {
        let commitment = *commitment;
        read!(self, work => {
            let row = work.one(work.query(PAYLOAD).bind(commitment.as_bytes().as_slice())).await?;
            let sealed = |row: PgRow| -> Reading<_> {
                Ok(SealedPayload { commitment, subject: row.try_get(0)?, ciphertext: row.try_get(1)? })
            };
            row.map(sealed).transpose()?
        })
    }

    async fn open_leases(&self, run: &RunId) -> Result<Vec<LeaseRecord>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(OPEN_LEASES).bind(run.as_str())).await?;
            rows.iter().map(|row| lease(row, run)).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn timers(&self, run: &RunId) -> Result<Vec<TimerRecord>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(TIMERS).bind(run.as_str())).await?;
            let timer = |row: &PgRow| -> Reading<_> {
                Ok(TimerRecord { name: row.try_get(0)?, due: Timestamp::from_millis(row.try_get(1)?) })
            };
            rows.iter().map(timer).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn listening(&self, event_type: &str, after: Option<&RunId>, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let (typed, untyped) = (event_timer(Some(event_type)), event_timer(None));
        read!(self, work => {
            let query = work.query(LISTENING).bind(typed).bind(untyped).bind(after.map_or("", RunId::as_str));
            let rows = work.all(query.bind(int(limit.min(PAGE) as u64))).await?;
            let run = |row: &PgRow| -> Reading<_> { Ok(named(row.try_get(0)?, "run id")?) };
            rows.iter().map(run).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn approval(&self, approval: &ApprovalId) -> Result<Option<ApprovalRecord>, StoreError> {
        read!(self, work => approvals::find(work, approval).await?)
    }

    async fn approvals(&self, query: ApprovalQuery) -> Result<Page<ApprovalRecord>, StoreError> {
        read!(self, work => approvals::list(work, &query).await?)
    }

    async fn take_over(&self, run: &RunId) -> Result<u64, StoreError> {
        self.write(&TakeOver(run.clone())).await
    }

    async fn standing(&self, keys: &[EpochKey]) -> Result<Standing, StoreError> {
        read!(self, work => standing(work, keys).await?)
    }

    async fn run_entries(&self, run: &RunId) -> Result<Vec<(Option<u64>, Vec<u8>)>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(ENTRIES).bind(run.as_str())).await?;
            let entry = |row: &PgRow| -> Reading<_> {
                let index: Option<i64> = row.try_get(0)?;
                let index = index.map(|_| number(row, 0, "tree index")).transpose()?;
                Ok((index, row.try_get(1)?))
            };
            rows.iter().map(entry).collect::<Reading<Vec<_>>>()?
        })
    }
}
