//! Why a call was refused, and how to tell its sender.

use mandate_identity::{HopError, RequestError, Scope, dpop::DpopError};
use mandate_kernel::Environment;

/// Why a call was refused. No variant carries any part of the token or of the proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HopRefusal {
    /// No `Authorization` header.
    #[error("the request carries no token")]
    NoToken,
    /// Another scheme than `DPoP`: a bearer token proves nothing about its sender.
    #[error("the authorization scheme is not DPoP")]
    Scheme,
    /// A header twice, or with characters that it can't have.
    #[error("header `{0}` is repeated or malformed")]
    Headers(&'static str),
    /// The request has no canonical form, so no token can be for it.
    #[error("the request is not in normal form: {0}")]
    Request(#[from] RequestError),
    /// The token itself is not good.
    #[error(transparent)]
    Token(#[from] HopError),
    /// The token's run belongs to another tenant.
    #[error("the token belongs to another tenant")]
    Tenant,
    /// The token is for another environment.
    #[error("the token is for another environment than `{0}`")]
    Environment(Environment),
    /// The token lacks the scope.
    #[error("the token lacks scope `{0}`")]
    Scope(Scope),
    /// The token doesn't allow the function.
    #[error("the token does not allow this function")]
    Function,
    /// An argument is missing or outside its limit.
    #[error("argument `{0}` is outside what the token allows")]
    Argument(String),
    /// The token was made for another request: method, URL, body, content type or idempotency key.
    #[error("the token was made for another request")]
    RequestDigest,
    /// The token names no key, so that anyone could have sent it.
    #[error("the token is not bound to a key")]
    Unbound,
    /// No `DPoP` header.
    #[error("the request carries no proof of possession")]
    NoProof,
    /// The proof is not good.
    #[error(transparent)]
    Proof(#[from] DpopError),
    /// The token was used before.
    #[error("the token was used before")]
    TokenReplayed,
    /// The proof was used before.
    #[error("the proof of possession was used before")]
    ProofReplayed,
    /// Whether the token was used before can't be told now.
    #[error("the record of used tokens is full or out of reach; try again later")]
    ReplayUnknown,
}

impl HopRefusal {
    /// The HTTP status to answer with.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Headers(_) | Self::Request(_) => 400,
            Self::Scope(_) | Self::Function | Self::Argument(_) => 403,
            Self::ReplayUnknown => 503,
            _ => 401,
        }
    }

    /// The error code of RFC 6750 §3.1 or RFC 9449 §7.1. `None` where the request lacked credentials,
    /// about which RFC 6750 says to tell nothing, or where the fault is the receiver's.
    #[must_use]
    pub const fn error_code(&self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::Scheme | Self::ReplayUnknown => None,
            Self::Headers(_) | Self::Request(_) => Some("invalid_request"),
            Self::Scope(_) | Self::Function | Self::Argument(_) => Some("insufficient_scope"),
            Self::NoProof | Self::Proof(_) | Self::ProofReplayed => Some("invalid_dpop_proof"),
            Self::Token(_)
            | Self::Tenant
            | Self::Environment(_)
            | Self::RequestDigest
            | Self::Unbound
            | Self::TokenReplayed => Some("invalid_token"),
        }
    }

    /// The `WWW-Authenticate` header to answer with.
    #[must_use]
    pub fn www_authenticate(&self) -> String {
        let mut challenge = "DPoP algs=\"EdDSA\"".to_owned();
        if let Some(code) = self.error_code() {
            challenge.push_str(&format!(", error=\"{code}\""));
        }
        // A scope token holds neither `"` nor `\`: it needs no quoting.
        if let Self::Scope(scope) = self {
            challenge.push_str(&format!(", scope=\"{scope}\""));
        }
        challenge
    }
}
