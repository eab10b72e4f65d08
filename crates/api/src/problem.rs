//! Problems: how errors look over HTTP (RFC 9457). The only place that maps errors to status codes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mandate_engine::{Denied, EngineError, ResolveError, StartError};
use mandate_gate::{Refusal, RefusalKind};
use mandate_identity::TokenError;
use mandate_journal::{CommitError, StoreError};
use mandate_kernel::DecisionId;
use serde::Serialize;

/// One place in the request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the request.
    pub pointer: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `https://mandate.dev/problems/CODE`.
    #[serde(rename = "type")]
    pub type_: String,
    /// One fixed sentence for the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened here, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The decision behind a refusal; it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Places in the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of a kind.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, title: &str) -> Self {
        Self {
            type_: format!("https://mandate.dev/problems/{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            decision: None,
            errors: Vec::new(),
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn decision(mut self, decision: DecisionId) -> Self {
        self.decision = Some(decision);
        self
    }

    pub(crate) fn error(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), message: message.into() });
        self
    }

    /// There is no such thing for this caller: absent, or not to be seen.
    pub(crate) fn absent(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing here, or you may not see it").detail(what)
    }

    pub(crate) fn invalid(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, "The request is not valid").detail(detail)
    }

    pub(crate) fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first").detail(detail)
    }

    /// A token that is not good. The reason is told: it is about the caller's own token, and never
    /// repeats a part of it.
    pub(crate) fn token(error: &TokenError) -> Self {
        let (code, title) = match error {
            TokenError::Expired => ("token-expired", "The token has expired; sign in again"),
            TokenError::NotYetValid => ("token-not-yet-valid", "The token is not valid yet"),
            TokenError::UnknownKey | TokenError::WrongIssuer => ("token-foreign", "Nobody here trusts its issuer"),
            TokenError::WrongAudience => ("token-wrong-audience", "The token is for somebody else"),
            TokenError::BadSignature => ("token-altered", "The token is not what its issuer signed"),
            TokenError::Algorithm | TokenError::Extension => {
                ("token-algorithm", "The token is not signed as it must be")
            }
            TokenError::WrongType => ("token-wrong-type", "The token is of another kind"),
            TokenError::TooLarge | TokenError::Malformed | TokenError::Subject | TokenError::Groups => {
                ("token-malformed", "The token can't be understood")
            }
        };
        Self::new(StatusCode::UNAUTHORIZED, code, title).detail(error.to_string())
    }

    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let code = match &refusal.kind {
            RefusalKind::Policy(_) => "policy-denied",
            other => other.code(),
        };
        Self::new(StatusCode::FORBIDDEN, code, "Refused by policy")
            .detail(refusal.kind.to_string())
            .decision(refusal.decision.clone())
    }

    fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not now; nothing was changed").detail(detail)
    }

    /// The cause of an internal error goes to the log, never into the answer.
    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong here; it is in the server's log")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) | StoreError::Closed => Self::unavailable(error.to_string()),
            StoreError::Corrupt(_) => Self::internal(&error),
        }
    }
}

impl From<CommitError> for Problem {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Store(error) => error.into(),
            CommitError::VersionConflict { .. } | CommitError::DuplicateStart { .. } | CommitError::Fenced { .. } => {
                Self::new(StatusCode::CONFLICT, "conflict", "Somebody else was faster").detail(error.to_string())
            }
            other => Self::internal(&other),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => error.into(),
            EngineError::Commit(error) => error.into(),
            EngineError::Absent(what) => Self::absent(&what),
            EngineError::Timeout(_) | EngineError::Witness(_) => Self::unavailable(error.to_string()),
            other => Self::internal(&other),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(refusal) => Self::refused(&refusal),
            Denied::Failed(error) => error.into(),
        }
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NotVisible(ref worker, ref decision) => {
                Self::absent(&format!("Worker {worker}")).decision(decision.clone())
            }
            StartError::BadRequest(why) => Self::invalid("invalid-start", why),
            StartError::Duplicate(run) => Self::new(StatusCode::CONFLICT, "duplicate-start", "Started before")
                .detail(format!("this Idempotency-Key started {run}")),
            StartError::Failed(error) => error.into(),
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NothingInDoubt(why) => {
                Self::new(StatusCode::CONFLICT, "nothing-in-doubt", "Nothing is in doubt there").detail(why)
            }
            ResolveError::Failed(error) => error.into(),
        }
    }
}
