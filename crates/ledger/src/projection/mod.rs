//! Projections: a verified passport told in other vocabularies, for tools that speak those.
//!
//! A projection is a pure function of a [`VerifiedPassport`] and signs nothing. **It is never the
//! evidence**: whoever doubts one verifies the passport it names and makes it again. It leaves things
//! out, and says only what the entries say. Each record names its entry's leaf hash, so that a reader
//! finds the way back.

mod openlineage;
mod prov;

pub use openlineage::openlineage;
pub use prov::prov_json;

use crate::kind::EventKind;
use crate::passport::{ProvenEvent, VerifiedPassport};
use serde_json::Value;

/// One attempt at a step that was allowed: what was decided, and what became of it.
struct Attempted<'a> {
    step: u64,
    attempt: u64,
    decided: &'a ProvenEvent,
    /// Missing when the run ended, or was stopped, before anything was known.
    outcome: Option<&'a ProvenEvent>,
}

/// The attempts of a run, in the order they were decided.
fn attempts(passport: &VerifiedPassport) -> Vec<Attempted<'_>> {
    let mut found: Vec<Attempted<'_>> = Vec::new();
    for proven in passport.events() {
        let Some((step, attempt)) = place(proven) else { continue };
        match proven.event.kind {
            EventKind::StepDecided if text(proven, "/status") == Some("allow") => {
                found.push(Attempted { step, attempt, decided: proven, outcome: None });
            }
            EventKind::StepSucceeded | EventKind::StepFailed | EventKind::StepInDoubt => {
                let of = found.iter_mut().rev().find(|a| (a.step, a.attempt) == (step, attempt));
                if let Some(attempted) = of {
                    attempted.outcome = Some(proven);
                }
            }
            _ => {}
        }
    }
    found
}

fn place(proven: &ProvenEvent) -> Option<(u64, u64)> {
    let number = |name: &str| proven.event.details.get(name).and_then(Value::as_u64);
    Some((number("step")?, number("attempt")?))
}

fn text<'a>(proven: &'a ProvenEvent, pointer: &str) -> Option<&'a str> {
    proven.event.details.pointer(pointer).and_then(Value::as_str)
}

/// A value as entries name it: by its commitment, with its labels.
#[derive(Clone, Copy)]
struct Named<'a> {
    commitment: &'a str,
    labels: Option<&'a Value>,
}

impl<'a> Named<'a> {
    /// The value at `pointer` of an entry's details.
    fn at(proven: &'a ProvenEvent, pointer: &str) -> Option<Self> {
        let value = proven.event.details.pointer(pointer)?;
        Some(Self { commitment: value.get("commitment")?.as_str()?, labels: value.get("labels") })
    }

    /// What it rests on: digest and origin.
    fn sources(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let sources = self.labels.and_then(|labels| labels.get("sources")?.as_array());
        sources.into_iter().flatten().filter_map(|s| Some((s.get("digest")?.as_str()?, s.get("origin")?.as_str()?)))
    }
}
