//! `Authorization` by a document's policy: made of the leased secret at the edge, for one permit.

mod challenge;
mod exchange;

pub(crate) use challenge::{Answering, Challenge};

use crate::http::{Transport, failure, header_slot};
use exchange::Token;
use mandate_directory::{ConnectionSpec, SlotSpec};
use mandate_gate::{EffectFailure, Reply, Slot};
use mandate_identity::{Authentication, AuthenticationScheme, ExchangePlace};
use mandate_kernel::{Secret, base64_encode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// The slot that a document's own call fills at a connection. Which credential fills it is the binding's to say.
///
/// # Errors
/// Why policy and slot don't fit; it repeats nothing of the policy.
pub(crate) fn slot(
    connection: &ConnectionSpec,
    takes_token: bool,
    policy: Option<&Value>,
) -> Result<Option<Slot>, String> {
    match (&connection.slot, policy) {
        (Some(SlotSpec::Policy(slot)), Some(policy)) => {
            if !Authentication::scheme(policy).is_some_and(|scheme| slot.schemes.contains(&scheme)) {
                return Err(
                    "the document's authentication is none of the `schemes` of its connection's slot".to_owned()
                );
            }
            let policy = Authentication::read(policy).map_err(|why| format!("the document's authentication: {why}"))?;
            Ok(Some(Slot::Authorization { policy, md5: slot.md5 }))
        }
        // A document that asks without a credential is given none.
        (Some(SlotSpec::Policy(_)), None) => Ok(None),
        (Some(_), Some(policy))
            if Authentication::scheme(policy).is_some_and(|s| s != AuthenticationScheme::Bearer) =>
        {
            Err("the connection's slot is a header, which only `bearer` fits; for other schemes it lists `schemes`"
                .to_owned())
        }
        (Some(slot), _) => header_slot(slot, takes_token).map(Some),
        (None, Some(_)) if !takes_token => {
            Err("the document wants `authentication`, and the connection has no slot for a credential".to_owned())
        }
        (None, _) => Ok(None),
    }
}

/// Whether what fills a slot can be said at once, before any challenge.
///
/// # Errors
/// Why it can't.
pub(crate) fn without_challenge(slot: Option<&Slot>) -> Result<(), String> {
    match slot {
        Some(Slot::Authorization { policy: Authentication::Digest { .. }, .. }) => {
            Err("`digest` answers a challenge, which this protocol has none of".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether a slot can be filled in a WebSocket's handshake, which has `Authorization` and no other header of ours.
///
/// # Errors
/// Why it can't.
pub(crate) fn fits_a_handshake(slot: Option<&Slot>) -> Result<(), String> {
    match slot {
        Some(Slot::Header { name, .. }) if name != "authorization" => {
            Err("a WebSocket takes a credential in `Authorization` alone".to_owned())
        }
        _ => without_challenge(slot),
    }
}

/// The value of a slot that is a header, with its prefix.
pub(crate) fn bare(slot: Option<&Slot>, secret: Option<&Secret<String>>) -> Option<String> {
    match (slot, secret) {
        (Some(Slot::Header { prefix, .. }), Some(secret)) => Some(format!("{prefix}{}", secret.expose())),
        _ => None,
    }
}

/// The longest that the end of a token is waited for.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// A user name and a password.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: Secret<String>,
}

/// What a request is authorized with.
pub(crate) enum Authorized {
    /// This value of `Authorization`.
    Value(Secret<String>),
    /// The answer to a `Digest` challenge; MD5 only where the flag says so.
    Challenged(Login, bool),
    /// A token that was made for this permit, and ends with it.
    Token(Held),
}

impl Authorized {
    /// Makes what the slot's policy says; `None` where the slot is none of a policy.
    pub(crate) async fn by(
        transport: &Arc<Transport>,
        slot: Option<&Slot>,
        secret: Option<&Secret<String>>,
        place: Option<&ExchangePlace>,
        timeout: Duration,
    ) -> Result<Option<Self>, EffectFailure> {
        let Some(Slot::Authorization { policy, md5 }) = slot else { return Ok(None) };
        let unsendable = |why: &str| failure::unsendable(format!("nothing was sent: {why}"));
        let secret = secret.ok_or_else(|| unsendable("no credential was leased for `Authorization`"))?;
        let made = match policy {
            Authentication::Bearer => Self::Value(bearer(secret.expose()).map_err(unsendable)?),
            Authentication::Basic { username } => {
                let login = Login::read(username.as_deref(), secret).map_err(unsendable)?;
                Self::Value(login.basic().map_err(unsendable)?)
            }
            Authentication::Digest { username } => {
                Self::Challenged(Login::read(username.as_deref(), secret).map_err(unsendable)?, *md5)
            }
            Authentication::Exchange(exchange) => {
                let place =
                    place.ok_or_else(|| unsendable("its credential is not one that is exchanged for tokens"))?;
                let token = exchange::token(transport, exchange, place, secret, timeout).await?;
                let value = bearer(token.value.expose()).map_err(unsendable)?;
                Self::Token(Held { value, token: Some(token), transport: Arc::clone(transport), place: place.clone() })
            }
        };
        Ok(Some(made))
    }

    /// The value of `Authorization`, where it needs no challenge.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value.expose()),
            Self::Token(held) => Some(held.value.expose()),
            Self::Challenged(..) => None,
        }
    }

    /// What must not come back in an answer.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        let after_scheme =
            |value: &'_ str| value.split_once(' ').map_or(0, |(scheme, _)| scheme.len().saturating_add(1));
        let bare = self.value().and_then(|value| value.get(after_scheme(value)..));
        let password = match self {
            Self::Challenged(login, _) => Some(login.password.expose().as_str()),
            Self::Value(_) | Self::Token(_) => None,
        };
        bare.into_iter().chain(password).collect()
    }

    /// Ends what was made for this permit, and says so with the reply.
    pub(crate) async fn end(
        self,
        left: Duration,
        result: Result<Reply, EffectFailure>,
    ) -> Result<Reply, EffectFailure> {
        let Self::Token(held) = self else { return result };
        let expires_in = held.token.as_ref().and_then(|token| token.expires_in);
        let revoked = held.end(left.min(END_PATIENCE)).await;
        result.map(|mut reply| {
            reply.claimed.by_remote.insert("token".to_owned(), json!({"expires_in": expires_in, "revoked": revoked}));
            reply
        })
    }
}

/// A token in use. Whoever drops it, also because the run was stopped, has it ended where that can be done.
pub(crate) struct Held {
    value: Secret<String>,
    token: Option<Token>,
    transport: Arc<Transport>,
    place: ExchangePlace,
}

impl Held {
    /// Whether it is known to be ended; `None` where its endpoint can't end tokens.
    async fn end(mut self, patience: Duration) -> Option<bool> {
        let ending = self.ending()?;
        Some(tokio::time::timeout(patience, ending).await.unwrap_or(false))
    }

    fn ending(&mut self) -> Option<impl Future<Output = bool> + Send + 'static> {
        let (token, endpoint) = (self.token.take()?, self.place.revocation_endpoint.clone()?);
        let transport = Arc::clone(&self.transport);
        Some(async move { exchange::revoke(&transport, &endpoint, token).await })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Handle::try_current();
        if let (Some(ending), Ok(runtime)) = (self.ending(), runtime) {
            runtime.spawn(ending);
        }
    }
}

/// `Bearer` and a token (RFC 6750 §2.1).
fn bearer(token: &str) -> Result<Secret<String>, &'static str> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if token.is_empty() || !token.bytes().all(fits) {
        return Err("the credential is no bearer token (RFC 6750)");
    }
    Ok(Secret::new(format!("Bearer {token}")))
}

impl Login {
    /// The secret is the password of the user that the document names; where it names none, it is both:
    /// `user:password`, or `{"username": …, "password": …}`.
    fn read(username: Option<&str>, secret: &Secret<String>) -> Result<Self, &'static str> {
        let text = secret.expose();
        let (username, password) = match username {
            Some(username) => (username.to_owned(), text.clone()),
            None if text.trim_start().starts_with('{') => {
                let whole: Value = serde_json::from_str(text).map_err(|_| "the credential is no JSON object")?;
                let member = |name: &str| whole.get(name).and_then(Value::as_str).map(str::to_owned);
                let both = (member("username"), member("password"));
                both.0.zip(both.1).ok_or("the credential has no `username` and `password`")?
            }
            None => text
                .split_once(':')
                .map(|(user, password)| (user.to_owned(), password.to_owned()))
                .ok_or("the credential is not `user:password`, and the document names no user")?,
        };
        if username.is_empty() || username.chars().chain(password.chars()).any(char::is_control) {
            return Err("a user name or password is empty or holds control characters");
        }
        Ok(Self { username, password: Secret::new(password) })
    }

    /// RFC 7617
    fn basic(&self) -> Result<Secret<String>, &'static str> {
        if self.username.contains(':') {
            return Err("a user name with a colon can't be sent by Basic (RFC 7617)");
        }
        let pair = format!("{}:{}", self.username, self.password.expose());
        Ok(Secret::new(format!("Basic {}", base64_encode(pair.as_bytes()))))
    }
}

#[cfg(test)]
mod tests;
