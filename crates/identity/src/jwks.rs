//! Published public keys: a JSON Web Key Set (RFC 7517) of Ed25519 keys (RFC 8037).

use crate::strict;
use mandate_kernel::{KeyId, PublicKey};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most keys a set may hold, and the most bytes it may have as JSON.
const MAX_KEYS: usize = 64;
const MAX_BYTES: usize = 256 << 10;

/// Why a key set was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Not a JSON object with an array `keys` of objects, or too large.
    #[error("not a JSON Web Key Set, or one of more than 64 keys or 256 KiB")]
    Malformed,
    /// A private or symmetric key stands in a set that is meant to be public.
    #[error("the key set holds a private or symmetric key: replace that key, it has been disclosed")]
    PrivateKey,
    /// A key whose material, `kid`, `alg` or `use` contradict each other.
    #[error("the key set holds a key that contradicts itself (material, `kid`, `alg` or `use`)")]
    Inconsistent,
    /// No key in it can be used.
    #[error("the key set holds no usable key")]
    Empty,
}

/// The public keys of one issuer, found by their thumbprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwks(BTreeMap<KeyId, PublicKey>);

impl Jwks {
    /// A set of these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.id(), key)).collect())
    }

    /// Reads a published set. Keys of other types are skipped, as RFC 7517 §5 demands.
    ///
    /// # Errors
    /// [`JwksError`]; a `kid` must be the RFC 7638 thumbprint.
    pub fn from_json(bytes: &[u8]) -> Result<Self, JwksError> {
        let mut set = BTreeMap::new();
        for jwk in read_set(bytes)? {
            if text(&jwk, "kty") != Some("OKP") || text(&jwk, "crv") != Some("Ed25519") {
                continue;
            }
            let key = ed25519(&jwk)?;
            let id = key.id();
            if text(&jwk, "kid").is_some_and(|kid| kid != id.0) || !fits(&jwk, "EdDSA") {
                return Err(JwksError::Inconsistent);
            }
            set.insert(id, key);
        }
        if set.is_empty() { Err(JwksError::Empty) } else { Ok(Self(set)) }
    }

    /// The set as it is published.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let keys: Vec<Value> = self.0.iter().map(|(id, key)| {
            json!({"kty": "OKP", "crv": "Ed25519", "x": String::from(*key), "kid": id.0, "use": "sig", "alg": "EdDSA"})
        }).collect();
        json!({ "keys": keys })
    }

    /// The key of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(&KeyId(id.to_owned()))
    }

    /// All keys with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&KeyId, &PublicKey)> {
        self.0.iter()
    }
}

/// The keys of a set as objects; none of them private.
pub(crate) fn read_set(bytes: &[u8]) -> Result<Vec<Map<String, Value>>, JwksError> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<Map<String, Value>>,
    }
    if bytes.len() > MAX_BYTES {
        return Err(JwksError::Malformed);
    }
    let set: Set = strict::from_slice(bytes).ok_or(JwksError::Malformed)?;
    if set.keys.len() > MAX_KEYS {
        return Err(JwksError::Malformed);
    }
    if set.keys.iter().any(is_private) {
        return Err(JwksError::PrivateKey);
    }
    Ok(set.keys)
}

/// Whether a key shows what must stay secret: RFC 7518 §6 `d`, `k`, and RSA's factors.
pub(crate) fn is_private(jwk: &Map<String, Value>) -> bool {
    ["d", "k", "p", "q", "dp", "dq", "qi", "oth"].iter().any(|member| jwk.contains_key(*member))
}

/// A member that is a text.
pub(crate) fn text<'a>(jwk: &'a Map<String, Value>, member: &str) -> Option<&'a str> {
    jwk.get(member).and_then(Value::as_str)
}

/// Whether `alg` and `use`, where given, allow signatures by `algorithm`. RFC 9864 also names EdDSA
/// over this curve `Ed25519`.
pub(crate) fn fits(jwk: &Map<String, Value>, algorithm: &str) -> bool {
    let alg_ok = jwk.get("alg").is_none_or(|alg| alg == algorithm || (algorithm == "EdDSA" && alg == "Ed25519"));
    alg_ok && jwk.get("use").is_none_or(|purpose| purpose == "sig")
}

/// The material of an OKP key on Ed25519.
pub(crate) fn ed25519(jwk: &Map<String, Value>) -> Result<PublicKey, JwksError> {
    let x = text(jwk, "x").ok_or(JwksError::Inconsistent)?;
    PublicKey::try_from(x.to_owned()).map_err(|_| JwksError::Inconsistent)
}
