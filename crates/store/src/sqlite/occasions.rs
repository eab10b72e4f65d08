//! Events at the door, and where schedules stand.

use super::TenantHandle;
use super::codec::{all, one, run};
use super::fault::{Reading, Writing};
use crate::checked::CheckedChange;
use crate::codec::{PAGE, blob, digest, int, nat, parse};
use async_trait::async_trait;
use mandate_journal::{
    ARRIVAL, ArrivalChange, ArrivalRecord, CommitError, Occasions, SCHEDULE, ScheduleRecord, SealedPayload, StoreError,
};
use mandate_kernel::{Digest, ResourceName, Timestamp};
use rusqlite::{Connection, Row, params};

const TAKE: &str = "INSERT INTO arrivals (tenant, key, keep_until, subject, commitment, ciphertext)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, key) DO NOTHING";
const DONE: &str =
    "UPDATE arrivals SET subject = NULL, commitment = NULL, ciphertext = NULL WHERE tenant = ?1 AND key = ?2";
const FORGET: &str = "DELETE FROM arrivals WHERE tenant = ?1 AND keep_until < ?2 AND ciphertext IS NULL";
const KNOWN: &str = "SELECT 1 FROM arrivals WHERE tenant = ?1 AND key = ?2";
const WAITING: &str = "SELECT key, keep_until, subject, commitment, ciphertext FROM arrivals
    WHERE tenant = ?1 AND ciphertext IS NOT NULL ORDER BY seq LIMIT ?2";
const COUNT: &str = "SELECT count(*) FROM arrivals WHERE tenant = ?1 AND ciphertext IS NOT NULL";
const SCHEDULE_OF: &str = "SELECT version, state FROM schedules WHERE tenant = ?1 AND worker = ?2";
const SCHEDULE_NEW: &str = "INSERT INTO schedules (tenant, worker, version, state) VALUES (?1, ?2, 1, ?3)
    ON CONFLICT (tenant, worker) DO NOTHING";
const SCHEDULE_NEXT: &str =
    "UPDATE schedules SET version = version + 1, state = ?3 WHERE tenant = ?1 AND worker = ?2 AND version = ?4";

/// Writes what a change says of events and schedules.
pub(super) fn write(conn: &Connection, change: &CheckedChange) -> Writing<()> {
    let tenant = change.tenant.as_str();
    for arrival in &change.arrivals {
        match arrival {
            ArrivalChange::Take(new) => take(conn, tenant, new)?,
            ArrivalChange::Done(key) => drop(run(conn, DONE, params![tenant, blob(Some(key))])?),
            ArrivalChange::Forget(until) => drop(run(conn, FORGET, params![tenant, until.as_millis()])?),
        }
    }
    for (write, state) in &change.schedules {
        let worker = write.worker.as_str();
        let written = match write.expected {
            0 => run(conn, SCHEDULE_NEW, params![tenant, worker, state])?,
            expected => run(conn, SCHEDULE_NEXT, params![tenant, worker, state, int(expected)])?,
        };
        if written == 0 {
            let actual = stands(conn, tenant, worker)?.map_or(0, |record| record.version);
            let (kind, name, expected) = (SCHEDULE.to_owned(), worker.to_owned(), write.expected);
            return Err(CommitError::VersionConflict { kind, name, expected, actual }.into());
        }
    }
    Ok(())
}

fn take(conn: &Connection, tenant: &str, new: &ArrivalRecord) -> Writing<()> {
    let SealedPayload { commitment, subject, ciphertext } = &new.event;
    let (key, until) = (blob(Some(&new.key)), new.keep_until.as_millis());
    if run(conn, TAKE, params![tenant, key, until, subject, blob(Some(commitment)), ciphertext])? == 1 {
        return Ok(());
    }
    let (kind, name) = (ARRIVAL.to_owned(), new.key.to_string());
    Err(CommitError::VersionConflict { kind, name, expected: 0, actual: 1 }.into())
}

fn arrival(row: &Row<'_>) -> Reading<ArrivalRecord> {
    let bytes = |at| -> Reading<Vec<u8>> { Ok(row.get(at)?) };
    let event = SealedPayload {
        commitment: digest(&bytes(3)?, "an event's commitment")?,
        subject: row.get(2)?,
        ciphertext: bytes(4)?,
    };
    let keep_until = Timestamp::from_millis(row.get(1)?);
    Ok(ArrivalRecord { key: digest(&bytes(0)?, "an event's key")?, keep_until, event })
}

fn stands(conn: &Connection, tenant: &str, worker: &str) -> Reading<Option<ScheduleRecord>> {
    one(conn, SCHEDULE_OF, params![tenant, worker], |row| {
        let state = parse(row.get_ref(1)?.as_blob().unwrap_or_default(), "a schedule")?;
        Ok(ScheduleRecord { version: nat(row.get(0)?, "a schedule's version")?, state })
    })
}

#[async_trait]
impl Occasions for TenantHandle {
    async fn known(&self, keys: &[Digest]) -> Result<Vec<bool>, StoreError> {
        let keys = keys.to_vec();
        let read = move |conn: &Connection, tenant: &str| {
            let is_known = |key| Ok(one(conn, KNOWN, params![tenant, blob(Some(key))], |_| Ok(()))?.is_some());
            keys.iter().map(is_known).collect::<Reading<Vec<bool>>>()
        };
        self.read(read).await
    }

    async fn arrivals(&self, limit: usize) -> Result<Vec<ArrivalRecord>, StoreError> {
        let limit = int(limit.min(PAGE) as u64);
        self.read(move |conn, tenant| all(conn, WAITING, params![tenant, limit], arrival)).await
    }

    async fn arrivals_waiting(&self) -> Result<u64, StoreError> {
        let read = |conn: &Connection, tenant: &str| {
            Ok(one(conn, COUNT, params![tenant], |row| Ok(nat(row.get(0)?, "a count")?))?.unwrap_or(0))
        };
        self.read(read).await
    }

    async fn schedule(&self, worker: &ResourceName) -> Result<Option<ScheduleRecord>, StoreError> {
        let worker = worker.clone();
        self.read(move |conn, tenant| stands(conn, tenant, worker.as_str())).await
    }
}
