//! What the machine asks for and what it is told.

use crate::{
    error::{Failure, WorkflowError},
    expr::{ExprError, Expression},
};
use mandate_kernel::{Duration, FunctionName, Labels, RunId, StepPath, StepSeq, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A value with its labels. The two never part (I7).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labelled {
    /// The value.
    pub value: Value,
    /// Its labels.
    pub labels: Labels,
}

/// How a run begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The run.
    pub run: RunId,
    /// Its input.
    pub input: Labelled,
    /// When it began, by the engine's clock.
    pub started_at: Timestamp,
}

/// Names one evaluation of a run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvalId(pub u32);

/// Names one timer of a run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TimerId(pub u32);

/// Names one event that a run emits, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmitId(pub u32);

/// Names one listening task of a run, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListenId(pub u32);

/// One expression to evaluate, with all it may see. The result depends on nothing else.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Which evaluation.
    pub id: EvalId,
    /// Where in the document, for explanations.
    pub path: StepPath,
    /// The compiled expression, or a value with expressions inside.
    pub expression: Arc<Expression>,
    /// What `.` is.
    pub input: Arc<Value>,
    /// The variables the expression names, without `$`, and no others.
    pub variables: BTreeMap<String, Arc<Value>>,
}

/// Something the machine asked for and was not told about yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open {
    /// An evaluation.
    Evaluation(EvalId),
    /// A call.
    Call(StepSeq),
    /// A timer.
    Timer(TimerId),
    /// An event to emit.
    Emit(EmitId),
    /// A task that listens: it may be told of many events.
    Listen(ListenId),
}

/// What the machine wants done. It waits for the matching [`Event`]; several may be open at once.
#[derive(Debug, Clone)]
pub enum Intent {
    /// Evaluate an expression, in-process ([`crate::evaluate`]) or elsewhere.
    Evaluate(Evaluation),
    /// Call a function, through the gate.
    Call {
        /// Ordinal among the run's effects, from 1. A call repeated by `catch.retry` is a step of its
        /// own: it has a new ordinal.
        seq: StepSeq,
        /// Where in the document.
        path: StepPath,
        /// The function.
        function: FunctionName,
        /// Its arguments; their labels include those of the control flow that led here.
        arguments: Labelled,
    },
    /// Wake the run after a time.
    Sleep {
        /// Which timer.
        id: TimerId,
        /// Where in the document.
        path: StepPath,
        /// How long.
        duration: Duration,
    },
    /// Emit a CloudEvent.
    Emit {
        /// Which.
        id: EmitId,
        /// Where in the document.
        path: StepPath,
        /// The event: its attributes and `data`. Its labels include those of the control flow that led here.
        event: Labelled,
    },
    /// Tell the run of events until this is withdrawn.
    Listen {
        /// Which task listens.
        id: ListenId,
        /// Where in the document.
        path: StepPath,
        /// The types that may fit; `None` for any. The machine looks at the rest.
        types: Option<BTreeSet<String>>,
    },
    /// What was asked for is not wanted any more: the branch that waited for it was cut off. The machine is
    /// not told about it again. An effect that is under way ends as it does, and is recorded.
    Cancel(Open),
    /// The run has ended with a result.
    Complete {
        /// The result.
        output: Labelled,
    },
    /// The run has ended with an error that nothing caught.
    Fault {
        /// The error.
        error: WorkflowError,
        /// Its labels.
        labels: Labels,
    },
}

impl Intent {
    /// What stands open by it; none for what asks for nothing.
    #[must_use]
    pub const fn open(&self) -> Option<Open> {
        match self {
            Self::Evaluate(evaluation) => Some(Open::Evaluation(evaluation.id)),
            Self::Call { seq, .. } => Some(Open::Call(*seq)),
            Self::Sleep { id, .. } => Some(Open::Timer(*id)),
            Self::Emit { id, .. } => Some(Open::Emit(*id)),
            Self::Listen { id, .. } => Some(Open::Listen(*id)),
            Self::Cancel(_) | Self::Complete { .. } | Self::Fault { .. } => None,
        }
    }
}

impl Event {
    /// What it answers.
    #[must_use]
    pub const fn answers(&self) -> Open {
        match self {
            Self::Evaluated { id, .. } => Open::Evaluation(*id),
            Self::Returned { seq, .. } => Open::Call(*seq),
            Self::Woke { id, .. } => Open::Timer(*id),
            Self::Emitted { id, .. } => Open::Emit(*id),
            Self::Received { id, .. } => Open::Listen(*id),
        }
    }
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evaluation(id) => write!(f, "evaluation {}", id.0),
            Self::Call(seq) => write!(f, "step {}", seq.0),
            Self::Timer(id) => write!(f, "timer {}", id.0),
            Self::Emit(id) => write!(f, "event {}", id.0),
            Self::Listen(id) => write!(f, "listening task {}", id.0),
        }
    }
}

/// What happened. There is no event for a refusal: the engine ends the run, so no `catch` sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An expression was evaluated. Its labels are the machine's own record of what it lent.
    Evaluated {
        /// Which evaluation.
        id: EvalId,
        /// Its value, or why there is none.
        result: Result<Value, ExprError>,
    },
    /// A call ended.
    Returned {
        /// Which step.
        seq: StepSeq,
        /// When, by the engine's clock.
        at: Timestamp,
        /// Its result.
        result: Result<Labelled, Failure>,
    },
    /// A timer fired.
    Woke {
        /// Which timer.
        id: TimerId,
        /// When, by the engine's clock.
        at: Timestamp,
    },
    /// An event was emitted: it is recorded.
    Emitted {
        /// Which.
        id: EmitId,
        /// When, by the engine's clock.
        at: Timestamp,
    },
    /// A CloudEvent came. It has the labels of its source: as a rule it is untrusted.
    Received {
        /// Which task listens.
        id: ListenId,
        /// When, by the engine's clock.
        at: Timestamp,
        /// The event: its attributes and `data`.
        event: Labelled,
    },
}

/// The event does not fit the machine's state: a bug of the engine, or a journal of another program.
/// The machine is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// The run has ended; nothing can happen to it any more.
    #[error("the run has ended, but was told {told}")]
    Ended {
        /// What was told.
        told: String,
    },
    /// The machine waits for something else.
    #[error("the run waits for {waiting}, but was told {told}")]
    Mismatch {
        /// What it waits for.
        waiting: String,
        /// What was told.
        told: String,
    },
}
