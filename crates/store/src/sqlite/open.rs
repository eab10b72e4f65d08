//! Opening connections, each set up for what it is for.

use super::fault::{Reading, sql_error};
use super::{StoreConfig, migrate};
use mandate_journal::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Statements kept prepared on each connection; more than there are.
const STATEMENTS: usize = 96;

/// The writing connection, its schema up to date.
pub(super) fn writer(config: &StoreConfig) -> Result<Connection, StoreError> {
    create_private(&config.path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> Reading<Connection> {
        let conn = Connection::open_with_flags(&config.path, flags)?;
        conn.busy_timeout(config.busy_timeout)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        // WAL with FULL: each commit is on disk before it is acknowledged. wal_autocheckpoint stays at
        // its default; raising it cost two thirds of the throughput.
        conn.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;",
        )?;
        migrate::migrate(&conn)?;
        // Ours has neither; somebody else's must not run in our name.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // What was shredded just before a crash leaves the write-ahead log as well.
        scrub(&conn)?;
        Ok(conn)
    };
    open().map_err(|halt| located(halt.into(), &config.path))
}

/// A connection that only reads, beside a writer or of a folder at rest.
pub(super) fn reader(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    prepare(Connection::open_with_flags(path, flags), busy_timeout).map_err(|halt| located(halt.into(), path))
}

/// A connection to a database whose folder can't be written at all. SQLite wants to make its shared
/// memory file there; when no write-ahead log is left, the file alone is the whole truth.
pub(super) fn immutable_reader(path: &Path) -> Result<Connection, StoreError> {
    let log = with_suffix(path, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        let told = format!("{} holds changes that can't be read without write access to its folder", log.display());
        return Err(StoreError::Unavailable(told));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", percent_encoded(path));
    prepare(Connection::open_with_flags(uri, flags), Duration::ZERO).map_err(|halt| located(halt.into(), path))
}

fn prepare(opened: rusqlite::Result<Connection>, busy_timeout: Duration) -> Reading<Connection> {
    let conn = opened?;
    conn.busy_timeout(busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    migrate::require_current(&conn)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(conn)
}

/// Moves the write-ahead log into the database and empties it; `false` when a reader still needs it.
pub(super) fn scrub(conn: &Connection) -> rusqlite::Result<bool> {
    let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Keeps to the ceiling on the file's size.
pub(super) fn limit_pages(conn: &Connection, pages: u32) -> Result<(), StoreError> {
    // The pragma answers with the ceiling now in force.
    conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).map_err(|e| sql_error(&e))
}

/// Makes the file, readable by its owner only, before SQLite would make it with the usual rights.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path).map(drop);
    opened.map_err(|e| StoreError::Unavailable(format!("{} can't be opened: {e}", path.display())))
}

pub(super) fn located(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{}: {why}", path.display())),
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{}: {why}", path.display())),
        StoreError::Closed => StoreError::Closed,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn percent_encoded(path: &Path) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_');
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.iter().map(|b| if plain(*b) { char::from(*b).to_string() } else { format!("%{b:02X}") }).collect()
}
