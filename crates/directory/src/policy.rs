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

impl PolicySpec {
    /// The name messages and digests know it by: the project of its resource and its file, so that two
    /// projects may each have a file of one name.
    #[must_use]
    pub fn source_name(&self, resource: &str) -> String {
        let project = resource.split_once('/').map_or("", |(project, _)| project);
        format!("{project}/{}", self.file)
    }
}
