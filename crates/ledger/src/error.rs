//! What verification can find wrong, and where.

use crate::anchor::AnchorError;
use crate::chain::ChainError;
use crate::dsse::DsseError;
use crate::entry::EntryError;
use crate::keys::KeyRingError;
use crate::note::NoteError;
use crate::proof::ProofError;
use crate::tiles::TileError;
use mandate_kernel::{CanonicalError, RunId, Tenant};
use std::fmt;

/// Where in the thing verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The passport as a whole.
    Passport,
    /// A statement of a passport, from 0.
    Statement(usize),
    /// An artefact.
    Artifact,
    /// A leaf of the log, from 0.
    Leaf(u64),
    /// A file of an export.
    File(String),
    /// A node of the stored tree.
    Node {
        /// Its height.
        level: u8,
        /// Its position in its level.
        index: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passport => f.write_str("passport"),
            Self::Statement(n) => write!(f, "passport, statement {n}"),
            Self::Artifact => f.write_str("artefact"),
            Self::Leaf(index) => write!(f, "log, leaf {index}"),
            Self::File(path) => write!(f, "export, file `{path}`"),
            Self::Node { level, index } => write!(f, "stored tree, level {level}, index {index}"),
        }
    }
}

/// Why verification failed. Nothing that failed may be relied on in part.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The anchor does not know the tenant.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// Key history does not hold.
    #[error("key history: {0}")]
    Keys(#[from] KeyRingError),
    /// A signed envelope does not hold.
    #[error("{at}: {source}")]
    Envelope {
        /// Where.
        at: Place,
        /// What is wrong.
        source: DsseError,
    },
    /// Signed content is not what it should be, or not in canonical form.
    #[error("{at}: {source}")]
    Content {
        /// Where.
        at: Place,
        /// What is wrong.
        source: CanonicalError,
    },
    /// A field that must have one certain value has another.
    #[error("{at}: {field} is not what it must be")]
    Field {
        /// Where.
        at: Place,
        /// Which field.
        field: &'static str,
    },
    /// The checkpoint does not hold.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] NoteError),
    /// An entry does not hold.
    #[error("{at}: {source}")]
    Entry {
        /// Where.
        at: Place,
        /// What is wrong.
        source: EntryError,
    },
    /// An entry of another tenant.
    #[error("{at}: entry of tenant {found}")]
    ForeignTenant {
        /// Where.
        at: Place,
        /// Whose.
        found: Tenant,
    },
    /// An entry of another run, or of none.
    #[error("{at}: entry is not of this run")]
    ForeignRun {
        /// Where.
        at: Place,
    },
    /// An entry is not in the log that the checkpoint stands for.
    #[error("{at}: not included in the log: {source}")]
    Inclusion {
        /// Where.
        at: Place,
        /// What is wrong.
        source: ProofError,
    },
    /// A run's entries don't follow from each other.
    #[error("{at}: {source}")]
    Chain {
        /// Where.
        at: Place,
        /// What is wrong.
        source: ChainError,
    },
    /// The run has not ended, or its end was cut off.
    #[error("the run's chain does not reach its end")]
    Unfinished,
    /// A rotation entry whose statement is missing.
    #[error("{at}: a key rotation without its signed statement in details.statement")]
    NoStatement {
        /// Where.
        at: Place,
    },
    /// A stored node differs from what the entries hash to, or is missing.
    #[error("{at}: differs from what the entries hash to")]
    Hash {
        /// Where.
        at: Place,
    },
    /// The entries hash to another root than log and witnesses signed.
    #[error("the first {size} entries hash to another root than the checkpoint's")]
    Root {
        /// Size of the checkpoint.
        size: u64,
    },
    /// Fewer entries than log and witnesses signed: the log was cut off.
    #[error("the log has {found} entries; its checkpoint stands for {expected}")]
    Truncated {
        /// Size of the checkpoint.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A file is missing.
    #[error("export: file `{0}` is missing")]
    MissingFile(String),
    /// A file that does not belong to a log of this size.
    #[error("export: unexpected file `{0}`")]
    UnexpectedFile(String),
    /// A file's form is wrong.
    #[error("{at}: {source}")]
    Tile {
        /// Where.
        at: Place,
        /// What is wrong.
        source: TileError,
    },
    /// Entries or nodes could not be read, which says nothing about them.
    #[error("{at}: reading failed: {reason}")]
    Read {
        /// Where.
        at: Place,
        /// What the reader said.
        reason: String,
    },
}

/// Why a passport or artefact can't be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// No envelope.
    #[error(transparent)]
    Envelope(#[from] DsseError),
    /// An entry that can't be read back.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// Entries that are not one whole run.
    #[error("entries of run {run} do not form a whole run: {reason}")]
    NotAWholeRun {
        /// Which run.
        run: RunId,
        /// What is wrong.
        reason: String,
    },
}
