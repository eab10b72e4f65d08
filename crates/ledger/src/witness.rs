//! The pure part of a witness (c2sp.org/tlog-witness): what a request says, and when to cosign.

use crate::checkpoint::Checkpoint;
use crate::dsse::{Dsse, DsseError};
use crate::keys::{KeyRing, KeyRingError, PAYLOAD_TYPE};
use crate::note::{self, NoteError, SignedNote, VerifierKey};
use crate::proof::{ProofError, verify_consistency};
use crate::tree::empty_root;
use mandate_kernel::{Digest, KeyId, Signer, Timestamp, base64_decode, base64_encode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The most hashes a consistency proof may have.
pub const MAX_PROOF: usize = 63;

/// The body of `POST …/add-checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the tree the proof starts from.
    pub old_size: u64,
    /// RFC 6962 consistency proof.
    pub proof: Vec<Digest>,
    /// The checkpoint, a signed note.
    pub checkpoint: SignedNote,
}

impl AddCheckpoint {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`WitnessRefusal::Malformed`].
    pub fn parse(body: &str) -> Result<Self, WitnessRefusal> {
        let malformed = |what| WitnessRefusal::Malformed(NoteError::Form(what));
        let (head, note) = body.split_once("\n\n").ok_or_else(|| malformed("no blank line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(|size| size.parse().ok());
        let old_size = old_size.ok_or_else(|| malformed("the first line is not `old` and a size"))?;
        let hash = |line: &str| Some(Digest::from_bytes(base64_decode(line).ok()?.try_into().ok()?));
        let proof: Option<Vec<Digest>> = lines.map(hash).collect();
        let proof = proof.ok_or_else(|| malformed("a proof line is not base64 of 32 bytes"))?;
        if proof.len() > MAX_PROOF {
            return Err(malformed("the proof has more than 63 lines"));
        }
        let checkpoint = SignedNote::parse(note).map_err(WitnessRefusal::Malformed)?;
        Checkpoint::parse(&checkpoint.text).map_err(WitnessRefusal::Malformed)?;
        let parsed = Self { old_size, proof, checkpoint };
        if parsed.to_string() == body { Ok(parsed) } else { Err(malformed("not its canonical text")) }
    }
}

/// The request body.
impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(f, "{}", base64_encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Why a witness does not sign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRefusal {
    /// The request can't be read, or its old size exceeds the checkpoint's.
    #[error("malformed request: {0}")]
    Malformed(NoteError),
    /// Not a log this witness knows.
    #[error("unknown log {0}")]
    UnknownOrigin(String),
    /// Not signed by a key this witness trusts for that log.
    #[error("no signature by a trusted key of the log")]
    NotSigned,
    /// The proof starts elsewhere than the witness stands; the reply's body is that size.
    #[error("the witness stands at size {known_size}")]
    Conflict {
        /// Size of the last checkpoint it cosigned for that log.
        known_size: u64,
    },
    /// Another root at the same size: the log has forked.
    #[error("the log shows another root at size {known_size}")]
    Fork {
        /// The size in question.
        known_size: u64,
    },
    /// The new tree does not extend the old one.
    #[error("the new tree does not extend the old one: {0}")]
    Inconsistent(ProofError),
    /// A key statement that may not be endorsed.
    #[error("the key statement is refused: {0}")]
    Key(#[from] KeyRingError),
    /// This witness endorsed another successor of the same key.
    #[error("another successor of key {0} was endorsed before")]
    KeyFork(KeyId),
}

impl WitnessRefusal {
    /// The HTTP status the protocol assigns.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::UnknownOrigin(_) => 404,
            Self::NotSigned => 403,
            Self::Conflict { .. } | Self::Fork { .. } | Self::KeyFork(_) => 409,
            Self::Inconsistent(_) | Self::Key(_) => 422,
        }
    }
}

/// A witness's name and key.
#[derive(Clone, Copy)]
pub struct Cosigner<'a> {
    /// Name in its signature lines.
    pub name: &'a str,
    /// Its key.
    pub signer: &'a dyn Signer,
}

/// All a witness has to remember. It must be durable before a signature leaves the witness, and two
/// requests must not be judged against the same state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessState {
    /// Per origin, the largest tree cosigned.
    logs: BTreeMap<String, Tip>,
    /// Per key, the successor endorsed.
    #[serde(default)]
    successors: BTreeMap<KeyId, KeyId>,
}

/// The largest tree of a log a witness has cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tip {
    /// Number of leaves.
    pub size: u64,
    /// Merkle tree hash.
    pub root: Digest,
}

impl WitnessState {
    /// The state of a witness that has signed nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest tree of a log it has cosigned; the empty tree for a log it hasn't.
    #[must_use]
    pub fn tip(&self, origin: &str) -> Tip {
        self.logs.get(origin).copied().unwrap_or_else(|| Tip { size: 0, root: empty_root() })
    }

    /// Judges a request against the keys trusted for logs (each named as its log's origin). Gives the
    /// next state, to be made durable *first*, and then the cosignature line to reply with.
    ///
    /// # Errors
    /// [`WitnessRefusal`]; the state stays as it is.
    pub fn add_checkpoint(
        &self,
        request: &AddCheckpoint,
        log_vkeys: &[VerifierKey],
        cosigner: Cosigner<'_>,
        now: Timestamp,
    ) -> Result<(Self, String), WitnessRefusal> {
        let text = &request.checkpoint.text;
        let checkpoint = Checkpoint::parse(text).map_err(WitnessRefusal::Malformed)?;
        let mut trusted = log_vkeys.iter().filter(|key| key.name() == checkpoint.origin).peekable();
        if trusted.peek().is_none() {
            return Err(WitnessRefusal::UnknownOrigin(checkpoint.origin));
        }
        let signed =
            |key: &VerifierKey| request.checkpoint.signatures.iter().any(|line| key.verify(text, line).is_ok());
        if !trusted.any(signed) {
            return Err(WitnessRefusal::NotSigned);
        }
        if request.old_size > checkpoint.size {
            return Err(WitnessRefusal::Malformed(NoteError::Checkpoint("the old size exceeds the new one")));
        }
        let known = self.tip(&checkpoint.origin);
        if request.old_size != known.size {
            return Err(WitnessRefusal::Conflict { known_size: known.size });
        }
        if checkpoint.size == known.size && checkpoint.root != known.root {
            return Err(WitnessRefusal::Fork { known_size: known.size });
        }
        verify_consistency(known.size, &known.root, checkpoint.size, &checkpoint.root, &request.proof)
            .map_err(WitnessRefusal::Inconsistent)?;
        let line = note::cosign(text, cosigner.name, cosigner.signer, now).map_err(WitnessRefusal::Malformed)?;
        let mut next = self.clone();
        next.logs.insert(checkpoint.origin, Tip { size: checkpoint.size, root: checkpoint.root });
        Ok((next, line.to_string()))
    }

    /// Goes back to a checkpoint that this witness cosigned before, because the log's operator lost what came after
    /// and its people let it: the log goes on from there. Whoever holds a later checkpoint can show that something
    /// is gone. Gives the next state, to be made durable, and where the log stood.
    ///
    /// # Errors
    /// [`WitnessRefusal`] for a note that the log and this witness have not both signed, or that is no step back.
    pub fn go_back(
        &self,
        note: &SignedNote,
        log_vkeys: &[VerifierKey],
        own: &VerifierKey,
    ) -> Result<(Self, String, Tip, Tip), WitnessRefusal> {
        let checkpoint = Checkpoint::parse(&note.text).map_err(WitnessRefusal::Malformed)?;
        let by = |key: &VerifierKey| note.signatures.iter().any(|line| key.verify(&note.text, line).is_ok());
        let logs = || log_vkeys.iter().filter(|key| key.name() == checkpoint.origin);
        if logs().next().is_none() {
            return Err(WitnessRefusal::UnknownOrigin(checkpoint.origin));
        }
        let own_line = note.signatures.iter().any(|line| own.matches(line) && own.verify(&note.text, line).is_ok());
        if !logs().any(by) || !own_line {
            return Err(WitnessRefusal::NotSigned);
        }
        let (from, to) = (self.tip(&checkpoint.origin), Tip { size: checkpoint.size, root: checkpoint.root });
        if to.size >= from.size {
            return Err(WitnessRefusal::Conflict { known_size: from.size });
        }
        let mut next = self.clone();
        next.logs.insert(checkpoint.origin.clone(), to);
        Ok((next, checkpoint.origin, from, to))
    }

    /// Judges a key statement that its predecessor has signed, against the keys known so far. Gives the
    /// next state, to be made durable *first*, and the statement with this witness's signature. With
    /// several witnesses, each signs in the anchor's order.
    ///
    /// # Errors
    /// [`WitnessRefusal`]; the state stays as it is.
    pub fn endorse_key(
        &self,
        statement: &Dsse,
        ring: &KeyRing,
        witness: &dyn Signer,
    ) -> Result<(Self, Dsse), WitnessRefusal> {
        let (said, predecessor) = ring.check_follows(statement)?;
        let signed = statement.verify_countersigned(PAYLOAD_TYPE, &predecessor, ring.witnesses(), 0);
        signed.map_err(|e: DsseError| KeyRingError::Signatures(e))?;
        let (old, new) = (predecessor.id(), said.key.id());
        if self.successors.get(&old).is_some_and(|endorsed| *endorsed != new) {
            return Err(WitnessRefusal::KeyFork(old));
        }
        let mut next = self.clone();
        next.successors.insert(old, new);
        Ok((next, statement.clone().with_signature(witness)))
    }
}
