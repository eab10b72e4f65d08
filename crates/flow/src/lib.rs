//! The workflow language and its pure machine.

mod diagnostic;
mod error;
mod expr;
mod machine;
mod program;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, UNSUPPORTED};
pub use error::{ErrorKind, Failure, WorkflowError, same_type};
pub use expr::{ExprError, Expression, evaluate};
pub use machine::{EvalId, Evaluation, Event, Intent, Labelled, Machine, MachineError, Start, TimerId};
pub use program::Program;
