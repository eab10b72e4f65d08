//! A simulated world: an engine runs in it as if it had a disk, a clock, receivers and a witness.
//!
//! A [`World`] outlives its processes. [`World::process`] is one: a runtime on one thread with paused
//! time, in which an engine lives. Every I/O step passes a [`Faults`], which may fail it, persist it and
//! fail it, keep the store out of reach for a while, or crash: then the runtime is dropped with all its
//! tasks, and the next process begins over what was persisted. The same seed gives the same faults.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken assumption of a test's world has to stop the test")]

mod clock;
mod effects;
mod entropy;
mod fault;
mod sabotage;
mod store;
mod witness;
mod world;

pub use clock::SimClock;
pub use effects::{Act, Received, SimEffects};
pub use entropy::SimEntropy;
pub use fault::{Fault, Faults, Lost};
pub use sabotage::Sabotage;
pub use store::{SimStore, SimTenant, TreeNodes};
pub use witness::SimWitness;
pub use world::{Ended, World};
