//! Claims: which node drives which run. Part of the closed list of queries without a tenant; ids only.

use super::codec::{all, one, run};
use super::fault::Reading;
use crate::codec::{int, named, nat};
use mandate_journal::{Claim, ClaimQuery};
use mandate_kernel::{Duration, RunId, Tenant};
use rusqlite::{Connection, params};
use serde_json::Value;

/// The runs that want driving and that nobody holds.
const FREE: &str = "WITH wanted AS (
        SELECT tenant, run FROM run_state WHERE state = 'running'
        UNION SELECT tenant, run FROM leases WHERE ended_at IS NULL
        UNION SELECT tenant, run FROM timers WHERE due <= ?1
        UNION SELECT s.tenant, s.run FROM epochs e JOIN run_state s ON s.tenant = e.tenant AND s.run = e.name
            WHERE e.kind = 'run' AND s.state IN ('waiting', 'paused'))
    SELECT w.tenant, w.run FROM wanted w WHERE w.tenant IN (SELECT value FROM json_each(?3)) AND NOT EXISTS (SELECT 1 FROM claims c
        WHERE c.tenant = w.tenant AND c.run = w.run AND c.until > CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER))
    LIMIT ?2";
const RAISE: &str = "UPDATE run_state SET epoch = epoch + 1 WHERE tenant = ?1 AND run = ?2 RETURNING epoch";
/// Binds the run to the node, unless another one holds it or its epoch is not the one given.
const HOLD: &str = "INSERT INTO claims (tenant, run, node, until)
    SELECT tenant, run, ?3, CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER) + ?4 FROM run_state
    WHERE tenant = ?1 AND run = ?2 AND epoch = ?5
    ON CONFLICT (tenant, run) DO UPDATE SET node = excluded.node, until = excluded.until
    WHERE node = excluded.node OR until <= CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)";
const RELEASE: &str = "DELETE FROM claims WHERE tenant = ?1 AND run = ?2 AND node = ?3
    AND EXISTS (SELECT 1 FROM run_state s WHERE s.tenant = ?1 AND s.run = ?2 AND s.epoch = ?4)";
const OTHERS: &str = "SELECT 1 FROM claims WHERE tenant = ?1 AND run = ?2 AND node <> ?3
    AND until > CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)";

/// Binds a run to a node; `false` when another one holds it, or its epoch is another.
pub(super) fn bind(conn: &Connection, node: &str, lease: Duration, claim: &Claim) -> rusqlite::Result<bool> {
    let (tenant, of) = (claim.tenant.as_str(), claim.run.as_str());
    Ok(run(conn, HOLD, params![tenant, of, node, int(lease.as_millis()), int(claim.epoch)])? == 1)
}

/// See [`mandate_journal::System::claim`].
pub(super) fn claim(conn: &Connection, query: &ClaimQuery) -> Reading<Vec<Claim>> {
    let tenants: Vec<&str> = query.tenants.iter().map(Tenant::as_str).collect();
    let tenants = Value::from(tenants).to_string();
    let params = params![query.due_by.as_millis(), int(query.limit as u64), tenants];
    let free = all(conn, FREE, params, |row| {
        Ok((named::<Tenant>(row.get(0)?, "tenant")?, named::<RunId>(row.get(1)?, "run id")?))
    })?;
    let mut claimed = Vec::with_capacity(free.len());
    for (tenant, of) in free {
        let raised = one(conn, RAISE, params![tenant.as_str(), of.as_str()], |row| Ok(nat(row.get(0)?, "epoch")?))?;
        // A lease or timer without its run is nobody's to drive.
        let Some(epoch) = raised else { continue };
        let claim = Claim { tenant, run: of, epoch };
        if bind(conn, &query.node, query.lease, &claim)? {
            claimed.push(claim);
        }
    }
    Ok(claimed)
}

/// See [`mandate_journal::System::hold`].
pub(super) fn hold(conn: &Connection, node: &str, lease: Duration, runs: &[Claim]) -> Reading<Vec<(Tenant, RunId)>> {
    let mut held = Vec::with_capacity(runs.len());
    for claim in runs {
        if bind(conn, node, lease, claim)? {
            held.push((claim.tenant.clone(), claim.run.clone()));
        }
    }
    Ok(held)
}

/// See [`mandate_journal::System::release`].
pub(super) fn release(conn: &Connection, node: &str, runs: &[Claim]) -> Reading<()> {
    for Claim { tenant, run: of, epoch } in runs {
        run(conn, RELEASE, params![tenant.as_str(), of.as_str(), node, int(*epoch)])?;
    }
    Ok(())
}

/// See [`mandate_journal::System::acquire`].
pub(super) fn acquire(
    conn: &Connection,
    node: &str,
    lease: Duration,
    tenant: &Tenant,
    of: &RunId,
) -> Reading<Option<u64>> {
    if one(conn, OTHERS, params![tenant.as_str(), of.as_str(), node], |_| Ok(()))?.is_some() {
        return Ok(None);
    }
    let raised = one(conn, RAISE, params![tenant.as_str(), of.as_str()], |row| Ok(nat(row.get(0)?, "epoch")?))?;
    let Some(epoch) = raised else { return Ok(None) };
    bind(conn, node, lease, &Claim { tenant: tenant.clone(), run: of.clone(), epoch })?;
    Ok(Some(epoch))
}
