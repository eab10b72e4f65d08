//! A log as a folder of files in C2SP form, and its verification.

use crate::anchor::TrustAnchor;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::error::{Place, VerifyError};
use crate::note::{NoteError, SignedNote};
use crate::proof::TreeError;
use crate::tiles::{TileError, TilePath, files_for, parse_bundle, push_entry, tile_bytes};
use crate::tree::{MemoryTree, Nodes};
use crate::verify::{LogReport, LogScan};
use mandate_kernel::Tenant;
use std::collections::BTreeMap;

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFile {
    /// Its path within the folder, with `/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why an export can't be written. `E` is the source of entries, `N` of nodes.
#[derive(Debug, thiserror::Error)]
pub enum ExportError<E, N> {
    /// The checkpoint can't be read.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// An entry can't be read.
    #[error("reading entry {index} failed: {source}")]
    Entry {
        /// Which entry.
        index: u64,
        /// Why.
        source: E,
    },
    /// There are fewer entries than the checkpoint stands for.
    #[error("the checkpoint stands for {expected} entries; there are {found}")]
    TooFew {
        /// Size of the checkpoint.
        expected: u64,
        /// How many entries were given.
        found: u64,
    },
    /// A node can't be read.
    #[error(transparent)]
    Tree(#[from] TreeError<N>),
    /// An entry doesn't fit.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// The next file of an export, or why it can't be written.
pub type FileResult<E, N> = Result<ExportFile, ExportError<E, <N as Nodes>::Error>>;

/// The exact set of files for the tree a checkpoint stands for: full files, at most one partial file
/// per level, and `checkpoint`. One file at a time, so that a large log needs little memory. Entries
/// after the checkpoint are not taken.
///
/// # Errors
/// [`ExportError::Checkpoint`] at once; the iterator's items say the rest.
pub fn export_files<E, N: Nodes, I: Iterator<Item = Result<Entry, E>>>(
    mut entries: I,
    nodes: &N,
    checkpoint: &str,
) -> Result<impl Iterator<Item = FileResult<E, N>>, ExportError<E, N::Error>> {
    let size = Checkpoint::parse(&SignedNote::parse(checkpoint)?.text)?.size;
    Ok(files_for(size).map(move |file| {
        let bytes = match file {
            TilePath::Checkpoint => checkpoint.as_bytes().to_vec(),
            TilePath::Hashes { level, index, width } => tile_bytes(nodes, level, index, width)?,
            TilePath::Entries { index, width } => bundle(&mut entries, index * 256, width, size)?,
        };
        Ok(ExportFile { path: file.to_string(), bytes })
    }))
}

fn bundle<E, N>(
    entries: &mut impl Iterator<Item = Result<Entry, E>>,
    first: u64,
    width: u16,
    expected: u64,
) -> Result<Vec<u8>, ExportError<E, N>> {
    let mut bytes = Vec::new();
    for offset in 0..u64::from(width) {
        let index = first + offset;
        let entry = entries.next().ok_or(ExportError::TooFew { expected, found: index })?;
        push_entry(&mut bytes, entry.map_err(|source| ExportError::Entry { index, source })?.bytes())?;
    }
    Ok(bytes)
}

/// Verifies an exported folder, given as path → content: all is hashed again, every run's chain is
/// followed, and there is no file too many or too few.
///
/// # Errors
/// [`VerifyError`] at the first thing that is wrong.
pub fn verify_export(
    files: &BTreeMap<String, Vec<u8>>,
    anchor: &TrustAnchor,
    tenant: &Tenant,
) -> Result<LogReport, VerifyError> {
    let missing = |path: &str| VerifyError::MissingFile(path.to_owned());
    let note = files.get("checkpoint").ok_or_else(|| missing("checkpoint"))?;
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Form("not UTF-8"))?;
    let mut scan = LogScan::begin(note, anchor, tenant)?;
    let mut tree = MemoryTree::new();
    let mut expected = 0usize;
    for file in files_for(scan.claimed_size()) {
        let path = file.to_string();
        let bytes = files.get(&path).ok_or_else(|| missing(&path))?;
        expected += 1;
        match file {
            TilePath::Checkpoint => {}
            TilePath::Entries { width, .. } => {
                let at = Place::File(path);
                for entry in parse_bundle(bytes, width).map_err(|source| VerifyError::Tile { at, source })? {
                    scan.take(entry)?;
                    tree.append(crate::tree::leaf_hash(entry));
                }
            }
            TilePath::Hashes { level, index, width } => {
                if tile_bytes(&tree, level, index, width).is_ok_and(|hashes| hashes == *bytes) {
                    continue;
                }
                return Err(VerifyError::Hash { at: Place::File(path) });
            }
        }
    }
    if files.len() != expected {
        let known: std::collections::BTreeSet<String> =
            files_for(scan.claimed_size()).map(|file| file.to_string()).collect();
        let stranger = files.keys().find(|path| !known.contains(*path)).cloned().unwrap_or_default();
        return Err(VerifyError::UnexpectedFile(stranger));
    }
    scan.finish(anchor)
}
