//! A run's chain: its entries numbered from 0, each naming the one before, nothing after the end.

use crate::entry::{Event, RunLink};
use crate::kind::EventKind;
use mandate_kernel::Digest;
use serde_json::Value;
use std::collections::BTreeSet;

/// Why an entry does not continue its run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The entry has no place in a run.
    #[error("a {0} entry does not belong to a run")]
    NotInRun(EventKind),
    /// A run begins with something else, or begins twice.
    #[error("a run can't have {kind} as its entry {seq}")]
    Beginning {
        /// What was found.
        kind: EventKind,
        /// Where.
        seq: u32,
    },
    /// An entry is missing or repeated.
    #[error("entry {found} of the run where {expected} is next")]
    Gap {
        /// What is next.
        expected: u32,
        /// What was found.
        found: u32,
    },
    /// It names another predecessor.
    #[error("entry {seq} of the run does not name the entry before it")]
    Prev {
        /// Where.
        seq: u32,
    },
    /// A step that waited for an approval was allowed, and no entry before says who gave it.
    #[error("entry {seq} of the run allows a step that waited for an approval, and no entry before it gives one")]
    Unapproved {
        /// Where.
        seq: u32,
    },
    /// The run has ended already.
    #[error("entry {seq} follows the end of the run")]
    AfterEnd {
        /// Where.
        seq: u32,
    },
}

/// How far a run's chain has been followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunChain {
    next: u32,
    last: Option<Digest>,
    end: Option<EventKind>,
    /// Steps that were held back by a gate.
    held: BTreeSet<u64>,
    /// Approvals that were given.
    given: BTreeSet<String>,
}

impl RunChain {
    /// A run of which nothing was seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry, given as its event and its leaf hash.
    ///
    /// # Errors
    /// [`ChainError`]; the chain is then unchanged.
    pub fn follow(&mut self, event: &Event, leaf: Digest) -> Result<(), ChainError> {
        let Some(RunLink { seq, prev, .. }) = event.run.as_ref() else {
            return Err(ChainError::NotInRun(event.kind));
        };
        let (seq, kind) = (*seq, event.kind);
        if self.end.is_some() {
            return Err(ChainError::AfterEnd { seq });
        }
        if seq != self.next {
            return Err(ChainError::Gap { expected: self.next, found: seq });
        }
        let fits = if seq == 0 { kind.begins_run() } else { kind != EventKind::RunStarted };
        if !fits {
            return Err(ChainError::Beginning { kind, seq });
        }
        if *prev != self.last {
            return Err(ChainError::Prev { seq });
        }
        if !self.is_approved(event) {
            return Err(ChainError::Unapproved { seq });
        }
        self.note(event);
        self.next = seq.saturating_add(1);
        self.last = Some(leaf);
        self.end = kind.ends_run().then_some(kind);
        Ok(())
    }

    /// Whether what an entry allows, if it allows anything, was approved where it had to be.
    fn is_approved(&self, event: &Event) -> bool {
        if event.kind != EventKind::StepDecided || text(event, "status") != Some("allow") {
            return true;
        }
        let named = event.details.get("approvals").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let was_held = event.details.get("step").and_then(Value::as_u64).is_some_and(|step| self.held.contains(&step));
        let given = |approval: &Value| approval.as_str().is_some_and(|approval| self.given.contains(approval));
        named.iter().all(given) && !(was_held && named.is_empty())
    }

    fn note(&mut self, event: &Event) {
        match event.kind {
            EventKind::StepDecided if text(event, "status") == Some("not-yet") => {
                self.held.extend(event.details.get("step").and_then(Value::as_u64));
            }
            EventKind::ApprovalGiven => self.given.extend(text(event, "approval").map(str::to_owned)),
            _ => {}
        }
    }

    /// How many entries were taken.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.next
    }

    /// Whether none was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The kind the run ended with, if it has.
    #[must_use]
    pub const fn end(&self) -> Option<EventKind> {
        self.end
    }

    /// Leaf hash of the last entry taken.
    #[must_use]
    pub const fn last(&self) -> Option<Digest> {
        self.last
    }
}

fn text<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.details.get(name).and_then(Value::as_str)
}
