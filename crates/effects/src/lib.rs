//! What reaches outside: effects over HTTP, mails, questions to models; and functions inside the process.
//!
//! An effect is built from what a tenant applied, a `Function` and the `Connection` it names, never
//! from run data. [`gate::Effect::prepare`](mandate_gate::Effect::prepare) turns a call into the one
//! request that is judged; `perform` takes the spent permit and sends exactly that request, once:
//! no retry, no redirect, no proxy from the environment, no cookie, no connection used twice. What
//! went wrong comes back as one of three things (certainly not done and worth another try, certainly
//! not done, unknown), because that decides what may happen next.
//!
//! Whoever drives a run also watches [`Spent::stopped`](mandate_gate::Spent::stopped) beside
//! `perform`: dropping the future cancels what is on the wire, and makes it in doubt.

mod authorization;
mod dial;
mod error;
mod grpc;
mod http;
mod local;
mod mail;
mod messages;
mod model;
mod reach;
mod registry;
mod review;

pub use error::EffectsError;
pub use local::LocalFunction;
pub use model::{Model, Question};
pub use registry::Effects;
