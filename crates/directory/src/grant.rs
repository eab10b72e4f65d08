//! An embedded grant: its owner lets one Worker version use a credential through one function version.

use mandate_kernel::{Digest, Environment, FunctionName, ResourceName, Timestamp};
use serde::{Deserialize, Serialize};

/// The content of a `Grant` resource. Made by command only, never applied from a file: giving it is
/// an act of the credential's owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GrantSpec {
    /// The credential.
    pub credential: ResourceName,
    /// The Worker.
    pub worker: ResourceName,
    /// Digest of the Worker version it was given to.
    pub worker_version: Digest,
    /// The function, in the Worker's project.
    pub function: FunctionName,
    /// Digest of the function version it was given for.
    pub function_version: Digest,
    /// The environment.
    pub environment: Environment,
    /// Who gave it, the credential's owner then.
    pub given_by: String,
    /// When.
    pub given_at: Timestamp,
    /// When it ends; absent until revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// A grant's name: there is one for each credential, Worker and function.
#[must_use]
pub fn grant_name(credential: &ResourceName, worker: &ResourceName, function: &FunctionName) -> String {
    format!("{credential}:{worker}:{function}")
}

impl GrantSpec {
    /// Why it does not cover these versions, or `None` when it does.
    #[must_use]
    pub fn stale(&self, worker_version: &Digest, function_version: &Digest) -> Option<&'static str> {
        if self.worker_version != *worker_version {
            Some("the Worker was edited after it was given")
        } else if self.function_version != *function_version {
            Some("the function was edited after it was given")
        } else {
            None
        }
    }
}
