//! Authentication: a bearer token of the tenant's provider becomes a caller.

use crate::{ApiState, Problem};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use mandate_engine::TenantContext;
use mandate_identity::TokenError;
use mandate_kernel::Caller;
use std::sync::Arc;

/// The most bytes of a token that are looked at.
const MAX_TOKEN: usize = 16 * 1024;

/// A verified caller, with their tenant.
pub(crate) struct Authenticated {
    pub caller: Caller,
    pub context: Arc<TenantContext>,
}

impl FromRequestParts<ApiState> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let token = bearer(parts)?;
        let now = state.engine.ports().clock.now();
        let verified = state.providers.verify(token, now).map_err(|error| refuse(&error))?;
        let caller = verified.caller;
        let context = state
            .engine
            .tenant(caller.tenant())
            .ok_or_else(|| Problem::unauthenticated("the tenant of this token is not served here"))?;
        Ok(Self { caller, context })
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| Problem::unauthenticated("send `Authorization: Bearer TOKEN`"))?;
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
/// browser on this machine must not reach it under another site's name (DNS rebinding). A request of
/// another site can't be authenticated either way: there are no cookies, only bearer tokens.
pub(crate) async fn own_host(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !state.hosts.is_empty() && !state.hosts.iter().any(|own| own == host) {
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong-host", "This server does not go by that name")
            .into_response();
    }
    next.run(request).await
}
