//! Administrative acts: resources, secrets, revocation epochs, each with its ledger entries.

use crate::{ArrivalChange, ScheduleWrite, SealedPayload};
use mandate_kernel::{Digest, Tenant, Timestamp};
use mandate_ledger::Entry;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose authority can be withdrawn at once (I9). Each has an epoch; revoking raises it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of", content = "name")]
pub enum EpochKey {
    /// The whole tenant.
    Tenant,
    /// A person, by subject.
    User(String),
    /// A credential, `PROJECT/NAME`.
    Credential(String),
    /// A function, `PROJECT/NAME`.
    Function(String),
    /// A Worker, `PROJECT/NAME`.
    Worker(String),
    /// A grant, by resource name.
    Grant(String),
    /// A run.
    Run(String),
    /// The tenant's configuration: policies, bindings, credentials, grants. No run holds this epoch;
    /// raising it makes every decision in the making be made again, under what is configured now.
    Configuration,
}

impl fmt::Display for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant => f.write_str("the tenant's authority"),
            Self::User(name) => write!(f, "the authority of {name}"),
            Self::Credential(name) => write!(f, "credential {name}"),
            Self::Function(name) => write!(f, "function {name}"),
            Self::Worker(name) => write!(f, "Worker {name}"),
            Self::Grant(name) => write!(f, "grant {name}"),
            Self::Run(name) => write!(f, "run {name}"),
            Self::Configuration => f.write_str("the configuration"),
        }
    }
}

/// The revocation facts at one moment, read together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The tenant's revocation sequence: it rises with each revocation in the tenant.
    pub revocations: u64,
    /// The epochs asked for, in the order asked; 0 for never revoked.
    pub epochs: Vec<u64>,
}

/// A new version of a configuration resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceWrite {
    /// `Worker`, `Function`, `Connection`, `Credential`, `Policy`, `Grant`, `RoleBinding`, `Group`, …
    pub kind: String,
    /// Name inside the tenant.
    pub name: String,
    /// The version this write builds on: `Some(0)` must not exist yet, `None` whatever it is.
    pub expected: Option<u64>,
    /// The new content; `None` deletes (history stays).
    pub spec: Option<serde_json::Value>,
}

/// Where a resource stands, whatever its kind: what a store holds is compared with what its ledger records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceState {
    /// Kind.
    pub kind: String,
    /// Name inside the tenant.
    pub name: String,
    /// The newest version, a deletion included.
    pub version: u64,
    /// What it holds now.
    pub content: ResourceContent,
}

/// What a resource holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceContent {
    /// It was deleted.
    Deleted,
    /// SHA-256 of the stored content, computed anew.
    Digest(Digest),
    /// There is none, or not the one its digest was stored for.
    Damaged,
}

/// A resource as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceRecord {
    /// Kind.
    pub kind: String,
    /// Name inside the tenant.
    pub name: String,
    /// Version, from 1; the ETag.
    pub version: u64,
    /// SHA-256 of the canonical JSON of `spec`.
    pub digest: Digest,
    /// Content.
    pub spec: serde_json::Value,
    /// Who wrote this version.
    pub written_by: String,
    /// When.
    pub written_at: Timestamp,
}

/// Key material and secrets as stored: always ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRecord {
    /// What it is: `tenant-key`, `subject-key`, `credential`, `signing-key`.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// Version, from 1.
    pub version: u32,
    /// The vault's sealed form.
    pub sealed: Vec<u8>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Everything an administrative act makes true at one moment.
#[derive(Debug, Clone)]
pub struct Change {
    /// The tenant. The store refuses one that is not its caller's.
    pub tenant: Tenant,
    /// When, and who, for resource history.
    pub at: Timestamp,
    /// The subject who acts.
    pub by: String,
    /// Resource versions. Each needs an entry in `entries` that names its kind, name, version and digest
    /// (a node starts only on configuration that its ledger records).
    pub resources: Vec<ResourceWrite>,
    /// Sealed secrets to insert; an existing (kind, name, version) is a conflict.
    pub secrets: Vec<SecretRecord>,
    /// Secrets to destroy for good (kind, name): shredding.
    pub shred: Vec<(String, String)>,
    /// Epochs to raise, and with them the tenant's revocation sequence.
    pub revoke: Vec<EpochKey>,
    /// Ledger entries (not part of a run's chain).
    pub entries: Vec<Entry>,
    /// Payloads to keep.
    pub payloads: Vec<SealedPayload>,
    /// Events at the door.
    pub arrivals: Vec<ArrivalChange>,
    /// Where schedules stand.
    pub schedules: Vec<ScheduleWrite>,
}

impl Change {
    /// A change of nothing yet.
    #[must_use]
    pub const fn new(tenant: Tenant, at: Timestamp, by: String) -> Self {
        Self {
            tenant,
            at,
            by,
            resources: Vec::new(),
            secrets: Vec::new(),
            shred: Vec::new(),
            revoke: Vec::new(),
            entries: Vec::new(),
            payloads: Vec::new(),
            arrivals: Vec::new(),
            schedules: Vec::new(),
        }
    }
}
