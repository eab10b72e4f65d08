//! What started a run that nobody asked for.

use mandate_kernel::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

/// How a run began that nobody asked for at the time: under a standing grant of its initiator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// By what.
    pub by: TriggerKind,
    /// The standing grant.
    pub grant: String,
    /// Its version.
    pub grant_version: u64,
    /// The time it was due; absent for events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurrence: Option<Timestamp>,
    /// How many more times were due by then and are made up for by this one run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missed: u32,
    /// The events: SHA-256 over each one's `source` and `id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Digest>,
}

/// What starts runs without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// A time of the Worker's schedule.
    Time,
    /// Events of the Worker's schedule.
    Event,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}
