//! The labels that a run begins with.

use crate::EngineError;
use crate::pinned::Pinned;
use mandate_flow::Need;
use mandate_kernel::{Confidentiality, Digest, Integrity, Labels, RunId, Source, canonical_json};
use serde_json::Value;
use std::collections::BTreeSet;

/// The input is what the initiator said: as confidential as the Worker's own class, and theirs.
///
/// An input with a credential in it is as confidential as can be, and its source is named by the run: a digest of a
/// password that stands in a ledger could be guessed at.
pub(crate) fn of_input(pinned: &Pinned, run: &RunId, input: &Value) -> Result<Labels, EngineError> {
    let secret = pinned.program.needs().contains(&Need::CallerSuppliedCredentials);
    let digest = if secret { Digest::of(run.as_str().as_bytes()) } else { Digest::of(&canonical_json(input)?) };
    let (confidentiality, categories) = match &pinned.spec.input_labels {
        Some(declared) => (declared.confidentiality, declared.data.clone()),
        None => (Confidentiality::default(), pinned.spec.class.data.clone()),
    };
    let confidentiality = if secret { Confidentiality::Restricted } else { confidentiality };
    Ok(Labels {
        integrity: Integrity::Derived,
        confidentiality,
        categories,
        sources: BTreeSet::from([Source { origin: "input".to_owned(), digest }]),
        ..Labels::default()
    })
}
