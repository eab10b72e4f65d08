//! `sessions` of the configuration file.

use mandate_directory::SessionLifetimes;
use serde::Deserialize;

/// How long browser sessions live, in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct SessionsConfig {
    /// However much it is used.
    pub absolute_seconds: u64,
    /// Without use.
    pub idle_seconds: u64,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        let lifetimes = SessionLifetimes::default();
        Self { absolute_seconds: lifetimes.absolute.as_secs(), idle_seconds: lifetimes.idle.as_secs() }
    }
}
