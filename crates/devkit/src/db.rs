//! A service's own SQLite file.

use crate::DevkitError;
use mandate_kernel::{Digest, Timestamp};
use mandate_verifier::{ReplayCache, ReplayError};
use rusqlite::{Connection, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Ids of tokens and proofs that were used, in the service's own database: a restart forgets none.
const REPLAY: &str = "CREATE TABLE IF NOT EXISTS used (id BLOB PRIMARY KEY, ends INTEGER NOT NULL) WITHOUT ROWID;
     CREATE INDEX IF NOT EXISTS used_ends ON used (ends);";

/// Makes the file for its owner alone, also one that was made otherwise. SQLite gives the files beside it the
/// same permissions.
#[cfg(unix)]
fn private(path: &Path) -> rusqlite::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    let closed = made.and_then(|file| file.set_permissions(std::fs::Permissions::from_mode(0o600)));
    closed.map_err(|_| rusqlite::Error::InvalidPath(path.to_owned()))
}

#[cfg(not(unix))]
fn private(_: &Path) -> rusqlite::Result<()> {
    Ok(())
}

/// A service's own database.
#[derive(Clone)]
pub(crate) struct Db(Arc<Mutex<Connection>>);

impl Db {
    /// Opens or creates a file. What a commit acknowledged survives a crash and a power cut.
    pub(crate) fn open(path: &Path, schema: &str) -> Result<Self, DevkitError> {
        let open = || {
            private(path)?;
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(REPLAY)?;
            connection.execute_batch(schema)?;
            Ok(connection)
        };
        let connection = open().map_err(DevkitError::database(path.display().to_string()))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Works on the database, blocking.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        // A transaction that a panic left open was rolled back when it was dropped.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Works on the database off the async threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> rusqlite::Result<T> {
        let db = self.clone();
        let done = tokio::task::spawn_blocking(move || db.with(work)).await;
        done.unwrap_or(Err(rusqlite::Error::InvalidQuery))
    }
}

impl ReplayCache for Db {
    fn first_use(&self, id: Digest, until: Timestamp, now: Timestamp) -> Result<(), ReplayError> {
        let inserted = self.with(|connection| {
            let transaction = connection.transaction()?;
            transaction.prepare_cached("DELETE FROM used WHERE ends <= ?1")?.execute([now.as_millis()])?;
            let inserted = transaction
                .prepare_cached("INSERT OR IGNORE INTO used (id, ends) VALUES (?1, ?2)")?
                .execute(params![id.as_bytes(), until.as_millis()])?;
            transaction.commit()?;
            Ok(inserted)
        });
        match inserted {
            Ok(1) => Ok(()),
            Ok(_) => Err(ReplayError::Seen),
            Err(_) => Err(ReplayError::Unavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn its_files_are_their_owner_s_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let db = Db::open(&path, "").unwrap();
        db.first_use(Digest::of(b"a"), Timestamp::from_secs(9), Timestamp::from_secs(0)).unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
        assert!(files.len() > 1, "the log beside it");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        }
    }

    #[test]
    fn used_ids_survive_a_restart_until_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (id, at) = (Digest::of(b"a"), Timestamp::from_secs);
        Db::open(&path, "").unwrap().first_use(id, at(100), at(0)).unwrap();
        let again = Db::open(&path, "").unwrap();
        assert_eq!(again.first_use(id, at(100), at(99)), Err(ReplayError::Seen));
        assert_eq!(again.first_use(id, at(200), at(100)), Ok(()));
    }

    #[test]
    fn of_many_at_once_one_wins() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&folder.path().join("a.db"), "").unwrap();
        let (id, at) = (Digest::of(b"a"), Timestamp::from_secs);
        let wins: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| db.first_use(id, at(9), at(0)).is_ok())).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    }
}
