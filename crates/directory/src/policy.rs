//! A policy file of a tenant.

use serde::{Deserialize, Serialize};

/// The content of a `Policy` resource: one Cedar file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PolicySpec {
    /// File name, for messages.
    pub file: String,
    /// Cedar text.
    pub text: String,
}
