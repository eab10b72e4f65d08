//! The closed list of queries without a tenant (I5): functions of the owner, which return ids and times.

use super::claims;
use super::fault::{Reading, sql_error};
use super::store::Shared;
use crate::codec::{int, named};
use async_trait::async_trait;
use mandate_journal::{Claim, ClaimQuery, StoreError, System};
use mandate_kernel::{Duration, RunId, Tenant, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use std::sync::Arc;

const TENANTS: &str = "SELECT tenant FROM system_tenants()";
const UNFINISHED: &str = "SELECT tenant, run FROM system_unfinished()";
const DUE: &str = "SELECT tenant, run FROM system_due($1, $2)";
const NEXT_DUE: &str = "SELECT system_next_due()";

/// What recovery and the timer loop may ask.
#[derive(Debug, Clone)]
pub struct PostgresSystem {
    shared: Arc<Shared>,
}

impl PostgresSystem {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

fn ids(rows: &[PgRow]) -> Result<Vec<(Tenant, RunId)>, StoreError> {
    let id = |row: &PgRow| -> Reading<_> { Ok((named(row.try_get(0)?, "tenant")?, named(row.try_get(1)?, "run id")?)) };
    Ok(rows.iter().map(id).collect::<Reading<Vec<_>>>()?)
}

#[async_trait]
impl System for PostgresSystem {
    async fn tenants(&self) -> Result<Vec<Tenant>, StoreError> {
        let rows = sqlx::query(TENANTS).fetch_all(&self.shared.pool).await.map_err(|e| sql_error(&e))?;
        let tenant = |row: &PgRow| -> Reading<_> { Ok(named(row.try_get(0)?, "tenant")?) };
        Ok(rows.iter().map(tenant).collect::<Reading<Vec<_>>>()?)
    }

    async fn unfinished(&self) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        ids(&sqlx::query(UNFINISHED).fetch_all(&self.shared.pool).await.map_err(|e| sql_error(&e))?)
    }

    async fn due(&self, by: Timestamp, limit: usize) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        let query = sqlx::query(DUE).bind(by.as_millis()).bind(int(limit as u64));
        ids(&query.fetch_all(&self.shared.pool).await.map_err(|e| sql_error(&e))?)
    }

    async fn claim(&self, query: ClaimQuery) -> Result<Vec<Claim>, StoreError> {
        Ok(claims::claim(&self.shared, &query).await?)
    }

    async fn hold(&self, node: &str, lease: Duration, runs: &[Claim]) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        Ok(claims::hold(&self.shared, node, lease, runs).await?)
    }

    async fn release(&self, node: &str, runs: &[Claim]) -> Result<(), StoreError> {
        Ok(claims::release(&self.shared, node, runs).await?)
    }

    async fn acquire(
        &self,
        node: &str,
        lease: Duration,
        tenant: &Tenant,
        run: &RunId,
    ) -> Result<Option<u64>, StoreError> {
        Ok(claims::acquire(&self.shared, node, lease, tenant, run).await?)
    }

    async fn ask(&self, node: &str, tenant: &Tenant, run: &RunId) -> Result<bool, StoreError> {
        Ok(claims::ask(&self.shared, node, tenant, run).await?)
    }

    async fn asked(&self, node: &str) -> Result<Vec<(Tenant, RunId)>, StoreError> {
        Ok(claims::asked(&self.shared, node).await?)
    }

    async fn lead(&self, node: &str, lease: Duration, tenant: &Tenant) -> Result<bool, StoreError> {
        Ok(claims::lead(&self.shared, node, lease, tenant).await?)
    }

    async fn nudged(&self) {
        self.shared.bell.rung(&self.shared.pool).await;
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(NEXT_DUE).fetch_one(&self.shared.pool).await.map_err(|e| sql_error(&e))?;
        let at: Option<i64> = row.try_get(0).map_err(|e| sql_error(&e))?;
        Ok(at.map(Timestamp::from_millis))
    }
}
