//! Payloads: values of a run, kept apart from journal and ledger, encrypted per subject.

use mandate_kernel::{Digest, Labels};
use serde::{Deserialize, Serialize};

/// How the journal names a value: by a salted commitment, never by the value. Whoever holds value and
/// salt can prove what was committed; once the subject's key is destroyed nobody can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// SHA-256 over a domain prefix, a 32-byte random salt and the value's canonical JSON.
    pub commitment: Digest,
    /// The labels of the value, always kept with it (I7).
    pub labels: Labels,
    /// Length of the canonical JSON in bytes.
    pub size: u64,
}

/// A value as the store keeps it: salt and canonical JSON, encrypted under the subject's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPayload {
    /// The commitment of the value; the key by which it is found.
    pub commitment: Digest,
    /// Whose data it is: the subject whose key encrypts it, `user:finance-lead`.
    pub subject: String,
    /// Nonce, ciphertext and tag, as the vault lays them out.
    pub ciphertext: Vec<u8>,
}
