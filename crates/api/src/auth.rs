//! Authentication: a bearer token of the tenant's provider, or the cookie of a session, becomes a caller.
//! Beside it what holds for every answer: which host was asked, and the headers browsers are told.

use crate::session::{SessionSecret, by_cookie};
use crate::{ApiState, Problem};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mandate_directory::SessionRecord;
use mandate_engine::TenantContext;
use mandate_identity::{TokenError, Verified, claimed_issuer};
use mandate_kernel::{Caller, Limits, Timestamp};
use std::sync::Arc;

/// The most bytes of a token that are looked at.
const MAX_TOKEN: usize = 16 * 1024;

/// A verified caller, with their tenant.
pub(crate) struct Authenticated {
    pub caller: Caller,
    pub context: Arc<TenantContext>,
    /// When they have to come again: the end of the token, or of the session.
    pub until: Timestamp,
    /// The session they came by, if it was one.
    pub session: Option<(SessionSecret, SessionRecord)>,
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let cookie = state.door.session_cookie(&parts.headers)?.map(str::to_owned);
        match (parts.headers.contains_key(header::AUTHORIZATION), cookie) {
            (true, Some(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "two-identities", "Two identities at once")
                .detail("send a token or a session's cookie, not both: nobody could tell who is meant")),
            (false, Some(cookie)) => by_cookie(state, parts, &cookie).await,
            (_, None) => by_token(state, parts).await,
        }
    }
}

async fn by_token(state: &ApiState, parts: &Parts) -> Result<Authenticated, Problem> {
    let now = state.engine.ports().clock.now();
    let token = bearer(parts)?;
    let address = state.door.throttle.address(parts);
    state.door.throttle.not_locked(address, now)?;
    let verified = match verify(state, token).await {
        Ok(verified) => verified,
        Err(error) => {
            // An expired token was a good one: its holder is late, not guessing.
            if error != TokenError::Expired {
                state.door.throttle.wrong_token(address, now);
            }
            return Err(refuse(&error));
        }
    };
    let (caller, until) = (verified.caller, verified.expires_at);
    let context = state
        .engine
        .tenant(caller.tenant())
        .ok_or_else(|| Problem::unauthenticated("the tenant of this token is not served here"))?;
    Ok(Authenticated { caller, context, until, session: None })
}

/// Verifies a token; one with a key that is not known once more, if its issuer's keys could be read anew.
async fn verify(state: &ApiState, token: &str) -> Result<Verified, TokenError> {
    let now = || state.engine.ports().clock.now();
    match state.providers.verify(token, now()) {
        Err(TokenError::UnknownKey) => match claimed_issuer(token) {
            Some(issuer) if state.door.sign_in.reread_keys(&issuer).await => state.providers.verify(token, now()),
            _ => Err(TokenError::UnknownKey),
        },
        answer => answer,
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value =
        values.next().ok_or_else(|| Problem::unauthenticated("send `Authorization: Bearer TOKEN`, or sign in"))?;
    if values.next().is_some() {
        return Err(Problem::unauthenticated("send one Authorization header"));
    }
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token.len() <= MAX_TOKEN)
        .map(|(_, token)| token)
        .ok_or_else(|| Problem::unauthenticated("send `Authorization: Bearer TOKEN`"))
}

/// Whoever holds no good token is nobody, so that no tenant's ledger can hold it: it is logged.
fn refuse(error: &TokenError) -> Problem {
    tracing::warn!(reason = %error, "token refused");
    Problem::token(error)
}

/// Refuses requests that name a host this server does not go by, where it was told its names: a
/// browser on this machine must not reach it under another site's name (DNS rebinding).
pub(crate) async fn own_host(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let misdirected = || {
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", "This server does not go by that name")
            .into_response()
    };
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().and_then(|v| v.to_str().ok()).unwrap_or_default();
    // Several names, or one in the request's target that differs, are for confusing whoever stands between.
    let authority = request.uri().authority().map(|authority| authority.as_str());
    if hosts.next().is_some() || authority.is_some_and(|named| !host.is_empty() && named != host) {
        return misdirected();
    }
    let named = if host.is_empty() { authority.unwrap_or_default() } else { host };
    if !state.hosts.is_empty() && !state.hosts.iter().any(|own| own == named) {
        return misdirected();
    }
    // What is announced as too large need not be waited for.
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > Limits::DEFAULT.request_body as u64) {
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
            .detail(format!("at most {} bytes", Limits::DEFAULT.request_body))
            .into_response();
    }
    next.run(request).await
}

/// What browsers are told with every answer that doesn't say otherwise: it is data, to be shown nowhere,
/// framed nowhere, guessed at never, and kept by nobody.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers of [`HEADERS`] where an answer has none of its own.
pub(crate) async fn told_to_browsers(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in &HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if state.door.secure {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY).or_insert(year);
    }
    response
}
