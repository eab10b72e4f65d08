//! Metrics, for the machine's own monitoring and for those who may read the ledger.

use crate::auth::Authenticated;
use crate::{ApiState, Problem, measure};
use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use mandate_engine::Target;
use mandate_kernel::Action;
use std::net::SocketAddr;

/// Who asks for metrics.
pub(crate) enum Watcher {
    /// Somebody on this machine, at a server that nobody else reaches: all series.
    Here,
    /// A caller: the series of their tenant.
    Caller(Box<Authenticated>),
}

/// What a proxy adds: the peer is the proxy then, and not who asks.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];

impl FromRequestParts<ApiState> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        let forwarded = FORWARDED.iter().any(|name| parts.headers.contains_key(*name));
        let named = parts.headers.contains_key(header::AUTHORIZATION) || parts.headers.contains_key(header::COOKIE);
        // A server that others reach by https may stand behind a proxy on this machine that adds no header: there
        // every peer is a neighbour, and only a name tells who asks.
        let at_home = !state.door.secure;
        if at_home && peer.is_some_and(|ip| ip.is_loopback()) && !forwarded && !named {
            return Ok(Self::Here);
        }
        Ok(Self::Caller(Box::new(Authenticated::from_request_parts(parts, state).await?)))
    }
}

pub(crate) async fn metrics(State(state): State<ApiState>, watcher: Watcher) -> Result<Response, Problem> {
    let text = match watcher {
        Watcher::Here => measure::text(&state, None).await?,
        Watcher::Caller(who) => {
            state.engine.authorize(&who.context, &who.caller, Action::LedgerRead, &Target::Ledger).await?;
            measure::text(&state, Some(who.context.tenant())).await?
        }
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
