//! The workflow language and its pure machine.
//!
//! A Worker is a document of the [Open Workflow Specification](https://open-workflow-specification.org)
//! DSL 1.0.3. [`Program`] compiles it, [`Machine`] runs it: the machine says what it wants done
//! ([`Intent`]) and is told what happened ([`Event`]). Nothing here performs I/O, reads a clock or draws
//! random numbers, so the same events give the same intents, and a run is replayed from its journal.
//!
//! # What is supported
//!
//! Every property of the specification's schema has a row in `docs/guide/12-language-support.md`, which the
//! test `matrix` makes by compiling a document for each. In short:
//!
//! | Part | How |
//! |---|---|
//! | `document`, `input`, `output`, `do`, `evaluate` | whole; `dsl` 1.0.0 to 1.0.3, jq, strict |
//! | `use` | whole, but for catalogs other than `default` |
//! | every task | `if`, `input`, `output`, `export`, `then`, `metadata`, `timeout` |
//! | `call` | a function of the registry or of the document; `http`, `openapi`, `grpc`, `asyncapi` as calls of the registered function of that name, with canonical arguments |
//! | `do`, `set`, `switch`, `for`, `raise`, `wait`, `try` | whole |
//! | `fork`, `timeout` | whole, also competing |
//! | `emit` | whole; `id`, `source` and `time` are filled in where they are absent |
//! | `listen` | `one`, `any`, `all`, `until`, `read`, correlation, `foreach` without `export` and a schema |
//! | `schedule` | `every`, `cron`, `after`, `on` without correlation and `until` |
//! | `run` | compiled; [`Program::not_performed`] names what no run performs yet |
//! | schemas | JSON Schema 2020-12 ([`Schema`]), referring only to themselves. `format` and other annotations do not reject |
//!
//! [`Program::needs`] tells what an operator must have turned on, [`Program::authentications`] and
//! [`Program::secrets`] which credentials a document asks for, [`Program::schedule`] when it starts by itself.
//!
//! All else the language has (`call: mcp`, `call: a2a`, external schemas) is
//! refused at compile time as *not supported yet* ([`UNSUPPORTED`]). What the language does not have is
//! refused as unknown. Each finding ([`Diagnostic`]) names file, line and column; all are given at once.
//!
//! # Where the specification leaves a choice
//! - A task whose `if` does not hold is skipped: its input passes by, its `then` does not count.
//! - An expression gives exactly one value. Collect several with `[ ]`.
//! - `${ }` must be the whole text; `if`, `when`, `exceptWhen`, `while`, `in`, `from` and `as` may leave
//!   it out. A condition holds unless it is null or false, as in jq.
//! - The output of one turn of a `for` is the input of the next. `exit` in it ends the turn.
//! - `retry.limit.attempt.count` counts all attempts, the first included; 20 without a limit. When they
//!   are used up, `catch.do` runs; without one the error goes on up. A repeated call is a new step with
//!   a new ordinal, judged again.
//! - `retry.jitter` is drawn from the run's id, so that a replay pauses alike.
//! - Errors are emitted under the specification's 1.0.0 types; a filter on a type also matches the
//!   same type at its older and newer addresses ([`same_type`]).
//! - A refusal by the gate is not an error of the machine: there is no event for it, the engine ends
//!   the run, and no `catch` can swallow it.
//! - `export.as` replaces the context, which begins as `{}`. Each branch of a `fork` has its own; how they
//!   are put together says [`Machine`].
//! - An error that nothing in a branch catches is one of its `fork`, also of a competing one: the other
//!   branches are cut off. `exit` ends the branch, `end` the run.
//! - A task that listens gives the list of events it took. It hears what comes after it has begun. A filter
//!   compares what is written out and evaluates `${ }` on the attribute; a correlation sees the whole event,
//!   and without `expect` the first event that fits sets what is expected. `raw` is `data` as text.
//! - A `timeout` runs while the task's own body does, without `if`, `input`, `output` and `export`. It cuts
//!   off what is in there; the error is raised in the task's place, outside its own `catch`.
//! - A function of the document gets `with` as its input, the call's input without one. It sees the context,
//!   not the loops around its call, and can't reach itself.
//! - What stands in `use` otherwise is read where it is referred to, with the variables known there.
//! - Extensions don't change data that passes by them, and don't extend each other
//!   (`crates/flow/src/program/extension.rs` has all rules).
//! - A URI template expands `{name}` from the task's input, percent-encoded; a value that would make a segment
//!   of the path `.` or `..` is an error. Of an endpoint that is an expression only a text counts.
//! - A text of a process (`command`, `code`, …) is an expression as a whole or not at all.
//! - Cron has five fields, in UTC. An event's attribute is matched by equality or an expression.
//!
//! # Stricter than the specification
//! - A credential written into the document is refused, by name (`Authorization`, `password`, …) and by
//!   form (`Bearer …`). `$secrets` is refused in every expression: none ever sees a secret (I4). An
//!   authentication is a slot: `${ $secrets.NAME }` fills its password or token as a whole, and a credential
//!   out of the run's data needs the operator's switch ([`Need::CallerSuppliedCredentials`]).
//! - A function's version and other catalogs than `default` are refused: a Worker pins its functions.
//! - A schema's unknown keywords are refused, and references to outside of it.
//! - YAML holds one document without duplicate keys, anchors, aliases and tags, and only numbers that
//!   JSON keeps exactly ([`yaml`]).
//!
//! # Expressions
//! jq, as jaq 3 has it (core 3.1, std 3.0, json 2.0). An expression is one of two kinds:
//!
//! - **Tame**: paths, slices, iteration, `|`, `,`, literals, interpolated text, construction, comparison,
//!   arithmetic, `and`, `or`, `//`, `?`, `if`, `as $x`, and the functions `abs add all any ascii_downcase
//!   ascii_upcase ceil contains empty endswith error first flatten floor from_entries group_by has join keys
//!   last length limit map map_values max max_by min min_by not range reverse round select sort sort_by split
//!   startswith to_entries tonumber tostring type unique unique_by values with_entries`. It is read by jaq's
//!   parser and evaluated here ([`evaluate`]), within bounds on steps, memory, result and nesting.
//! - **Wild**: anything else jq has (`def`, `reduce`, `foreach`, `try`, `label`, assignments, `..`, formats,
//!   regular expressions, dates that are given, mathematics, `paths`, `walk`, `fromjson`, …). It is compiled here, so
//!   that what is wrong with it has its line and column, and handed out as a [`Job`]: an [`Interpreter`] in a
//!   process that can be killed evaluates it, [`evaluate_with`] fills its value in.
//!
//! Always refused, because it reads the outside or would differ between two replays: `env`, `$ENV`, `input`,
//! `inputs`, `input_filename`, `input_line_number`, `debug`, `stderr`, `halt`, `halt_error`, `now`, `localtime`,
//! `strflocaltime`, `$__loc__`, modules. jaq's native functions come in by a closed list.
//!
//! Variables: `$context $input $output $task $workflow $runtime`, in `with` of a call by protocol
//! `$authorization` (its `scheme`; its `parameter` is always null), those of loops (`$item`, `$index`, or
//! as named) and of `catch` (`$error`, or as named).
//!
//! At its border an expression sees and gives canonical values (RFC 8785): `1.0` is `1`, an object's members stand
//! in the order of their keys; an integer past 2^53 and a number that is not finite are errors, and so are none or
//! several results. Inside, a tame expression differs from jq where a replay or a sum of money would suffer: the
//! same holds for each value underway, a division by zero is an error, and so is `.[0]` of an object. A wild one
//! calculates as jq does.
//!
//! # Labels
//! Every value carries labels that never get lost (I7); see [`Machine`].

mod diagnostic;
mod error;
mod expr;
mod machine;
mod program;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, UNSUPPORTED};
pub use error::{ErrorKind, Failure, OfData, WorkflowError, same_type};
pub use expr::{ExprError, Expression, Interpreter, Job, evaluate, evaluate_with, job};
pub use machine::{
    EmitId, Ending, EvalId, Evaluation, Event, Intent, Labelled, ListenId, Machine, MachineError, Open, Start,
    TaskTrace, TimerId,
};
pub use program::{
    AuthenticationSlot, Cron, DescribedCall, EventFilter, EventStrategy, Need, Predicate, Program, ReadAs, Schedule,
    Schema,
};
