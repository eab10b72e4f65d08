//! The closed list of queries without a tenant (I5). They return ids and times, nothing else.

use super::claims;
use super::codec::{all, one};
use super::store::Shared;
use super::writer::Task;
use crate::codec::{int, named};
use async_trait::async_trait;
use mandate_journal::{Claim, ClaimQuery, StoreError, System};
use mandate_kernel::{Duration, RunId, Tenant, Timestamp};
use rusqlite::{Connection, Params};
use std::sync::Arc;

const TENANTS: &str = "SELECT tenant FROM tenants ORDER BY tenant";
/// Beside running runs and open leases: runs that were stopped and have not ended, because what stopped them
/// did not get that far.
const UNFINISHED: &str = "SELECT tenant, run FROM run_state WHERE state = 'running'
    UNION SELECT tenant, run FROM leases WHERE ended_at IS NULL
    UNION SELECT s.tenant, s.run FROM epochs e JOIN run_state s ON s.tenant = e.tenant AND s.run = e.name
        WHERE e.kind = 'run' AND s.state IN ('waiting', 'paused') ORDER BY 1, 2";
/// As many rows as are asked for, whatever else is due: each round costs what it wakes.
const DUE: &str = "SELECT tenant, run FROM (SELECT tenant, run, due FROM timers WHERE due <= ?1 ORDER BY due LIMIT ?2)
    GROUP BY tenant, run ORDER BY min(due)";
const NEXT_DUE: &str = "SELECT due FROM timers ORDER BY due LIMIT 1";

const CLAIM: Task = Task { point: "store.claim", scrubs: false };

/// What recovery and the timer loop may ask.
#[derive(Debug, Clone)]
pub struct SystemHandle {
    shared: Arc<Shared>,
}

impl SystemHandle {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

fn ids(conn: &Connection, sql: &str, params: impl Params) -> super::fault::Reading<Vec<(Tenant, RunId)>> {
    all(conn, sql, params, |row| Ok((named(row.get(0)?, "tenant")?, named(row.get(1)?, "run id")?)))
}

#[async_trait]
impl System for SystemHandle {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        self.shared.readers.read(|conn| all(conn, TENANTS, [], |row| Ok(named(row.get(0)?, "tenant")?))).await
    }

    async fn unfinished(&self) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        self.shared.readers.read(|conn| ids(conn, UNFINISHED, [])).await
    }

    async fn due(&self, by: Timestamp, limit: usize) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let params = (by.as_millis(), int(limit as u64));
        self.shared.readers.read(move |conn| ids(conn, DUE, params)).await
    }

    async fn claim(&self, query: ClaimQuery) -> Result<Vec<Claim>, StoreError> {
        self.shared.write(CLAIM, move |conn| claims::claim(conn, &query)).await
    }

    async fn hold(&self, node: &str, lease: Duration, runs: &[Claim]) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let (node, runs) = (node.to_owned(), runs.to_vec());
        self.shared.write(CLAIM, move |conn| claims::hold(conn, &node, lease, &runs)).await
    }

    async fn release(&self, node: &str, runs: &[Claim]) -> Result<(), StoreError> {
        let (node, runs) = (node.to_owned(), runs.to_vec());
        self.shared.write(CLAIM, move |conn| claims::release(conn, &node, &runs)).await
    }

    async fn acquire(
        &self,
        node: &str,
        lease: Duration,
        tenant: &Tenant,
        run: &RunId,
    ) -> Result<Option<u64>, StoreError> {
        let (node, tenant, run) = (node.to_owned(), tenant.clone(), run.clone());
        self.shared.write(CLAIM, move |conn| claims::acquire(conn, &node, lease, &tenant, &run)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = |conn: &Connection| one(conn, NEXT_DUE, [], |row| Ok(Timestamp::from_millis(row.get(0)?)));
        self.shared.readers.read(read).await
    }
}
