//! C2SP tiles (c2sp.org/tlog-tiles): how a log's tree and entries are cut into static files.
//!
//! Index 1234067 is written `x001/x234/067`; a partial file of width 5 ends in `.p/5`. (Go's own
//! checksum database uses another layout, `tile/8/…`, that is not this one.)

use crate::proof::TreeError;
use crate::tree::Nodes;
use mandate_kernel::Digest;
use std::fmt;

/// Hashes or entries in a full file.
pub const FULL: u16 = 256;

/// Why a path or a file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// Not the path of a file of a log.
    #[error("`{0}` is not a path of a tiled log")]
    Path(String),
    /// An entry that a 16-bit length can't express.
    #[error("an entry of {0} bytes does not fit a bundle")]
    EntryTooLarge(usize),
    /// A bundle that ends within an entry, or has more or fewer entries than its path says.
    #[error("the bundle does not hold exactly {expected} entries")]
    Bundle {
        /// How many it should hold.
        expected: u16,
    },
}

/// A file of a tiled log. Text form: its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// `checkpoint`.
    Checkpoint,
    /// `tile/entries/N[.p/W]`: entries from `256·index`.
    Entries {
        /// Which bundle.
        index: u64,
        /// How many entries, 1 to 256.
        width: u16,
    },
    /// `tile/L/N[.p/W]`: hashes of the complete subtrees of `256^level` leaves, from `256·index`.
    Hashes {
        /// Level of the tile: 8 levels of the tree each.
        level: u8,
        /// Which tile of that level.
        index: u64,
        /// How many hashes, 1 to 256.
        width: u16,
    },
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Checkpoint => return f.write_str("checkpoint"),
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (*index, *width)
            }
            Self::Hashes { level, index, width } => {
                write!(f, "tile/{level}/")?;
                (*index, *width)
            }
        };
        write_index(f, index)?;
        if width == FULL { Ok(()) } else { write!(f, ".p/{width}") }
    }
}

fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    if index >= 1000 {
        write_outer(f, index / 1000)?;
    }
    write!(f, "{:03}", index % 1000)
}

fn write_outer(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    if index >= 1000 {
        write_outer(f, index / 1000)?;
    }
    write!(f, "x{:03}/", index % 1000)
}

impl std::str::FromStr for TilePath {
    type Err = TileError;
    fn from_str(path: &str) -> Result<Self, TileError> {
        let parsed = parse_path(path).filter(|parsed| parsed.to_string() == path);
        parsed.ok_or_else(|| TileError::Path(path.chars().take(120).collect()))
    }
}

/// Reads leniently; the caller compares with the one text of what was read.
fn parse_path(path: &str) -> Option<TilePath> {
    if path == "checkpoint" {
        return Some(TilePath::Checkpoint);
    }
    let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|width| (1..FULL).contains(width))?),
        None => (rest, FULL),
    };
    let index = index.split('/').try_fold(0u64, |sum, part| {
        let digits: u64 = part.strip_prefix('x').unwrap_or(part).parse().ok()?;
        sum.checked_mul(1000)?.checked_add(digits)
    })?;
    if kind == "entries" {
        return Some(TilePath::Entries { index, width });
    }
    let level = kind.parse().ok().filter(|level| *level < 64)?;
    Some(TilePath::Hashes { level, index, width })
}

/// Exactly the files a tree of `size` leaves consists of: bundles first, in order, then tiles level by
/// level, then `checkpoint`. Lazy, so that a claimed size costs nothing.
pub fn files_for(size: u64) -> impl Iterator<Item = TilePath> {
    let bundles = row(size).map(|(index, width)| TilePath::Entries { index, width });
    let tiles = (0u8..8).flat_map(move |level| {
        row(size >> (8 * level)).map(move |(index, width)| TilePath::Hashes { level, index, width })
    });
    bundles.chain(tiles).chain(std::iter::once(TilePath::Checkpoint))
}

/// Index and width of the files that hold `count` items: full ones, then at most one partial.
fn row(count: u64) -> impl Iterator<Item = (u64, u16)> {
    let (full, rest) = (count / u64::from(FULL), u16::try_from(count % u64::from(FULL)).unwrap_or(0));
    (0..full).map(|index| (index, FULL)).chain((rest > 0).then_some((full, rest)))
}

/// The content of a hash tile: `width` hashes of 32 bytes.
///
/// # Errors
/// [`TreeError`] when storage lacks a node or can't be read.
pub fn tile_bytes<N: Nodes>(nodes: &N, level: u8, index: u64, width: u16) -> Result<Vec<u8>, TreeError<N::Error>> {
    let level = level.saturating_mul(8);
    let mut bytes = Vec::with_capacity(usize::from(width) * 32);
    for offset in 0..u64::from(width) {
        let index = index.saturating_mul(u64::from(FULL)).saturating_add(offset);
        let hash: Option<Digest> = nodes.node(level, index).map_err(TreeError::Read)?;
        bytes.extend_from_slice(hash.ok_or(TreeError::Missing { level, index })?.as_bytes());
    }
    Ok(bytes)
}

/// Appends an entry to a bundle: its length in 16 bits, big-endian, then its bytes.
///
/// # Errors
/// [`TileError::EntryTooLarge`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), TileError> {
    let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLarge(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle that must hold exactly `width`.
///
/// # Errors
/// [`TileError::Bundle`].
pub fn parse_bundle(mut bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let wrong = TileError::Bundle { expected: width };
    let mut entries = Vec::with_capacity(usize::from(width));
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((entry, rest)) = rest.split_at_checked(length) else { return Err(wrong) };
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() && entries.len() == usize::from(width) { Ok(entries) } else { Err(wrong) }
}
