//! Sign-in by OpenID Connect's code flow with PKCE: what is asked of a provider, and what is remembered
//! until the browser comes back. The network is behind the port [`SignIn`].

use async_trait::async_trait;
use axum::http::StatusCode;
use mandate_kernel::{Digest, Duration, Entropy, EntropyError, Tenant, Timestamp, base64url_encode};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::Problem;

/// How long a browser may be away at the provider.
pub(crate) const AWAY: Duration = Duration::from_secs(600);
/// How many browsers may be away at once; the one that went first makes room.
const MOST: usize = 10_000;
/// The longest path to go back to.
const MAX_PATH: usize = 2_048;

/// How people of one tenant sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The tenant.
    pub tenant: Tenant,
    /// What the provider is called.
    pub provider: String,
    /// Its issuer.
    pub issuer: String,
    /// The client id for browsers; without one nobody can sign in by a browser.
    pub client_id: Option<String>,
    /// The public client id for the command line.
    pub command_line: Option<String>,
    /// Scopes to ask for, `openid` among them.
    pub scopes: Vec<String>,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizationRequest<'a> {
    /// Where the browser is to come back.
    pub redirect_uri: &'a str,
    /// Binds the answer to this request.
    pub state: &'a str,
    /// Binds the ID token to this request.
    pub nonce: &'a str,
    /// Binds the code to whoever holds the verifier: `S256`.
    pub code_challenge: &'a str,
}

/// Where a browser is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The provider's authorization endpoint with the request.
    pub url: String,
    /// Whether the provider says that it names itself in answers (RFC 9207).
    pub names_itself: bool,
}

/// A code to be exchanged for tokens.
#[derive(Debug, Clone, Copy)]
pub struct Redemption<'a> {
    /// The code.
    pub code: &'a str,
    /// The verifier of the challenge.
    pub code_verifier: &'a str,
    /// As it was in the request.
    pub redirect_uri: &'a str,
}

/// What a provider gave for a code. Nothing of it is verified.
pub struct Redeemed {
    /// The ID token.
    pub id_token: String,
    /// The access token; it is used for nothing but `at_hash`.
    pub access_token: Option<String>,
}

/// Why a provider did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Nobody can sign in to that tenant by a browser.
    #[error("nobody signs in to this tenant by a browser")]
    NotOffered,
    /// The provider can't be reached, or answers something else than it should.
    #[error("the tenant's provider can't be asked now: {0}")]
    Unavailable(String),
    /// The provider said no.
    #[error("the tenant's provider refused: {0}")]
    Refused(String),
}

/// The tenants' OpenID providers.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// How people sign in, for each tenant.
    fn offers(&self) -> Vec<Offer>;

    /// Where to send a browser.
    ///
    /// # Errors
    /// [`SignInError`].
    async fn destination(
        &self,
        tenant: &Tenant,
        request: &AuthorizationRequest<'_>,
    ) -> Result<Destination, SignInError>;

    /// Exchanges a code.
    ///
    /// # Errors
    /// [`SignInError`].
    async fn redeem(&self, tenant: &Tenant, redemption: &Redemption<'_>) -> Result<Redeemed, SignInError>;

    /// Reads an issuer's keys again, because somebody showed a token with a key that is not known. Says
    /// whether they were read just now; it may be too soon for that.
    async fn reread_keys(&self, issuer: &str) -> bool;
}

/// A browser that is away at a provider.
pub(crate) struct Away {
    pub(crate) tenant: Tenant,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) return_to: String,
    pub(crate) names_itself: bool,
    /// The digest of the cookie that the browser was given.
    pub(crate) browser: Digest,
    ends: Timestamp,
}

/// The secrets of one sign-in.
pub(crate) struct Fresh {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) verifier: String,
    pub(crate) browser: String,
}

impl Fresh {
    pub(crate) fn new(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        Ok(Self {
            state: secret(entropy)?,
            nonce: secret(entropy)?,
            verifier: secret(entropy)?,
            browser: secret(entropy)?,
        })
    }

    /// RFC 7636 §4.2.
    pub(crate) fn challenge(&self) -> String {
        base64url_encode(Digest::of(self.verifier.as_bytes()).as_bytes())
    }

    /// What is remembered of it.
    pub(crate) fn away(
        &self,
        offer: &Offer,
        client_id: String,
        return_to: String,
        names_itself: bool,
        now: Timestamp,
    ) -> Away {
        Away {
            tenant: offer.tenant.clone(),
            issuer: offer.issuer.clone(),
            client_id,
            nonce: self.nonce.clone(),
            verifier: self.verifier.clone(),
            return_to,
            names_itself,
            browser: Digest::of(self.browser.as_bytes()),
            ends: now.plus(AWAY),
        }
    }
}

/// 256 random bits as text.
pub(crate) fn secret(entropy: &dyn Entropy) -> Result<String, EntropyError> {
    let mut bytes = [0u8; 32];
    entropy.fill(&mut bytes)?;
    Ok(base64url_encode(&bytes))
}

/// Browsers that are away, by the digest of their `state`.
#[derive(Default)]
pub(crate) struct Pending(Mutex<HashMap<Digest, Away>>);

impl Pending {
    pub(crate) fn put(&self, state: &str, away: Away, now: Timestamp) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= MOST {
            table.retain(|_, away| now < away.ends);
        }
        if table.len() >= MOST
            && let Some(first) = table.iter().min_by_key(|(_, away)| away.ends).map(|(key, _)| *key)
        {
            table.remove(&first);
        }
        table.insert(Digest::of(state.as_bytes()), away);
    }

    /// The browser that comes back, once.
    pub(crate) fn take(&self, state: &str, now: Timestamp) -> Option<Away> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.remove(&Digest::of(state.as_bytes())).filter(|away| now < away.ends)
    }
}

/// A path of this site to go back to; nothing that a browser could take for another site.
pub(crate) fn same_site(path: Option<&str>) -> Result<String, Problem> {
    let Some(path) = path else { return Ok("/".to_owned()) };
    // Browsers read `\` as `/`, drop tabs and line breaks, and take `//host` for another site.
    let fine = path.len() <= MAX_PATH
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    // `/.//host` and the like are resolved to `//host` only by careless readers; there are some.
    let plain =
        !path.split(['?', '#']).next().unwrap_or_default().split('/').skip(1).any(|part| part == "." || part == "..");
    let slashes = path.split(['?', '#']).next().unwrap_or_default().contains("//");
    if fine && plain && !slashes {
        return Ok(path.to_owned());
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-return-to", "The request is not valid")
        .detail("return_to is a path of this site, such as /runs: one slash first, no other host, no backslash"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::SystemEntropy;

    #[test]
    fn only_paths_of_this_site_are_gone_back_to() {
        for good in ["/", "/runs", "/runs/run_1?tab=data#x", "/a%2Fb", "/?next=https://x.example", "/x?y=//z"] {
            assert_eq!(same_site(Some(good)).unwrap(), good);
        }
        assert_eq!(same_site(None).unwrap(), "/");
        for bad in [
            "",
            "runs",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            " /runs",
            "/ru ns",
            "/.//evil.example",
            "/..//evil.example",
            "/a/../..//evil.example",
            "/x\u{2028}y",
            "/%5c\\x",
        ] {
            assert!(same_site(Some(bad)).is_err(), "{bad:?}");
        }
        assert!(same_site(Some(&format!("/{}", "x".repeat(MAX_PATH)))).is_err());
    }

    fn away(fresh: &Fresh, now: Timestamp) -> Away {
        let offer = Offer {
            tenant: Tenant::new("demo").unwrap(),
            provider: "P".to_owned(),
            issuer: "i".to_owned(),
            client_id: None,
            command_line: None,
            scopes: Vec::new(),
        };
        fresh.away(&offer, "c".to_owned(), "/".to_owned(), false, now)
    }

    #[test]
    fn who_is_away_comes_back_once_and_in_time() {
        let pending = Pending::default();
        let (fresh, now) = (Fresh::new(&SystemEntropy).unwrap(), Timestamp::from_secs(0));
        pending.put(&fresh.state, away(&fresh, now), now);
        assert!(pending.take("another", now).is_none());
        assert!(pending.take(&fresh.state, now).is_some());
        assert!(pending.take(&fresh.state, now).is_none());
        pending.put(&fresh.state, away(&fresh, now), now);
        assert!(pending.take(&fresh.state, now.plus(AWAY)).is_none());
        for n in 0..=MOST {
            pending.put(&n.to_string(), away(&fresh, now.plus(Duration::from_millis(n as u64))), now);
        }
        assert_eq!(pending.0.lock().unwrap().len(), MOST);
        assert!(pending.take("0", now).is_none() && pending.take("1", now).is_some());
    }
}
