//! The store: opened, handed out for a caller, closed.

use super::fault::Halt;
use super::readers::Readers;
use super::writer::{Task, Writer};
use super::{StoreConfig, SystemHandle, TenantHandle, open};
use mandate_journal::StoreError;
use mandate_kernel::Caller;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A SQLite database behind the ports. A clone is the same store.
///
/// It has no query of its own (I5): see [`Store::of`] and [`Store::system`].
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

/// What all handles share.
#[derive(Debug)]
pub(super) struct Shared {
    /// `None` when opened for reading only.
    writer: Option<Writer>,
    pub(super) readers: Readers,
}

impl Store {
    /// Opens the database, makes it when it is absent, and brings its schema up to date. When the last
    /// clone and handle is gone the writer thread ends by itself; [`Store::close`] waits for it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file can't be opened, made or locked;
    /// [`StoreError::Corrupt`] when it is not one of ours, or from a newer build.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let conn = open::writer(&config)?;
        let readers = Readers::open(config.path.clone(), config.busy_timeout, config.readers)?;
        let writer = Writer::start(conn, config)?;
        Ok(Self { shared: Arc::new(Shared { writer: Some(writer), readers }) })
    }

    /// Opens a database for reading only, beside a running node or at rest: for offline verification.
    /// Every write is refused as [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the file can't be opened; [`StoreError::Corrupt`] when it is not
    /// one of ours, or its schema is not the one this build reads.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        const BUSY: Duration = Duration::from_secs(5);
        let readers = match open::reader(path, BUSY) {
            Ok(first) => Readers::around(first, path.to_owned(), BUSY, 2),
            // One connection is enough then: a second would fail as the first did.
            Err(StoreError::Unavailable(_)) if path.is_file() => {
                Readers::around(open::immutable_reader(path)?, path.to_owned(), BUSY, 1)
            }
            Err(error) => return Err(error),
        };
        Ok(Self { shared: Arc::new(Shared { writer: None, readers }) })
    }

    /// The store as this caller may see it: confined to the caller's tenant, whatever is asked.
    #[must_use]
    pub fn of(&self, caller: &Caller) -> TenantHandle {
        TenantHandle::new(Arc::clone(&self.shared), caller.tenant().clone())
    }

    /// The closed list of queries that know no tenant; they return ids only.
    #[must_use]
    pub fn system(&self) -> SystemHandle {
        SystemHandle::new(Arc::clone(&self.shared))
    }

    /// Commits what waits, waits for the reads under way and closes the file. Whatever is asked later
    /// is told [`StoreError::Closed`].
    pub async fn close(&self) {
        self.shared.readers.close().await;
        if let Some(writer) = &self.shared.writer {
            writer.close().await;
        }
    }
}

impl Shared {
    /// Has work done by the writer thread.
    pub(super) async fn write<T, E, F>(&self, task: Task, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Halt<E>> + Send + 'static,
    {
        match &self.writer {
            Some(writer) => writer.write(task, work).await,
            None => Err(StoreError::Unavailable("it was opened for reading only".to_owned()).into()),
        }
    }
}
