//! Leases: a credential lent to one attempt. The intent is durable before anything is issued.

use mandate_kernel::{LeaseId, ResourceName, StepKey, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseState {
    /// Wanted: a credential may have been issued. Must be ended, also after a crash.
    Intended,
    /// Over: revoked at the provider, or the provider said it can't and the residual is known.
    Ended,
}

/// A lease as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// Its id.
    pub lease: LeaseId,
    /// The attempt it serves.
    pub step: StepKey,
    /// The credential lent.
    pub credential: ResourceName,
    /// Which version of the secret.
    pub version: u32,
    /// When it ends at the latest.
    pub not_after: Timestamp,
    /// Where it stands.
    pub state: LeaseState,
}

/// A change to a lease within a transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseChange {
    /// Record the intent.
    Intend(LeaseRecord),
    /// Record the end.
    End {
        /// Which lease.
        lease: LeaseId,
        /// When.
        at: Timestamp,
    },
}
