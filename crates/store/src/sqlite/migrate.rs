//! Forward-only migrations, each in the transaction that records it.

use super::codec::all;
use super::fault::Reading;
use mandate_journal::StoreError;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// Marks the file as ours: "MNDT".
const APPLICATION_ID: i64 = 0x4d4e_4454;

/// Every schema, in order; the position is the version.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_first.sql"),
    include_str!("../../migrations/sqlite/0002_approvals.sql"),
    include_str!("../../migrations/sqlite/0003_sessions.sql"),
    include_str!("../../migrations/sqlite/0004_proofs.sql"),
    include_str!("../../migrations/sqlite/0005_claims.sql"),
    include_str!("../../migrations/sqlite/0007_occasions.sql"),
];

/// The version this build knows.
fn newest() -> usize {
    MIGRATIONS.len()
}

/// Brings the schema up to date, and refuses one from the future or a file that is not ours.
pub(super) fn migrate(conn: &Connection) -> Reading<()> {
    // Exclusive at once: two processes that open a fresh file together must not both find it empty.
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let done = advance(conn).and_then(|()| Ok(conn.execute_batch("COMMIT")?));
    if done.is_err() && !conn.is_autocommit() {
        // The first error is the one to tell.
        let _ = conn.execute_batch("ROLLBACK");
    }
    done
}

fn advance(conn: &Connection) -> Reading<()> {
    let found = match version(conn)? {
        Some(found) => found,
        None => {
            conn.execute_batch("CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY) STRICT")?;
            conn.pragma_update(None, "application_id", APPLICATION_ID)?;
            0
        }
    };
    for (at, sql) in MIGRATIONS.iter().enumerate().skip(found) {
        conn.execute_batch(sql)?;
        conn.execute("INSERT INTO schema_version (version) VALUES (?1)", [i64::try_from(at + 1).unwrap_or(i64::MAX)])?;
    }
    require_own(conn)
}

/// The schema version found; `None` for an empty file.
///
/// # Errors
/// `Corrupt` for a newer schema, or for a database that something else made.
fn version(conn: &Connection) -> Reading<Option<usize>> {
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 && application == 0 {
        return Ok(None);
    }
    if application != APPLICATION_ID {
        let told = "the file is a database, but not one of Mandate; check the path";
        return Err(StoreError::Corrupt(told.to_owned()).into());
    }
    let found: i64 = conn.query_row("SELECT coalesce(max(version), 0) FROM schema_version", [], |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(found) if found <= newest() => Ok(Some(found)),
        _ => {
            let told = format!(
                "schema version {found} is newer than {}, the newest this build knows; run the newer build, or restore a \
                 backup made before the upgrade",
                newest()
            );
            Err(StoreError::Corrupt(told).into())
        }
    }
}

/// Refuses a schema that is not the migrations' own: a trigger, a view or a changed table could drop what is
/// written, or show what is not there.
fn require_own(conn: &Connection) -> Reading<()> {
    let own = Connection::open_in_memory()?;
    for sql in MIGRATIONS {
        own.execute_batch(sql)?;
    }
    let (own, found) = (objects(&own)?, objects(conn)?);
    match found.symmetric_difference(&own).next() {
        None => Ok(()),
        Some((kind, name, _)) => Err(StoreError::Corrupt(format!(
            "the database's schema is not this product's: {kind} {name} was added, changed or taken away; restore a backup"
        ))
        .into()),
    }
}

/// Kind, name and definition of everything in the schema, but for SQLite's own and the table of versions.
fn objects(conn: &Connection) -> Reading<BTreeSet<(String, String, String)>> {
    let sql = r"SELECT type, name, coalesce(sql, '') FROM sqlite_schema
        WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'schema_version'";
    Ok(all(conn, sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.into_iter().collect())
}

/// Refuses a schema that can't be read as it is; for opening without the right to change it.
pub(super) fn require_current(conn: &Connection) -> Reading<()> {
    match version(conn)? {
        Some(found) if found == newest() => require_own(conn),
        Some(found) => {
            let told = format!("schema version {found} is older than {}; start the node once to bring it up", newest());
            Err(StoreError::Corrupt(told).into())
        }
        None => Err(StoreError::Corrupt("the database is empty".to_owned()).into()),
    }
}
