//! Events at the door, and where schedules stand.

use super::PostgresTenant;
use super::common::{bytes, number};
use super::fault::{Reading, Writing};
use super::tenant::read;
use super::work::Work;
use crate::checked::CheckedChange;
use crate::codec::{PAGE, digest, int, parse};
use async_trait::async_trait;
use mandate_journal::{
    ARRIVAL, ArrivalChange, ArrivalRecord, CommitError, Occasions, SCHEDULE, ScheduleRecord, SealedPayload, StoreError,
};
use mandate_kernel::{Digest, ResourceName, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

const TAKE: &str = "INSERT INTO arrivals (tenant, key, keep_until, subject, commitment, ciphertext)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, key) DO NOTHING";
const DONE: &str =
    "UPDATE arrivals SET subject = NULL, commitment = NULL, ciphertext = NULL WHERE tenant = $1 AND key = $2";
const FORGET: &str = "DELETE FROM arrivals WHERE tenant = $1 AND keep_until < $2 AND ciphertext IS NULL";
const KNOWN: &str = "SELECT key FROM arrivals WHERE tenant = $1 AND key = ANY($2::bytea[])";
const WAITING: &str = "SELECT key, keep_until, subject, commitment, ciphertext FROM arrivals
    WHERE tenant = $1 AND ciphertext IS NOT NULL ORDER BY seq LIMIT $2";
const COUNT: &str = "SELECT count(*) FROM arrivals WHERE tenant = $1 AND ciphertext IS NOT NULL";
const SCHEDULE_OF: &str = "SELECT version, state FROM schedules WHERE tenant = $1 AND worker = $2";
const SCHEDULE_NEW: &str = "INSERT INTO schedules (tenant, worker, version, state) VALUES ($1, $2, 1, $3)
    ON CONFLICT (tenant, worker) DO NOTHING";
const SCHEDULE_NEXT: &str =
    "UPDATE schedules SET version = version + 1, state = $3 WHERE tenant = $1 AND worker = $2 AND version = $4";

/// Writes what a change says of events and schedules.
pub(super) async fn write(change: &CheckedChange, work: &mut Work) -> Writing<()> {
    for arrival in &change.arrivals {
        match arrival {
            ArrivalChange::Take(new) => take(new, work).await?,
            ArrivalChange::Done(key) => drop(work.run(work.query(DONE).bind(key.as_bytes().as_slice())).await?),
            ArrivalChange::Forget(until) => drop(work.run(work.query(FORGET).bind(until.as_millis())).await?),
        }
    }
    for (write, state) in &change.schedules {
        let worker = write.worker.as_str();
        let written = match write.expected {
            0 => work.run(work.query(SCHEDULE_NEW).bind(worker).bind(state.as_slice())).await?,
            expected => {
                let query = work.query(SCHEDULE_NEXT).bind(worker).bind(state.as_slice());
                work.run(query.bind(int(expected))).await?
            }
        };
        if written == 0 {
            let actual = stands(work, worker).await?.map_or(0, |record| record.version);
            let (kind, name, expected) = (SCHEDULE.to_owned(), worker.to_owned(), write.expected);
            return Err(CommitError::VersionConflict { kind, name, expected, actual }.into());
        }
    }
    Ok(())
}

async fn take(new: &ArrivalRecord, work: &mut Work) -> Writing<()> {
    let SealedPayload { commitment, subject, ciphertext } = &new.event;
    let query = work.query(TAKE).bind(new.key.as_bytes().as_slice()).bind(new.keep_until.as_millis());
    let query = query.bind(subject.as_str()).bind(commitment.as_bytes().as_slice()).bind(ciphertext.as_slice());
    if work.run(query).await? == 1 {
        return Ok(());
    }
    let (kind, name) = (ARRIVAL.to_owned(), new.key.to_string());
    Err(CommitError::VersionConflict { kind, name, expected: 0, actual: 1 }.into())
}

fn arrival(row: &PgRow) -> Reading<ArrivalRecord> {
    let event = SealedPayload {
        commitment: digest(bytes(row, 3)?, "an event's commitment")?,
        subject: row.try_get(2)?,
        ciphertext: row.try_get(4)?,
    };
    let keep_until = Timestamp::from_millis(row.try_get(1)?);
    Ok(ArrivalRecord { key: digest(bytes(row, 0)?, "an event's key")?, keep_until, event })
}

async fn stands(work: &mut Work, worker: &str) -> Reading<Option<ScheduleRecord>> {
    let Some(row) = work.one(work.query(SCHEDULE_OF).bind(worker)).await? else { return Ok(None) };
    let state = parse(bytes(&row, 1)?, "a schedule")?;
    Ok(Some(ScheduleRecord { version: number(&row, 0, "a schedule's version")?, state }))
}

#[async_trait]
impl Occasions for PostgresTenant {
    async fn known(&self, keys: &[Digest]) -> Result<Vec<bool>, StoreError> {
        read!(self, work => {
            let asked: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
            let rows = work.all(work.query(KNOWN).bind(asked)).await?;
            let found: Vec<&[u8]> = rows.iter().map(|row| bytes(row, 0)).collect::<Reading<_>>()?;
            keys.iter().map(|key| found.contains(&key.as_bytes().as_slice())).collect()
        })
    }

    async fn arrivals(&self, limit: usize) -> Result<Vec<ArrivalRecord>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(WAITING).bind(int(limit.min(PAGE) as u64))).await?;
            rows.iter().map(arrival).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn arrivals_waiting(&self) -> Result<u64, StoreError> {
        read!(self, work => match work.one(work.query(COUNT)).await? {
            None => 0,
            Some(row) => number(&row, 0, "a count")?,
        })
    }

    async fn schedule(&self, worker: &ResourceName) -> Result<Option<ScheduleRecord>, StoreError> {
        read!(self, work => stands(work, worker.as_str()).await?)
    }
}
