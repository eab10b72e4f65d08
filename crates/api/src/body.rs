//! Reading requests: bounded, strict, with problems that say where.

use crate::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{StatusCode, header, request::Parts};
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
        let invalid = |e: serde_json::Error| Problem::invalid("invalid-body", e.to_string());
        // What a member named twice means depends on who reads it, so it means nothing here.
        mandate_identity::unambiguous(&bytes).map_err(invalid)?;
        // A list in the place of an object would fill its members in by their order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Problem::invalid("invalid-body", "send one JSON object"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(invalid)
    }
}

/// A query string of a known shape.
pub(crate) struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(wrong) => Err(Problem::invalid("invalid-query", wrong.body_text())),
        }
    }
}

/// What the path names. A path that can't name anything names nothing here.
pub(crate) struct Named<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Problem::absent("what this path names")),
        }
    }
}
