//! Wild expressions, evaluated in processes that can be killed.
//!
//! jq has recursion, unbounded loops and texts of any length, and the interpreter bounds none of them. So
//! each wild expression (see `mandate_flow`) is evaluated by a child: the same program, started again, with
//! an empty environment, `/` as its folder, no files but three pipes, and limits on memory, processor time,
//! files and processes that it sets on itself before it reads anything. On Linux a system-call filter lets it
//! read its request, write its answer, manage its own memory, and end; nothing else. Its parent gives it
//! a wall-clock budget and kills it at the end of that.
//!
//! - [`Sandbox`] is the parent's side: it keeps the children and asks them.
//! - [`child`] is the child's side: the whole life of the process.
//! - [`frame`] is what the two say to each other: one bounded request, one bounded answer.
//!
//! **A child serves one owner** (a run) and is never given to another. It is also given up after any
//! failure, after a number of evaluations, and when others are needed more. A child that waits ahead of time
//! has served nobody. So nothing of one run can be found by another, whatever an expression does to the
//! process it is in.

pub mod child;
mod confine;
pub mod frame;
mod limits;
mod pool;
mod process;

pub use limits::{Limits, LimitsError};
pub use pool::{Outcome, Program, Sandbox, Unavailable};
