//! Problems: how errors look over HTTP (RFC 9457). The only place that maps errors to status codes.

use crate::{observe, problem_types};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mandate_directory::SessionStoreError;
use mandate_engine::{AnswerError, Denied, EngineError, ResolveError, RollbackError, StartError};
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
    /// The request it answers, as `x-request-id` and the log name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The decision behind a refusal; it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
    /// Places in the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// After how many seconds it may be tried again; the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of a kind.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, title: &str) -> Self {
        debug_assert!(problem_types::is_known(code), "{code} is not in the list of problem types");
        Self {
            type_: format!("https://mandate.dev/problems/{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            instance: None,
            decision: None,
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// It may be tried again after this long; whole seconds, rounded up.
    pub(crate) fn retry_after(mut self, wait: mandate_kernel::Duration) -> Self {
        self.retry_after = Some(wait.as_millis().div_ceil(1_000));
        self
    }

    /// Something that should not happen; the cause goes to the log.
    pub(crate) fn internal_error(error: impl std::fmt::Display) -> Self {
        Self::internal(&error)
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

    /// The state was restored from a backup and not released: it can be looked at, and nothing else.
    #[must_use]
    pub fn quarantined() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "quarantined", "Restored from a backup, and not released")
            .detail("nothing is started, signed or changed before an administrator runs `mandate release`")
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

    /// The ledger is not what was written. What and where is told: whoever reads the ledger has to know.
    pub(crate) fn ledger_damaged(why: &str) -> Self {
        tracing::error!(why, "the ledger is damaged");
        let detail = format!(
            "{why}; rely on nothing in it, have the operator run `mandate audit verify --data-dir` and restore the newest backup that holds"
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ledger-damaged", "The ledger is damaged").detail(detail)
    }

    /// From an error met while reading the ledger: what is unreadable there is damage to it.
    pub(crate) fn of_ledger(error: impl Into<EngineError>) -> Self {
        match error.into() {
            EngineError::Store(StoreError::Corrupt(why)) | EngineError::Inconsistent(why) => Self::ledger_damaged(&why),
            other => other.into(),
        }
    }

    /// The node is being stopped; others are not.
    pub(crate) fn draining() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "This node is being stopped")
            .detail("it begins nothing new; ask again, and another node will answer")
            .retry_after(mandate_kernel::Duration::from_secs(1))
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
        let retry_after = self.retry_after;
        let code = self.type_.rsplit('/').next().unwrap_or_default();
        let detail = self.detail.clone().or_else(|| problem_types::meaning(code).map(str::to_owned));
        let named = Self { instance: self.instance.clone().or_else(observe::instance), detail, ..self };
        let mut response = (status, Json(named)).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
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

impl From<SessionStoreError> for Problem {
    fn from(error: SessionStoreError) -> Self {
        Self::unavailable(error.to_string())
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
            EngineError::LedgerDamaged { why, .. } => Self::ledger_damaged(&why),
            EngineError::Forged(what) => {
                tracing::error!(what, "a row is not as the server wrote it");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "row-forged", "The database was changed").detail(format!(
                    "{what} is not as the server wrote it; it counts for nothing. Have the database looked at"
                ))
            }
            EngineError::Timeout(_) | EngineError::Witness(_) | EngineError::HeldElsewhere(_) => {
                Self::unavailable(error.to_string())
            }
            EngineError::Draining => Self::draining(),
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
            StartError::Lapsed(why) => Self::invalid("invalid-start", why),
            StartError::BadRequest(why) => Self::invalid("invalid-start", why),
            StartError::Duplicate(run) => Self::new(StatusCode::CONFLICT, "duplicate-start", "Started before")
                .detail(format!("this Idempotency-Key started {run}")),
            StartError::Busy(busy) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-runs", "Too many runs at once")
                    .detail(busy.to_string())
                    .retry_after(mandate_kernel::Duration::from_secs(busy.retry_after.as_secs()))
            }
            StartError::Failed(error) => error.into(),
        }
    }
}

impl From<RollbackError> for Problem {
    fn from(error: RollbackError) -> Self {
        let detail = error.to_string();
        match error {
            RollbackError::NotEnded(_) => {
                Self::new(StatusCode::CONFLICT, "run-not-ended", "The run has not ended").detail(detail)
            }
            RollbackError::Nothing(_) => {
                Self::new(StatusCode::CONFLICT, "nothing-to-undo", "Nothing can be undone").detail(detail)
            }
            RollbackError::Reason(_) => Self::invalid("invalid-start", detail),
            RollbackError::Start(error) => error.into(),
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

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        let conflict =
            |code: &str| Self::new(StatusCode::CONFLICT, code, "The answer was not taken").detail(error.to_string());
        match error {
            AnswerError::Settled(_) => conflict("already-decided"),
            AnswerError::Late(_) => conflict("approval-late"),
            AnswerError::Mismatch => conflict("digest-mismatch"),
            AnswerError::SecondWord(_) => conflict("second-word"),
            AnswerError::Form(why) => Self::invalid("form-mismatch", why).error("/answer", "does not fit the form"),
            AnswerError::Denied(denied) => match denied {
                Denied::Refused(refusal) if matches!(refusal.kind, RefusalKind::Absent(_)) => {
                    Self::absent("approval").decision(refusal.decision)
                }
                other => other.into(),
            },
            AnswerError::Failed(error) => error.into(),
        }
    }
}
