//! Reading request bodies: bounded, JSON, with errors that say where.

use crate::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use mandate_kernel::Limits;
use serde::de::DeserializeOwned;

/// A JSON body of a known shape.
pub(crate) struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json =
            request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
                v.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
            });
        if !json {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", "Send application/json"));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|_| {
            let limit = Limits::DEFAULT.request_body;
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large")
                .detail(format!("at most {limit} bytes"))
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|e| Problem::invalid("invalid-body", format!("line {}, column {}: {e}", e.line(), e.column())))
    }
}
