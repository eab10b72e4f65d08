//! A consistent copy of a database, made while a node writes to it.

use super::fault::Reading;
use super::{Store, migrate, open};
use mandate_journal::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How long the copy waits for a lock. A reader in WAL mode hardly ever does.
const BUSY: Duration = Duration::from_secs(30);

/// What is of this moment and this machine: who is signed in, and which node drives what.
const PASSING: &str = "DELETE FROM sessions; DELETE FROM claims;";

impl Store {
    /// Writes what the database at `from` holds at one moment to the new file `to`, readable by its owner alone.
    /// Whoever writes to it meanwhile goes on. Pages that were freed are not in the copy, and neither are browser
    /// sessions and claims of nodes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when either file can't be used; [`StoreError::Corrupt`] when `from` is not one of
    /// ours, or its schema is not the one this build reads.
    pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
        if to.exists() {
            return Err(StoreError::Unavailable(format!("{} exists already", to.display())));
        }
        let name = to.to_str().ok_or_else(|| StoreError::Unavailable(format!("{} is not UTF-8", to.display())))?;
        let copied = || -> Reading<()> {
            // The file itself is only read, but the copy is written by the same connection.
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(from, flags)?;
            conn.busy_timeout(BUSY)?;
            migrate::require_current(&conn)?;
            open::create_private(to)?;
            conn.execute("VACUUM INTO ?1", [name])?;
            drop(conn);
            let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            copy.execute_batch("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;")?;
            copy.execute_batch(PASSING)?;
            Ok(())
        };
        copied().map_err(|halt| open::located(halt.into(), from))?;
        let synced = std::fs::File::open(to).and_then(|file| file.sync_all());
        synced.map_err(|e| StoreError::Unavailable(format!("{} can't be made durable: {e}", to.display())))
    }
}
