//! A credential's metadata. The secret itself is in the vault and nowhere else.

use mandate_kernel::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The content of a `Credential` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CredentialSpec {
    /// What it opens, for people.
    #[serde(default)]
    pub description: String,
    /// The accountable owner's subject, `user:finance-director` (mission 15). Only the owner gives
    /// grants on it and puts secrets into it.
    pub owner: String,
    /// The environment it belongs to.
    pub environment: Environment,
    /// Origins it may be sent to, set by its owner.
    pub destinations: BTreeSet<String>,
}
