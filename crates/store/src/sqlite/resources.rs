//! Resources and secrets.

use super::TenantHandle;
use super::codec::{all, one};
use super::fault::Reading;
use super::writer::Task;
use crate::checked::CheckedChange;
use crate::codec::{blob, digest, nat, parse};
use async_trait::async_trait;
use mandate_journal::{
    Change, CommitError, ResourceContent, ResourceRecord, ResourceState, Resources, SecretRecord, StoreError,
};
use mandate_kernel::{Digest, Timestamp};
use rusqlite::{Connection, Row, params};

const RESOURCE: &str = "SELECT v.kind, v.name, v.version, v.digest, v.spec, v.written_by, v.written_at
    FROM resources r JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = ?1 AND r.kind = ?2 AND r.name = ?3 AND r.deleted = 0";
const RESOURCES: &str = "SELECT v.kind, v.name, v.version, v.digest, v.spec, v.written_by, v.written_at
    FROM resources r JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = ?1 AND r.kind = ?2 AND r.deleted = 0 ORDER BY r.name";
const BY_DIGEST: &str = "SELECT kind, name, version, digest, spec, written_by, written_at FROM resource_versions
    WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND digest = ?4 ORDER BY version DESC LIMIT 1";
const INVENTORY: &str = "SELECT r.kind, r.name, r.version, r.deleted, v.digest, v.spec
    FROM resources r LEFT JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = ?1 ORDER BY r.kind, r.name";
const GENERATION: &str = "SELECT generation FROM tenants WHERE tenant = ?1";
const SECRET: &str = "SELECT kind, name, version, sealed, created_at FROM secrets
    WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND (?4 IS NULL OR version = ?4) ORDER BY version DESC LIMIT 1";
const SECRETS: &str = "SELECT kind, name, version, sealed, created_at FROM secrets
    WHERE tenant = ?1 AND kind = ?2 ORDER BY name, version";

fn resource(row: &Row<'_>) -> Reading<ResourceRecord> {
    let spec = row.get_ref(4)?.as_blob().unwrap_or_default();
    let digest = digest(row.get_ref(3)?.as_blob().unwrap_or_default(), "resource digest")?;
    if Digest::of(spec) != digest {
        return Err(StoreError::Corrupt("a resource does not match its digest".to_owned()).into());
    }
    Ok(ResourceRecord {
        kind: row.get(0)?,
        name: row.get(1)?,
        version: nat(row.get(2)?, "resource version")?,
        digest,
        spec: parse(spec, "a resource")?,
        written_by: row.get(5)?,
        written_at: Timestamp::from_millis(row.get(6)?),
    })
}

/// Where a resource stands. Damage is told, not an error: whoever asks wants to hear of all of it.
fn state(row: &Row<'_>) -> Reading<ResourceState> {
    let stored = row.get_ref(4)?.as_blob_or_null().ok().flatten();
    let content = match (row.get::<_, bool>(3)?, row.get_ref(5)?.as_blob_or_null().ok().flatten()) {
        (true, _) => ResourceContent::Deleted,
        (false, Some(spec)) => {
            let digest = Digest::of(spec);
            let fits = stored == Some(&digest.as_bytes()[..]);
            if fits { ResourceContent::Digest(digest) } else { ResourceContent::Damaged }
        }
        (false, None) => ResourceContent::Damaged,
    };
    let version = nat(row.get(2)?, "resource version")?;
    Ok(ResourceState { kind: row.get(0)?, name: row.get(1)?, version, content })
}

fn secret(row: &Row<'_>) -> Reading<SecretRecord> {
    Ok(SecretRecord {
        kind: row.get(0)?,
        name: row.get(1)?,
        version: nat(row.get(2)?, "secret version")?,
        sealed: row.get(3)?,
        created_at: Timestamp::from_millis(row.get(4)?),
    })
}

#[async_trait]
impl Resources for TenantHandle {
    async fn change(&self, change: Change) -> Result<u64, CommitError> {
        let checked = CheckedChange::new(self.tenant(), change)?;
        let task = Task { point: "store.change", scrubs: checked.shreds() };
        self.commit_job(task, move |conn| checked.write(conn)).await
    }

    async fn resource(&self, kind: &str, name: &str) -> Result<Option<ResourceRecord>, StoreError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read(move |conn, tenant| one(conn, RESOURCE, params![tenant, kind, name], resource)).await
    }

    async fn resource_by_digest(
        &self,
        kind: &str,
        name: &str,
        digest: &Digest,
    ) -> Result<Option<ResourceRecord>, StoreError> {
        let (kind, name, digest) = (kind.to_owned(), name.to_owned(), *digest);
        let read = move |conn: &Connection, tenant: &str| {
            one(conn, BY_DIGEST, params![tenant, kind, name, blob(Some(&digest))], resource)
        };
        self.read(read).await
    }

    async fn resources(&self, kind: &str) -> Result<Vec<ResourceRecord>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |conn, tenant| all(conn, RESOURCES, params![tenant, kind], resource)).await
    }

    async fn inventory(&self) -> Result<Vec<ResourceState>, StoreError> {
        self.read(|conn, tenant| all(conn, INVENTORY, [tenant], state)).await
    }

    async fn generation(&self) -> Result<u64, StoreError> {
        let read = |conn: &Connection, tenant: &str| {
            let found = one(conn, GENERATION, [tenant], |row| Ok(nat(row.get(0)?, "generation")?))?;
            Ok(found.unwrap_or(0))
        };
        self.read(read).await
    }

    async fn secret(&self, kind: &str, name: &str, version: Option<u32>) -> Result<Option<SecretRecord>, StoreError> {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        self.read(move |conn, tenant| one(conn, SECRET, params![tenant, kind, name, version], secret)).await
    }

    async fn secrets(&self, kind: &str) -> Result<Vec<SecretRecord>, StoreError> {
        let kind = kind.to_owned();
        self.read(move |conn, tenant| all(conn, SECRETS, params![tenant, kind], secret)).await
    }
}
