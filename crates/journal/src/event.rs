//! Journal events: what replaying a run needs, versioned. Values are named by commitment only.

use crate::Stored;
use mandate_kernel::{
    ApprovalId, Attempt, DecisionId, Digest, EffectClass, LeaseId, StepPath, StepSeq, Timestamp, TokenId,
};
use serde::{Deserialize, Serialize};

/// The version of the event format this code writes. Older versions stay readable.
pub const JOURNAL_VERSION: u32 = 1;

/// One event of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEvent {
    /// Format version, see [`JOURNAL_VERSION`].
    pub v: u32,
    /// Position in the run's journal, from 1, without gaps.
    pub seq: u64,
    /// When it happened, by the engine's clock.
    pub at: Timestamp,
    /// What happened.
    pub body: EventBody,
}

/// A problem in the form of RFC 9457, safe to show: it never holds a secret or a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable URI for the kind of problem.
    #[serde(rename = "type")]
    pub type_: String,
    /// A short, fixed sentence for the kind.
    pub title: String,
    /// HTTP-like status.
    pub status: u16,
    /// What happened here, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The step it happened at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The decision that refused, where one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The effect returned a value.
    Value(Stored),
    /// The effect failed for certain: nothing was done, or the receiver said no.
    Error(Problem),
}

/// Why nobody knows what became of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The process ended between sending and recording.
    Crash,
    /// The connection broke after the request was sent.
    Connection,
    /// A stop cancelled it on the wire.
    Stopped,
}

/// A person's word on an effect in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// It happened; the run goes on with the value given.
    Happened,
    /// It did not happen; the step may be attempted again under a new decision.
    DidNotHappen,
}

/// Why a gate was not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declined {
    /// Somebody said no.
    Denied,
    /// Nobody answered in time.
    Expired,
}

/// Journals written before approvals existed gated first attempts only.
const fn first_attempt() -> Attempt {
    Attempt(1)
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum EventBody {
    /// The run began with this input.
    Started {
        /// The input.
        input: Stored,
        /// Version of the machine that drives the run.
        machine: u32,
    },
    /// An attempt was admitted: from here on the effect may happen.
    Admitted {
        /// Which step.
        step: StepSeq,
        /// Which attempt at it.
        attempt: Attempt,
        /// Where in the document.
        path: StepPath,
        /// The function called.
        function: String,
        /// The decision that allowed it.
        decision: DecisionId,
        /// Digest of exactly the request that was judged.
        request: Digest,
        /// The frozen arguments: what a repeated attempt sends again.
        arguments: Stored,
        /// What a repetition would do.
        effect: EffectClass,
        /// `jti` of the hop token minted for the attempt, where one is.
        token: Option<TokenId>,
        /// The lease taken for the attempt, where one is.
        lease: Option<LeaseId>,
        /// Digest of the envelope minted for this step.
        envelope: Digest,
        /// When the permit expires.
        not_after: Timestamp,
    },
    /// A step ended; the machine is told.
    Returned {
        /// Which step.
        step: StepSeq,
        /// Which attempt.
        attempt: Attempt,
        /// How.
        outcome: Outcome,
    },
    /// An attempt failed in a way worth repeating; a timer will ask again.
    AttemptFailed {
        /// Which step.
        step: StepSeq,
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        problem: Problem,
        /// When the next attempt is due.
        retry_at: Timestamp,
    },
    /// Nobody knows whether the effect happened.
    InDoubt {
        /// Which step.
        step: StepSeq,
        /// Which attempt.
        attempt: Attempt,
        /// Why it is unknown.
        why: Doubt,
    },
    /// A person said what became of an effect in doubt.
    Resolved {
        /// Which step.
        step: StepSeq,
        /// Their word.
        resolution: Resolution,
        /// Who.
        by: String,
        /// The value the run goes on with, for [`Resolution::Happened`].
        value: Option<Stored>,
    },
    /// An expression ended by a limit of the process that evaluated it, or with that process. Another time, on
    /// another machine, it might not have: a replay takes this for its outcome.
    EvaluationEnded {
        /// The machine's evaluation.
        evaluation: u32,
        /// The limit; `None` when the process ended without telling.
        limit: Option<String>,
    },
    /// The machine asked to sleep.
    TimerSet {
        /// The machine's timer.
        timer: u32,
        /// When it is due.
        due: Timestamp,
    },
    /// A timer of the machine fired.
    Woke {
        /// The machine's timer.
        timer: u32,
    },
    /// The machine emitted an event.
    Emitted {
        /// Which of the run's events, from 1.
        emit: u32,
        /// The event, a CloudEvent.
        event: Stored,
    },
    /// An event came for the run; the machine is told.
    Received {
        /// Its `source`.
        source: String,
        /// Its `id`, unique with the source: the same is taken once.
        id: String,
        /// Its `type`.
        kind: String,
        /// The event, a CloudEvent.
        event: Stored,
    },
    /// The verdict was "not yet": the run waits for these gates over this request.
    Gated {
        /// Which step.
        step: StepSeq,
        /// Where in the document.
        path: StepPath,
        /// The gates demanded, `step-up` or `approval:GROUP`.
        gates: Vec<String>,
        /// Digest of exactly the request that waits.
        request: Digest,
        /// The decision.
        decision: DecisionId,
        /// The attempt that would be admitted.
        #[serde(default = "first_attempt")]
        attempt: Attempt,
        /// The approvals that were asked for, in the order of the gates.
        #[serde(default)]
        approvals: Vec<ApprovalId>,
        /// When the run stops waiting; `None` for gates that nobody can answer yet.
        #[serde(default)]
        until: Option<Timestamp>,
    },
    /// The document asks a person: the run waits for their answer, which comes as [`Self::Returned`].
    Asked {
        /// Which step.
        step: StepSeq,
        /// Which attempt at it.
        attempt: Attempt,
        /// Where in the document.
        path: StepPath,
        /// The function called.
        function: String,
        /// The decision that allowed the question.
        decision: DecisionId,
        /// The approval.
        approval: ApprovalId,
        /// When the run stops waiting.
        until: Timestamp,
    },
    /// The person who was asked has answered.
    Answered {
        /// Which step.
        step: StepSeq,
        /// The approval.
        approval: ApprovalId,
        /// Whether they approved.
        approved: bool,
        /// Who, as a subject.
        by: String,
        /// What they said: comment and form.
        answer: Stored,
    },
    /// A gate was passed: somebody approved this exact request.
    Approved {
        /// Which step.
        step: StepSeq,
        /// The approval.
        approval: ApprovalId,
        /// The gate, `approval:GROUP`.
        gate: String,
        /// What it is bound to.
        binding: Digest,
        /// Who, as a subject.
        by: String,
        /// When the word loses its force.
        until: Timestamp,
    },
    /// A gate was not passed: the step will not be taken.
    Declined {
        /// Which step.
        step: StepSeq,
        /// The approval.
        approval: ApprovalId,
        /// Why.
        why: Declined,
        /// Who, as a subject; `None` when time ran out.
        by: Option<String>,
    },
    /// The run ended.
    Ended {
        /// The result, if it completed.
        output: Option<Stored>,
        /// The signed artefact made of it, where the Worker declares one.
        artifact: Option<Stored>,
        /// Why not, if it did not.
        problem: Option<Problem>,
    },
}
