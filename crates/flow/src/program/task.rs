//! The typed form of a compiled document: tasks and blocks in two flat tables, so that a position in
//! a run is a few numbers.

use super::{schema::Schema, time::Backoff};
use crate::expr::Expression;
use mandate_kernel::{Duration, FunctionName};
use std::sync::Arc;

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
#[allow(dead_code, reason = "for the machine, which does not watch the time yet")]
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
