//! Problems (RFC 9457) as answers.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mandate_verifier::HopRefusal;
use serde_json::json;

/// A problem of type `about:blank` (RFC 9457 §4.2.1): the status says what it is.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

/// What a caller is told when its token was refused.
pub(crate) fn refusal(refusal: &HopRefusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = problem(status, &refusal.to_string());
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        && let Ok(challenge) = refusal.www_authenticate().parse()
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The service's own fault; the cause is logged, not told.
pub(crate) fn internal(what: &str, cause: &dyn std::fmt::Display) -> Response {
    tracing::warn!(what, %cause, "a service of the development house failed");
    problem(StatusCode::SERVICE_UNAVAILABLE, "the service could not do it now; nothing was kept")
}
