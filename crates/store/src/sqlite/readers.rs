//! The read connections: each read is one snapshot, taken off the async threads.

use super::fault::Reading;
use super::open;
use mandate_journal::StoreError;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A few connections that only read.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    path: PathBuf,
    busy_timeout: Duration,
    size: u32,
    free: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Opens one connection now, so that a bad file shows at once; the others when they are needed.
    pub(super) fn open(path: PathBuf, busy_timeout: Duration, count: usize) -> Result<Self, StoreError> {
        let first = open::reader(&path, busy_timeout)?;
        Ok(Self::around(first, path, busy_timeout, count))
    }

    /// A pool that has this one connection already.
    pub(super) fn around(first: Connection, path: PathBuf, busy_timeout: Duration, count: usize) -> Self {
        let size = u32::try_from(count.clamp(1, 64)).unwrap_or(1);
        let free = Arc::new(Semaphore::new(size as usize));
        Self { pool: Arc::new(Pool { path, busy_timeout, size, free, idle: Mutex::new(vec![first]) }) }
    }

    /// Reads in one snapshot, which holds every commit acknowledged before.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Reading<T> + Send + 'static,
    {
        // The permit goes with the work: an abandoned future must not free a connection still in use.
        let permit = Arc::clone(&self.pool.free).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&self.pool);
        let reading = tokio::task::spawn_blocking(move || {
            let conn = pool.take()?;
            let done = snapshot(&conn, work);
            if conn.is_autocommit() {
                pool.give_back(conn);
            }
            drop(permit);
            Ok(done?)
        });
        reading.await.map_err(|e| StoreError::Unavailable(format!("a read was interrupted: {e}")))?
    }

    /// Waits for the reads under way, then closes all connections.
    pub(super) async fn close(&self) {
        // An error means somebody closed them before.
        let all = self.pool.free.acquire_many(self.pool.size).await;
        self.pool.free.close();
        drop(all);
        self.pool.lock().clear();
    }
}

impl Pool {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.lock().pop();
        idle.map_or_else(|| open::reader(&self.path, self.busy_timeout), Ok)
    }

    fn give_back(&self, conn: Connection) {
        self.lock().push(conn);
    }
}

fn snapshot<T>(conn: &Connection, work: impl FnOnce(&Connection) -> Reading<T>) -> Reading<T> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let done = work(conn);
    // Nothing was written: a rollback and a commit are the same, and a rollback can't be refused.
    conn.prepare_cached("ROLLBACK")?.execute([])?;
    done
}
