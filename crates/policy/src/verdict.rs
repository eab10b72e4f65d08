//! What is answered: a verdict, and the policies and facts that it rests on.

use mandate_kernel::{Digest, GroupName};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// A policy permits and none forbids.
    Allow,
    /// A policy permits, and only these gates stand in the way.
    NotYet {
        /// Every gate to be passed, sorted; never empty.
        gates: Vec<GateDemand>,
    },
    /// No.
    Deny {
        /// Why.
        reason: DenyReason,
    },
}

/// A gate to be passed, and the policy that demands it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GateDemand {
    /// How it is passed.
    pub kind: GateKind,
    /// The id of the policy.
    pub policy: String,
}

/// How a gate is passed. Text form, in `@gate(…)` and in [`crate::Facts::passed_gates`]: `step-up`,
/// `approval:GROUP`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GateKind {
    /// By a fresh proof of the initiator's presence.
    StepUp,
    /// By a member of a group who says yes to this very request.
    Approval {
        /// Which group.
        group: GroupName,
    },
}

/// The text names no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a gate: write `step-up` or `approval:GROUP`")]
pub struct GateError {
    given: String,
}

impl fmt::Display for GateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StepUp => f.write_str("step-up"),
            Self::Approval { group } => write!(f, "approval:{group}"),
        }
    }
}

impl FromStr for GateKind {
    type Err = GateError;
    fn from_str(text: &str) -> Result<Self, GateError> {
        let unknown = || GateError { given: text.chars().take(80).collect() };
        match text.split_once(':') {
            None if text == "step-up" => Ok(Self::StepUp),
            Some(("approval", group)) => Ok(Self::Approval { group: group.parse().map_err(|_| unknown())? }),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for GateKind {
    type Error = GateError;
    fn try_from(text: String) -> Result<Self, GateError> {
        text.parse()
    }
}

impl From<GateKind> for String {
    fn from(kind: GateKind) -> Self {
        kind.to_string()
    }
}

/// Why a verdict is no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenyReason {
    /// There is no policy at all.
    NoPolicy,
    /// The question contradicts itself, or lacks facts that the action can't be judged without.
    BadQuestion,
    /// A policy that applies failed to evaluate. Had it been skipped, a rule would have vanished.
    EvaluationError,
    /// A policy forbids.
    Forbidden,
    /// No policy permits.
    NotPermitted,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// What it rests on.
    pub explanation: Explanation,
    /// The policies it was made by: [`crate::PolicySet::digest`].
    pub policy_digest: Digest,
}

impl Decision {
    /// Whether the answer is an unconditional yes.
    #[must_use]
    pub const fn is_allow(&self) -> bool {
        matches!(self.verdict, Verdict::Allow)
    }
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The policies that made it so, sorted by id: of a no those that forbid or failed, of a yes those that
    /// permit and those set aside because their gate was passed, of a not-yet those that permit and
    /// those that demand a gate. Empty when nothing applied.
    pub determining: Vec<PolicyRef>,
    /// Everything the policies could look at. The arguments of a step are given by their digest.
    pub facts: serde_json::Value,
    /// What went wrong, in words: evaluation errors, missing facts.
    pub errors: Vec<String>,
    /// One plain sentence.
    pub summary: String,
}

/// One policy, as an explanation names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    /// Whether it permits or forbids.
    pub effect: Effect,
    /// Its annotations other than `@id`, such as `description`.
    pub annotations: BTreeMap<String, String>,
}

/// What a policy does when it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It permits.
    Permit,
    /// It forbids, whatever permits.
    Forbid,
}
