//! An administrative change, written whole.

use super::common::{append, ensure_tenant, keep_payloads, number, owned, revocations};
use super::fault::{Halt, Reading, Writing, holds_nul};
use super::occasions;
use super::work::{Fate, Job, Lock, Work};
use crate::checked::{CheckedChange, Content, epoch_columns};
use crate::codec::int;
use mandate_journal::{CommitError, ResourceWrite, SecretRecord};
use sqlx::Row;

const CURRENT: &str = "SELECT version, deleted FROM resources WHERE tenant = $1 AND kind = $2 AND name = $3";
const POINT: &str = "INSERT INTO resources (tenant, kind, name, version, deleted) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version, deleted = excluded.deleted";
const VERSION: &str = "INSERT INTO resource_versions
    (tenant, kind, name, version, digest, spec, written_by, written_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const GENERATION: &str = "UPDATE tenants SET generation = generation + 1 WHERE tenant = $1";
const NEWEST_SECRET: &str =
    "SELECT coalesce(max(version), 0) FROM secrets WHERE tenant = $1 AND kind = $2 AND name = $3";
const SECRET: &str = "INSERT INTO secrets (tenant, kind, name, version, sealed, created_at)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, kind, name, version) DO NOTHING";
const SHRED: &str = "DELETE FROM secrets WHERE tenant = $1 AND kind = $2 AND name = $3";
const RAISE: &str = "INSERT INTO epochs (tenant, kind, name, epoch) VALUES ($1, $2, $3, 1)
    ON CONFLICT (tenant, kind, name) DO UPDATE SET epoch = epochs.epoch + 1";
const RAISE_SEQUENCE: &str = "UPDATE tenants SET revocations = revocations + $2 WHERE tenant = $1";
/// Whether an entry is there: waiting, or among those that came into the tree of late.
const HOLDS_ENTRY: &str = "SELECT 1 FROM ledger_pending WHERE tenant = $1 AND bytes = $2
    UNION ALL SELECT 1 FROM ledger_entries WHERE tenant = $1 AND bytes = $2
        AND idx >= (SELECT h.size - 100000 FROM ledger_heads h WHERE h.tenant = $1)
    LIMIT 1";

impl Job for CheckedChange {
    type Out = u64;
    type Error = CommitError;

    fn point(&self) -> &'static str {
        "store.change"
    }

    fn locks(&self) -> &'static [Lock] {
        if self.revoke.is_empty() { &[Lock::Changes] } else { &[Lock::Changes, Lock::Revocations] }
    }

    async fn run(&self, work: &mut Work) -> Writing<u64> {
        match write(self, work).await {
            Err(Halt::Sql(error)) if holds_nul(&error) => {
                let why = "a text in it holds a NUL character, which PostgreSQL can't store".to_owned();
                Err(CommitError::Invalid(why).into())
            }
            written => written,
        }
    }

    /// Its ledger entries show whether it was written. The lock on changes waits for one that is still ending.
    async fn fate(&self, work: &mut Work) -> Reading<Fate<u64>> {
        let Some(entry) = self.entries.first() else { return Ok(Fate::Unknowable) };
        let query = work.query(HOLDS_ENTRY).bind(entry.bytes());
        Ok(match work.one(query).await? {
            Some(_) => Fate::Made(revocations(work).await?),
            None => Fate::NotMade,
        })
    }
}

/// Shredding comes before new secrets, so that one change can replace.
async fn write(change: &CheckedChange, work: &mut Work) -> Writing<u64> {
    ensure_tenant(work).await?;
    for (write, content) in &change.resources {
        resource(change, write, content.as_ref(), work).await?;
    }
    if !change.resources.is_empty() {
        work.run(work.query(GENERATION)).await?;
    }
    for (kind, name) in &change.shred {
        work.run(work.query(SHRED).bind(kind.as_str()).bind(name.as_str())).await?;
    }
    for put in &change.secrets {
        secret(put, work).await?;
    }
    append(work, &change.entries).await?;
    keep_payloads(work, &change.payloads).await?;
    occasions::write(change, work).await?;
    for key in &change.revoke {
        let (kind, name) = epoch_columns(key);
        work.run(work.query(RAISE).bind(kind).bind(name)).await?;
    }
    if !change.revoke.is_empty() {
        work.run(work.query(RAISE_SEQUENCE).bind(int(change.revoke.len() as u64))).await?;
    }
    Ok(revocations(work).await?)
}

async fn resource(
    change: &CheckedChange,
    write: &ResourceWrite,
    content: Option<&Content>,
    work: &mut Work,
) -> Writing<()> {
    let ResourceWrite { kind, name, expected, .. } = write;
    let found = work.one(work.query(CURRENT).bind(kind.as_str()).bind(name.as_str())).await?;
    let (last, actual) = match found {
        Some(row) => {
            let version: u64 = number(&row, 0, "resource version")?;
            // What was deleted is not there, but its numbers are not used again.
            if row.try_get::<bool, _>(1)? { (version, 0) } else { (version, version) }
        }
        None => (0, 0),
    };
    if let Some(expected) = *expected
        && expected != actual
    {
        let (kind, name) = (kind.clone(), name.clone());
        return Err(CommitError::VersionConflict { kind, name, expected, actual }.into());
    }
    if content.is_none() && actual == 0 {
        return Ok(());
    }
    let version = int(last.saturating_add(1));
    let query = work.query(POINT).bind(kind.as_str()).bind(name.as_str()).bind(version).bind(content.is_none());
    work.run(query).await?;
    let query = work.query(VERSION).bind(kind.as_str()).bind(name.as_str()).bind(version);
    let query = query.bind(owned(content.map(|c| &c.digest))).bind(content.map(|c| c.json.as_slice()));
    work.run(query.bind(change.by.as_str()).bind(change.at.as_millis())).await?;
    Ok(())
}

async fn secret(put: &SecretRecord, work: &mut Work) -> Writing<()> {
    let SecretRecord { kind, name, version, sealed, created_at } = put;
    let query = work.query(SECRET).bind(kind.as_str()).bind(name.as_str()).bind(i64::from(*version));
    if work.run(query.bind(sealed.as_slice()).bind(created_at.as_millis())).await? == 1 {
        return Ok(());
    }
    let row = work.one(work.query(NEWEST_SECRET).bind(kind.as_str()).bind(name.as_str())).await?;
    let actual = row.map_or(Ok(0), |row| number(&row, 0, "secret version"))?;
    let (kind, name, expected) = (kind.clone(), name.clone(), u64::from(version.saturating_sub(1)));
    Err(CommitError::VersionConflict { kind, name, expected, actual }.into())
}
