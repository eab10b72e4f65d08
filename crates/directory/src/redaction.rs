//! What a model is shown: a value without the fields it has no clearance for.

use crate::FieldLabels;
use crate::returns::Part;
use mandate_kernel::{Category, Confidentiality, Labels, Readers};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What stands in the place of a withheld field.
pub const WITHHELD: &str = "[withheld]";

/// The most that somebody or something may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Clearance {
    /// Data up to this confidentiality.
    pub confidentiality: Confidentiality,
    /// Kinds of data. Those that are not here are withheld.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub data: BTreeSet<Category>,
    /// Groups on whose behalf it is shown: data with named readers is shown if each of these may read
    /// it. Without any, only data that has no named readers is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readers: Option<BTreeSet<String>>,
}

impl Clearance {
    /// Whether data with these labels may be shown. Integrity and sources do not matter.
    #[must_use]
    pub fn admits(&self, labels: &Labels) -> bool {
        let readers = match (&labels.readers, &self.readers) {
            (Readers::Anyone, _) => true,
            (Readers::Groups(_), None) => false,
            // Nobody's clearance admits nothing, although the empty set is a part of every set.
            (Readers::Groups(allowed), Some(shown)) => !shown.is_empty() && shown.is_subset(allowed),
        };
        readers && labels.confidentiality <= self.confidentiality && labels.categories.is_subset(&self.data)
    }

    /// What is wrong with the readers.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.readers {
            Some(readers) if readers.is_empty() => Err("name at least one group, or leave readers out".to_owned()),
            _ => Ok(()),
        }
    }
}

/// The value with [`WITHHELD`] in the place of every field whose own labels are not within the
/// clearance, and the JSON pointers of those places in the order in which they stand. The rest of the
/// value is not judged here: whoever shows it asks first whether its base labels are admitted.
#[must_use]
pub fn redact(value: &Value, fields: &[FieldLabels], clearance: &Clearance) -> (Value, Vec<String>) {
    let hidden: Vec<&[Part]> =
        fields.iter().filter(|field| !clearance.admits(&field.labels())).map(|field| field.at.parts()).collect();
    let mut withheld = Vec::new();
    let shown = walk(value, &hidden, "", &mut withheld);
    (shown, withheld)
}

/// `hidden`: what is left of each pattern that fits the way to here.
fn walk(value: &Value, hidden: &[&[Part]], at: &str, withheld: &mut Vec<String>) -> Value {
    if hidden.is_empty() {
        return value.clone();
    }
    if hidden.iter().any(|rest| rest.is_empty()) {
        withheld.push(at.to_owned());
        return Value::from(WITHHELD);
    }
    let mut inner = |name: &str, item: &Value| {
        let below: Vec<&[Part]> = hidden.iter().filter_map(|rest| after(rest, name)).collect();
        walk(item, &below, &format!("{at}/{}", escaped(name)), withheld)
    };
    match value {
        Value::Array(items) => items.iter().enumerate().map(|(i, item)| inner(&i.to_string(), item)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(name, item)| (name.clone(), inner(name, item))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What is left of a pattern below a member of this name.
fn after<'a>(pattern: &'a [Part], name: &str) -> Option<&'a [Part]> {
    let (first, rest) = pattern.split_first()?;
    match first {
        Part::Any => Some(rest),
        Part::One(wanted) => (wanted == name).then_some(rest),
    }
}

/// A part of a JSON pointer (RFC 6901 §3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;
