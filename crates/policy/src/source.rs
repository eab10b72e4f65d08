//! Policy files, and what can be wrong with them.

use mandate_kernel::{CanonicalError, Digest, canonical_json};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One `.cedar` file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PolicySource {
    /// Its path as people know it; unique in a set. Those under `builtin/` are the product's own.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl PolicySource {
    /// A file and its text.
    #[must_use]
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }
}

/// The digest of a list of files: SHA-256 of the canonical JSON (RFC 8785) of `[[file, text], …]`
/// sorted by file, so that the order of loading does not matter.
pub(crate) fn digest(sources: &[PolicySource]) -> Result<Digest, CanonicalError> {
    let mut list: Vec<(&str, &str)> = sources.iter().map(|s| (s.file.as_str(), s.text.as_str())).collect();
    list.sort_unstable();
    Ok(Digest::of(&canonical_json(&list)?))
}

/// One thing wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

impl PolicyError {
    /// An error at a byte offset of a file.
    pub(crate) fn at(source: &PolicySource, offset: usize, message: impl Into<String>) -> Self {
        let before = source.text.get(..offset).unwrap_or(&source.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: source.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |text| text.chars().count()) + 1,
            message: message.into(),
        }
    }
}

/// Everything wrong with a set of policy files; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fmt::Display::fmt(error, f)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}
