//! The pure machine: `(state, event) → (state, intents)`.
//!
//! It has no I/O, clock or randomness: the same events in the same order over the same program give the
//! same intents. It waits at every expression, call and pause. The state is a tree of strands, one for each
//! branch, each with a stack of frames; what each waits for is open at once. Evaluations, steps and timers
//! are numbered in the order in which the machine asks.

mod event;
mod fork;
mod frame;
mod listening;
mod looping;
mod scope;
mod step;
mod strand;
mod timing;
mod trace;
mod trying;

pub use event::{EmitId, EvalId, Evaluation, Event, Intent, Labelled, ListenId, MachineError, Open, Start, TimerId};
pub use trace::{Ending, TaskTrace};

use crate::{
    Program,
    error::{ErrorKind, Failure, WorkflowError},
    expr::{ExprError, fits},
    program::task::Expr,
};
use frame::{Data, Frame, Purpose, TaskFrame};
use mandate_kernel::{FunctionName, Labels, Limits, RunId, StepPath, StepSeq, Timestamp};
use serde_json::{Map, Value};
use std::sync::Arc;
use step::{Move, Step};
use strand::{Others, Strand, StrandId, Waiting};

/// A program and the state of one run of it.
///
/// It waits at every expression, call and pause. Each branch of a `fork` waits for itself, so that several
/// intents may be open. Told the same events in the same order it is the same machine: whoever replays a
/// run does all evaluations at once in the order asked, and tells all else in the order it was told.
///
/// # Labels (I7)
/// Every value carries labels, coarse and sound. The result of an expression has the join of the
/// labels of all it was lent; the result of a call that of the returned labels and of its arguments.
/// To both the machine joins the label of the control flow, which *rises for the rest of the branch* by
/// the labels of each condition (`if`, `switch`, `while`), each collection of a `for`, each error
/// looked at by a `catch`, and, inside a `try`, each value whose computation could have failed. That
/// over-approximates: a way that was left still counts. What it buys is that no assignment can be
/// missed. Timing, and that a run ends, are not covered.
///
/// A branch begins with the label of its fork's control flow, and its fork goes on with the join of all
/// of theirs. Where one branch decides whether others go on, they rise with it: all of the run if
/// something in the branch says `then: end`, its competitors in a competition, every branch inside a `try`
/// that encloses the fork. In a competition, and under a `timeout`, time decides by itself: there the
/// labels of arguments, results and pauses count as conditions do, so that the label of what follows has
/// all that could have influenced who was first.
///
/// # Context
/// Each branch has its own `$context`, which begins as its fork's. When the fork is done, what they
/// exported is put together in the order of the document: of objects each member that a branch has set,
/// changed or removed; anything else as a whole; what comes later in the document wins. A competition
/// goes on with the winner's, `then: end` with that of its branch.
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
    /// The strand that is driven, or was last.
    at: Strand,
    others: Others,
    /// The timer of the workflow's `timeout`.
    deadline: Option<TimerId>,
    ended: bool,
    counts: Counts,
    trace: trace::Trace,
}

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    evaluations: u32,
    calls: u32,
    timers: u32,
    tasks: u32,
    strands: u32,
    emits: u32,
    listens: u32,
}

impl Machine {
    /// The version of the machine's behaviour. A run is replayed only by a machine of the version that
    /// began it. It rises when a document that was accepted before would behave differently; branches
    /// changed nothing for documents without them, so that it is still the first.
    pub const VERSION: u32 = 1;

    /// Begins a run.
    #[must_use]
    pub fn start(program: Arc<Program>, start: Start) -> (Self, Vec<Intent>) {
        Self::begin(program, start, trace::Trace::default())
    }

    /// Begins a run that keeps a trace of its tasks ([`Machine::tasks`]); it is the same machine otherwise. `mark`
    /// stands for the present until [`Machine::mark`] says otherwise.
    #[must_use]
    pub fn traced(program: Arc<Program>, start: Start, mark: u64) -> (Self, Vec<Intent>) {
        Self::begin(program, start, trace::Trace::kept(mark))
    }

    fn begin(program: Arc<Program>, start: Start, trace: trace::Trace) -> (Self, Vec<Intent>) {
        let input = Data::from(start.input);
        let root = Strand {
            id: StrandId::ROOT,
            above: None,
            context: Data::new(Value::Object(Map::new()), Labels::default()),
            data: input.clone(),
            pc: Labels::default(),
            frames: Vec::new(),
            waiting: Waiting::Branches,
        };
        let mut machine = Self {
            program,
            run: start.run,
            started_at: start.started_at,
            now: start.started_at,
            workflow: None,
            input,
            at: root,
            others: Others::default(),
            deadline: None,
            ended: false,
            counts: Counts::default(),
            trace,
        };
        let intents = machine.drive(Move::Start);
        (machine, intents)
    }

    /// Tells the machine what happened.
    ///
    /// # Errors
    /// [`MachineError`] when the event isn't one the machine waits for; the state is unchanged.
    pub fn apply(&mut self, event: Event) -> Result<Vec<Intent>, MachineError> {
        if self.ended {
            return Err(MachineError::Ended { told: format!("of {}", event.answers()) });
        }
        if let Event::Woke { id, at } = event
            && let Some(next) = self.overdue(id, at)
        {
            return Ok(self.drive(next));
        }
        let answers = event.answers();
        if let Event::Received { id, at, event } = event {
            let Some(next) = self.received(id, event) else {
                return Err(MachineError::Mismatch { waiting: self.open_list(), told: format!("of {answers}") });
            };
            self.now = at;
            return Ok(next.map(|next| self.drive(next)).unwrap_or_default());
        }
        let waits = self.strands().find(|strand| strand.waiting.open() == Some(answers)).map(|strand| strand.id);
        if !waits.is_some_and(|waits| self.switch(waits)) {
            return Err(MachineError::Mismatch { waiting: self.open_list(), told: format!("of {answers}") });
        }
        let waiting = std::mem::replace(&mut self.at.waiting, Waiting::Branches);
        let next = match (waiting, event) {
            (Waiting::Evaluation { labels, purpose, .. }, Event::Evaluated { result, .. }) => {
                self.evaluated(labels, purpose, result)
            }
            (Waiting::Call { labels, .. }, Event::Returned { at, result, .. }) => {
                self.now = at;
                self.returned(&labels, result)
            }
            (_, Event::Woke { at, .. }) => {
                self.now = at;
                Move::Woken
            }
            (Waiting::Emit { event, .. }, Event::Emitted { at, .. }) => {
                self.now = at;
                Move::Output(event)
            }
            // What answers the same is of the same kind.
            _ => Move::Leave,
        };
        Ok(self.drive(next))
    }

    /// The labels of the control flow so far, of all branches.
    #[must_use]
    pub fn control_labels(&self) -> Labels {
        self.strands().fold(Labels::default(), |labels, strand| labels.join(&strand.pc))
    }

    /// Whether the run has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Everything that stands open: asked for, not told, and not withdrawn.
    #[must_use]
    pub fn open(&self) -> Vec<Open> {
        if self.ended {
            return Vec::new();
        }
        let mut all: Vec<Open> = self.strands().flat_map(Strand::open).chain(self.deadline.map(Open::Timer)).collect();
        all.sort_unstable();
        all
    }

    fn open_list(&self) -> String {
        let open: Vec<String> = self.open().iter().map(ToString::to_string).collect();
        if open.is_empty() { "nothing".to_owned() } else { open.join(", ") }
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
                error: match &error {
                    ExprError::Failed(why) => WorkflowError::new(ErrorKind::Expression, why.clone()).quoting_data(),
                    // A limit's name is ours.
                    ExprError::Limit(_) => WorkflowError::new(ErrorKind::Expression, error.to_string()),
                },
                labels,
            }),
        }
    }

    fn returned(&mut self, lent: &Labels, result: Result<Labelled, Failure>) -> Move {
        let failure = match result {
            Ok(output) => match fits(&output.value) {
                Ok(()) => {
                    let data = Data::new(output.value, output.labels.join(lent).join(&self.at.pc));
                    self.timed(&data.labels);
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

    fn top_task(&self) -> Option<&TaskFrame> {
        self.at.frames.iter().rev().find_map(|frame| match frame {
            Frame::Task(task) => Some(&**task),
            Frame::Block { .. } => None,
        })
    }

    /// The task frame on top of the stack.
    fn task_mut(&mut self) -> Option<&mut TaskFrame> {
        match self.at.frames.last_mut() {
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
            return Step::Go(Move::Got(purpose, Data::new(value.clone(), self.at.pc.clone())));
        }
        // What an expression can't look at it is not lent, so that it can't pass on its labels either.
        let input = if expression.reads_input() { input.clone() } else { Data::new(Value::Null, Labels::default()) };
        let mut labels = input.labels.join(&self.at.pc);
        let mut variables = std::collections::BTreeMap::new();
        for name in expression.variables() {
            let data = self.variable(name);
            labels = labels.join(&data.labels);
            variables.insert(name.clone(), data.value);
        }
        self.counts.evaluations = self.counts.evaluations.saturating_add(1);
        let id = EvalId(self.counts.evaluations);
        self.at.waiting = Waiting::Evaluation { id, labels, purpose };
        let (path, input) = (self.path(), input.value);
        Step::Ask(Intent::Evaluate(Evaluation { id, path, expression: expression.clone(), input, variables }))
    }

    fn call(&mut self, function: FunctionName, arguments: Data) -> Step {
        self.counts.calls = self.counts.calls.saturating_add(1);
        if self.counts.calls > Limits::DEFAULT.steps {
            return self
                .fault(ErrorKind::Runtime, format!("the run went past the limit of {} steps", Limits::DEFAULT.steps));
        }
        let seq = StepSeq(self.counts.calls);
        let arguments = arguments.under(&self.at.pc);
        self.timed(&arguments.labels);
        self.at.waiting = Waiting::Call { seq, labels: arguments.labels.clone() };
        Step::Ask(Intent::Call { seq, path: self.path(), function, arguments: arguments.into_labelled() })
    }

    /// Ends the run past any `catch`: it met a limit that no handler could lift.
    fn fault(&mut self, kind: ErrorKind, detail: String) -> Step {
        let error = WorkflowError::new(kind, detail).at(&self.path());
        self.end(Failure { error, labels: self.at.pc.clone() })
    }

    fn end(&mut self, failure: Failure) -> Step {
        let labels = failure.labels.join(&self.control_labels());
        self.trace.end_frames(&self.at.frames, Ending::Faulted);
        self.at.frames.clear();
        Step::End(Intent::Fault { error: failure.error, labels })
    }
}
