//! The labels of what a function returns: of the whole, and of single fields.

use mandate_kernel::{Category, Confidentiality, Integrity, Labels, Readers};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most fields with labels of their own.
const MAX_FIELDS: usize = 64;

/// Longest pattern in bytes, and most parts of one.
const MAX_PATTERN: usize = 500;
const MAX_PARTS: usize = 16;

/// The labels of what a function returns, before its source is added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ReturnLabels {
    /// How confidential.
    pub confidentiality: Confidentiality,
    /// How far it may be relied on. What is not said to be more is untrusted.
    pub integrity: Option<Integrity>,
    /// Groups that may read it; absent for anyone.
    pub readers: Option<BTreeSet<String>>,
    /// Kinds of data.
    pub data: BTreeSet<Category>,
    /// Fields with labels of their own, above those of the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldLabels>,
}

/// The labels of some fields of a value, above those of the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FieldLabels {
    /// Which.
    pub at: FieldPattern,
    /// How confidential, if more than the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidentiality: Option<Confidentiality>,
    /// Kinds of data, besides those of the rest.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data: BTreeSet<Category>,
}

impl FieldLabels {
    /// What it adds to the labels of the rest.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels {
            confidentiality: self.confidentiality.unwrap_or_default(),
            categories: self.data.clone(),
            ..Labels::default()
        }
    }
}

/// A JSON pointer (RFC 6901) in which `*` stands for every index of a list and every key of an object:
/// `/rows/*/account_manager`. It names at least one part and at most sixteen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPattern {
    text: String,
    parts: Vec<Part>,
}

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Every index or key.
    Any,
    /// This index or key.
    One(String),
}

impl FieldPattern {
    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl TryFrom<String> for FieldPattern {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "a field is a JSON pointer such as /rows/*/account_manager, of 1 to 16 parts".to_owned();
        let rest = text.strip_prefix('/').filter(|_| text.len() <= MAX_PATTERN).ok_or_else(wrong)?;
        let part = |raw: &str| match raw {
            "*" => Ok(Part::Any),
            _ if raw.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) => Err(wrong()),
            _ => Ok(Part::One(raw.replace("~1", "/").replace("~0", "~"))),
        };
        let parts: Vec<Part> = rest.split('/').map(part).collect::<Result<_, _>>()?;
        if parts.len() > MAX_PARTS {
            return Err(wrong());
        }
        Ok(Self { text, parts })
    }
}

impl From<FieldPattern> for String {
    fn from(pattern: FieldPattern) -> Self {
        pattern.text
    }
}

impl ReturnLabels {
    /// The labels of the whole value, its fields included; without a source.
    #[must_use]
    pub fn labels(&self) -> Labels {
        self.fields.iter().fold(self.base(), |labels, field| labels.join(&field.labels()))
    }

    /// The labels of the value without the fields that have their own; without a source.
    #[must_use]
    pub fn base(&self) -> Labels {
        Labels {
            confidentiality: self.confidentiality,
            integrity: self.integrity.unwrap_or(Integrity::Untrusted),
            readers: self.readers.clone().map_or(Readers::Anyone, Readers::Groups),
            categories: self.data.clone(),
            sources: BTreeSet::new(),
        }
    }

    /// JSON pointer into the function's content, and what is wrong there.
    pub(crate) fn check(&self) -> Result<(), (String, String)> {
        if self.fields.len() > MAX_FIELDS {
            return Err(("/returns/fields".to_owned(), "at most 64 fields have labels of their own".to_owned()));
        }
        match self.fields.iter().position(|field| field.confidentiality.is_none() && field.data.is_empty()) {
            Some(bare) => Err((
                format!("/returns/fields/{bare}"),
                "a field with labels of its own says its confidentiality, its data, or both".to_owned(),
            )),
            None => Ok(()),
        }
    }
}
