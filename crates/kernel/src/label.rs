//! Labels on data: how confidential, how trustworthy, who may read, where from (I7).
//!
//! Labels form a lattice. [`Labels::join`] is how they combine: confidentiality joins upward,
//! integrity takes the minimum, readers intersect, sources unite. A label never gets lost.

use crate::Category;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How confidential data is, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidentiality {
    /// Anyone may know.
    #[default]
    Public,
    /// The organisation may know.
    Internal,
    /// Those who need it may know.
    Confidential,
    /// Named readers only.
    Restricted,
}

/// How far data may be relied on, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// From outside, or proposed by a model: it may propose, never decide.
    Untrusted,
    /// Computed by the system from other data.
    Derived,
    /// From a system of record.
    #[default]
    Authoritative,
}

/// Who may read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readers {
    /// No limit beyond confidentiality.
    #[default]
    Anyone,
    /// Only members of these groups. An empty set means nobody.
    Groups(BTreeSet<String>),
}

/// Where a value came from: a function call of a run, or its input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Function name, or `input`.
    pub origin: String,
    /// Digest of the very bytes that were received, `sha256:…`.
    pub digest: crate::Digest,
}

/// The labels of one value. [`Labels::default`] is the bottom: public, authoritative, anyone, no source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Labels {
    /// How confidential.
    pub confidentiality: Confidentiality,
    /// How far it may be relied on.
    pub integrity: Integrity,
    /// Who may read.
    pub readers: Readers,
    /// What kinds of regulated data it may hold.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<Category>,
    /// Everything it was made from.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<Source>,
}

impl Readers {
    fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Anyone, r) | (r, Self::Anyone) => r.clone(),
            (Self::Groups(a), Self::Groups(b)) => Self::Groups(a.intersection(b).cloned().collect()),
        }
    }
}

impl Labels {
    /// The least labels that are at least as strict as both.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            confidentiality: self.confidentiality.max(other.confidentiality),
            integrity: self.integrity.min(other.integrity),
            readers: self.readers.meet(&other.readers),
            categories: self.categories.union(&other.categories).copied().collect(),
            sources: self.sources.union(&other.sources).cloned().collect(),
        }
    }

    /// Whether data with these labels may flow where `bound` is the most that is accepted: every part
    /// of `self` is at most as strict as the same part of `bound`. Sources are not compared.
    #[must_use]
    pub fn flows_to(&self, bound: &Self) -> bool {
        let readers = match (&self.readers, &bound.readers) {
            (Readers::Anyone, _) => true,
            (Readers::Groups(_), Readers::Anyone) => false,
            (Readers::Groups(data), Readers::Groups(sink)) => sink.is_subset(data),
        };
        readers
            && self.confidentiality <= bound.confidentiality
            && self.integrity >= bound.integrity
            && self.categories.is_subset(&bound.categories)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels() -> impl Strategy<Value = Labels> {
        (0..4u8, 0..3u8, proptest::option::of(proptest::collection::btree_set("[a-c]", 0..3))).prop_map(|(c, i, r)| {
            Labels {
                confidentiality: [
                    Confidentiality::Public,
                    Confidentiality::Internal,
                    Confidentiality::Confidential,
                    Confidentiality::Restricted,
                ][c as usize],
                integrity: [Integrity::Untrusted, Integrity::Derived, Integrity::Authoritative][i as usize],
                readers: r.map_or(Readers::Anyone, Readers::Groups),
                ..Labels::default()
            }
        })
    }

    proptest! {
        #[test]
        fn join_is_a_semilattice(a in labels(), b in labels(), c in labels()) {
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
            prop_assert_eq!(a.join(&a), a.clone());
            prop_assert_eq!(a.join(&Labels::default()), a);
        }

        #[test]
        fn join_never_lowers(a in labels(), b in labels()) {
            let joined = a.join(&b);
            prop_assert!(a.flows_to(&joined) && b.flows_to(&joined));
        }
    }
}
