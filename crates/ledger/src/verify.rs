//! Verification of a whole log: every entry is read and hashed again, every run's chain followed.

use crate::anchor::TrustAnchor;
use crate::chain::RunChain;
use crate::checkpoint::{Checkpoint, CosignedCheckpoint};
use crate::dsse::Dsse;
use crate::entry::{Entry, Event};
use crate::error::{Place, VerifyError};
use crate::keys::{KeyRing, Role};
use crate::kind::EventKind;
use crate::note::SignedNote;
use crate::tree::{Frontier, Node, Nodes};
use mandate_kernel::{Digest, RunId, Tenant};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

/// What a verified log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Whose log.
    pub tenant: Tenant,
    /// Its name.
    pub origin: String,
    /// Number of entries that log and witnesses signed for.
    pub size: u64,
    /// Merkle tree hash over them.
    pub root: Digest,
    /// Entries after the checkpoint, not yet signed for; 0 in an export.
    pub beyond: u64,
    /// Number of runs.
    pub runs: u64,
    /// How many of them have ended.
    pub ended: u64,
    /// Number of entries of each kind.
    pub kinds: BTreeMap<String, u64>,
    /// Number of log keys so far.
    pub log_keys: usize,
    /// Witnesses that cosigned.
    pub witnesses: Vec<String>,
    /// When the latest of them did, in seconds since the epoch.
    pub cosigned_at: u64,
}

/// Verifies a log: `entries` in order, the stored `nodes` (every complete subtree must be there and
/// right), and the cosigned `checkpoint`, against a pinned anchor. Entries after the checkpoint are
/// checked as well, except that nobody has signed for them yet.
///
/// # Errors
/// [`VerifyError`] at the first thing that is wrong.
pub fn verify_log<E: Display, N: Nodes<Error: Display>>(
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    nodes: &N,
    checkpoint: &str,
    anchor: &TrustAnchor,
    tenant: &Tenant,
) -> Result<LogReport, VerifyError> {
    let mut scan = LogScan::begin(checkpoint, anchor, tenant)?;
    for bytes in entries {
        let at = Place::Leaf(scan.size());
        let bytes = bytes.map_err(|e| VerifyError::Read { at, reason: e.to_string() })?;
        for Node { level, index, hash } in scan.take(&bytes)? {
            let at = Place::Node { level, index };
            match nodes.node(level, index) {
                Ok(Some(stored)) if stored == hash => {}
                Ok(_) => return Err(VerifyError::Hash { at }),
                Err(e) => return Err(VerifyError::Read { at, reason: e.to_string() }),
            }
        }
    }
    scan.finish(anchor)
}

/// A verification under way.
pub(crate) struct LogScan<'a> {
    note: &'a str,
    claimed: Checkpoint,
    ring: KeyRing,
    frontier: Frontier,
    root: Option<Digest>,
    runs: HashMap<RunId, RunChain>,
    kinds: BTreeMap<String, u64>,
}

impl<'a> LogScan<'a> {
    /// Begins with the checkpoint as it is claimed; its signatures are checked at the end, when the
    /// key rotations in the log are known.
    pub(crate) fn begin(note: &'a str, anchor: &TrustAnchor, tenant: &Tenant) -> Result<Self, VerifyError> {
        let claimed = Checkpoint::parse(&SignedNote::parse(note)?.text)?;
        let frontier = Frontier::new();
        let root = (claimed.size == 0).then(|| frontier.root());
        let ring = KeyRing::from_anchor(anchor, tenant)?;
        Ok(Self { note, claimed, ring, frontier, root, runs: HashMap::new(), kinds: BTreeMap::new() })
    }

    /// Number of entries taken.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Size the checkpoint claims.
    pub(crate) const fn claimed_size(&self) -> u64 {
        self.claimed.size
    }

    /// Takes the next entry; gives the subtrees it completes.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Node>, VerifyError> {
        let at = || Place::Leaf(self.frontier.size());
        let (entry, event) = Entry::decode(bytes).map_err(|source| VerifyError::Entry { at: at(), source })?;
        if event.tenant != *self.ring.tenant() {
            return Err(VerifyError::ForeignTenant { at: at(), found: event.tenant });
        }
        let leaf = entry.leaf_hash();
        if let Some(link) = &event.run {
            let chain = self.runs.entry(link.run.clone()).or_default();
            chain.follow(&event, leaf).map_err(|source| VerifyError::Chain { at: at(), source })?;
        }
        if event.kind == EventKind::KeyRotated {
            let statement = rotation(&event).ok_or_else(|| VerifyError::NoStatement { at: at() })?;
            self.ring.add(&statement)?;
        }
        *self.kinds.entry(event.kind.to_string()).or_default() += 1;
        let completed = self.frontier.append(leaf);
        if self.frontier.size() == self.claimed.size {
            self.root = Some(self.frontier.root());
        }
        Ok(completed)
    }

    /// Compares with the checkpoint, and checks who signed it.
    pub(crate) fn finish(self, anchor: &TrustAnchor) -> Result<LogReport, VerifyError> {
        let size = self.claimed.size;
        let Some(root) = self.root else {
            return Err(VerifyError::Truncated { expected: size, found: self.frontier.size() });
        };
        if root != self.claimed.root {
            return Err(VerifyError::Root { size });
        }
        let cosigned =
            CosignedCheckpoint::verify(self.note, &self.ring.log_keys()?, anchor.witnesses(), anchor.quorum())?;
        let ended = self.runs.values().filter(|chain| chain.end().is_some()).count();
        Ok(LogReport {
            tenant: self.ring.tenant().clone(),
            origin: self.ring.origin().to_owned(),
            size,
            root,
            beyond: self.frontier.size() - size,
            runs: self.runs.len() as u64,
            ended: ended as u64,
            kinds: self.kinds,
            log_keys: self.ring.keys(Role::Log).len(),
            witnesses: cosigned.cosignatures().iter().map(|c| c.witness.clone()).collect(),
            cosigned_at: cosigned.cosignatures().iter().map(|c| c.time).max().unwrap_or(0),
        })
    }
}

/// The signed statement a rotation entry carries.
fn rotation(event: &Event) -> Option<Dsse> {
    serde_json::from_value(event.details.get("statement")?.clone()).ok()
}
