//! The pure machine: `(state, event) → (state, intents)`.
//!
//! It has no I/O, clock or randomness: the same events over the same program give the same intents.
//! It waits at every expression, call and pause; at most one intent is open at a time. The state is a
//! stack of frames, so that it can hold several branches later.

mod event;
mod frame;
mod looping;
mod scope;
mod step;
mod trying;

pub use event::{EvalId, Evaluation, Event, Intent, Labelled, MachineError, Start, TimerId};

use crate::{
    Program,
    error::{ErrorKind, Failure, WorkflowError},
    expr::{ExprError, fits},
    program::task::Expr,
};
use frame::{Data, Frame, Purpose, TaskFrame};
use mandate_kernel::{Duration, FunctionName, Labels, Limits, RunId, StepPath, StepSeq, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use step::{Move, Step};

/// A program and the state of one run of it.
///
/// It waits at every expression, call and pause; at most one intent is open at a time.
///
/// # Labels (I7)
/// Every value carries labels, coarse and sound. The result of an expression has the join of the
/// labels of all it was lent; the result of a call that of the returned labels and of its arguments.
/// To both the machine joins the label of the control flow, which *rises for the rest of the run* by
/// the labels of each condition (`if`, `switch`, `while`), each collection of a `for`, each error
/// looked at by a `catch`, and, inside a `try`, each value whose computation could have failed. That
/// over-approximates: a branch that has ended still counts. What it buys is that no assignment can be
/// missed. Timing, and that a run ends, are not covered.
#[derive(Debug, Clone)]
pub struct Machine {
    program: Arc<Program>,
    run: RunId,
    started_at: Timestamp,
    /// When the last event happened.
    now: Timestamp,
    /// The run's own input.
    input: Data,
    /// `$workflow`, once asked for.
    workflow: Option<Arc<Value>>,
    context: Data,
    /// The data that flows from task to task.
    data: Data,
    /// The label of the control flow. Only rises.
    pc: Labels,
    frames: Vec<Frame>,
    waiting: Waiting,
    counts: Counts,
}

/// What the machine waits for.
#[derive(Debug, Clone)]
enum Waiting {
    /// An evaluation, with the labels of what was lent.
    Evaluation { id: EvalId, labels: Labels, purpose: Purpose },
    /// A call, with the labels of its arguments.
    Call { seq: StepSeq, labels: Labels },
    /// A timer.
    Timer { id: TimerId },
    /// Nothing: the run has ended.
    Ended,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    evaluations: u32,
    calls: u32,
    timers: u32,
    tasks: u32,
}

impl Machine {
    /// The version of the machine's behaviour. A run is replayed only by the version that began it.
    pub const VERSION: u32 = 1;

    /// Begins a run.
    #[must_use]
    pub fn start(program: Arc<Program>, start: Start) -> (Self, Vec<Intent>) {
        let input = Data::from(start.input);
        let mut machine = Self {
            program,
            run: start.run,
            started_at: start.started_at,
            now: start.started_at,
            workflow: None,
            context: Data::new(Value::Object(Map::new()), Labels::default()),
            data: input.clone(),
            input,
            pc: Labels::default(),
            frames: Vec::new(),
            waiting: Waiting::Ended,
            counts: Counts::default(),
        };
        let intents = machine.drive(Move::Start);
        (machine, intents)
    }

    /// Tells the machine what happened.
    ///
    /// # Errors
    /// [`MachineError`] when the event isn't the one the machine waits for; the state is unchanged.
    pub fn apply(&mut self, event: Event) -> Result<Vec<Intent>, MachineError> {
        let next = match (&self.waiting, event) {
            (Waiting::Evaluation { id, labels, purpose }, Event::Evaluated { id: told, result }) if *id == told => {
                let (labels, purpose) = (labels.clone(), *purpose);
                self.evaluated(labels, purpose, result)
            }
            (Waiting::Call { seq, labels }, Event::Returned { seq: told, at, result }) if *seq == told => {
                let labels = labels.clone();
                self.now = at;
                self.returned(&labels, result)
            }
            (Waiting::Timer { id }, Event::Woke { id: told, at }) if *id == told => {
                self.now = at;
                Move::Woken
            }
            (Waiting::Ended, event) => return Err(MachineError::Ended { told: name(&event) }),
            (waiting, event) => {
                return Err(MachineError::Mismatch { waiting: waiting.to_string(), told: name(&event) });
            }
        };
        Ok(self.drive(next))
    }

    /// The labels of the control flow so far.
    #[must_use]
    pub const fn control_labels(&self) -> &Labels {
        &self.pc
    }

    /// Whether the run has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.waiting, Waiting::Ended)
    }

    fn evaluated(&mut self, labels: Labels, purpose: Purpose, result: Result<Value, ExprError>) -> Move {
        let result = result.and_then(|value| match fits(&value) {
            Ok(()) => Ok(value),
            Err(limit) => Err(ExprError::Limit(limit.to_owned())),
        });
        self.witness(&labels);
        match result {
            Ok(value) => Move::Got(purpose, Data::new(value, labels)),
            Err(error) => Move::Throw(Failure {
                error: WorkflowError::new(ErrorKind::Expression, error.to_string()).quoting_data(),
                labels,
            }),
        }
    }

    fn returned(&mut self, lent: &Labels, result: Result<Labelled, Failure>) -> Move {
        let failure = match result {
            Ok(output) => match fits(&output.value) {
                Ok(()) => {
                    let data = Data::new(output.value, output.labels.join(lent).join(&self.pc));
                    self.witness(&data.labels);
                    return Move::Output(data);
                }
                Err(limit) => {
                    let error =
                        WorkflowError::new(ErrorKind::Runtime, format!("the result went past the limit of {limit}"));
                    Failure { error, labels: output.labels }
                }
            },
            Err(failure) => failure,
        };
        Move::Throw(Failure { labels: failure.labels.join(lent), ..failure })
    }

    /// Notes that the run went one way and not another because of data with these labels.
    fn raise(&mut self, labels: &Labels) {
        self.pc = self.pc.join(labels);
    }

    /// Notes that a computation on data with these labels did not fail, which a `catch` around here
    /// could tell from its failing.
    fn witness(&mut self, labels: &Labels) {
        if self.frames.iter().any(|frame| matches!(frame, Frame::Task(task) if matches!(task.state, frame::State::Try { handling: false, .. }))) {
            self.raise(labels);
        }
    }

    fn top_task(&self) -> Option<&TaskFrame> {
        self.frames.iter().rev().find_map(|frame| match frame {
            Frame::Task(task) => Some(&**task),
            Frame::Block { .. } => None,
        })
    }

    /// The task frame on top of the stack.
    fn task_mut(&mut self) -> Option<&mut TaskFrame> {
        match self.frames.last_mut() {
            Some(Frame::Task(task)) => Some(task),
            _ => None,
        }
    }

    fn path(&self) -> StepPath {
        self.top_task().map_or_else(|| StepPath("/".to_owned()), |task| task.path.clone())
    }

    /// Lends an expression what it names, and waits for its value. A constant is its own value.
    fn evaluate(&mut self, purpose: Purpose, expression: &Expr, input: &Data) -> Step {
        if let Some(value) = expression.as_constant() {
            return Step::Go(Move::Got(purpose, Data::new(value.clone(), self.pc.clone())));
        }
        // What an expression can't look at it is not lent, so that it can't pass on its labels either.
        let input = if expression.reads_input() { input.clone() } else { Data::new(Value::Null, Labels::default()) };
        let mut labels = input.labels.join(&self.pc);
        let mut variables = std::collections::BTreeMap::new();
        for name in expression.variables() {
            let data = self.variable(name);
            labels = labels.join(&data.labels);
            variables.insert(name.clone(), data.value);
        }
        self.counts.evaluations = self.counts.evaluations.saturating_add(1);
        let id = EvalId(self.counts.evaluations);
        self.waiting = Waiting::Evaluation { id, labels, purpose };
        let (path, input) = (self.path(), input.value);
        Step::Stop(Intent::Evaluate(Evaluation { id, path, expression: expression.clone(), input, variables }))
    }

    fn call(&mut self, function: FunctionName, arguments: Data) -> Step {
        self.counts.calls = self.counts.calls.saturating_add(1);
        if self.counts.calls > Limits::DEFAULT.steps {
            return self
                .fault(ErrorKind::Runtime, format!("the run went past the limit of {} steps", Limits::DEFAULT.steps));
        }
        let seq = StepSeq(self.counts.calls);
        let arguments = arguments.under(&self.pc);
        self.waiting = Waiting::Call { seq, labels: arguments.labels.clone() };
        Step::Stop(Intent::Call { seq, path: self.path(), function, arguments: arguments.into_labelled() })
    }

    fn sleep(&mut self, duration: Duration) -> Step {
        self.counts.timers = self.counts.timers.saturating_add(1);
        let id = TimerId(self.counts.timers);
        self.waiting = Waiting::Timer { id };
        Step::Stop(Intent::Sleep { id, path: self.path(), duration })
    }

    /// Ends the run past any `catch`: it met a limit that no handler could lift.
    fn fault(&mut self, kind: ErrorKind, detail: String) -> Step {
        let error = WorkflowError::new(kind, detail).at(&self.path());
        self.end(Failure { error, labels: self.pc.clone() })
    }

    fn end(&mut self, failure: Failure) -> Step {
        self.waiting = Waiting::Ended;
        self.frames.clear();
        Step::Stop(Intent::Fault { error: failure.error, labels: failure.labels.join(&self.pc) })
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evaluation { id, .. } => write!(f, "evaluation {}", id.0),
            Self::Call { seq, .. } => write!(f, "step {}", seq.0),
            Self::Timer { id } => write!(f, "timer {}", id.0),
            Self::Ended => f.write_str("nothing"),
        }
    }
}

fn name(event: &Event) -> String {
    match event {
        Event::Evaluated { id, .. } => format!("of evaluation {}", id.0),
        Event::Returned { seq, .. } => format!("of step {}", seq.0),
        Event::Woke { id, .. } => format!("of timer {}", id.0),
    }
}
