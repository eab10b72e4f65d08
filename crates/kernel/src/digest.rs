//! SHA-256 digests and the two base64 alphabets, decoded strictly.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// A SHA-256 digest. Text form: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest([u8; 32]);

/// Why a text is not a digest, or not base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("a digest is written sha256: and 64 lower-case hexadecimal digits")]
    Form,
    /// Not canonical base64 (padding, alphabet or trailing bits).
    #[error("not canonical base64")]
    Base64,
}

impl Digest {
    /// The digest of one byte string.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut out = [0u8; 32];
        out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
        Self(out)
    }

    /// The digest of a concatenation. The caller makes the parts unambiguous.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut out = [0u8; 32];
        out.copy_from_slice(context.finish().as_ref());
        Self(out)
    }

    /// The digest of all that a reader gives, however much, and the number of its bytes.
    ///
    /// # Errors
    /// What the reader says.
    pub fn of_reader(reader: &mut dyn std::io::Read) -> std::io::Result<(Self, u64)> {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let (mut chunk, mut bytes) = (vec![0u8; 128 << 10], 0);
        loop {
            let read = match reader.read(&mut chunk) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
            context.update(part);
            bytes += part.len() as u64;
        }
        let mut out = [0u8; 32];
        out.copy_from_slice(context.finish().as_ref());
        Ok((Self(out), bytes))
    }

    /// Wraps 32 bytes that are a digest already.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, without the prefix.
    #[must_use]
    pub fn to_hex(&self) -> String {
        Text::of(self).as_str().chars().skip(PREFIX.len()).collect()
    }
}

/// What the text form begins with.
const PREFIX: &str = "sha256:";

/// A digest's text form, without a place on the heap: digests are written many times in each step.
struct Text([u8; PREFIX.len() + 64]);

impl Text {
    fn of(digest: &Digest) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
        let digits = digest.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
        let mut text = [0u8; PREFIX.len() + 64];
        text.iter_mut().zip(PREFIX.bytes().chain(digits)).for_each(|(to, from)| *to = from);
        Self(text)
    }

    fn as_str(&self) -> &str {
        // It is ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(Text::of(self).as_str())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::of(self).as_str())
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}
impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}
impl std::str::FromStr for Digest {
    type Err = DigestError;
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or(DigestError::Form)?.as_bytes();
        let mut out = [0u8; 32];
        if hex.len() != 64 {
            return Err(DigestError::Form);
        }
        for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = pair.iter().try_fold(0u8, |acc, c| Some(acc << 4 | nibble(*c)?)).ok_or(DigestError::Form)?;
        }
        Ok(Self(out))
    }
}

fn nibble(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

/// SHA-512, for the one place that demands it: `at_hash` beside an EdDSA signature (OpenID Connect Core
/// §3.1.3.6, whose hash is that of the signature's algorithm).
#[must_use]
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    let mut out = [0u8; 64];
    out.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes).as_ref());
    out
}

/// Base64 with padding (RFC 4648 §4).
#[must_use]
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Strict inverse of [`base64_encode`]: one text for each byte string.
///
/// # Errors
/// [`DigestError::Base64`] for anything [`base64_encode`] would not have written.
pub fn base64_decode(text: &str) -> Result<Vec<u8>, DigestError> {
    let bytes = STANDARD.decode(text).map_err(|_| DigestError::Base64)?;
    if STANDARD.encode(&bytes) == text { Ok(bytes) } else { Err(DigestError::Base64) }
}

/// URL-safe base64 without padding (RFC 4648 §5), as JOSE uses it.
#[must_use]
pub fn base64url_encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict inverse of [`base64url_encode`].
///
/// # Errors
/// [`DigestError::Base64`] for anything [`base64url_encode`] would not have written.
pub fn base64url_decode(text: &str) -> Result<Vec<u8>, DigestError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| DigestError::Base64)?;
    if URL_SAFE_NO_PAD.encode(&bytes) == text { Ok(bytes) } else { Err(DigestError::Base64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digest_round_trips() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.to_string().to_uppercase().parse::<Digest>().is_err());
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(base64_decode("YQ==").unwrap(), b"a");
        for bad in ["YQ", "YR==", "YQ==\n", "Y Q="] {
            assert!(base64_decode(bad).is_err(), "{bad}");
        }
        assert!(base64url_decode("YR").is_err());
    }
}
