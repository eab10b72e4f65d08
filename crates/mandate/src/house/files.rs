//! Files that must be whole after a crash, and the lock on a data folder.

use anyhow::{Context, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a start waits for the process that still holds the folder to be gone: after a kill, the
/// system releases its lock within moments.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a folder that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("folder {} can't be made", path.display()))
}

/// Writes a file whole or not at all: beside it first, then in its place, both on disk.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("{} can't be written", path.display()))
}

/// Makes durable what was renamed or made in a folder.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).with_context(|| format!("{} can't be synced", path.display()))
}

/// Holds a folder for this process. The system lets go of it when the process ends, however it ends.
pub(crate) fn lock_folder(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path.join("lock"))
        .with_context(|| format!("{} can't be locked", path.display()))?;
    let begun = Instant::now();
    while file.try_lock().is_err() {
        if begun.elapsed() > PATIENCE {
            bail!("another process uses {}; end it, or give another folder", path.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(file)
}
