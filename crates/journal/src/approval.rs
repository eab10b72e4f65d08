//! Approvals: what a run waits for when a policy, or its document, wants a person's word.

use crate::Stored;
use mandate_kernel::{
    ApprovalId, Attempt, Digest, FunctionName, GroupName, ResourceName, RunId, StepSeq, Timestamp, canonical_json,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalKind {
    /// A guard: a policy lets the step pass only once somebody approved this exact request.
    Gate,
    /// A review: the document asks a person, and their answer is data. It guards nothing.
    Review,
}

/// Where an approval stands. Text forms are part of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalState {
    /// Somebody has to answer.
    Pending,
    /// Yes.
    Approved,
    /// No.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// The run ended before anybody answered.
    Withdrawn,
}

impl ApprovalState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Withdrawn];

    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// An approval as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// Its id.
    pub approval: ApprovalId,
    /// The run that waits.
    pub run: RunId,
    /// The step that waits.
    pub step: StepSeq,
    /// The attempt at it that would be admitted.
    pub attempt: Attempt,
    /// What an answer means.
    pub kind: ApprovalKind,
    /// Who may answer: members of these groups.
    pub groups: BTreeSet<GroupName>,
    /// The Worker.
    pub worker: ResourceName,
    /// The function that waits.
    pub function: FunctionName,
    /// What the answer is bound to: step, exact request, function, destination, Worker and credential
    /// versions. An approver submits it with the answer.
    pub binding: Digest,
    /// What people are shown, sealed under the initiator's key.
    pub view: Stored,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When it ends without an answer.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who answered, as a subject; `None` while pending and for what nobody answered.
    pub decided_by: Option<String>,
    /// When it left `pending`.
    pub decided_at: Option<Timestamp>,
    /// Comment and answer, sealed like the view.
    pub answer: Option<Stored>,
    /// The core's code over [`ApprovalRecord::authenticated`]; none in a row that the core didn't write.
    #[serde(skip)]
    pub proof: Option<Digest>,
}

impl ApprovalRecord {
    /// What [`ApprovalRecord::proof`] is made over: all else, as canonical JSON (RFC 8785). One that nobody
    /// answered keeps the code that it was asked with: runs withdraw their questions by ending.
    ///
    /// # Errors
    /// A message, for what canonical JSON can't hold.
    pub fn authenticated(&self) -> Result<Vec<u8>, String> {
        let mut row = self.clone();
        if matches!(row.state, ApprovalState::Expired | ApprovalState::Withdrawn) {
            (row.state, row.decided_at) = (ApprovalState::Pending, None);
        }
        canonical_json(&row).map_err(|error| error.to_string())
    }
}

/// A change to an approval within a transition. A transition that ends the run withdraws whatever of it
/// is pending; nobody has to say so.
#[expect(clippy::large_enum_variant, reason = "a transition holds a few of them")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalChange {
    /// Ask.
    Ask(Box<ApprovalRecord>),
    /// Settle one that is pending; one that isn't makes the transition invalid.
    Settle {
        /// Which.
        approval: ApprovalId,
        /// How.
        state: ApprovalState,
        /// By whom, as a subject.
        by: Option<String>,
        /// When.
        at: Timestamp,
        /// Comment and answer.
        answer: Option<Stored>,
        /// The core's code over the record as it is then; `None` keeps that of the question.
        proof: Option<Digest>,
    },
}

/// Which approvals, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApprovalQuery {
    /// At most this many.
    pub limit: usize,
    /// Only those asked before this one.
    pub before: Option<ApprovalId>,
    /// Only those in this state.
    pub state: Option<ApprovalState>,
    /// Only those of this run.
    pub run: Option<RunId>,
}
