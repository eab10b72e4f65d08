//! What starts or wakes runs from outside: events at the door, and where schedules stand.

use crate::{SealedPayload, StoreError};
use async_trait::async_trait;
use mandate_kernel::{Digest, ResourceName, Timestamp};
use serde_json::Value;

/// An event that came through the door and has not been handed on yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalRecord {
    /// Which event: a digest of its `source` and `id`. The same is taken once as long as it is known.
    pub key: Digest,
    /// Until when it is known, also after it was handed on.
    pub keep_until: Timestamp,
    /// The event with its labels, sealed.
    pub event: SealedPayload,
}

/// A change to the events at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArrivalChange {
    /// Take one in. One that is known is a [`crate::CommitError::VersionConflict`] of kind [`ARRIVAL`].
    Take(ArrivalRecord),
    /// It was handed on to everybody: its content goes, what is known of it stays.
    Done(Digest),
    /// Forget those that were handed on and need not be known after this time.
    Forget(Timestamp),
}

/// The kind that a conflict over an event names.
pub const ARRIVAL: &str = "Arrival";

/// The kind that a conflict over a schedule names.
pub const SCHEDULE: &str = "Schedule";

/// Where the schedule of a Worker stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleRecord {
    /// Version of the row, from 1.
    pub version: u64,
    /// What the engine wrote; opaque to the store.
    pub state: Value,
}

/// A new state of a Worker's schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleWrite {
    /// The Worker.
    pub worker: ResourceName,
    /// The version it builds on; 0 for none. Another is a [`crate::CommitError::VersionConflict`] of kind
    /// [`SCHEDULE`]: of several nodes one takes each occurrence.
    pub expected: u64,
    /// The state.
    pub state: Value,
}

/// Reads what [`crate::Change`] writes of events and schedules. A store without them has none.
#[async_trait]
pub trait Occasions: Send + Sync {
    /// Which of these events are known: taken in, and not forgotten.
    async fn known(&self, keys: &[Digest]) -> Result<Vec<bool>, StoreError> {
        Ok(vec![false; keys.len()])
    }
    /// Events that have not been handed on, in the order in which they came; at most `limit`.
    async fn arrivals(&self, limit: usize) -> Result<Vec<ArrivalRecord>, StoreError> {
        let _ = limit;
        Ok(Vec::new())
    }
    /// How many events have not been handed on.
    async fn arrivals_waiting(&self) -> Result<u64, StoreError> {
        Ok(0)
    }
    /// Where a Worker's schedule stands; `None` before its first word.
    async fn schedule(&self, worker: &ResourceName) -> Result<Option<ScheduleRecord>, StoreError> {
        let _ = worker;
        Ok(None)
    }
}
