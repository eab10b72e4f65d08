//! The tenant's ledger as the sequencer sees it.

use mandate_ledger::{Frontier, Node};
use serde::{Deserialize, Serialize};

/// A durable entry that is not in the tree yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEntry {
    /// The store's own key for it; says nothing about order between writers.
    pub key: u64,
    /// The entry's bytes.
    pub bytes: Vec<u8>,
}

/// The head of the tree, with the newest signed and cosigned checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogHead {
    /// The compact range of the tree.
    pub frontier: Frontier,
    /// The newest checkpoint signed by the log, as a signed note; `None` before the first.
    pub signed: Option<String>,
    /// The newest checkpoint that also carries the witness quorum.
    pub cosigned: Option<String>,
    /// Size of the tree in `cosigned`.
    pub cosigned_size: u64,
}

/// What one round of the sequencer makes durable, compare-and-swap on the old size.
#[derive(Debug, Clone)]
pub struct Integration {
    /// The tree size this round builds on.
    pub from_size: u64,
    /// Keys of the pending entries, in the order they take in the tree.
    pub taken: Vec<u64>,
    /// The nodes completed by them, leaves included.
    pub nodes: Vec<Node>,
    /// The frontier afterwards.
    pub frontier: Frontier,
}
