//! The Merkle tree of RFC 6962 §2.1 (the same in RFC 9162 §2.1), hashed with SHA-256.
//!
//! A *complete* subtree at `(level, index)` covers leaves `index·2^level` to `(index+1)·2^level`
//! (exclusive). Such a node never changes once its leaves exist, so storage keeps only those.

use mandate_kernel::Digest;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;

/// Hash of a leaf: `SHA-256(0x00 ‖ bytes)`.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], bytes])
}

/// Hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// Root of the empty tree: `SHA-256("")`.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// A complete subtree's hash and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Height: the subtree has `2^level` leaves. 0 is a leaf.
    pub level: u8,
    /// Position among the nodes of its level, from 0.
    pub index: u64,
    /// Its hash.
    pub hash: Digest,
}

/// Where complete subtrees are read from.
pub trait Nodes {
    /// Why reading fails.
    type Error;

    /// The hash at `(level, index)`, or `None` when that subtree is not complete.
    ///
    /// # Errors
    /// Whatever reading it may meet.
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Self::Error>;
}

/// The right edge of a tree: the roots of its maximal complete subtrees, largest first (one for each
/// set bit of the size). It is all that appending and the root need: at most 64 hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "RawFrontier", into = "RawFrontier")]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFrontier {
    size: u64,
    peaks: Vec<Digest>,
}

/// A stored frontier contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {} peaks, not {found}", size.count_ones())]
pub struct FrontierError {
    size: u64,
    found: usize,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; gives the subtrees it completes, the leaf itself first, then upward.
    pub fn append(&mut self, leaf: Digest) -> Vec<Node> {
        let mut node = Node { level: 0, index: self.size, hash: leaf };
        let mut completed = vec![node];
        while node.index & 1 == 1 {
            // A right child completes its parent; its left sibling is the last peak.
            let Some(left) = self.peaks.pop() else { break };
            node = Node { level: node.level + 1, index: node.index >> 1, hash: node_hash(&left, &node.hash) };
            completed.push(node);
        }
        self.peaks.push(node.hash);
        self.size += 1;
        completed
    }

    /// The Merkle tree hash of all leaves so far.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

impl TryFrom<RawFrontier> for Frontier {
    type Error = FrontierError;
    fn try_from(raw: RawFrontier) -> Result<Self, FrontierError> {
        if usize::try_from(raw.size.count_ones()).is_ok_and(|peaks| peaks == raw.peaks.len()) {
            Ok(Self { size: raw.size, peaks: raw.peaks })
        } else {
            Err(FrontierError { size: raw.size, found: raw.peaks.len() })
        }
    }
}
impl From<Frontier> for RawFrontier {
    fn from(frontier: Frontier) -> Self {
        Self { size: frontier.size, peaks: frontier.peaks }
    }
}

/// A tree kept whole in memory, for verifiers and tests: two hashes for each leaf.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    frontier: Frontier,
    levels: Vec<Vec<Digest>>,
}

impl MemoryTree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The Merkle tree hash.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Adds a leaf hash; gives the subtrees it completes.
    pub fn append(&mut self, leaf: Digest) -> Vec<Node> {
        let completed = self.frontier.append(leaf);
        for node in &completed {
            match self.levels.get_mut(usize::from(node.level)) {
                Some(level) => level.push(node.hash),
                None => self.levels.push(vec![node.hash]),
            }
        }
        completed
    }
}

impl Nodes for MemoryTree {
    type Error = Infallible;
    fn node(&self, level: u8, index: u64) -> Result<Option<Digest>, Infallible> {
        let level = self.levels.get(usize::from(level));
        Ok(usize::try_from(index).ok().and_then(|index| level?.get(index)).copied())
    }
}
