//! Compact JWS (RFC 7515) for our own tokens: EdDSA and nothing else, read strictly.

use crate::{Jwks, strict};
use mandate_kernel::{PublicKey, Signature, Signer, base64url_decode, base64url_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The longest token accepted, in bytes.
pub const MAX_TOKEN: usize = 16 << 10;

/// Why a token is not one of ours. No variant carries any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is too large")]
    TooLarge,
    /// Not three parts of strict base64url holding the expected JSON, or a member named twice.
    #[error("the token is malformed")]
    Malformed,
    /// A header with members other than `alg`, `typ`, `kid` (`jwk` in a proof): `crit`, `jku`, `x5c`.
    #[error("the token's header is not acceptable")]
    Header,
    /// An `alg` other than EdDSA.
    #[error("the token's algorithm is not EdDSA")]
    Algorithm,
    /// Another `typ`: a token of another kind.
    #[error("the token is of another type")]
    Type,
    /// No key of that `kid`.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature doesn't verify.
    #[error("the token's signature does not verify")]
    Signature,
    /// The claims can't be written as JSON.
    #[error("the claims can't be written as JSON")]
    Unwritable,
}

/// Signs claims as a token of type `typ`, naming the key by its thumbprint.
///
/// # Errors
/// [`JwsError::Unwritable`], and [`JwsError::TooLarge`] for a token that no verifier would accept.
pub fn sign<T: Serialize>(signer: &dyn Signer, typ: &'static str, claims: &T) -> Result<String, JwsError> {
    // A constant and a base64url text: nothing to escape.
    let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{}"}}"#, signer.key_id());
    assemble(signer, &header, claims)
}

/// Verifies a token of type `typ` against known keys and reads its claims.
///
/// # Errors
/// [`JwsError`], each refusal its own variant.
pub fn verify<T: DeserializeOwned>(token: &str, typ: &str, keys: &Jwks) -> Result<T, JwsError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        #[serde(rename = "alg")]
        _alg: String,
        #[serde(rename = "typ")]
        _typ: String,
        kid: String,
    }
    let parts = Parts::split(token, MAX_TOKEN)?;
    let header: Header = parts.header(typ)?;
    let key = keys.get(&header.kid).ok_or(JwsError::UnknownKey)?;
    parts.verify(key)?;
    parts.claims()
}

/// Encodes, signs and joins the parts.
pub(crate) fn assemble<T: Serialize>(signer: &dyn Signer, header: &str, claims: &T) -> Result<String, JwsError> {
    let payload = serde_json::to_vec(claims).map_err(|_| JwsError::Unwritable)?;
    let mut token = base64url_encode(header.as_bytes());
    token.push('.');
    token.push_str(&base64url_encode(&payload));
    let signature = signer.sign(token.as_bytes());
    token.push('.');
    token.push_str(&base64url_encode(&signature.0));
    if token.len() > MAX_TOKEN { Err(JwsError::TooLarge) } else { Ok(token) }
}

/// The parts of a compact JWS, decoded but not verified.
pub(crate) struct Parts<'a> {
    pub(crate) header: Vec<u8>,
    payload: Vec<u8>,
    /// The text that is signed: header and payload as they came.
    pub(crate) signed: &'a str,
    /// The signature as it came; strict base64url.
    pub(crate) signature_text: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(token: &'a str, limit: usize) -> Result<Self, JwsError> {
        if token.len() > limit {
            return Err(JwsError::TooLarge);
        }
        let (signed, signature_text) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        // A further dot would stand in `payload`, where it is not base64url.
        let decode = |text: &str| base64url_decode(text).map_err(|_| JwsError::Malformed);
        Ok(Self {
            header: decode(header)?,
            payload: decode(payload)?,
            signed,
            signature_text,
            signature: decode(signature_text)?,
        })
    }

    /// Reads the header as `T`, which knows every member it accepts, after pinning `alg` and `typ`.
    pub(crate) fn header<T: DeserializeOwned>(&self, typ: &str) -> Result<T, JwsError> {
        #[derive(Deserialize)]
        struct Pinned {
            alg: String,
            typ: Option<String>,
        }
        let pinned: Pinned = strict::from_slice(&self.header).ok_or(JwsError::Malformed)?;
        if pinned.alg != "EdDSA" {
            return Err(JwsError::Algorithm);
        }
        if pinned.typ.as_deref() != Some(typ) {
            return Err(JwsError::Type);
        }
        serde_json::from_slice(&self.header).map_err(|_| JwsError::Header)
    }

    /// Checks the Ed25519 signature.
    pub(crate) fn verify(&self, key: &PublicKey) -> Result<(), JwsError> {
        let signature = Signature(self.signature.as_slice().try_into().map_err(|_| JwsError::Signature)?);
        key.verify(self.signed.as_bytes(), &signature).map_err(|_| JwsError::Signature)
    }

    /// Reads the claims. Only after [`Parts::verify`].
    pub(crate) fn claims<T: DeserializeOwned>(&self) -> Result<T, JwsError> {
        strict::from_slice(&self.payload).ok_or(JwsError::Malformed)
    }
}
