//! What is declared of a function: what a call does to the world, and as whom it is made.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What calling a function does to the world, and so what a repeated attempt would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectClass {
    /// Changes nothing: may be repeated under a new decision.
    Read,
    /// Changes something once per idempotency key: may be repeated with the same key.
    Idempotent,
    /// Changes something each time: never repeated blindly.
    Once,
}

impl EffectClass {
    /// Every member.
    pub const ALL: &'static [Self] = &[Self::Read, Self::Idempotent, Self::Once];

    /// The member as policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Idempotent => "idempotent",
            Self::Once => "once",
        }
    }
}

/// As whom a function is called (missions 27–31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityModel {
    /// As an account of its own, by an embedded grant of the credential's owner. Weak, and labelled so.
    ServiceAccount,
    /// As the initiator, with a token the initiator's own provider issued for that audience.
    UserPassthrough,
    /// As the Worker on behalf of the initiator, by token exchange.
    Delegated,
    /// As the Worker, bound to this run, step and request, with the envelope beside it.
    WorkflowBound,
    /// As the initiator after a fresh sign-in.
    StepUp,
}

impl IdentityModel {
    /// Every member.
    pub const ALL: &'static [Self] =
        &[Self::ServiceAccount, Self::UserPassthrough, Self::Delegated, Self::WorkflowBound, Self::StepUp];

    /// The member as policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "service-account",
            Self::UserPassthrough => "user-passthrough",
            Self::Delegated => "delegated",
            Self::WorkflowBound => "workflow-bound",
            Self::StepUp => "step-up",
        }
    }
}

impl fmt::Display for EffectClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for IdentityModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
