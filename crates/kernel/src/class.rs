//! The class of a piece of work: what it may do and what kinds of data it touches (mission 20).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What work does to the world, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Only reads.
    #[default]
    ReadOnly,
    /// Reads, and derives something new.
    AnalysisOnly,
    /// Changes something outside.
    ActionTaking,
}

impl Impact {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::AnalysisOnly => "analysis-only",
            Self::ActionTaking => "action-taking",
        }
    }
}

/// Kinds of data that rules outside the system care about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// The organisation's own business.
    Internal,
    /// Money, accounts, results.
    Financial,
    /// About identifiable people.
    Personal,
    /// Under a law or regulation of its own.
    Regulated,
}

/// The class of a Worker, function or run. Classes combine by maximum: a Worker is at least what it
/// declares and at least what each of its functions implies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// What it does to the world.
    #[serde(default)]
    pub impact: Impact,
    /// What data it touches.
    #[serde(default)]
    pub data: BTreeSet<Category>,
}

impl Class {
    /// The least class that covers both.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        Self { impact: self.impact.max(other.impact), data: self.data.union(&other.data).copied().collect() }
    }
}
