//! Writes that transitions and administrative changes share.

use super::codec::{one, put, run};
use super::fault::Reading;
use crate::codec::{blob, int, nat};
use mandate_journal::SealedPayload;
use mandate_kernel::Tenant;
use rusqlite::{Connection, params};

/// Keeps payloads; one that is there already is the same value, by its commitment.
pub(super) fn keep_payloads(conn: &Connection, tenant: &Tenant, payloads: &[SealedPayload]) -> rusqlite::Result<()> {
    const KEEP: &str = "INSERT INTO payloads (tenant, commitment, subject, ciphertext) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (tenant, commitment) DO NOTHING";
    let mut keep = conn.prepare_cached(KEEP)?;
    for payload in payloads {
        let commitment = blob(Some(&payload.commitment));
        keep.execute(params![tenant.as_str(), commitment, payload.subject, payload.ciphertext])?;
    }
    Ok(())
}

/// The tenant's revocation sequence; 0 for a tenant that has no row yet.
pub(super) fn revocations(conn: &Connection, tenant: &Tenant) -> Reading<u64> {
    const NOW: &str = "SELECT revocations FROM tenants WHERE tenant = ?1";
    let found = one(conn, NOW, [tenant.as_str()], |row| Ok(nat(row.get(0)?, "revocation sequence")?))?;
    Ok(found.unwrap_or(0))
}

/// Makes the tenant's row, if it has none.
pub(super) fn ensure_tenant(conn: &Connection, tenant: &Tenant) -> rusqlite::Result<()> {
    const ENSURE: &str = "INSERT INTO tenants (tenant) VALUES (?1) ON CONFLICT (tenant) DO NOTHING";
    run(conn, ENSURE, [tenant.as_str()]).map(drop)
}

/// Raises the tenant's revocation sequence and gives the new one.
pub(super) fn raise_revocations(conn: &Connection, tenant: &Tenant, by: u64) -> Reading<u64> {
    const RAISE: &str = "UPDATE tenants SET revocations = revocations + ?2 WHERE tenant = ?1";
    put(conn, RAISE, params![tenant.as_str(), int(by)], "the revocation sequence")?;
    revocations(conn, tenant)
}
