//! Refusals: one kind for each reason, with words that help.

use mandate_identity::Widening;
use mandate_journal::Problem;
use mandate_kernel::DecisionId;
use mandate_policy::Decision;

/// Why the gate refused. Each kind is a problem type of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusalKind {
    /// A policy forbids it, or none permits it.
    #[error("policy does not allow it: {0}")]
    Policy(String),
    /// There is no usable policy, or one failed to evaluate (I2).
    #[error("policy could not be evaluated, so it is refused: {0}")]
    PolicyFailed(String),
    /// What it is about is not there.
    #[error("there is no {0} here")]
    Absent(String),
    /// Authority it rests on was revoked.
    #[error("{0} was revoked after this run began")]
    Revoked(String),
    /// The Worker's manifest does not list the function.
    #[error("function {0} is not in the Worker's list of functions; add it to the manifest and apply")]
    FunctionNotListed(String),
    /// Scope, audience, argument, lifetime or depth outside the authority.
    #[error("outside the authority of this run: {0}")]
    OutsideAuthority(Widening),
    /// The function rests on the initiator's authority, but its receiver takes no token that could
    /// carry it.
    #[error(
        "function {0} acts on the initiator's authority, but its connection names no audience for a token; name one, or declare the function as service-account"
    )]
    NoAudience(String),
    /// Nobody connected the function's system in the run's environment.
    #[error(
        "function {function} has no connection in environment {environment}; apply one, or start the run in another environment"
    )]
    NoDestination {
        /// The function.
        function: String,
        /// The environment.
        environment: String,
    },
    /// The function rests on an embedded grant and there is none.
    #[error("no grant lets this Worker use {credential} through {function}; its owner can give one")]
    GrantMissing {
        /// The credential.
        credential: String,
        /// The function.
        function: String,
    },
    /// The grant was given to another version, environment or time.
    #[error("the grant {grant} does not cover this: {why}; {owner} can give it again")]
    GrantStale {
        /// The grant.
        grant: String,
        /// What changed.
        why: String,
        /// Who can give it again.
        owner: String,
    },
    /// The function's credential slot is bound to nothing.
    #[error("the credential slot of {0} is not bound; bind a credential in the Worker's manifest")]
    SlotUnbound(String),
    /// The credential's owner does not let it go there.
    #[error("credential {credential} may not be sent to {destination}; its owner sets its destinations")]
    DestinationNotAllowed {
        /// The credential.
        credential: String,
        /// Where it would have gone.
        destination: String,
    },
    /// The credential's owner does not let it be exchanged for tokens there.
    #[error("credential {credential} may not be exchanged where the document says; its owner sets the token endpoint")]
    ExchangeNotAllowed {
        /// The credential.
        credential: String,
    },
    /// The credential's owner lets it be exchanged for tokens, and be sent nowhere itself.
    #[error("credential {credential} is exchanged for tokens, and goes nowhere itself; use oauth2 or oidc")]
    ExchangedOnly {
        /// The credential.
        credential: String,
    },
    /// The credential belongs to another environment.
    #[error("credential {credential} belongs to {has}, the run to {run}")]
    WrongEnvironment {
        /// The credential.
        credential: String,
        /// Its environment.
        has: String,
        /// The run's.
        run: String,
    },
}

impl RefusalKind {
    /// The stable problem type, the last segment of its URI.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Policy(_) => "policy-denied",
            Self::PolicyFailed(_) => "policy-failed",
            Self::Absent(_) => "not-found",
            Self::Revoked(_) => "authority-revoked",
            Self::FunctionNotListed(_) => "function-not-listed",
            Self::OutsideAuthority(_) => "outside-authority",
            Self::NoAudience(_) => "no-audience",
            Self::NoDestination { .. } => "no-destination",
            Self::GrantMissing { .. } => "grant-missing",
            Self::GrantStale { .. } => "grant-stale",
            Self::SlotUnbound(_) => "slot-unbound",
            Self::DestinationNotAllowed { .. } => "destination-not-allowed",
            Self::ExchangeNotAllowed { .. } => "exchange-not-allowed",
            Self::ExchangedOnly { .. } => "credential-exchanged-only",
            Self::WrongEnvironment { .. } => "wrong-environment",
        }
    }
}

/// A refusal: the decision that was made, and why.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The decision's id; it is in the ledger.
    pub decision: DecisionId,
    /// Why.
    pub kind: RefusalKind,
    /// The policy decision with its explanation; `None` where a rule of the gate itself refused first.
    pub policy: Option<Decision>,
}

impl Refusal {
    /// As a problem (RFC 9457).
    #[must_use]
    pub fn problem(&self) -> Problem {
        Problem {
            type_: format!("https://mandate.dev/problems/{}", self.kind.code()),
            title: "Refused by policy".to_owned(),
            status: 403,
            detail: Some(self.kind.to_string()),
            instance: None,
            decision: Some(self.decision.clone()),
        }
    }
}
