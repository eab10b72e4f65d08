//! An administrative change, written whole.

use super::codec::{one, put, run};
use super::common::{ensure_tenant, keep_payloads, raise_revocations, revocations};
use super::fault::{Reading, Writing};
use super::{entries, occasions};
use crate::checked::{CheckedChange, Content, epoch_columns};
use crate::codec::{blob, int, nat};
use mandate_journal::{CommitError, ResourceWrite, SecretRecord};
use rusqlite::{Connection, params};

const CURRENT: &str = "SELECT version, deleted FROM resources WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
const POINT: &str = "INSERT INTO resources (tenant, kind, name, version, deleted) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (tenant, kind, name) DO UPDATE SET version = excluded.version, deleted = excluded.deleted";
const VERSION: &str = "INSERT INTO resource_versions
    (tenant, kind, name, version, digest, spec, written_by, written_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const GENERATION: &str = "UPDATE tenants SET generation = generation + 1 WHERE tenant = ?1";
const NEWEST_SECRET: &str =
    "SELECT coalesce(max(version), 0) FROM secrets WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
const SECRET: &str = "INSERT INTO secrets (tenant, kind, name, version, sealed, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (tenant, kind, name, version) DO NOTHING";
const SHRED: &str = "DELETE FROM secrets WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
const RAISE: &str = "INSERT INTO epochs (tenant, kind, name, epoch) VALUES (?1, ?2, ?3, 1)
    ON CONFLICT (tenant, kind, name) DO UPDATE SET epoch = epoch + 1";

impl CheckedChange {
    /// Writes it, or says why not. Shredding comes before new secrets, so that one change can replace.
    pub(super) fn write(&self, conn: &Connection) -> Writing<u64> {
        ensure_tenant(conn, &self.tenant)?;
        for (write, content) in &self.resources {
            self.resource(conn, write, content.as_ref())?;
        }
        if !self.resources.is_empty() {
            put(conn, GENERATION, [self.tenant.as_str()], "the generation of the configuration")?;
        }
        for (kind, name) in &self.shred {
            run(conn, SHRED, params![self.tenant.as_str(), kind, name])?;
        }
        for secret in &self.secrets {
            self.secret(conn, secret)?;
        }
        entries::append(conn, &self.tenant, &self.entries)?;
        keep_payloads(conn, &self.tenant, &self.payloads)?;
        occasions::write(conn, self)?;
        Ok(self.revoke(conn)?)
    }

    fn resource(&self, conn: &Connection, write: &ResourceWrite, content: Option<&Content>) -> Writing<()> {
        let (tenant, ResourceWrite { kind, name, expected, .. }) = (self.tenant.as_str(), write);
        let found = one(conn, CURRENT, params![tenant, kind, name], |row| {
            Ok((nat::<u64>(row.get(0)?, "resource version")?, row.get::<_, bool>(1)?))
        })?;
        let (last, actual) = match found {
            Some((version, false)) => (version, version),
            // What was deleted is not there, but its numbers are not used again.
            Some((version, true)) => (version, 0),
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
        put(conn, POINT, params![tenant, kind, name, version, content.is_none()], "a resource")?;
        let (digest, json) = (content.map(|c| &c.digest), content.map(|c| &c.json));
        let at = self.at.as_millis();
        let row = params![tenant, kind, name, version, blob(digest), json, self.by, at];
        put(conn, VERSION, row, "a resource's version")?;
        Ok(())
    }

    fn secret(&self, conn: &Connection, secret: &SecretRecord) -> Writing<()> {
        let (tenant, SecretRecord { kind, name, version, sealed, created_at }) = (self.tenant.as_str(), secret);
        let row = params![tenant, kind, name, version, sealed, created_at.as_millis()];
        if run(conn, SECRET, row)? == 1 {
            return Ok(());
        }
        let newest = one(conn, NEWEST_SECRET, params![tenant, kind, name], |row| {
            Ok(nat::<u64>(row.get(0)?, "secret version")?)
        })?;
        let (kind, name, expected) = (kind.clone(), name.clone(), u64::from(version.saturating_sub(1)));
        Err(CommitError::VersionConflict { kind, name, expected, actual: newest.unwrap_or(0) }.into())
    }

    fn revoke(&self, conn: &Connection) -> Reading<u64> {
        for key in &self.revoke {
            let (kind, name) = epoch_columns(key);
            put(conn, RAISE, params![self.tenant.as_str(), kind, name], "an epoch")?;
        }
        match self.revoke.len() {
            0 => revocations(conn, &self.tenant),
            count => raise_revocations(conn, &self.tenant, count as u64),
        }
    }
}
