//! Proof of possession (DPoP, RFC 9449): the sender of a token holds the key that the token names.

use crate::{
    CanonicalUrl, JwsError, date,
    jwks::{self, is_private},
    jws::{self, Parts},
};
use mandate_kernel::{Digest, Duration, PublicKey, Signer, Timestamp, TokenId, base64url_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The `typ` of a proof.
const TYPE: &str = "dpop+jwt";

/// The longest proof accepted, in bytes.
const MAX_PROOF: usize = 4 << 10;

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// It is no proof at all.
    #[error("the proof of possession is not acceptable: {0}")]
    Jws(#[from] JwsError),
    /// The key in its header is private, or not an Ed25519 key.
    #[error("the proof's key is not a public Ed25519 key")]
    Key,
    /// Signed by another key than the token names.
    #[error("the proof is by another key than the token is bound to")]
    Thumbprint,
    /// For another method.
    #[error("the proof is for another method")]
    Method,
    /// For another URL.
    #[error("the proof is for another URL")]
    Url,
    /// For another token.
    #[error("the proof is for another token")]
    Token,
    /// Made too long ago, or in the future.
    #[error("the proof was not made just now")]
    Age,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    #[serde(with = "date")]
    iat: Timestamp,
    ath: String,
}

/// What a proof must be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URL; its query is not compared (RFC 9449 §4.3).
    pub url: &'a CanonicalUrl,
    /// The access token that came with it.
    pub token: &'a str,
    /// The thumbprint that the token names (`cnf.jkt`).
    pub jkt: &'a str,
    /// The present moment.
    pub now: Timestamp,
    /// How old a proof may be.
    pub max_age: Duration,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// A proof that was found good. Its `jti` must not have been seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The proof's own id.
    pub jti: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The key that made it.
    pub key: PublicKey,
}

/// Makes a proof by `signer`, a key made for this attempt, that the sender of `token` holds it.
///
/// # Errors
/// [`JwsError`] when it would be too large.
pub fn prove(
    signer: &dyn Signer,
    method: &str,
    url: &CanonicalUrl,
    token: &str,
    jti: &TokenId,
    now: Timestamp,
) -> Result<String, JwsError> {
    let x = String::from(signer.public());
    let header = format!(r#"{{"alg":"EdDSA","typ":"{TYPE}","jwk":{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}}}"#);
    let claims = Claims {
        jti: jti.as_str().to_owned(),
        htm: method.to_owned(),
        htu: url.without_query().to_owned(),
        iat: now,
        ath: token_hash(token),
    };
    jws::assemble(signer, &header, &claims)
}

/// Verifies a proof.
///
/// # Errors
/// [`DpopError`], each refusal its own variant.
pub fn verify(proof: &str, expected: &Expected<'_>) -> Result<Proof, DpopError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        #[serde(rename = "alg")]
        _alg: String,
        #[serde(rename = "typ")]
        _typ: String,
        jwk: Map<String, Value>,
    }
    let parts = Parts::split(proof, MAX_PROOF)?;
    let header: Header = parts.header(TYPE)?;
    let key = public_key(&header.jwk)?;
    if key.id().0 != expected.jkt {
        return Err(DpopError::Thumbprint);
    }
    parts.verify(&key)?;
    let claims: Claims = parts.claims()?;
    if !(1..=128).contains(&claims.jti.len()) {
        return Err(DpopError::Jws(JwsError::Malformed));
    }
    if claims.htm != expected.method {
        return Err(DpopError::Method);
    }
    if claims.htu != expected.url.without_query() {
        return Err(DpopError::Url);
    }
    if claims.ath != token_hash(expected.token) {
        return Err(DpopError::Token);
    }
    let in_future = claims.iat > expected.now.plus(expected.leeway);
    if in_future || claims.iat.plus(expected.max_age).plus(expected.leeway) <= expected.now {
        return Err(DpopError::Age);
    }
    Ok(Proof { jti: claims.jti, issued_at: claims.iat, key })
}

fn public_key(jwk: &Map<String, Value>) -> Result<PublicKey, DpopError> {
    let is_ed25519 = jwks::text(jwk, "kty") == Some("OKP") && jwks::text(jwk, "crv") == Some("Ed25519");
    if is_private(jwk) || !is_ed25519 {
        return Err(DpopError::Key);
    }
    jwks::ed25519(jwk).map_err(|_| DpopError::Key)
}

/// `ath`: the token's SHA-256, base64url (RFC 9449 §4.2).
fn token_hash(token: &str) -> String {
    base64url_encode(Digest::of(token.as_bytes()).as_bytes())
}
