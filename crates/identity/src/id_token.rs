//! ID tokens: what an OpenID provider says about who signed in (OpenID Connect Core §2, §3.1.3.7).

use crate::jwks::text;
use crate::jws::{MAX_TOKEN, Parts};
use crate::{Provider, TokenError, Verified};
use jsonwebtoken::Algorithm;
use mandate_kernel::{Digest, Timestamp, base64url_encode, sha512};
use serde_json::{Map, Value};

/// What an ID token has to be, to belong to one sign-in.
#[derive(Debug, Clone, Copy)]
pub struct IdTokenExpectation<'a> {
    /// The client that asked; the token's audience.
    pub client_id: &'a str,
    /// The nonce that the request carried.
    pub nonce: &'a str,
    /// The access token that came with it, if one did.
    pub access_token: Option<&'a str>,
}

/// Why an ID token was refused. No variant carries any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// It fails as any token may.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// For another request: the nonce is missing or not the one that was sent.
    #[error("the ID token is for another sign-in: its nonce is not the one that was sent")]
    Nonce,
    /// Also for others, and this client is not the one that asked (`azp`).
    #[error("the ID token was asked for by another client")]
    AuthorizedParty,
    /// It came with another access token than it names (`at_hash`).
    #[error("the ID token belongs to another access token")]
    AccessToken,
}

impl Provider {
    /// Verifies an ID token, and says who signed in.
    ///
    /// # Errors
    /// [`IdTokenError`]. The signature is checked before any claim.
    pub fn verify_id_token(
        &self,
        token: &str,
        expected: &IdTokenExpectation<'_>,
        now: Timestamp,
    ) -> Result<Verified, IdTokenError> {
        // A token without `typ` counts as `jwt`; an access token of RFC 9068 is of another type.
        let (claims, algorithm) = self.signed_claims(token, &["jwt".to_owned()])?;
        self.check_claims(&claims, expected.client_id, now)?;
        if text(&claims, "nonce") != Some(expected.nonce) {
            return Err(IdTokenError::Nonce);
        }
        check_party(&claims, expected.client_id)?;
        match (claims.get("at_hash"), expected.access_token) {
            (None, _) => {}
            (Some(Value::String(hash)), Some(access)) if *hash == at_hash(access, algorithm) => {}
            (Some(_), _) => return Err(IdTokenError::AccessToken),
        }
        Ok(self.verified(&claims)?)
    }
}

/// With several audiences `azp` says who asked, and where it is there it must be us (§3.1.3.7, 4 and 5).
fn check_party(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenError> {
    let several = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        None if several => Err(IdTokenError::AuthorizedParty),
        None => Ok(()),
        Some(azp) if azp == client_id => Ok(()),
        Some(_) => Err(IdTokenError::AuthorizedParty),
    }
}

/// The left half of the access token's hash, by the hash of the ID token's algorithm (§3.1.3.6).
fn at_hash(access_token: &str, algorithm: Algorithm) -> String {
    let half = match algorithm {
        Algorithm::EdDSA => sha512(access_token.as_bytes()).iter().take(32).copied().collect::<Vec<u8>>(),
        _ => Digest::of(access_token.as_bytes()).as_bytes().iter().take(16).copied().collect(),
    };
    base64url_encode(&half)
}

/// Whom a token claims to be from; nothing of it is verified. To find out whose keys to read again.
#[must_use]
pub fn claimed_issuer(token: &str) -> Option<String> {
    let parts = Parts::split(token, MAX_TOKEN).ok()?;
    let claims: Map<String, Value> = parts.claims().ok()?;
    text(&claims, "iss").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Audience, Jwks, ProviderConfig, jws};
    use mandate_kernel::{Duration, Ed25519Signer, Signer as _, SystemEntropy, Tenant};
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const ACCESS: &str = "an access token";

    fn provider() -> (Ed25519Signer, Provider) {
        let (signer, _) = Ed25519Signer::generate(&SystemEntropy).unwrap();
        let provider = Provider::new(ProviderConfig {
            issuer: "https://sso.example".to_owned(),
            audience: Audience::new("https://api.example").unwrap(),
            tenant: Tenant::new("demo").unwrap(),
            jwks: Jwks::new([signer.public()]).to_json().to_string(),
            groups_claim: "groups".to_owned(),
            types: vec!["at+jwt".to_owned()],
            leeway: Duration::from_secs(30),
        });
        (signer, provider.unwrap())
    }

    fn good() -> Value {
        json!({
            "iss": "https://sso.example", "sub": "jo", "aud": "console", "nonce": "n", "iat": NOW.as_secs(),
            "exp": NOW.as_secs() + 300, "auth_time": NOW.as_secs() - 5, "acr": "2", "groups": ["finance"],
            "at_hash": base64url_encode(&sha512(ACCESS.as_bytes())[..32]),
        })
    }

    fn verdict(typ: &'static str, claims: &Value) -> Result<Verified, IdTokenError> {
        let (signer, provider) = provider();
        let token = jws::sign(&signer, typ, claims).unwrap();
        let expected = IdTokenExpectation { client_id: "console", nonce: "n", access_token: Some(ACCESS) };
        provider.verify_id_token(&token, &expected, NOW)
    }

    #[test]
    fn a_good_one_says_who_signed_in() {
        let verified = verdict("JWT", &good()).unwrap();
        assert_eq!(verified.caller.principal.subject(), "user:jo");
        assert_eq!((verified.acr.as_deref(), verified.caller.groups.len()), (Some("2"), 1));
        let mut several = good();
        several["aud"] = json!(["console", "other"]);
        several["azp"] = json!("console");
        verdict("JWT", &several).unwrap();
    }

    #[test]
    fn what_is_for_another_sign_in_is_refused() {
        for (member, value, error) in [
            ("nonce", json!("m"), IdTokenError::Nonce),
            ("nonce", Value::Null, IdTokenError::Nonce),
            ("azp", json!("other"), IdTokenError::AuthorizedParty),
            ("azp", json!(1), IdTokenError::AuthorizedParty),
            ("aud", json!(["console", "other"]), IdTokenError::AuthorizedParty),
            ("aud", json!("https://api.example"), IdTokenError::Token(TokenError::WrongAudience)),
            ("iss", json!("https://evil.example"), IdTokenError::Token(TokenError::WrongIssuer)),
            ("exp", json!(NOW.as_secs() - 31), IdTokenError::Token(TokenError::Expired)),
            ("sub", json!(""), IdTokenError::Token(TokenError::Subject)),
            ("at_hash", json!("x"), IdTokenError::AccessToken),
            ("at_hash", json!(7), IdTokenError::AccessToken),
        ] {
            let mut claims = good();
            claims[member] = value;
            assert_eq!(verdict("JWT", &claims), Err(error), "{member}");
        }
        assert_eq!(verdict("at+jwt", &good()), Err(IdTokenError::Token(TokenError::WrongType)));
    }

    #[test]
    fn a_strangers_signature_is_refused() {
        let (stranger, _) = provider();
        let (_, provider) = provider();
        let token = jws::sign(&stranger, "JWT", &good()).unwrap();
        let expected = IdTokenExpectation { client_id: "console", nonce: "n", access_token: None };
        let refused = provider.verify_id_token(&token, &expected, NOW);
        assert_eq!(refused, Err(IdTokenError::Token(TokenError::UnknownKey)));
        assert_eq!(claimed_issuer(&token).as_deref(), Some("https://sso.example"));
        assert_eq!(claimed_issuer("x.y.z"), None);
    }
}
