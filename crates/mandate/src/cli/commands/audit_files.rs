//! A ledger as files in C2SP form: read from a folder, fetched from a server, written to a folder.

use crate::cli::CliError;
use crate::cli::client::{Call, Client};
use crate::cli::files::{self, MAX_EVIDENCE};
use crate::cli::output::Output;
use mandate_ledger::tiles::{FULL, files_for, parse_bundle, push_entry};
use mandate_ledger::{Checkpoint, SignedNote, TilePath};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files by their path within the folder, with `/`.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Folders within folders that an export can have: `tile/entries/` and an index of 64 bits.
const MAX_DEPTH: usize = 16;

/// Reads a folder whole: also what does not belong there, so that it can be found.
pub(super) fn read_folder(folder: &Path) -> Result<Files, CliError> {
    if !folder.is_dir() {
        return Err(CliError::usage(format!("{} is not a folder", folder.display())));
    }
    let mut found = Files::new();
    read_into(folder, "", 0, &mut found)?;
    Ok(found)
}

fn read_into(folder: &Path, prefix: &str, depth: usize, found: &mut Files) -> Result<(), CliError> {
    let unreadable = |e: std::io::Error| CliError::usage(format!("{} can't be read: {e}", folder.display()));
    if depth > MAX_DEPTH {
        return Err(CliError::usage(format!("{} nests too deeply for an export", folder.display())));
    }
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        // A name that is not text is no file of an export, and must be found as such.
        let path = format!("{prefix}{}", name.to_string_lossy());
        if entry.path().is_dir() {
            read_into(&entry.path(), &format!("{path}/"), depth + 1, found)?;
        } else {
            found.insert(path, files::read(&entry.path(), MAX_EVIDENCE)?);
        }
    }
    Ok(())
}

/// Fetches exactly the files of the tree that a checkpoint stands for.
pub(super) async fn fetch(client: &Client, out: &Output<'_>, note: String) -> Result<Files, CliError> {
    let claimed = SignedNote::parse(&note).and_then(|note| Checkpoint::parse(&note.text));
    let size = claimed
        .map_err(|e| CliError::Unverified { what: client.url().to_owned(), why: format!("checkpoint: {e}") })?
        .size;
    out.progress(&format!("reading {size} entries"));
    let mut found = Files::new();
    for file in files_for(size) {
        let bytes = match file {
            TilePath::Checkpoint => continue,
            other => tile(client, other).await?,
        };
        found.insert(file.to_string(), bytes);
    }
    found.insert(TilePath::Checkpoint.to_string(), note.into_bytes());
    Ok(found)
}

/// One file. A log that has grown in the meantime may have only the full file, whose beginning is the
/// partial one.
async fn tile(client: &Client, file: TilePath) -> Result<Vec<u8>, CliError> {
    let missing = |error: &CliError| matches!(error, CliError::Problem(problem) if problem.status == 404);
    let at = |file: TilePath| format!("/v1/audit/{file}");
    match (client.bytes(Call::get(&at(file))).await, file) {
        (Err(error), TilePath::Hashes { level, index, width }) if missing(&error) && width < FULL => {
            let mut bytes = client.bytes(Call::get(&at(TilePath::Hashes { level, index, width: FULL }))).await?;
            bytes.truncate(usize::from(width) * 32);
            Ok(bytes)
        }
        (Err(error), TilePath::Entries { index, width }) if missing(&error) && width < FULL => {
            let bytes = client.bytes(Call::get(&at(TilePath::Entries { index, width: FULL }))).await?;
            let wrong =
                |e: mandate_ledger::TileError| CliError::Unverified { what: file.to_string(), why: e.to_string() };
            let mut first = Vec::new();
            for entry in parse_bundle(&bytes, FULL).map_err(wrong)?.iter().take(usize::from(width)) {
                push_entry(&mut first, entry).map_err(wrong)?;
            }
            Ok(first)
        }
        (other, _) => other,
    }
}

/// A folder that an export can be written to.
pub(super) struct Names {
    folder: PathBuf,
}

impl Names {
    /// Makes the folder; one that holds something already is left alone, because what is in it would
    /// not belong to the log.
    pub(super) fn prepare(folder: &Path) -> Result<Self, CliError> {
        let unusable = |e: std::io::Error| CliError::usage(format!("{} can't be used: {e}", folder.display()));
        std::fs::create_dir_all(folder).map_err(unusable)?;
        if std::fs::read_dir(folder).map_err(unusable)?.next().is_some() {
            return Err(CliError::usage(format!("{} is not empty; name a new folder", folder.display())));
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Writes all files; the checkpoint comes last, so that a folder without one is visibly incomplete.
    pub(super) fn write(&self, found: &Files) -> Result<(), CliError> {
        let checkpoint = TilePath::Checkpoint.to_string();
        let (last, first): (Vec<_>, Vec<_>) = found.iter().partition(|(path, _)| **path == checkpoint);
        for (path, bytes) in first.into_iter().chain(last) {
            let target = self.folder.join(path);
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)
                    .map_err(|e| CliError::failed(format!("{} can't be made: {e}", parent.display())))?;
            }
            files::write(&target, bytes)?;
        }
        Ok(())
    }
}
