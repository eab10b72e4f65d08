//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The database file; made, readable by its owner only, when it is absent.
    pub path: PathBuf,
    /// How many connections read at the same time.
    pub readers: usize,
    /// How long to wait for a lock that another process holds before giving up.
    pub busy_timeout: Duration,
    /// How many jobs share one transaction at most.
    pub batch: usize,
    /// A ceiling on the size of the database file; `None` for the disk's own.
    pub page_limit: Option<PageLimit>,
}

impl StoreConfig {
    /// The defaults for a file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers: 3, busy_timeout: Duration::from_secs(5), batch: 256, page_limit: None }
    }
}

/// A ceiling on the database's size in pages of 4096 bytes, adjustable while the store is open. What
/// goes beyond it is refused as if the disk were full, which is how tests fill a disk.
#[derive(Debug, Clone)]
pub struct PageLimit(Arc<AtomicU32>);

impl PageLimit {
    /// A ceiling of this many pages. SQLite never goes below the file's present size.
    #[must_use]
    pub fn new(pages: u32) -> Self {
        Self(Arc::new(AtomicU32::new(pages)))
    }

    /// Moves the ceiling; in force from the next transaction on.
    pub fn set(&self, pages: u32) {
        self.0.store(pages, Ordering::SeqCst);
    }

    /// The ceiling now.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
