//! Inclusion and consistency proofs: made after RFC 6962 §2.1.1 and §2.1.2, verified after RFC 9162
//! §2.1.3.2 and §2.1.4.2.

use crate::tree::{Nodes, empty_root, node_hash};
use mandate_kernel::{Digest, base64_encode};
use std::fmt;

/// Why a proof can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError<E> {
    /// The leaf or the older tree is not within the tree.
    #[error("{inner} is not within a tree of {size} leaves")]
    OutOfRange {
        /// The leaf's index, or the older size.
        inner: u64,
        /// The tree's size.
        size: u64,
    },
    /// Storage lacks a complete subtree that the tree must have.
    #[error("the stored tree lacks the node at level {level}, index {index}")]
    Missing {
        /// Height of the node.
        level: u8,
        /// Position in its level.
        index: u64,
    },
    /// Reading failed.
    #[error("reading the stored tree failed: {0}")]
    Read(E),
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is not within the tree, or the older tree is larger.
    #[error("{inner} is not within a tree of {size} leaves")]
    OutOfRange {
        /// The leaf's index, or the older size.
        inner: u64,
        /// The tree's size.
        size: u64,
    },
    /// Too many or too few hashes.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
}

/// The root of a tree of `size` leaves.
///
/// # Errors
/// [`TreeError`] when storage lacks a node or can't be read.
pub fn root_at<N: Nodes>(nodes: &N, size: u64) -> Result<Digest, TreeError<N::Error>> {
    if size == 0 { Ok(empty_root()) } else { subtree(nodes, 0, size) }
}

/// Proof that leaf `index` is in the tree of `size` leaves, from the leaf upward.
///
/// # Errors
/// [`TreeError`].
pub fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Digest>, TreeError<N::Error>> {
    if index >= size {
        return Err(TreeError::OutOfRange { inner: index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Proof that the tree of `new` leaves extends the tree of `old` leaves. Empty when `old` is 0 or
/// equals `new`.
///
/// # Errors
/// [`TreeError`].
pub fn consistency_proof<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Digest>, TreeError<N::Error>> {
    if old > new {
        return Err(TreeError::OutOfRange { inner: old, size: new });
    }
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    // While the old tree is a whole left part of what remains, its root is known to the verifier.
    let (mut low, mut high, mut known) = (0, new, true);
    while old < high {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(subtree(nodes, middle, high)?);
            high = middle;
        } else {
            path.push(subtree(nodes, low, middle)?);
            low = middle;
            known = false;
        }
    }
    if !known {
        path.push(subtree(nodes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// The largest power of two below `n`, for `n > 1`.
const fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// Hash over leaves `low..high`; `low` is a multiple of the largest power of two within the range.
fn subtree<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Digest, TreeError<N::Error>> {
    let width = high - low;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        let (level, index) = (u8::try_from(level).unwrap_or(u8::MAX), low >> level);
        return nodes.node(level, index).map_err(TreeError::Read)?.ok_or(TreeError::Missing { level, index });
    }
    let middle = low + split(width);
    Ok(node_hash(&subtree(nodes, low, middle)?, &subtree(nodes, middle, high)?))
}

/// Checks that `leaf` is at `index` in the tree of `size` leaves with this `root`.
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { inner: index, size });
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            (at, last) = skip_left_edge(at, last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// A last node without sibling rises until it is a right child.
const fn skip_left_edge(mut at: u64, mut last: u64) -> (u64, u64) {
    while at & 1 == 0 && at != 0 {
        at >>= 1;
        last >>= 1;
    }
    (at, last)
}

/// Checks that the tree `(new, new_root)` extends the tree `(old, old_root)`.
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    old: u64,
    old_root: &Digest,
    new: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange { inner: old, size: new });
    }
    if old == 0 || old == new {
        let holds = (old != 0 || *old_root == empty_root()) && (old != new || old_root == new_root);
        return match (proof.is_empty(), holds) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let mut rest = proof.iter();
    let first = if old.is_power_of_two() { old_root } else { rest.next().ok_or(ProofError::Length)? };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            (at, last) = skip_left_edge(at, last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    match (last, old_hash == *old_root && new_hash == *new_root) {
        (0, true) => Ok(()),
        (0, false) => Err(ProofError::Root),
        _ => Err(ProofError::Length),
    }
}

/// An inclusion proof that stands alone, in the form of C2SP (c2sp.org/tlog-proof). Text form: the file,
/// whose extra data is the entry. Nobody signs the extra data; its hash is what the proof is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Index of the leaf.
    pub index: u64,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// From the leaf's sibling upward.
    pub hashes: Vec<Digest>,
    /// The signed checkpoint, as it stands.
    pub checkpoint: String,
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "c2sp.org/tlog-proof@v1\nextra {}\nindex {}", base64_encode(&self.entry), self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", base64_encode(hash.as_bytes())))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
