//! Signatures: Ed25519 (RFC 8032) through aws-lc-rs, behind a port so that keys can live elsewhere.

use crate::{Digest, DigestError, Entropy, EntropyError, Secret, base64url_decode, base64url_encode};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names a public key: the RFC 7638 thumbprint of its JWK, base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An Ed25519 signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// The key material is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A seed or public key of the wrong length, or not on the curve.
    #[error("not an Ed25519 key")]
    Malformed,
}

/// The signature does not verify under that key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct SignatureError;

/// An Ed25519 public key. Text form: base64url of its 32 bytes (the `x` of its JWK, RFC 8037).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Wraps 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The RFC 7638 thumbprint of this key's JWK.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url_encode(&self.0));
        KeyId(base64url_encode(Digest::of(jwk.as_bytes()).as_bytes()))
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`SignatureError`] when it does not verify.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, &signature.0).map_err(|_| SignatureError)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url_encode(&self.0))
    }
}
impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        base64url_encode(&key.0)
    }
}
impl TryFrom<String> for PublicKey {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        let bytes = base64url_decode(&text)?;
        Ok(Self(bytes.try_into().map_err(|_| DigestError::Base64)?))
    }
}

/// Signs without giving the key away.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public(&self) -> PublicKey;
    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> Signature;
    /// The key's id.
    fn key_id(&self) -> KeyId {
        self.public().id()
    }
}

/// A signing key in memory.
pub struct Ed25519Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
    id: KeyId,
}

impl Ed25519Signer {
    /// From a 32-byte seed (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_seed(seed: &Secret<[u8; 32]>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| KeyError::Malformed)?;
        let public = PublicKey(pair.public_key().as_ref().try_into().map_err(|_| KeyError::Malformed)?);
        Ok(Self { pair, public, id: public.id() })
    }

    /// A fresh key, and the seed to keep it by.
    ///
    /// # Errors
    /// [`EntropyError`] when the source of randomness fails.
    pub fn generate(entropy: &dyn Entropy) -> Result<(Self, Secret<[u8; 32]>), EntropyError> {
        let mut bytes = [0u8; 32];
        entropy.fill(&mut bytes)?;
        let seed = Secret::new(bytes);
        let signer = Self::from_seed(&seed).map_err(|_| EntropyError)?;
        Ok((signer, seed))
    }
}

impl Signer for Ed25519Signer {
    fn public(&self) -> PublicKey {
        self.public
    }
    fn key_id(&self) -> KeyId {
        self.id.clone()
    }
    fn sign(&self, message: &[u8]) -> Signature {
        let mut out = [0u8; 64];
        out.copy_from_slice(self.pair.sign(message).as_ref());
        Signature(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn signs_and_refuses() {
        let (signer, seed) = Ed25519Signer::generate(&SystemEntropy).unwrap();
        let signature = signer.sign(b"text");
        assert!(signer.public().verify(b"text", &signature).is_ok());
        assert!(signer.public().verify(b"texT", &signature).is_err());
        assert_eq!(Ed25519Signer::from_seed(&seed).unwrap().public(), signer.public());
    }

    #[test]
    fn thumbprint_is_rfc_8037_appendix_a3() {
        let key: PublicKey = serde_json::from_str("\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"").unwrap();
        assert_eq!(key.id().0, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
