//! Forward-only migrations, all missing ones in one transaction of the owner's role.

use super::fault::sql_error;
use mandate_journal::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

/// Every schema, in order; the position is the version.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_first.sql"),
    include_str!("../../migrations/postgres/0002_claims.sql"),
    include_str!("../../migrations/postgres/0003_nodes.sql"),
    include_str!("../../migrations/postgres/0004_occasions.sql"),
];
const GRANTS: &str = include_str!("../../migrations/postgres/grants.sql");

/// A migration takes its time; statements of daily work must not.
const UNHURRIED: &str = "SET LOCAL statement_timeout = 0";
/// One process at a time: a number of our own, "MNDT".
const LOCK: &str = "SELECT pg_advisory_xact_lock(1296974932)";
const SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS mandate";
const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS mandate.schema_version (version integer NOT NULL PRIMARY KEY)";
const FOUND: &str = "SELECT coalesce(max(version), 0) FROM mandate.schema_version";
const REACHED: &str = "INSERT INTO mandate.schema_version (version) VALUES ($1)";
const HAS_SCHEMA: &str = "SELECT to_regclass('mandate.schema_version') IS NOT NULL";
const GRANTEE: &str = "SELECT set_config('mandate.grantee', $1, true)";
const OTHERS: &str = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('mandate')";

/// The version this build knows.
fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

fn of_the_future(found: i32) -> StoreError {
    StoreError::Corrupt(format!(
        "schema version {found} is newer than {}, the newest this build knows; run the newer build, or restore a \
         backup made before the upgrade",
        newest()
    ))
}

/// Brings the schema up to date, and gives the role that works its rights.
pub(super) async fn migrate(owner: &PgConnectOptions, app: &str) -> Result<(), StoreError> {
    let mut conn = owner.connect().await.map_err(|e| sql_error(&e))?;
    let done = advance(&mut conn, app).await;
    drop(conn.close().await);
    done
}

async fn advance(conn: &mut PgConnection, app: &str) -> Result<(), StoreError> {
    let sql = |e: sqlx::Error| sql_error(&e);
    let mut tx = conn.begin().await.map_err(sql)?;
    sqlx::query(UNHURRIED).execute(&mut *tx).await.map_err(sql)?;
    sqlx::query(LOCK).execute(&mut *tx).await.map_err(sql)?;
    if !has_schema(&mut tx).await? {
        let row = sqlx::query(OTHERS).fetch_one(&mut *tx).await.map_err(sql)?;
        if row.try_get::<i64, _>(0).map_err(sql)? > 0 {
            let told = "the database has a schema named mandate that is not Mandate's; check the URL";
            return Err(StoreError::Corrupt(told.to_owned()));
        }
        sqlx::query(SCHEMA).execute(&mut *tx).await.map_err(sql)?;
        sqlx::query(VERSIONS).execute(&mut *tx).await.map_err(sql)?;
    }
    let found = version(&mut tx).await?;
    if found > newest() {
        return Err(of_the_future(found));
    }
    for (script, version) in MIGRATIONS.iter().zip(1i32..).skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(*script).execute(&mut *tx).await.map_err(sql)?;
        sqlx::query(REACHED).bind(version).execute(&mut *tx).await.map_err(sql)?;
    }
    sqlx::query(GRANTEE).bind(app).execute(&mut *tx).await.map_err(sql)?;
    sqlx::raw_sql(GRANTS).execute(&mut *tx).await.map_err(sql)?;
    tx.commit().await.map_err(sql)
}

async fn has_schema(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let row = sqlx::query(HAS_SCHEMA).fetch_one(conn).await.map_err(|e| sql_error(&e))?;
    row.try_get(0).map_err(|e| sql_error(&e))
}

async fn version(conn: &mut PgConnection) -> Result<i32, StoreError> {
    let row = sqlx::query(FOUND).fetch_one(conn).await.map_err(|e| sql_error(&e))?;
    row.try_get(0).map_err(|e| sql_error(&e))
}

/// Refuses a schema that can't be worked with as it is.
pub(super) async fn require_current(conn: &mut PgConnection) -> Result<(), StoreError> {
    if !has_schema(conn).await? {
        let told = "the database has no schema of Mandate; open it once with the owner's URL to make it";
        return Err(StoreError::Corrupt(told.to_owned()));
    }
    match version(conn).await? {
        found if found == newest() => Ok(()),
        found if found > newest() => Err(of_the_future(found)),
        found => {
            let newest = newest();
            let told = format!("schema version {found} is older than {newest}; open it once with the owner's URL");
            Err(StoreError::Corrupt(told))
        }
    }
}
