//! The typed form of a compiled document: tasks and blocks in two flat tables, so that a position in
//! a run is a few numbers.

use super::{schema::Schema, time::Backoff};
use crate::expr::Expression;
use mandate_kernel::{Duration, FunctionName};
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};

/// Index of a task in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskId(pub(crate) usize);

/// Index of a block, a list of tasks, in the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockId(pub(crate) usize);

/// The variable that holds the raw input of the task that stands around an extended one. No document can
/// name it: it is not in any scope.
pub(crate) const EXTENDED: &str = "extended";

/// A shared expression.
pub(crate) type Expr = Arc<Expression>;

/// One task of a block.
#[derive(Debug)]
pub(crate) struct Task {
    /// Its name in the list.
    pub(crate) name: String,
    /// JSON pointer of its definition in the document.
    pub(crate) pointer: String,
    /// `if`
    pub(crate) condition: Option<Expr>,
    /// `input`
    pub(crate) input: Filter,
    /// `output`
    pub(crate) output: Filter,
    /// `export`
    pub(crate) export: Filter,
    /// `timeout`
    pub(crate) timeout: Option<Timeout>,
    /// `then`
    pub(crate) then: Then,
    /// The scheme of the authentication of a call, for `$authorization`.
    pub(crate) scheme: Option<&'static str>,
    /// Whether it is not written in the document, but stands around a task for its extensions. Its raw
    /// input is the variable [`EXTENDED`] inside.
    pub(crate) extended: bool,
    /// Whether the document does not write it: it stands in for others, and in no trace.
    pub(crate) stands_in: bool,
    /// What it does.
    pub(crate) kind: Kind,
}

/// A transformation of data, and the schema it must fit.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// `schema`
    pub(crate) schema: Option<Arc<Schema>>,
    /// `from` or `as`
    pub(crate) shape: Option<Expr>,
}

/// Where to go after a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// To the next task of the block.
    Continue,
    /// Out of the block.
    Exit,
    /// To the end of the run.
    End,
    /// To the task at that index of the same block.
    Task(usize),
}

/// What a task does.
#[derive(Debug)]
pub(crate) enum Kind {
    /// `do`
    Do(BlockId),
    /// `call`
    Call { function: FunctionName, arguments: Expr },
    /// `set`
    Set(Expr),
    /// `switch`
    Switch(Vec<Case>),
    /// `for`
    For { each: String, at: String, collection: Expr, condition: Option<Expr>, block: BlockId },
    /// `try`
    Try { block: BlockId, catch: Box<Catch> },
    /// `raise`
    Raise(Expr),
    /// `wait`
    Wait(Pause),
    /// `fork`
    Fork { branches: Vec<Branch>, compete: bool },
    /// `emit`: the attributes of the event.
    Emit(Expr),
    /// `listen`
    Listen(Box<Listen>),
    /// `run`
    #[allow(dead_code, reason = "for the machine, which does not perform it yet")]
    Run(Process),
    /// Stands for a task that was refused; such a program is never run.
    Refused,
}

/// One case of a `switch`; without a condition it is the default.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) when: Option<Expr>,
    pub(crate) then: Then,
}

/// One branch of a `fork`.
#[derive(Debug)]
pub(crate) struct Branch {
    /// A block of its one task.
    pub(crate) block: BlockId,
    /// Whether something in it may end the whole run: it says `then: end`.
    pub(crate) ends: bool,
}

/// What a `listen` waits for.
#[derive(Debug)]
pub(crate) struct Listen {
    pub(crate) to: Strategy,
    /// Those of `to`.
    pub(crate) filters: Vec<EventMatch>,
    pub(crate) until: Option<Until>,
    pub(crate) read: Read,
    pub(crate) each: Option<EachEvent>,
}

impl Listen {
    /// The filter at an index: those of `to`, then those that end it.
    pub(crate) fn filter(&self, index: usize) -> Option<&EventMatch> {
        self.filters.get(index).or_else(|| self.enders().get(index.checked_sub(self.filters.len())?))
    }

    fn enders(&self) -> &[EventMatch] {
        match &self.until {
            Some(Until::Consumed(filters)) => filters,
            _ => &[],
        }
    }

    /// How many filters there are.
    pub(crate) fn ends(&self) -> usize {
        self.filters.len() + self.enders().len()
    }

    /// The types of events that may fit; `None` for any.
    pub(crate) fn types(&self) -> Option<BTreeSet<String>> {
        if self.filters.is_empty() {
            return None;
        }
        self.filters.iter().chain(self.enders()).map(EventMatch::event_type).collect()
    }
}

/// How many of the filters have to be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    One,
    Any,
    All,
}

/// When a `listen` to `any` ends.
#[derive(Debug)]
pub(crate) enum Until {
    /// When this holds for the list of events taken.
    Holds(Expr),
    /// When an event fits one of these.
    Consumed(Vec<EventMatch>),
}

pub(crate) use super::schedule::ReadAs as Read;

/// `foreach` of a `listen`.
#[derive(Debug)]
pub(crate) struct EachEvent {
    pub(crate) item: String,
    pub(crate) at: String,
    pub(crate) block: BlockId,
    /// `output.as`
    pub(crate) shape: Option<Expr>,
}

/// A filter on events: every check has to hold.
#[derive(Debug)]
pub(crate) struct EventMatch {
    pub(crate) checks: Vec<Check>,
}

impl EventMatch {
    fn event_type(&self) -> Option<String> {
        self.checks.iter().find_map(|check| match check {
            Check::Equal { attribute, value: Value::String(name) } if attribute == "type" => Some(name.clone()),
            _ => None,
        })
    }
}

/// One thing that must be so of an event.
#[derive(Debug)]
pub(crate) enum Check {
    /// The attribute is this.
    Equal { attribute: String, value: Value },
    /// The expression holds for the attribute.
    Holds { attribute: String, holds: Expr },
    /// A correlation: `[from]`, or `[from, expect]` where the expectation is given.
    Correlates { values: Expr, expect: Expect },
}

/// What a correlated value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// As the document says.
    Given,
    /// As it was in the first event that fitted so far.
    First,
}

/// How long to wait.
#[derive(Debug)]
pub(crate) enum Pause {
    /// Written in the document.
    Fixed(Duration),
    /// ISO 8601 text, or a duration object, from an expression.
    Computed(Expr),
}

/// How long a task, or the whole run, may take. Raises the standard error `timeout`.
#[derive(Debug)]
pub(crate) struct Timeout {
    /// Since it began.
    pub(crate) after: Pause,
}

/// What a `run` starts. `awaited` is `await`, `returns` is `return`.
#[derive(Debug)]
#[allow(dead_code, reason = "for the machine, which does not perform it yet")]
pub(crate) enum Process {
    /// Another workflow, as a run of its own.
    Workflow {
        namespace: String,
        name: String,
        /// A semantic version, or `latest`.
        version: String,
        /// Its input; without one the task's.
        input: Option<Expr>,
        awaited: bool,
        returns: Return,
    },
    /// `{language, code | source, stdin?, arguments?, environment?}`
    Script { definition: Expr, awaited: bool, returns: Return },
    /// `{command, stdin?, arguments?, environment?}`
    Shell { definition: Expr, awaited: bool, returns: Return },
    /// `{image, name?, command?, ports?, volumes?, environment?, stdin?, arguments?, pullPolicy?, lifetime}`
    Container { definition: Expr, awaited: bool, returns: Return },
}

/// What a process gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Return {
    /// What it wrote to its standard output; of a workflow, its output. As by default.
    Stdout,
    /// What it wrote to its standard error.
    Stderr,
    /// Its exit code.
    Code,
    /// `{code, stdout, stderr}`
    All,
    /// Null.
    None,
}

/// Which errors a `try` catches, and what it does then.
#[derive(Debug)]
pub(crate) struct Catch {
    pub(crate) filter: ErrorFilter,
    pub(crate) variable: String,
    pub(crate) when: Option<Expr>,
    pub(crate) except_when: Option<Expr>,
    pub(crate) retry: Option<Retry>,
    pub(crate) block: Option<BlockId>,
    pub(crate) then: Option<Then>,
}

/// `errors.with`: what is given must be equal.
#[derive(Debug, Default)]
pub(crate) struct ErrorFilter {
    pub(crate) type_: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) instance: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) detail: Option<String>,
}

/// When a `try` is begun again.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) when: Option<Expr>,
    pub(crate) except_when: Option<Expr>,
    pub(crate) backoff: Backoff,
    /// Attempts in all, the first included.
    pub(crate) attempts: u32,
    /// Since the first failure.
    pub(crate) within: Option<Duration>,
    /// How long one attempt may take: compiled to a timeout around the block.
    pub(crate) each: Option<Duration>,
}
