//! Resources and secrets.

use super::PostgresTenant;
use super::common::{bytes, number};
use super::fault::Reading;
use super::tenant::read;
use crate::checked::CheckedChange;
use crate::codec::{digest, parse};
use async_trait::async_trait;
use mandate_journal::{
    Change, CommitError, ResourceContent, ResourceRecord, ResourceState, Resources, SecretRecord, StoreError,
};
use mandate_kernel::{Digest, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

const RESOURCE: &str = "SELECT v.kind, v.name, v.version, v.digest, v.spec, v.written_by, v.written_at
    FROM resources r JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = $1 AND r.kind = $2 AND r.name = $3 AND NOT r.deleted";
const RESOURCES: &str = "SELECT v.kind, v.name, v.version, v.digest, v.spec, v.written_by, v.written_at
    FROM resources r JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = $1 AND r.kind = $2 AND NOT r.deleted ORDER BY r.name";
const BY_DIGEST: &str = "SELECT kind, name, version, digest, spec, written_by, written_at FROM resource_versions
    WHERE tenant = $1 AND kind = $2 AND name = $3 AND digest = $4 ORDER BY version DESC LIMIT 1";
const INVENTORY: &str = "SELECT r.kind, r.name, r.version, r.deleted, v.digest, v.spec
    FROM resources r LEFT JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = $1 ORDER BY r.kind, r.name";
const GENERATION: &str = "SELECT generation FROM tenants WHERE tenant = $1";
const SECRET: &str = "SELECT kind, name, version, sealed, created_at FROM secrets WHERE tenant = $1 AND kind = $2
    AND name = $3 AND ($4::bigint IS NULL OR version = $4) ORDER BY version DESC LIMIT 1";
const SECRETS: &str = "SELECT kind, name, version, sealed, created_at FROM secrets
    WHERE tenant = $1 AND kind = $2 ORDER BY name, version";

fn resource(row: &PgRow) -> Reading<ResourceRecord> {
    let spec = row.try_get::<Option<&[u8]>, _>(4)?.unwrap_or_default();
    let digest = digest(row.try_get::<Option<&[u8]>, _>(3)?.unwrap_or_default(), "resource digest")?;
    if Digest::of(spec) != digest {
        return Err(StoreError::Corrupt("a resource does not match its digest".to_owned()).into());
    }
    Ok(ResourceRecord {
        kind: row.try_get(0)?,
        name: row.try_get(1)?,
        version: number(row, 2, "resource version")?,
        digest,
        spec: parse(spec, "a resource")?,
        written_by: row.try_get(5)?,
        written_at: Timestamp::from_millis(row.try_get(6)?),
    })
}

/// Where a resource stands. Damage is told, not an error: whoever asks wants to hear of all of it.
fn state(row: &PgRow) -> Reading<ResourceState> {
    let stored: Option<&[u8]> = row.try_get(4)?;
    let content = match (row.try_get::<bool, _>(3)?, row.try_get::<Option<&[u8]>, _>(5)?) {
        (true, _) => ResourceContent::Deleted,
        (false, Some(spec)) => {
            let digest = Digest::of(spec);
            let fits = stored == Some(&digest.as_bytes()[..]);
            if fits { ResourceContent::Digest(digest) } else { ResourceContent::Damaged }
        }
        (false, None) => ResourceContent::Damaged,
    };
    let version = number(row, 2, "resource version")?;
    Ok(ResourceState { kind: row.try_get(0)?, name: row.try_get(1)?, version, content })
}

fn secret(row: &PgRow) -> Reading<SecretRecord> {
    Ok(SecretRecord {
        kind: row.try_get(0)?,
        name: row.try_get(1)?,
        version: number(row, 2, "secret version")?,
        sealed: bytes(row, 3)?.to_vec(),
        created_at: Timestamp::from_millis(row.try_get(4)?),
    })
}

#[async_trait]
impl Resources for PostgresTenant {
    async fn change(&self, change: Change) -> Result<u64, CommitError> {
        self.write(&CheckedChange::new(self.tenant(), change)?).await
    }

    async fn resource(&self, kind: &str, name: &str) -> Result<Option<ResourceRecord>, StoreError> {
        read!(self, work => {
            let row = work.one(work.query(RESOURCE).bind(kind).bind(name)).await?;
            row.as_ref().map(resource).transpose()?
        })
    }

    async fn resource_by_digest(
        &self,
        kind: &str,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<ResourceRecord>, StoreError> {
        read!(self, work => {
            let query = work.query(BY_DIGEST).bind(kind).bind(name).bind(digest.as_bytes().as_slice());
            work.one(query).await?.as_ref().map(resource).transpose()?
        })
    }

    async fn resources(&self, kind: &str) -> Result<Vec<ResourceRecord>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(RESOURCES).bind(kind)).await?;
            rows.iter().map(resource).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn inventory(&self) -> Result<Vec<ResourceState>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(INVENTORY)).await?;
            rows.iter().map(state).collect::<Reading<Vec<_>>>()?
        })
    }

    async fn generation(&self) -> Result<u64, StoreError> {
        read!(self, work => {
            let row = work.one(work.query(GENERATION)).await?;
            row.map_or(Ok(0), |row| number(&row, 0, "generation"))?
        })
    }

    async fn secret(&self, kind: &str, name: &str, version: Option<u32>) -> Result<Option<SecretRecord>, StoreError> {
        read!(self, work => {
            let query = work.query(SECRET).bind(kind).bind(name).bind(version.map(i64::from));
            work.one(query).await?.as_ref().map(secret).transpose()?
        })
    }

    async fn secrets(&self, kind: &str) -> Result<Vec<SecretRecord>, StoreError> {
        read!(self, work => {
            let rows = work.all(work.query(SECRETS).bind(kind)).await?;
            rows.iter().map(secret).collect::<Reading<Vec<_>>>()?
        })
    }
}
