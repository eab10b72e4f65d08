//! Callers of the API: access tokens from a tenant's OpenID provider (RFC 9068, OpenID Connect).

use crate::{
    Audience, JwksError, JwsError, date,
    jwks::{self, fits, read_set, text},
    jws::{MAX_TOKEN, Parts},
    strict,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use mandate_kernel::{Caller, Duration, GroupName, Principal, PublicKey, Tenant, Timestamp, base64url_decode};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fmt};

/// The most groups that one token may name.
const MAX_GROUPS: usize = 1_000;

/// A provider as its operator describes it.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// The issuer's URL, compared byte by byte.
    pub issuer: String,
    /// Who tokens must be for: this API.
    pub audience: Audience,
    /// The tenant that everyone from this provider belongs to. Never taken from a token.
    pub tenant: Tenant,
    /// The provider's published keys: a JSON Web Key Set.
    pub jwks: String,
    /// The claim that lists groups, such as `groups`.
    pub groups_claim: String,
    /// The `typ`s accepted, without `application/`: `at+jwt` for RFC 9068. A token without `typ`
    /// counts as `jwt`; accepting that also accepts a provider's other tokens for the same audience.
    pub types: Vec<String>,
    /// How far clocks may differ.
    pub leeway: Duration,
}

/// Why a provider can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The key set was not accepted.
    #[error("the keys of provider `{issuer}` were not accepted: {cause}")]
    Keys {
        /// The provider.
        issuer: String,
        /// Why.
        cause: JwksError,
    },
    /// A leeway of more than 5 minutes, or no token type at all.
    #[error("provider `{0}` needs at least one token type and a leeway of at most 300 seconds")]
    Config(String),
}

/// Why a caller's token was refused. No variant carries any part of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than 16 KiB.
    #[error("the token is too large")]
    TooLarge,
    /// Not a compact JWS with the expected claims, or a member named twice.
    #[error("the token is malformed")]
    Malformed,
    /// A header that demands an extension (`crit`, `b64`).
    #[error("the token demands an extension that is not supported")]
    Extension,
    /// An algorithm other than EdDSA, ES256 or RS256.
    #[error("the token's algorithm is not accepted; use EdDSA, ES256 or RS256")]
    Algorithm,
    /// Another type of token, such as an ID token.
    #[error("the token is of another type")]
    WrongType,
    /// A key that the provider has not published, or has for another algorithm.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature doesn't verify.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// From another issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// For another audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// Past its end.
    #[error("the token has expired")]
    Expired,
    /// Before its beginning, or issued in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// No usable `sub`, or the client itself rather than a person.
    #[error("the token does not name a person")]
    Subject,
    /// A groups claim that is not a list of texts, or a list of more than 1000.
    #[error("the token's groups are not a list of at most 1000 texts")]
    Groups,
}

/// A caller whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The person, in the provider's tenant, with groups.
    pub caller: Caller,
    /// What people call them (`name`, or `preferred_username`), if the provider says. Never an identity.
    pub name: Option<String>,
    /// When the person signed in (`auth_time`), if the provider says.
    pub authenticated_at: Option<Timestamp>,
    /// How (`acr`), if the provider says.
    pub acr: Option<String>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// A provider whose tokens can be verified.
pub struct Provider {
    config: ProviderConfig,
    keys: Vec<Key>,
}

struct Key {
    kid: Option<String>,
    material: Material,
}

enum Material {
    Ed25519(PublicKey),
    Other(Algorithm, DecodingKey),
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({}, {} keys)", self.config.issuer, self.keys.len())
    }
}

impl Provider {
    /// Reads the provider's keys. Keys for encryption or of other types are skipped.
    ///
    /// # Errors
    /// [`ProviderError`]; a private key in the set is an error, not a key to skip.
    pub fn new(config: ProviderConfig) -> Result<Self, ProviderError> {
        if config.types.is_empty() || config.leeway > Duration::from_secs(300) {
            return Err(ProviderError::Config(config.issuer));
        }
        match read_keys(config.jwks.as_bytes()) {
            Ok(keys) => Ok(Self { config, keys }),
            Err(cause) => Err(ProviderError::Keys { issuer: config.issuer, cause }),
        }
    }

    /// The issuer whose tokens this verifies.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// The tenant that everyone from this provider belongs to.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.config.tenant
    }

    /// Verifies a token, and says who calls.
    ///
    /// # Errors
    /// [`TokenError`], each refusal its own variant. The signature is checked before any claim.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, TokenError> {
        let claims = self.signed_claims(token, &self.config.types)?.0;
        self.check_claims(&claims, self.config.audience.as_str(), now)?;
        let subject = text(&claims, "sub").unwrap_or_default();
        // A client that acts for itself carries its own id as subject (RFC 9068 §2.2): no person.
        if ["client_id", "azp"].iter().any(|client| text(&claims, client) == Some(subject)) {
            return Err(TokenError::Subject);
        }
        self.verified(&claims)
    }

    /// The claims of a token that this provider signed, and the signature's algorithm.
    pub(crate) fn signed_claims(
        &self,
        token: &str,
        types: &[String],
    ) -> Result<(Map<String, Value>, Algorithm), TokenError> {
        let parts = Parts::split(token, MAX_TOKEN).map_err(from_jws)?;
        let algorithm = self.check_signature(&parts, types)?;
        Ok((parts.claims().map_err(from_jws)?, algorithm))
    }

    /// What holds for every token: issuer, audience, times, a subject.
    pub(crate) fn check_claims(
        &self,
        claims: &Map<String, Value>,
        audience: &str,
        now: Timestamp,
    ) -> Result<(), TokenError> {
        if text(claims, "iss") != Some(&self.config.issuer) {
            return Err(TokenError::WrongIssuer);
        }
        if !is_addressed(claims.get("aud"), audience) {
            return Err(TokenError::WrongAudience);
        }
        let expires_at = moment(claims, "exp")?.ok_or(TokenError::Malformed)?;
        if now >= expires_at.plus(self.config.leeway) {
            return Err(TokenError::Expired);
        }
        for begin in ["nbf", "iat"] {
            if moment(claims, begin)?.is_some_and(|at| at > now.plus(self.config.leeway)) {
                return Err(TokenError::NotYetValid);
            }
        }
        text(claims, "sub").filter(|sub| is_subject(sub)).map(drop).ok_or(TokenError::Subject)
    }

    /// The person that checked claims tell of.
    pub(crate) fn verified(&self, claims: &Map<String, Value>) -> Result<Verified, TokenError> {
        let subject = text(claims, "sub").ok_or(TokenError::Subject)?;
        Ok(Verified {
            caller: Caller::new(Principal::user(self.config.tenant.clone(), subject), self.groups(claims)?),
            name: ["name", "preferred_username"].iter().find_map(|claim| text(claims, claim).and_then(shown)),
            authenticated_at: moment(claims, "auth_time")?,
            acr: text(claims, "acr").map(str::to_owned),
            expires_at: moment(claims, "exp")?.ok_or(TokenError::Malformed)?,
        })
    }

    fn check_signature(&self, parts: &Parts<'_>, types: &[String]) -> Result<Algorithm, TokenError> {
        let header: Map<String, Value> = strict::from_slice(&parts.header).ok_or(TokenError::Malformed)?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(TokenError::Extension);
        }
        let algorithm = match text(&header, "alg") {
            Some("EdDSA" | "Ed25519") => Algorithm::EdDSA,
            Some("ES256") => Algorithm::ES256,
            Some("RS256") => Algorithm::RS256,
            _ => return Err(TokenError::Algorithm),
        };
        let typ = match header.get("typ") {
            None => "jwt".to_owned(),
            Some(typ) => typ.as_str().ok_or(TokenError::Malformed)?.to_ascii_lowercase(),
        };
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ)) {
            return Err(TokenError::WrongType);
        }
        let kid = match header.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str().ok_or(TokenError::Malformed)?),
        };
        self.key(algorithm, kid)?.verify(parts)?;
        Ok(algorithm)
    }

    /// The one key for an algorithm: by its id, or the only one there is.
    fn key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&Key, TokenError> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm() == algorithm && kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(TokenError::UnknownKey),
        }
    }

    /// Groups whose names the system can't express are left out: no policy can name them either.
    fn groups(&self, claims: &Map<String, Value>) -> Result<BTreeSet<GroupName>, TokenError> {
        let Some(claim) = claims.get(&self.config.groups_claim) else { return Ok(BTreeSet::new()) };
        let listed = claim.as_array().filter(|list| list.len() <= MAX_GROUPS).ok_or(TokenError::Groups)?;
        let mut groups = BTreeSet::new();
        for group in listed {
            groups.extend(GroupName::new(group.as_str().ok_or(TokenError::Groups)?).ok());
        }
        Ok(groups)
    }
}

impl Key {
    const fn algorithm(&self) -> Algorithm {
        match &self.material {
            Material::Ed25519(_) => Algorithm::EdDSA,
            Material::Other(algorithm, _) => *algorithm,
        }
    }

    fn verify(&self, parts: &Parts<'_>) -> Result<(), TokenError> {
        match &self.material {
            Material::Ed25519(key) => parts.verify(key).map_err(|_| TokenError::BadSignature),
            Material::Other(algorithm, key) => {
                let signed = parts.signed.as_bytes();
                match jsonwebtoken::crypto::verify(parts.signature_text, signed, key, *algorithm) {
                    Ok(true) => Ok(()),
                    Ok(false) | Err(_) => Err(TokenError::BadSignature),
                }
            }
        }
    }
}

fn read_keys(bytes: &[u8]) -> Result<Vec<Key>, JwksError> {
    let mut keys: Vec<Key> = Vec::new();
    for jwk in read_set(bytes)? {
        let Some(material) = read_key(&jwk)? else { continue };
        let key = Key { kid: text(&jwk, "kid").map(str::to_owned), material };
        if keys.iter().any(|other| other.kid == key.kid && other.algorithm() == key.algorithm()) {
            return Err(JwksError::Inconsistent);
        }
        keys.push(key);
    }
    if keys.is_empty() { Err(JwksError::Empty) } else { Ok(keys) }
}

fn is_addressed(audience: Option<&Value>, own: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == own,
        Some(Value::Array(many)) => many.iter().any(|one| one == own),
        _ => false,
    }
}

/// `None` for a key that is not for one of our three algorithms.
fn read_key(jwk: &Map<String, Value>) -> Result<Option<Material>, JwksError> {
    let part = |member: &str, sizes: std::ops::RangeInclusive<usize>| {
        let bytes = text(jwk, member).and_then(|text| base64url_decode(text).ok());
        bytes.filter(|bytes| sizes.contains(&bytes.len())).ok_or(JwksError::Inconsistent)
    };
    match (text(jwk, "kty"), text(jwk, "crv")) {
        (Some("OKP"), Some("Ed25519")) if fits(jwk, "EdDSA") => Ok(Some(Material::Ed25519(jwks::ed25519(jwk)?))),
        (Some("EC"), Some("P-256")) if fits(jwk, "ES256") => {
            let (x, y) = (part("x", 32..=32)?, part("y", 32..=32)?);
            // SEC 1 §2.3.3: an uncompressed point.
            let point = [&[4u8][..], &x, &y].concat();
            Ok(Some(Material::Other(Algorithm::ES256, DecodingKey::from_ec_der(&point))))
        }
        (Some("RSA"), _) if fits(jwk, "RS256") => {
            // 2048 to 8192 bits: less is too weak, more only slows the verifier down.
            let (n, e) = (part("n", 256..=1024)?, part("e", 1..=4)?);
            Ok(Some(Material::Other(Algorithm::RS256, DecodingKey::from_rsa_raw_components(&n, &e))))
        }
        _ => Ok(None),
    }
}

/// A `NumericDate`; providers may write fractions, which are dropped.
fn moment(claims: &Map<String, Value>, claim: &str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and the range is checked next")]
    let secs = value.as_i64().or_else(|| value.as_f64().map(|secs| secs.floor() as i64));
    secs.and_then(date::in_range).map(Some).ok_or(TokenError::Malformed)
}

fn is_subject(sub: &str) -> bool {
    (1..=255).contains(&sub.len()) && sub.bytes().all(|b| b.is_ascii_graphic())
}

/// A name as it can be shown: of one line, and not long.
fn shown(name: &str) -> Option<String> {
    let name = name.trim();
    let fine = (1..=200).contains(&name.len()) && !name.chars().any(char::is_control);
    fine.then(|| name.to_owned())
}

const fn from_jws(error: JwsError) -> TokenError {
    match error {
        JwsError::TooLarge => TokenError::TooLarge,
        _ => TokenError::Malformed,
    }
}
