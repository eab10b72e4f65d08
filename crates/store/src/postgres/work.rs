//! Transactions confined to a tenant, and how a piece of work is done in one: tried again when it lost a
//! race, looked for when the answer to its commit was lost.

use super::fault::{Halt, Reading, certainly_undone, holds_nul, is_lost, lost_a_race, sql_error};
use super::store::Shared;
use mandate_journal::StoreError;
use mandate_kernel::{Tenant, crash};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};
use std::time::{Duration, Instant};

/// One snapshot for all that is read in it.
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// The tenant is set for this transaction alone; row-level security compares it (I5).
const ENTER: &str = "SELECT set_config('mandate.tenant', $1, true)";
/// The same, with the lock that a decision holds while it is made durable: a revocation waits for it, and
/// whoever comes after that revocation reads its number (I9). It is taken before the statement that compares,
/// because a statement's snapshot is older than the locks it waits for.
const ENTER_DECIDING: &str = "SELECT set_config('mandate.tenant', $1, true),
    pg_advisory_xact_lock_shared(hashtextextended('mandate.revocations:' || $1, 0))";
const LOCK_REVOCATIONS: &str = "SELECT pg_advisory_xact_lock(hashtextextended('mandate.revocations:' || $1, 0))";
const LOCK_CHANGES: &str = "SELECT pg_advisory_xact_lock(hashtextextended('mandate.changes:' || $1, 0))";
const LOCK_LEDGER: &str = "SELECT pg_advisory_xact_lock(hashtextextended('mandate.ledger:' || $1, 0))";

/// How often a transaction that lost a race is tried.
const TRIES: u32 = 6;

/// A lock on something of the tenant that is no row, held to the end of the transaction. They are always
/// taken in the order of this list, so that none waits for another in a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    /// Against other administrative changes: they read versions before they write the next.
    Changes,
    /// Against every decision being made durable.
    Revocations,
    /// Against other sequencers.
    Ledger,
}

/// A piece of work that writes.
pub(super) trait Job: Send + Sync {
    /// What it gives.
    type Out: Send;
    /// What it can be refused with.
    type Error: From<StoreError> + Send;

    /// The crash point it begins with.
    fn point(&self) -> &'static str;

    /// Whether it compares the tenant's revocation sequence, so that no revocation may pass meanwhile.
    fn decides(&self) -> bool {
        false
    }

    /// What it has to have for itself.
    fn locks(&self) -> &'static [Lock] {
        &[]
    }

    /// Does it.
    fn run(&self, work: &mut Work) -> impl Future<Output = Result<Self::Out, Halt<Self::Error>>> + Send;

    /// What became of it, asked when the answer to its commit was lost. It waits for a transaction that is
    /// still ending.
    fn fate(&self, work: &mut Work) -> impl Future<Output = Reading<Fate<Self::Out>>> + Send {
        let _ = work;
        std::future::ready(Ok(Fate::Unknowable))
    }
}

/// What became of a piece of work.
pub(super) enum Fate<T> {
    /// It was made, and gave this.
    Made(T),
    /// It was not, and never will be.
    NotMade,
    /// What it writes doesn't show whether it did.
    Unknowable,
}

fn unknown<T, E: From<StoreError>>() -> Result<T, Halt<E>> {
    let told = "the connection was lost during the commit; whether it was made is not known".to_owned();
    Err(Halt::Told(StoreError::Unavailable(told).into()))
}

/// A transaction confined to a tenant.
pub(super) struct Work {
    tx: Transaction<'static, Postgres>,
    tenant: Tenant,
}

impl Work {
    /// The tenant, as a parameter.
    pub(super) fn tenant(&self) -> &str {
        self.tenant.as_str()
    }

    /// A query that names the tenant first, as each one does.
    pub(super) fn query<'q>(&self, sql: &'static str) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(sql).bind(self.tenant.as_str().to_owned())
    }

    /// Every row of a query.
    pub(super) async fn all(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        // Nothing is stored under a text that can't be stored.
        match query.fetch_all(&mut *self.tx).await {
            Err(error) if holds_nul(&error) => Ok(Vec::new()),
            rows => rows,
        }
    }

    /// The row of a query, if there is one.
    pub(super) async fn one(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Option<PgRow>, sqlx::Error> {
        match query.fetch_optional(&mut *self.tx).await {
            Err(error) if holds_nul(&error) => Ok(None),
            row => row,
        }
    }

    /// Changes rows; gives their number.
    pub(super) async fn run(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<u64, sqlx::Error> {
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }

    /// Ends a transaction that only read: a failed end would change nothing.
    pub(super) async fn done(self) {
        drop(self.tx.rollback().await);
    }

    async fn lock(&mut self, lock: Lock) -> Result<(), sqlx::Error> {
        let sql = match lock {
            Lock::Changes => LOCK_CHANGES,
            Lock::Revocations => LOCK_REVOCATIONS,
            Lock::Ledger => LOCK_LEDGER,
        };
        let query = self.query(sql);
        self.run(query).await.map(drop)
    }
}

impl Shared {
    /// Begins. Nothing is done yet, so that a connection that died while it was idle is left for another.
    async fn begin(&self, sql: &'static str) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let mut left = self.pool.options().get_max_connections();
        loop {
            match self.pool.begin_with(sql).await {
                Err(error) if is_lost(&error) && left > 0 => left -= 1,
                begun => return begun,
            }
        }
    }

    /// A transaction that reads one snapshot of the tenant.
    pub(super) async fn reading(&self, tenant: &Tenant) -> Reading<Work> {
        let mut tx = self.begin(BEGIN_READING).await?;
        sqlx::query(ENTER).bind(tenant.as_str()).execute(&mut *tx).await?;
        Ok(Work { tx, tenant: tenant.clone() })
    }

    async fn writing<J: Job>(&self, tenant: &Tenant, job: &J) -> Result<Work, sqlx::Error> {
        let mut tx = self.begin("BEGIN").await?;
        let enter = if job.decides() { ENTER_DECIDING } else { ENTER };
        sqlx::query(enter).bind(tenant.as_str()).execute(&mut *tx).await?;
        let mut work = Work { tx, tenant: tenant.clone() };
        for lock in job.locks() {
            work.lock(*lock).await?;
        }
        Ok(work)
    }

    /// Has a piece of work done. When this gives `Ok` it is on disk.
    pub(super) async fn write<J: Job>(&self, tenant: &Tenant, job: &J) -> Result<J::Out, J::Error> {
        let mut tries = 1;
        loop {
            match self.attempt(tenant, job).await {
                Ok(out) => return Ok(out),
                Err(Halt::Told(refusal)) => return Err(refusal),
                Err(Halt::Sql(error)) if lost_a_race(&error) && tries < TRIES => {
                    tokio::time::sleep(Duration::from_millis(2 << tries)).await;
                    tries += 1;
                }
                Err(Halt::Sql(error)) => return Err(sql_error(&error).into()),
            }
        }
    }

    async fn attempt<J: Job>(&self, tenant: &Tenant, job: &J) -> Result<J::Out, Halt<J::Error>> {
        crash::point("store.before-begin");
        let mut work = self.writing(tenant, job).await?;
        crash::point(job.point());
        let out = job.run(&mut work).await?;
        crash::point("store.before-commit");
        match work.tx.commit().await {
            Ok(()) => crash::point("store.after-commit"),
            Err(error) if certainly_undone(&error) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "the answer to a commit was lost; looking for what became of it");
                return self.find_out(tenant, job).await;
            }
        }
        crash::point("store.before-reply");
        Ok(out)
    }

    /// Looks whether a commit whose answer was lost was made, until the database can be asked or time is up.
    async fn find_out<J: Job>(&self, tenant: &Tenant, job: &J) -> Result<J::Out, Halt<J::Error>> {
        let asked_since = Instant::now();
        loop {
            let found: Reading<Fate<J::Out>> = async {
                // Not a snapshot: the lost transaction may still be ending, and its locks are waited for.
                let mut work = self.writing(tenant, job).await?;
                let found = job.fate(&mut work).await?;
                work.done().await;
                Ok(found)
            }
            .await;
            match found.map_err(StoreError::from) {
                Ok(Fate::Made(out)) => return Ok(out),
                Ok(Fate::Unknowable) => return unknown(),
                Ok(Fate::NotMade) => {
                    let told = "the connection was lost during the commit".to_owned();
                    return Err(Halt::Told(StoreError::Unavailable(told).into()));
                }
                Err(StoreError::Unavailable(why)) if asked_since.elapsed() < self.resolve_timeout => {
                    tracing::warn!(why, "the fate of a commit can't be found out yet");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(StoreError::Closed) => return Err(Halt::Told(StoreError::Closed.into())),
                Err(_) => return unknown(),
            }
        }
    }
}
