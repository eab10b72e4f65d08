//! C2SP checkpoints (c2sp.org/tlog-checkpoint): a tree's size and root, signed by its log and
//! cosigned by witnesses.

use crate::note::{self, NoteError, NoteSignature, SignedNote, VerifierKey, valid_name};
use mandate_kernel::{Digest, Signer, base64_decode, base64_encode};
use std::fmt;

/// What a log says about its tree. Extension lines are neither written nor accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name; also the name of its keys.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Merkle tree hash of those leaves.
    pub root: Digest,
}

impl Checkpoint {
    /// Reads the three lines.
    ///
    /// # Errors
    /// [`NoteError::Checkpoint`] for anything [`Checkpoint`] would not be written as.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), Some(""), None) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(NoteError::Checkpoint("three lines are needed: origin, size, root"));
        };
        if !valid_name(origin) {
            return Err(NoteError::Checkpoint("the origin is not a valid key name"));
        }
        let size = size.parse().map_err(|_| NoteError::Checkpoint("the size is not a number"))?;
        let root = base64_decode(root).ok().and_then(|root| root.try_into().ok());
        let root = Digest::from_bytes(root.ok_or(NoteError::Checkpoint("the root is not base64 of 32 bytes"))?);
        let parsed = Self { origin: origin.to_owned(), size, root };
        if parsed.to_string() == text { Ok(parsed) } else { Err(NoteError::Checkpoint("not its canonical text")) }
    }

    /// Signs as the log.
    ///
    /// # Errors
    /// [`NoteError::Name`] when the origin can't be a key name.
    pub fn sign(&self, signer: &dyn Signer) -> Result<SignedNote, NoteError> {
        let text = self.to_string();
        let line = note::sign(&text, &self.origin, signer)?;
        Ok(SignedNote { text, signatures: vec![line] })
    }
}

/// The note text: three lines, each with its newline.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, base64_encode(self.root.as_bytes()))
    }
}

/// A checkpoint that its log and enough witnesses signed. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignedCheckpoint {
    checkpoint: Checkpoint,
    cosignatures: Vec<Cosignature>,
}

/// A verified cosignature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness's name.
    pub witness: String,
    /// When it cosigned, in seconds since the epoch.
    pub time: u64,
}

impl CosignedCheckpoint {
    /// Verifies a note exactly: one line by one of `log_keys`, then lines by distinct `witnesses` in
    /// their order, at least `quorum` of them, and nothing else. So every byte of it is protected.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn verify(
        note: &str,
        log_keys: &[VerifierKey],
        witnesses: &[VerifierKey],
        quorum: usize,
    ) -> Result<Self, NoteError> {
        let note = SignedNote::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        let (log_line, cosigned) = note.signatures.split_first().ok_or(NoteError::NoLogSignature)?;
        let log_key = log_keys.iter().find(|key| key.matches(log_line)).ok_or(NoteError::NoLogSignature)?;
        if log_key.name() != checkpoint.origin {
            return Err(NoteError::UnknownKey(log_key.name().to_owned()));
        }
        log_key.verify(&note.text, log_line)?;
        let mut cosignatures = Vec::new();
        let mut candidates = witnesses.iter();
        for line in cosigned {
            // Consuming the iterator makes order and distinctness one check.
            let Some(key) = candidates.find(|key| key.matches(line)) else {
                let known = witnesses.iter().any(|key| key.matches(line));
                let name = line.name.clone();
                return Err(if known { NoteError::Order(name) } else { NoteError::UnknownKey(name) });
            };
            let time = key.verify(&note.text, line)?.ok_or_else(|| NoteError::Signature(line.name.clone()))?;
            cosignatures.push(Cosignature { witness: line.name.clone(), time });
        }
        if cosignatures.len() < quorum {
            return Err(NoteError::Quorum { found: cosignatures.len(), needed: quorum });
        }
        Ok(Self { checkpoint, cosignatures })
    }

    /// What log and witnesses agree on.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Who cosigned, and when.
    #[must_use]
    pub fn cosignatures(&self) -> &[Cosignature] {
        &self.cosignatures
    }
}

/// Puts a log's signed note and what witnesses replied together into the one text that
/// [`CosignedCheckpoint::verify`] accepts. Lines by unknown keys, lines that don't verify and repeated
/// lines are left out, as the witness protocol asks of clients.
///
/// # Errors
/// [`NoteError::Quorum`] when too few remain, [`NoteError::NoLogSignature`] for an unsigned note.
pub fn assemble(
    signed: &SignedNote,
    replies: &[NoteSignature],
    witnesses: &[VerifierKey],
    quorum: usize,
) -> Result<String, NoteError> {
    let log_line = signed.signatures.first().ok_or(NoteError::NoLogSignature)?;
    let cosigned =
        witnesses.iter().filter_map(|key| replies.iter().find(|line| key.verify(&signed.text, line).is_ok()));
    let signatures: Vec<NoteSignature> = std::iter::once(log_line).chain(cosigned).cloned().collect();
    if signatures.len() - 1 < quorum {
        return Err(NoteError::Quorum { found: signatures.len() - 1, needed: quorum });
    }
    Ok(SignedNote { text: signed.text.clone(), signatures }.to_string())
}
