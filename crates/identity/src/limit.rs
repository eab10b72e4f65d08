//! Limits on the arguments of a call: a closed lattice in which anything incomparable is denied.

use crate::scope::{FormError, shortened};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, slice};

/// The largest integer that every JSON reader keeps exact (RFC 8259 §6): 2^53 − 1.
const EXACT: i64 = (1 << 53) - 1;

/// The most limits that one function may carry.
const MAX_LIMITS: usize = 64;

/// What one argument may be.
///
/// A limit stands for the set of values it admits, and [`Limit::covers`] never holds unless that set
/// includes the other's. Numbers are integers within ±(2^53 − 1): a fraction, an exponent or a larger
/// number is admitted by nothing, because readers disagree about its value. Write an amount in minor
/// units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Limit {
    /// Exactly this JSON value.
    Equals(Value),
    /// One of these JSON values; order and repetition mean nothing. Empty: nothing.
    OneOf(Vec<Value>),
    /// A string that begins with this text, byte by byte.
    ///
    /// Not a path prefix: `/a` admits `/ab`, so write `/a/`. Because a receiver may resolve or decode
    /// what it gets, a string that holds `..`, `%`, `\` or a control character is never admitted.
    Prefix(String),
    /// An integer, both ends included. `min` above `max`: nothing.
    Range {
        /// The least integer admitted.
        min: i64,
        /// The greatest integer admitted.
        max: i64,
    },
}

impl Limit {
    /// Whether `value` is within the limit.
    #[must_use]
    pub fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Equals(only) => only == value && is_exact(value),
            Self::OneOf(set) => set.contains(value) && is_exact(value),
            Self::Prefix(prefix) => value.as_str().is_some_and(|text| text.starts_with(prefix) && is_plain(text)),
            Self::Range { min, max } => exact_integer(value).is_some_and(|n| (*min..=*max).contains(&n)),
        }
    }

    /// Whether everything that `other` admits is admitted here too. Of two limits that can't be
    /// compared (a prefix and a range) neither covers the other.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Equals(value)) => self.admits_each(slice::from_ref(value)),
            (_, Self::OneOf(values)) => self.admits_each(values),
            (Self::Prefix(held), Self::Prefix(asked)) => asked.starts_with(held),
            (_, Self::Range { min, max }) if min > max => true,
            (Self::Range { min, max }, Self::Range { min: from, max: to }) => min <= from && to <= max,
            (_, Self::Range { min, max }) if min == max => self.admits_each(&[Value::from(*min)]),
            _ => false,
        }
    }

    /// Values that nothing admits are not part of what a limit stands for.
    fn admits_each(&self, values: &[Value]) -> bool {
        values.iter().filter(|value| is_exact(value)).all(|value| self.admits(value))
    }
}

fn exact_integer(value: &Value) -> Option<i64> {
    value.as_i64().filter(|n| (-EXACT..=EXACT).contains(n))
}

/// Whether every number inside is an integer that all readers agree on.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(_) => exact_integer(value).is_some(),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

/// Whether a receiver can't read another text out of this one by resolving or decoding it.
fn is_plain(text: &str) -> bool {
    !text.contains("..") && !text.contains(|c: char| c.is_control() || matches!(c, '%' | '\\'))
}

/// The limits on a function's arguments, each at a JSON pointer (RFC 6901) into them. An argument
/// without a limit is free; an argument with one must be there. Empty: any arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Limit>")]
pub struct ArgumentLimits(BTreeMap<String, Limit>);

impl ArgumentLimits {
    /// Checks the pointers.
    ///
    /// # Errors
    /// [`FormError::Pointer`] for one that is not a JSON pointer, or when there are more than 64.
    pub fn new(limits: BTreeMap<String, Limit>) -> Result<Self, FormError> {
        match limits.keys().enumerate().find(|(n, pointer)| *n >= MAX_LIMITS || !is_pointer(pointer)) {
            None => Ok(Self(limits)),
            Some((_, pointer)) => Err(FormError::Pointer(shortened(pointer))),
        }
    }

    /// Each pointer with its limit.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Limit)> {
        self.0.iter().map(|(pointer, limit)| (pointer.as_str(), limit))
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that `asked` is at least as tight everywhere.
    ///
    /// # Errors
    /// The first pointer at which it is wider, or has no limit at all.
    pub fn cover<'a>(&'a self, asked: &Self) -> Result<(), &'a str> {
        first_refused(self.0.iter().map(|(p, held)| (p, asked.0.get(p).is_some_and(|limit| held.covers(limit)))))
    }

    /// Checks the arguments of a call.
    ///
    /// # Errors
    /// The first pointer whose argument is missing or outside its limit.
    pub fn admit<'a>(&'a self, arguments: &Value) -> Result<(), &'a str> {
        first_refused(self.0.iter().map(|(p, limit)| (p, arguments.pointer(p).is_some_and(|v| limit.admits(v)))))
    }
}

fn first_refused<'a>(mut verdicts: impl Iterator<Item = (&'a String, bool)>) -> Result<(), &'a str> {
    verdicts.find(|(_, held)| !held).map_or(Ok(()), |(pointer, _)| Err(pointer.as_str()))
}

/// One spelling for each place: `~` only as `~0` or `~1`.
fn is_pointer(text: &str) -> bool {
    let escapes_ok = text.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    text.len() <= 256 && escapes_ok && (text.is_empty() || text.starts_with('/'))
}

impl TryFrom<BTreeMap<String, Limit>> for ArgumentLimits {
    type Error = FormError;
    fn try_from(limits: BTreeMap<String, Limit>) -> Result<Self, FormError> {
        Self::new(limits)
    }
}
impl From<ArgumentLimits> for BTreeMap<String, Limit> {
    fn from(limits: ArgumentLimits) -> Self {
        limits.0
    }
}
