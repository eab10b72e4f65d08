//! What people remember across processes: what they were told, and have to find again.

use mandate_journal::{ApprovalState, RunRecord};
use mandate_kernel::{ApprovalId, DecisionId, Digest, RunId};
use mandate_testkit::Act;
use std::collections::{BTreeMap, BTreeSet};

/// A promise that the engine made.
#[derive(Debug, Clone)]
pub(crate) enum Promise {
    /// The run was started.
    Started(RunId),
    /// So many runs have the event of this id in their journal.
    Delivered { id: String, runs: usize },
    /// The approval was settled like this.
    Answered(ApprovalId, ApprovalState),
    /// The run was stopped, when receivers had seen so many requests of it.
    Stopped(RunId, usize),
    /// Authority was revoked under these runs, when these decisions had been made.
    Revoked { runs: BTreeSet<RunId>, decided: BTreeSet<DecisionId> },
}

/// What was told and met so far.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) runs: BTreeMap<usize, RunId>,
    pub(crate) promises: Vec<Promise>,
    /// The next happening.
    pub(crate) next: usize,
    /// Milliseconds lived before this process.
    pub(crate) lived: u64,
    pub(crate) processes: usize,
    pub(crate) crashes: usize,
    /// Leaves of the ledger's tree as they were seen last, and how many were cosigned.
    pub(crate) leaves: Vec<Digest>,
    pub(crate) cosigned: u64,
    /// Events told by people at the end.
    pub(crate) told: u64,
    /// Something happened that must not.
    pub(crate) wrong: Vec<String>,
    pub(crate) met: BTreeMap<String, u64>,
}

impl Memory {
    pub(crate) fn meet(&mut self, word: impl Into<String>) {
        *self.met.entry(word.into()).or_default() += 1;
    }
}

/// The word for what a receiver did.
pub(crate) const fn act_word(act: Act) -> &'static str {
    match act {
        Act::Answer => "an answer",
        Act::Slow(ms) if ms > 5_000 => "an answer after everybody has gone",
        Act::Slow(_) => "a slow answer",
        Act::Transient => "a passing failure",
        Act::Definite(_) => "a final failure",
        Act::Break => "a lost answer",
        Act::Hang => "no work and no answer",
        Act::WorkAndHang => "work and no answer",
        Act::Twice => "a request seen twice",
    }
}

/// How a run stands, in words.
pub(crate) fn state_word(run: &RunRecord) -> String {
    let waits = run.status.waiting_for.map(|waits| format!(" for {}", waits.as_str())).unwrap_or_default();
    format!("a run {}{waits}", run.status.state.as_str())
}
