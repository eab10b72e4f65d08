//! Browser sessions: the cookie, what it opens, and the defence against other sites' requests.
//!
//! The cookie's value is `TENANT.SECRET`. The tenant is in it so that the query for a session names one,
//! as every query does; the digest that is looked up covers both. The token against forged requests is
//! made from the same value by another digest, so that nothing about it has to be kept.

use crate::auth::Authenticated;
use crate::login::{Pending, SignIn, secret};
use crate::throttle::{Throttle, ThrottleConfig};
use crate::{ApiState, Problem};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use mandate_directory::{SessionLifetimes, SessionRecord, Sessions};
use mandate_engine::{Engine, TenantContext};
use mandate_identity::Verified;
use mandate_journal::{Change, EpochKey};
use mandate_kernel::{Caller, Digest, Duration, Tenant, base64url_encode};
use mandate_ledger::{Event, EventKind};
use serde_json::json;
use std::sync::Arc;

/// The header that proves that a request with a cookie was made by one of our own pages.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";
/// The longest cookie value that is looked at.
const MAX_COOKIE: usize = 200;

/// Where sessions are kept.
pub trait SessionSource: Send + Sync {
    /// The sessions of the caller's tenant.
    fn of(&self, caller: &Caller) -> Arc<dyn Sessions>;
}

/// How people come in.
#[derive(Debug, Clone)]
pub struct DoorConfig {
    /// The URL by which callers reach this server.
    pub public_url: String,
    /// How long sessions live.
    pub lifetimes: SessionLifetimes,
    /// What is throttled.
    pub throttle: ThrottleConfig,
}

/// The door: sign-in, sessions, throttles.
pub struct Door {
    pub(crate) origin: String,
    /// Whether this server is reached by https; cookies are for https alone then.
    pub(crate) secure: bool,
    /// The names of the session's cookie, and of that of a sign-in under way.
    cookie: String,
    pub(crate) login_cookie: String,
    lifetimes: SessionLifetimes,
    sessions: Arc<dyn SessionSource>,
    pub(crate) sign_in: Arc<dyn SignIn>,
    pub(crate) pending: Pending,
    pub(crate) throttle: Throttle,
}

/// The secret of a session, as the browser holds it.
pub(crate) struct SessionSecret {
    tenant: Tenant,
    value: String,
}

/// A session that holds.
pub(crate) struct Opened {
    secret: SessionSecret,
    record: SessionRecord,
    context: Arc<TenantContext>,
}

impl SessionSecret {
    fn parse(value: &str) -> Option<Self> {
        let (tenant, secret) = value.split_once('.')?;
        let fine = value.len() <= MAX_COOKIE && !secret.is_empty();
        Some(Self { tenant: Tenant::new(tenant).ok().filter(|_| fine)?, value: value.to_owned() })
    }

    fn key(&self) -> Digest {
        Digest::of_parts(&[b"mandate session\0", self.value.as_bytes()])
    }

    /// The token that pages of ours send with what changes something.
    pub(crate) fn csrf(&self) -> String {
        base64url_encode(Digest::of_parts(&[b"mandate csrf\0", self.value.as_bytes()]).as_bytes())
    }
}

impl Door {
    /// A door.
    #[must_use]
    pub fn new(config: &DoorConfig, sessions: Arc<dyn SessionSource>, sign_in: Arc<dyn SignIn>) -> Self {
        let origin = origin_of(&config.public_url);
        let secure = origin.starts_with("https://");
        // Cookies know no ports: two servers on one machine would take each other's.
        let port = origin.rsplit(':').next().filter(|port| port.bytes().all(|b| b.is_ascii_digit())).unwrap_or("80");
        let name =
            |what: &str| if secure { format!("__Host-mandate-{what}") } else { format!("mandate-{what}-{port}") };
        Self {
            secure,
            cookie: name("session"),
            login_cookie: name("login"),
            lifetimes: config.lifetimes,
            sessions,
            sign_in,
            pending: Pending::default(),
            throttle: Throttle::new(&config.throttle),
            origin,
        }
    }

    /// Where providers send browsers back to.
    pub(crate) fn redirect_uri(&self) -> String {
        format!("{}/auth/callback", self.origin)
    }

    /// The session cookie of a request.
    ///
    /// # Errors
    /// A problem when there are two: nobody can tell which is meant.
    pub(crate) fn session_cookie<'a>(&self, headers: &'a HeaderMap) -> Result<Option<&'a str>, Problem> {
        cookie(headers, &self.cookie)
    }

    fn of(&self, tenant: &Tenant) -> Arc<dyn Sessions> {
        self.sessions.of(&Caller::system(tenant.clone(), "sessions"))
    }

    /// The session that a cookie opens.
    pub(crate) async fn open(&self, engine: &Engine, value: &str) -> Result<Opened, Problem> {
        let now = engine.ports().clock.now();
        let over = || Problem::unauthenticated("this session has ended, or never was; sign in again");
        let secret = SessionSecret::parse(value).ok_or_else(over)?;
        let not_here = || Problem::unauthenticated("the tenant of this session is not served here");
        let context = engine.tenant(&secret.tenant).ok_or_else(not_here)?;
        let sessions = self.of(&secret.tenant);
        let found = sessions.find(&secret.key()).await?;
        let record = found.filter(|found| self.lifetimes.holds(found, now)).ok_or_else(over)?;
        if !context.rows().session_holds(&record) {
            tracing::error!(tenant = %secret.tenant, "a session is not as the server wrote it: somebody changed the database");
            return Err(over());
        }
        if self.lifetimes.is_stale(&record, now)
            && let Err(error) = sessions.touch(&record.key, now).await
        {
            // The session may end too soon, which is better than that it never opens on a full disk.
            tracing::warn!(%error, "the use of a session was not noted");
        }
        Ok(Opened { secret, record, context })
    }

    /// Begins a session, under a secret that nobody has seen before; the value of its cookie.
    pub(crate) async fn begin(
        &self,
        state: &ApiState,
        context: &TenantContext,
        who: Verified,
    ) -> Result<HeaderValue, Problem> {
        let ports = state.engine.ports();
        let now = ports.clock.now();
        let tenant = who.caller.tenant().clone();
        let random = secret(ports.entropy.as_ref()).map_err(Problem::internal_error)?;
        let secret = SessionSecret { value: format!("{tenant}.{random}"), tenant };
        let name = who.name.unwrap_or_else(|| who.caller.principal.name.clone());
        let epochs = [EpochKey::Tenant, EpochKey::User(who.caller.principal.subject())];
        let standing = context.store().standing(&epochs).await?;
        let mut record = SessionRecord {
            key: secret.key(),
            name,
            principal: who.caller.principal,
            groups: who.caller.groups,
            created_at: now,
            used_at: now,
            expires_at: now.plus(self.lifetimes.absolute),
            revocations: standing.epochs.iter().sum(),
            proof: None,
        };
        record.proof = Some(context.rows().prove_session(&record)?);
        self.of(&secret.tenant).begin(&record, now.minus(self.lifetimes.idle)).await?;
        tracing::info!(tenant = %secret.tenant, actor = %record.principal.subject(), "signed in");
        self.set_cookie(&self.cookie, &secret.value, self.lifetimes.absolute)
    }

    /// Ends the session behind a cookie, if there is one.
    pub(crate) async fn end(&self, value: &str) -> Result<(), Problem> {
        if let Some(secret) = SessionSecret::parse(value)
            && self.of(&secret.tenant).end(&secret.key()).await?
        {
            tracing::info!(tenant = %secret.tenant, "signed out");
        }
        Ok(())
    }

    /// A `Set-Cookie` (RFC 6265). `Lax`, because the browser comes from the provider when it comes back.
    pub(crate) fn set_cookie(&self, name: &str, value: &str, lifetime: Duration) -> Result<HeaderValue, Problem> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{secure}", lifetime.as_secs());
        HeaderValue::from_str(&text).map_err(Problem::internal_error)
    }

    /// A `Set-Cookie` that removes the session's.
    pub(crate) fn clear_session(&self) -> Result<HeaderValue, Problem> {
        self.set_cookie(&self.cookie, "", Duration::from_secs(0))
    }

    /// Whether a request that changes something was made by a page of ours; why not, if it was not.
    fn foreign(&self, parts: &Parts, secret: &SessionSecret) -> Option<&'static str> {
        if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return None;
        }
        let text = |name: &str| one(&parts.headers, name).map(|value| value.unwrap_or("not one value"));
        let (origin, site) = (text("origin"), text("sec-fetch-site"));
        if origin.is_some_and(|origin| origin != self.origin) || site.is_some_and(|site| site != "same-origin") {
            return Some("the request was made by a page of another site");
        }
        if origin.is_none() && site.is_none() {
            return Some("the request does not say which site's page made it: send Origin");
        }
        // Compared by digest: how much of it is right must not show in the time it takes.
        let held = text(CSRF_HEADER).map(|token| Digest::of(token.as_bytes()));
        (held != Some(Digest::of(secret.csrf().as_bytes())))
            .then_some("send the csrf token of GET /v1/session as X-CSRF-Token")
    }
}

/// A caller by a session's cookie.
pub(crate) async fn by_cookie(state: &ApiState, parts: &Parts, value: &str) -> Result<Authenticated, Problem> {
    let Opened { secret, record: session, context } = state.door.open(&state.engine, value).await?;
    let until = session.expires_at;
    let who = Authenticated { caller: session.caller(), context, until, session: Some((secret, session)) };
    if let Some((secret, _)) = &who.session
        && let Some(why) = state.door.foreign(parts, secret)
    {
        return Err(refuse_foreign(state, parts, &who, why).await);
    }
    Ok(who)
}

/// A request forged by another site: in the ledger of the tenant in whose name it would have been made.
async fn refuse_foreign(state: &ApiState, parts: &Parts, who: &Authenticated, why: &str) -> Problem {
    let (now, actor) = (state.engine.ports().clock.now(), who.caller.principal.subject());
    let tenant = who.context.tenant().clone();
    let request = format!("{} {}", parts.method, parts.uri.path().chars().take(200).collect::<String>());
    let origin = one(&parts.headers, "origin").flatten().map(|o| o.chars().take(200).collect::<String>());
    tracing::warn!(%tenant, %actor, request, origin, reason = why, "forged request refused");
    let details = json!({
        "resource_kind": "Session", "resource": request, "origin": origin, "reason": "csrf", "summary": why, "policies": [],
    });
    let kind = EventKind::AccessDenied;
    let event = Event { time: now, tenant: tenant.clone(), kind, actor: actor.clone(), run: None, details };
    let mut change = Change::new(tenant, now, actor);
    match event.encode() {
        Ok(entry) => change.entries.push(entry),
        Err(error) => return Problem::internal_error(error),
    }
    match who.context.store().change(change).await {
        Ok(_) => who.context.entries_arrived(),
        Err(error) => return error.into(),
    }
    Problem::new(StatusCode::FORBIDDEN, "csrf", "Not asked for by one of our pages").detail(why)
}

/// The value of a cookie; an error when it is there twice.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut found = pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name);
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) => Ok(Some(value)),
        (Some(_), Some(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "two-cookies", "Two sessions at once")
            .detail(format!("cookie {name} is there twice; delete this site's cookies and sign in again"))),
    }
}

/// A header that may come once: absent, its text, or `Some(None)` when it is there twice or is no text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    Some(if values.next().is_some() { None } else { first.to_str().ok() })
}

/// `https://host:port` of a URL.
fn origin_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.strip_suffix(if scheme == "https" { ":443" } else { ":80" }).unwrap_or(authority);
    format!("{}://{}", scheme.to_ascii_lowercase(), authority.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        for (url, origin) in [
            ("https://Mandate.example", "https://mandate.example"),
            ("https://mandate.example:443/", "https://mandate.example"),
            ("https://mandate.example:8443/x", "https://mandate.example:8443"),
            ("http://127.0.0.1:8420", "http://127.0.0.1:8420"),
        ] {
            assert_eq!(origin_of(url), origin);
        }
    }

    #[test]
    fn a_cookie_is_found_once() {
        let headers = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            headers
        };
        assert_eq!(cookie(&headers(&["a=1; s=demo.x; b=2"]), "s").unwrap(), Some("demo.x"));
        assert_eq!(cookie(&headers(&["xs=1; s2=2"]), "s").unwrap(), None);
        assert!(cookie(&headers(&["s=1", "s=2"]), "s").is_err());
        assert!(cookie(&headers(&["s=1; s=1"]), "s").is_err());
    }

    #[test]
    fn a_secret_names_its_tenant_and_all_of_it_counts() {
        let parse = SessionSecret::parse;
        let one = parse("demo.abc").unwrap();
        assert_eq!(one.tenant.as_str(), "demo");
        for other in ["demo.abd", "other.abc"] {
            let other = parse(other).unwrap();
            assert_ne!(other.key(), one.key());
            assert_ne!(other.csrf(), one.csrf());
        }
        assert_ne!(base64url_encode(one.key().as_bytes()), one.csrf());
        for bad in ["", "demo", "demo.", ".abc", "De Mo.abc", &format!("demo.{}", "x".repeat(MAX_COOKIE))] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
