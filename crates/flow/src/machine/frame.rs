//! The state of a run between two events: a stack of frames, so that nothing of it lives in the
//! program's own call stack.

use super::{
    event::{Labelled, TimerId},
    listening::Listening,
};
use crate::{
    error::Failure,
    program::task::{BlockId, TaskId, Then},
};
use mandate_kernel::{Labels, StepPath, Timestamp};
use serde_json::Value;
use std::sync::Arc;

/// A shared value with its labels.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) value: Arc<Value>,
    pub(super) labels: Labels,
}

impl Data {
    pub(super) fn new(value: Value, labels: Labels) -> Self {
        Self { value: Arc::new(value), labels }
    }

    /// The same value, also labelled by what led here.
    pub(super) fn under(mut self, pc: &Labels) -> Self {
        self.labels = self.labels.join(pc);
        self
    }

    pub(super) fn into_labelled(self) -> Labelled {
        Labelled { value: Arc::unwrap_or_clone(self.value), labels: self.labels }
    }
}

impl From<Labelled> for Data {
    fn from(labelled: Labelled) -> Self {
        Self::new(labelled.value, labelled.labels)
    }
}

/// One level of the run.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    /// In a list of tasks, at the task of that index; `offset` more in the list that the document writes.
    Block { block: BlockId, index: usize, offset: usize, path: String },
    /// In a task.
    Task(Box<TaskFrame>),
}

/// A task that has begun.
#[derive(Debug, Clone)]
pub(super) struct TaskFrame {
    pub(super) task: TaskId,
    pub(super) path: StepPath,
    pub(super) started: Timestamp,
    /// What came in.
    pub(super) raw: Data,
    /// After `input.from`.
    pub(super) input: Data,
    /// What the task gave; after `output.as`, that.
    pub(super) output: Option<Data>,
    /// Where the task itself says to go, over its `then`.
    pub(super) then: Option<Then>,
    pub(super) state: State,
    /// Its place in the trace.
    pub(super) trace: usize,
    /// The timer of its `timeout`, while its body runs.
    pub(super) deadline: Option<TimerId>,
}

/// What a kind of task remembers.
#[derive(Debug, Clone)]
pub(super) enum State {
    /// Nothing.
    Plain,
    /// The collection and the next index.
    For { items: Arc<Vec<Value>>, labels: Labels, index: usize },
    /// Attempts begun, when the first failed, the error in hand, and whether `catch.do` runs.
    Try { attempts: u32, first: Option<Timestamp>, caught: Option<Failure>, handling: bool },
    /// Output and context of each branch that is done, in the order of the document.
    Fork { compete: bool, done: Vec<Option<(Data, Data)>> },
    /// How far it has listened.
    Listen(Box<Listening>),
}

/// What to do with the value of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    WorkflowInput,
    WorkflowOutput,
    If,
    Input,
    Deadline,
    RunDeadline,
    Emit,
    /// A check of a filter on events.
    Check(usize, usize),
    Until,
    Turn,
    Arguments,
    Set,
    Case(usize),
    Collection,
    While,
    Raise,
    Pause,
    CatchWhen,
    CatchExcept,
    RetryWhen,
    RetryExcept,
    Output,
    Export,
}
