//! Drives runs: load → step → prepare → admit → perform → record.
//!
//! The engine is the only caller of effects, and it calls them with permits alone. It feeds the pure
//! machine of `mandate-flow` from the journal and turns its intents into durable transitions. What is
//! recorded about one step (its outcome) travels in the same commit as the decision about the next, so
//! that ten steps are eleven commits.
//!
//! Replaying is the same code as running: a [`driver`] asks the run's history first whenever the
//! machine wants something, and only what the journal does not answer is done anew.

mod access;
mod active;
mod admit;
mod answer;
mod artifact;
mod board;
mod catalog;
mod claims;
pub mod configuration;
mod context;
mod doubt;
mod draft;
mod drain;
mod driver;
mod engine;
mod error;
mod evaluate;
mod events;
mod flight;
mod gated;
mod header;
mod history;
mod hold;
mod keys;
mod kill;
mod labels;
mod load;
mod meter;
mod nodes;
mod occasion;
mod passport;
mod perform;
mod pinned;
mod ports;
mod protocol;
pub mod quarantine;
mod record;
mod replay;
mod resolve;
mod review;
mod rollback;
mod rows;
mod scheduler;
mod sealed;
mod seen;
mod sequencer;
mod standing_question;
mod start;
mod step;
mod switches;
mod trace;
mod turns;

pub use access::{Denied, Target};
pub use answer::{Answer, AnswerError, ApprovalPage, ApprovalView};
pub use catalog::Catalog;
pub use claims::NodeConfig;
pub use context::{Names, TenantContext};
pub use engine::{Engine, EngineConfig};
pub use error::EngineError;
pub use events::{DeliverError, Delivered, EventSink};
pub use keys::KeyRole;
pub use kill::Killed;
pub use occasion::{MOST_EVENTS, ScheduleView, Taken, Turned, Unwelcome};
pub use passport::Inclusion;
pub use ports::{
    EffectSource, Evaluator, EvaluatorError, Ports, TameOnly, Tenants, WildOutcome, Witness, WitnessError,
};
pub use resolve::ResolveError;
pub use rollback::{Fate, RollbackError, RollbackPlan, RollbackStep};
pub use rows::Rows;
pub use start::{StartError, StartRequest, Started};
pub use trace::Traced;
pub use turns::{Busy, Shares, Turns};
