//! Claims: which node drives which run. Part of the closed list of queries without a tenant: functions of the
//! owner, which return ids and epochs.

use super::common::number;
use super::fault::{Reading, lost_a_race};
use super::store::Shared;
use super::work::Work;
use crate::codec::{int, named};
use mandate_journal::{Claim, ClaimQuery, NewClaim};
use mandate_kernel::{Duration, RunId, Tenant};
use sqlx::Row;
use sqlx::postgres::PgRow;

const CLAIM: &str = "SELECT tenant, run, epoch FROM system_claim($1, $2, $3, $4, $5)";
const HOLD: &str = "SELECT tenant, run FROM system_hold($1, $2, $3, $4, $5)";
const RELEASE: &str = "SELECT system_release($1, $2, $3, $4)";
const ACQUIRE: &str = "SELECT epoch FROM system_acquire($1, $2, $3, $4)";
const ASK: &str = "SELECT system_ask($1, $2, $3)";
const ASKED: &str = "SELECT tenant, run FROM system_asked($1)";
const LEAD: &str = "SELECT system_lead($1, $2, $3)";

/// How often a statement that lost a race is tried. Each is a transaction of its own.
const TRIES: usize = 6;

/// See [`mandate_journal::System::claim`]. When the answer is lost, what was claimed comes free with its lease.
pub(super) async fn claim(shared: &Shared, query: &ClaimQuery) -> Reading<Vec<Claim>> {
    let served: Vec<&str> = query.tenants.iter().map(Tenant::as_str).collect();
    let asked = || {
        let asked = sqlx::query(CLAIM).bind(query.node.as_str()).bind(int(query.lease.as_millis()));
        asked
            .bind(query.due_by.as_millis())
            .bind(int(query.limit as u64))
            .bind(served.as_slice())
            .fetch_all(&shared.pool)
    };
    let claim = |row: &PgRow| -> Reading<_> {
        let (tenant, run) = id(row)?;
        Ok(Claim { tenant, run, epoch: number(row, 2, "epoch")? })
    };
    repeated(asked).await?.iter().map(claim).collect()
}

/// See [`mandate_journal::System::hold`].
pub(super) async fn hold(
    shared: &Shared,
    node: &str,
    lease: Duration,
    runs: &[Claim],
) -> Reading<Vec<(Tenant, RunId)>> {
    let (tenants, of) = columns(runs.iter().map(|claim| (&claim.tenant, &claim.run)));
    let epochs: Vec<i64> = runs.iter().map(|claim| int(claim.epoch)).collect();
    let asked = || {
        let asked = sqlx::query(HOLD).bind(node).bind(int(lease.as_millis()));
        asked.bind(tenants.as_slice()).bind(of.as_slice()).bind(epochs.as_slice()).fetch_all(&shared.pool)
    };
    repeated(asked).await?.iter().map(id).collect()
}

/// See [`mandate_journal::System::release`].
pub(super) async fn release(shared: &Shared, node: &str, runs: &[Claim]) -> Reading<()> {
    let (tenants, of) = columns(runs.iter().map(|claim| (&claim.tenant, &claim.run)));
    let epochs: Vec<i64> = runs.iter().map(|claim| int(claim.epoch)).collect();
    let asked = || {
        let asked = sqlx::query(RELEASE).bind(node).bind(tenants.as_slice()).bind(of.as_slice());
        asked.bind(epochs.as_slice()).fetch_all(&shared.pool)
    };
    repeated(asked).await.map(drop)
}

/// See [`mandate_journal::System::acquire`].
pub(super) async fn acquire(
    shared: &Shared,
    node: &str,
    lease: Duration,
    tenant: &Tenant,
    run: &RunId,
) -> Reading<Option<u64>> {
    let asked = || {
        let asked = sqlx::query(ACQUIRE).bind(node).bind(int(lease.as_millis()));
        asked.bind(tenant.as_str()).bind(run.as_str()).fetch_all(&shared.pool)
    };
    repeated(asked).await?.first().map(|row| number(row, 0, "epoch")).transpose()
}

/// See [`mandate_journal::System::ask`].
pub(super) async fn ask(shared: &Shared, node: &str, tenant: &Tenant, run: &RunId) -> Reading<bool> {
    let asked = || sqlx::query(ASK).bind(node).bind(tenant.as_str()).bind(run.as_str()).fetch_all(&shared.pool);
    yes(&repeated(asked).await?)
}

/// See [`mandate_journal::System::asked`].
pub(super) async fn asked(shared: &Shared, node: &str) -> Reading<Vec<(Tenant, RunId)>> {
    repeated(|| sqlx::query(ASKED).bind(node).fetch_all(&shared.pool)).await?.iter().map(id).collect()
}

/// See [`mandate_journal::System::lead`].
pub(super) async fn lead(shared: &Shared, node: &str, lease: Duration, tenant: &Tenant) -> Reading<bool> {
    let asked = || {
        let asked = sqlx::query(LEAD).bind(node).bind(int(lease.as_millis()));
        asked.bind(tenant.as_str()).fetch_all(&shared.pool)
    };
    yes(&repeated(asked).await?)
}

fn yes(rows: &[PgRow]) -> Reading<bool> {
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Binds a run that begins in this very transaction to the node that begins it.
pub(super) async fn begin(work: &mut Work, claim: &NewClaim, run: &RunId, epoch: u64) -> Result<(), sqlx::Error> {
    let query = sqlx::query(HOLD).bind(claim.node.clone()).bind(int(claim.lease.as_millis()));
    let query = query.bind(vec![work.tenant().to_owned()]).bind(vec![run.to_string()]).bind(vec![int(epoch)]);
    work.all(query).await.map(drop)
}

async fn repeated<F>(ask: impl Fn() -> F) -> Reading<Vec<PgRow>>
where
    F: Future<Output = Result<Vec<PgRow>, sqlx::Error>>,
{
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if lost_a_race(&error) => {}
            answered => return Ok(answered?),
        }
    }
    Ok(ask().await?)
}

fn columns<'a>(runs: impl Iterator<Item = (&'a Tenant, &'a RunId)>) -> (Vec<&'a str>, Vec<&'a str>) {
    runs.map(|(tenant, run)| (tenant.as_str(), run.as_str())).unzip()
}

fn id(row: &PgRow) -> Reading<(Tenant, RunId)> {
    Ok((named(row.try_get(0)?, "tenant")?, named(row.try_get(1)?, "run id")?))
}
