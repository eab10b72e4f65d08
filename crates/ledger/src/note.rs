//! C2SP signed notes (c2sp.org/signed-note) and verifier keys, read strictly: one text per value.

use mandate_kernel::{Digest, PublicKey, Signature, Signer, Timestamp, base64_decode, base64_encode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The most bytes a note may have.
pub const MAX_NOTE: usize = 64 * 1024;
/// The most signature lines a note may have; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 32;

/// Why a note, a key or a signature was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form of a signed note.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// Not a verifier key.
    #[error("not a verifier key (name+hash+base64): {0}")]
    VerifierKey(&'static str),
    /// A key name that signature lines can't carry.
    #[error("key name `{0}` is not valid: no spaces, control characters or `+`, 1 to 255 bytes")]
    Name(String),
    /// Not the three lines of a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A signature does not verify.
    #[error("the signature of {0} does not verify")]
    Signature(String),
    /// A signature line by a key the verifier does not know.
    #[error("signature line by unknown key {0}")]
    UnknownKey(String),
    /// A key signed twice, or lines are not in order: the log first, then witnesses as the anchor lists them.
    #[error("signature lines are repeated or out of order at {0}")]
    Order(String),
    /// No line by a key of the log.
    #[error("no signature by the log")]
    NoLogSignature,
    /// Too few witnesses.
    #[error("{found} witness cosignatures, {needed} needed")]
    Quorum {
        /// How many verified.
        found: usize,
        /// How many the anchor demands.
        needed: usize,
    },
}

/// The signature types this crate uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Algorithm {
    /// Plain Ed25519 over the note's text: logs.
    Ed25519 = 0x01,
    /// Timestamped Ed25519 cosignature, `cosignature/v1` (c2sp.org/tlog-cosignature): witnesses.
    CosignatureV1 = 0x04,
}

/// A key that verifies note signatures. Text form: `name+hash+base64(type ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    public: PublicKey,
}

impl VerifierKey {
    /// Names a key.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: impl Into<String>, algorithm: Algorithm, public: PublicKey) -> Result<Self, NoteError> {
        let name = name.into();
        if valid_name(&name) { Ok(Self { name, algorithm, public }) } else { Err(NoteError::Name(name)) }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// `SHA-256(name ‖ "\n" ‖ type ‖ key)[..4]`, as it stands in signature lines.
    #[must_use]
    pub fn hash(&self) -> [u8; 4] {
        let digest = Digest::of_parts(&[self.name.as_bytes(), b"\n", &[self.algorithm as u8], self.public.as_bytes()]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        [a, b, c, d]
    }

    /// Whether a signature line claims to be by this key.
    #[must_use]
    pub fn matches(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.key_hash == self.hash()
    }

    /// Checks a line by this key; gives a cosignature's time (seconds), `None` for a plain signature.
    ///
    /// # Errors
    /// [`NoteError::Signature`].
    pub fn verify(&self, text: &str, line: &NoteSignature) -> Result<Option<u64>, NoteError> {
        let refused = || NoteError::Signature(self.name.clone());
        if !self.matches(line) {
            return Err(refused());
        }
        let bytes = line.signature.as_slice();
        let (time, message, signature) = match self.algorithm {
            Algorithm::Ed25519 => (None, text.to_owned(), bytes),
            Algorithm::CosignatureV1 => {
                let (time, signature) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
                let time = u64::from_be_bytes(*time);
                if i64::try_from(time).is_err() {
                    return Err(refused());
                }
                (Some(time), cosigned_message(text, time), signature)
            }
        };
        let signature = Signature(signature.try_into().map_err(|_| refused())?);
        self.public.verify(message.as_bytes(), &signature).map_err(|_| refused())?;
        Ok(time)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = u32::from_be_bytes(self.hash());
        let mut key = vec![self.algorithm as u8];
        key.extend_from_slice(self.public.as_bytes());
        write!(f, "{}+{hash:08x}+{}", self.name, base64_encode(&key))
    }
}

impl std::str::FromStr for VerifierKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::VerifierKey("three parts are needed"));
        };
        let key = base64_decode(key).map_err(|_| NoteError::VerifierKey("the key is not base64"))?;
        let algorithm = match key.first() {
            Some(0x01) => Algorithm::Ed25519,
            Some(0x04) => Algorithm::CosignatureV1,
            _ => return Err(NoteError::VerifierKey("neither an Ed25519 nor a cosignature/v1 key")),
        };
        let public = key.get(1..).and_then(|key| key.try_into().ok());
        let public = public.ok_or(NoteError::VerifierKey("an Ed25519 key has 32 bytes"))?;
        let parsed = Self::new(name, algorithm, PublicKey::from_bytes(public))?;
        if parsed.to_string() == text {
            Ok(parsed)
        } else {
            Err(NoteError::VerifierKey("the hash is not that of the name and key"))
        }
    }
}
impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> Self {
        key.to_string()
    }
}
impl TryFrom<String> for VerifierKey {
    type Error = NoteError;
    fn try_from(text: String) -> Result<Self, NoteError> {
        text.parse()
    }
}

/// Whether a signature line can carry this key name.
pub(crate) fn valid_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// One signature line: `— name base64(hash ‖ signature)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Short hash of the key, see [`VerifierKey::hash`].
    pub key_hash: [u8; 4],
    /// What the key's algorithm made.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix("— ").ok_or(NoteError::Form("a signature line begins with an em dash"))?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::Form("a signature line has two parts"))?;
        if !valid_name(name) {
            return Err(NoteError::Name(name.to_owned()));
        }
        let bytes = base64_decode(signature).map_err(|_| NoteError::Form("a signature is not base64"))?;
        match bytes.split_first_chunk::<4>() {
            Some((hash, signature)) if !signature.is_empty() => {
                Ok(Self { name: name.to_owned(), key_hash: *hash, signature: signature.to_vec() })
            }
            _ => Err(NoteError::Form("a signature is too short")),
        }
    }

    /// Reads lines that each end in a newline, as a witness replies.
    ///
    /// # Errors
    /// [`NoteError::Form`].
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, NoteError> {
        let lines = text.strip_suffix('\n').ok_or(NoteError::Form("a signature line ends in a newline"))?;
        if lines.split('\n').count() > MAX_SIGNATURES {
            return Err(NoteError::Form("too many signatures"));
        }
        lines.split('\n').map(Self::parse).collect()
    }
}

/// The line with its newline.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "— {} {}", self.name, base64_encode(&[self.key_hash.as_slice(), &self.signature].concat()))
    }
}

/// A text and the signatures on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed; ends in a newline.
    pub text: String,
    /// Who signed, at least one.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Form`] for anything [`SignedNote`] would not be written as.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::Form("too large"));
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Form("control characters"));
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form("no blank line before signatures"))?;
        let parsed = Self { text: format!("{text}\n"), signatures: NoteSignature::parse_lines(lines)? };
        if parsed.to_string() == note { Ok(parsed) } else { Err(NoteError::Form("not its canonical text")) }
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| fmt::Display::fmt(line, f))
    }
}

/// Signs a note's text as a log does (type 0x01). `text` ends in a newline.
///
/// # Errors
/// [`NoteError::Name`].
pub fn sign(text: &str, name: &str, signer: &dyn Signer) -> Result<NoteSignature, NoteError> {
    let key = VerifierKey::new(name, Algorithm::Ed25519, signer.public())?;
    let signature = signer.sign(text.as_bytes()).0.to_vec();
    Ok(NoteSignature { name: name.to_owned(), key_hash: key.hash(), signature })
}

/// Cosigns a checkpoint's text as a witness does (type 0x04), as of `now`.
///
/// # Errors
/// [`NoteError::Name`].
pub fn cosign(text: &str, name: &str, signer: &dyn Signer, now: Timestamp) -> Result<NoteSignature, NoteError> {
    let key = VerifierKey::new(name, Algorithm::CosignatureV1, signer.public())?;
    // A clock before 1970 gives 0, which the format can express.
    let time = u64::try_from(now.as_secs()).unwrap_or(0);
    let mut signature = time.to_be_bytes().to_vec();
    signature.extend_from_slice(&signer.sign(cosigned_message(text, time).as_bytes()).0);
    Ok(NoteSignature { name: name.to_owned(), key_hash: key.hash(), signature })
}

fn cosigned_message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
