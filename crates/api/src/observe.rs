//! What holds for every request: a name of its own, a span, a count, and an answer also when a handler
//! breaks.

use crate::{ApiState, Problem};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use mandate_kernel::RequestId;
use metrics::{counter, histogram};
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use tracing::Instrument as _;

/// Names the request in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The route of what no endpoint answers.
const NO_ROUTE: &str = "(none)";

tokio::task_local! {
    static CURRENT: RequestId;
}

/// The request at hand, as a URI for `instance`; `None` outside of one.
pub(crate) fn instance() -> Option<String> {
    CURRENT.try_with(|id| format!("urn:mandate:request:{id}")).ok()
}

/// Names, measures and guards a request.
pub(crate) async fn observe(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let ports = state.engine.ports();
    let id = match RequestId::generate(ports.clock.now(), ports.entropy.as_ref()) {
        Ok(id) => id,
        Err(error) => return Problem::internal_error(error).into_response(),
    };
    let method = method_of(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request = %id, method, route, status = tracing::field::Empty);
    let begun = Instant::now();
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    let guarded = async {
        match answering.await {
            Ok(response) => response,
            // The hook has logged what broke and where.
            Err(_) => Problem::internal_error("a handler broke").into_response(),
        }
    };
    let mut response = CURRENT.scope(id.clone(), guarded).instrument(span.clone()).await;
    let status = response.status();
    span.record("status", status.as_u16());
    let labels = [("method", method.to_owned()), ("route", route.clone()), ("status", status.as_u16().to_string())];
    counter!("mandate_http_requests_total", &labels).increment(1);
    histogram!("mandate_http_request_seconds", "route" => route).record(begun.elapsed());
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if status.is_client_error() || status.is_server_error() {
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// A label from a closed set: clients make up methods.
fn method_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
