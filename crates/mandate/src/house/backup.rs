//! `mandate backup`: a consistent copy of what a node keeps, made while it serves, with a manifest that only who
//! holds the root key can make. The root key itself is not in it (docs/decisions/0032-backup-and-restore.md).

mod manifest;

pub(super) use manifest::{FileState, Manifest, StoreKind};

use super::config::{ServeConfig, StoreSettings};
use super::database::Database;
use super::files;
use crate::cli::CliError;
use crate::cli::args::BackupArgs;
use anyhow::{Context, Result, bail};
use mandate_engine::Tenants as _;
use mandate_kernel::{Caller, Clock as _, SystemClock};
use mandate_store::Store;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The database's file, in a data folder as in a backup.
pub(super) const DATABASE: &str = "mandate.db";
/// The trust anchor's file.
pub(super) const TRUST: &str = "trust.json";

/// Makes a backup. Gives where it is and its manifest.
///
/// # Errors
/// What is wrong with the arguments, as usage; or why it can't be made.
pub(crate) async fn backup(args: &BackupArgs) -> Result<Value> {
    let config = ServeConfig::read_file(&args.config).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let to = absent(&args.to)?;
    let beside = beside(&to)?;
    files::private_folder(&beside)?;
    let made = fill(&config, &beside).await.and_then(|manifest| {
        fs::rename(&beside, &to).with_context(|| format!("{} can't be made", to.display()))?;
        files::sync_folder(to.parent().unwrap_or(&to))?;
        Ok(json!({"backup": to, "manifest": manifest}))
    });
    if made.is_err() {
        // What was half made is of no use; the first error is the one to tell.
        drop(fs::remove_dir_all(&beside));
    }
    made
}

/// A path that nothing is at.
fn absent(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    if path.symlink_metadata().is_ok() {
        let told = format!("{} exists, and no backup is overwritten", path.display());
        return Err(CliError::usage_help(told, "give a folder that does not exist yet").into());
    }
    Ok(path)
}

/// A folder of this process beside another, to be moved to its place when it is whole.
pub(super) fn beside(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().context("a folder has a name")?.to_string_lossy();
    Ok(folder.with_file_name(format!(".{name}.{}.new", std::process::id())))
}

async fn fill(config: &ServeConfig, folder: &Path) -> Result<Manifest> {
    let root = config.root_key(false)?;
    let (store, database) = match &config.store {
        StoreSettings::Sqlite(_) => (StoreKind::Sqlite, copied(&config.data_dir, folder).await?),
        StoreSettings::Postgres(_) => (StoreKind::Postgres, config.database_to_read().await?),
    };
    let mut manifest = Manifest::new(SystemClock.now(), store, config.log_name.clone(), &root);
    let trust = config.data_dir.join(TRUST);
    let anchor = fs::read(&trust).with_context(|| format!("{} can't be read", trust.display()))?;
    files::write_whole(&folder.join(TRUST), &anchor)?;
    let mut names = vec![TRUST.to_owned()];
    for tenant in database.system().tenants().await? {
        let held = database.of(&Caller::system(tenant.clone(), "backup"));
        let (head, open) = (held.head().await?, held.open_counts().await?);
        let state = manifest::TenantState {
            entries: head.frontier.size(),
            root: head.frontier.root(),
            witnessed: head.cosigned_size,
            running: open.running,
            waiting: open.waiting,
        };
        manifest.tenants.insert(tenant.clone(), state);
        if let Some(note) = head.cosigned {
            let name = format!("{tenant}.checkpoint");
            files::write_whole(&folder.join(&name), note.as_bytes())?;
            names.push(name);
        }
    }
    database.close().await;
    if store == StoreKind::Sqlite {
        names.push(DATABASE.to_owned());
    }
    for name in names {
        let state = FileState::of(&folder.join(&name))?;
        manifest.files.insert(name, state);
    }
    files::write_whole(&folder.join(manifest::FILE), &manifest.to_file(&root)?)?;
    Ok(manifest)
}

/// Copies the database, and opens the copy.
async fn copied(data_dir: &Path, folder: &Path) -> Result<Database> {
    let (from, to) = (data_dir.join(DATABASE), folder.join(DATABASE));
    if !from.is_file() {
        bail!("{} has no {DATABASE}: a node has to have served from it", data_dir.display());
    }
    let copy = to.clone();
    tokio::task::spawn_blocking(move || Store::copy(&from, &copy)).await.context("the copy was interrupted")??;
    Ok(Database::Sqlite(Store::open_read_only(&to)?))
}
