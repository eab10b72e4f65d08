//! The files of a folder that may hold manifests or policies.

use crate::cli::CliError;
use std::path::{Path, PathBuf};

/// Files looked at in one command.
const MAX_FILES: usize = 2_000;
/// Folders within folders; a circle of links ends here at the latest.
const MAX_DEPTH: usize = 16;

/// A file that may be applied.
pub(super) struct Found {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The folder that was named, or the file's own.
    pub(super) root: PathBuf,
    /// Whether this very file was named.
    pub(super) named: bool,
}

/// All candidates at a path, in the order of their names.
pub(super) fn files(path: &Path) -> Result<Vec<Found>, CliError> {
    let unreadable = |e: std::io::Error| CliError::usage(format!("{} can't be read: {e}", path.display()));
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_file() {
        if !is_candidate(path) {
            return Err(CliError::usage(format!("{} is neither .yaml, .yml, .json nor .cedar", path.display())));
        }
        let root = path.parent().unwrap_or(Path::new("")).to_owned();
        return Ok(vec![Found { path: path.to_owned(), root, named: true }]);
    }
    let mut walk = Walk { real: path.canonicalize().map_err(unreadable)?, paths: Vec::new() };
    walk.folder(path, 0)?;
    Ok(walk.paths.into_iter().map(|found| Found { path: found, root: path.to_owned(), named: false }).collect())
}

fn is_candidate(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ["yaml", "yml", "json", "cedar"].iter().any(|known| ext == *known))
}

struct Walk {
    /// The folder that was named, all links resolved.
    real: PathBuf,
    paths: Vec<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), CliError> {
        let unreadable = |e: std::io::Error| CliError::usage(format!("{} can't be read: {e}", folder.display()));
        if depth > MAX_DEPTH {
            return Err(CliError::usage(format!("{} nests more than {MAX_DEPTH} folders", folder.display())));
        }
        let entries = std::fs::read_dir(folder).map_err(unreadable)?;
        let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            self.entry(&entry.path(), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), CliError> {
        let unreadable = |e: std::io::Error| CliError::usage(format!("{} can't be read: {e}", path.display()));
        let kind = std::fs::symlink_metadata(path).map_err(unreadable)?.file_type();
        if !kind.is_dir() && !is_candidate(path) && !kind.is_symlink() {
            return Ok(());
        }
        // A folder from elsewhere must not make this client read other places.
        if kind.is_symlink() && !path.canonicalize().map_err(unreadable)?.starts_with(&self.real) {
            return Err(CliError::usage_help(
                format!("{} is a link to outside the folder", path.display()),
                "remove it, or name the file it leads to by itself",
            ));
        }
        if path.is_dir() {
            return self.folder(path, depth + 1);
        }
        if path.is_file() && is_candidate(path) {
            self.paths.push(path.to_owned());
        }
        if self.paths.len() > MAX_FILES {
            return Err(CliError::usage(format!("{} holds more than {MAX_FILES} files", self.real.display())));
        }
        Ok(())
    }
}
