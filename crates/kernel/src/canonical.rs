//! Canonical JSON (RFC 8785): one byte string for each value, so that digests and signatures mean
//! the value.
//!
//! It is written by a writer of our own, because every ledger entry goes through it, and the library that it is
//! tested against reads each name back to sort it (docs/decisions/0034-where-a-step-spends.md).

mod name;
mod object;
mod text;
mod writer;

use serde::{Serialize, de::DeserializeOwned};

/// Why a value has no canonical form, or bytes are not in it.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The value can't be written as JSON (a map with keys that are not text, a NaN).
    #[error("value has no canonical JSON form: {0}")]
    Unrepresentable(String),
    /// The bytes are not JSON of the expected shape.
    #[error("not the expected JSON: {0}")]
    Parse(String),
    /// The bytes are JSON, but not in canonical form: key order, spacing, number or string form.
    #[error("JSON is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// An integer that would be rounded, where that is refused.
    #[error("the value holds an integer beyond 2^53, which canonical JSON would round: write it as text")]
    Inexact,
    /// Nested deeper than allowed.
    #[error("the value is nested too deeply")]
    TooDeep,
}

/// Writes a value in canonical form.
///
/// # Errors
/// [`CanonicalError::Unrepresentable`].
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    Ok(writer::write(value, writer::Bounds::NONE)?)
}

/// Writes a value in canonical form, if that carries every integer as it is and no part lies deeper than `depth`
/// levels; the value itself is on the first.
///
/// # Errors
/// [`CanonicalError::Unrepresentable`], [`CanonicalError::Inexact`], [`CanonicalError::TooDeep`].
pub fn canonical_json_exact<T: Serialize>(value: &T, depth: usize) -> Result<Vec<u8>, CanonicalError> {
    Ok(writer::write(value, writer::Bounds { exact: true, depth })?)
}

/// Reads bytes that must be the canonical form of what they say: duplicate keys, unknown fields that
/// `T` would drop, spacing and alternative spellings are all refused, because the value is written
/// again and compared.
///
/// # Errors
/// [`CanonicalError::Parse`] and [`CanonicalError::NotCanonical`].
pub fn parse_canonical<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, CanonicalError> {
    let value: T = serde_json::from_slice(bytes).map_err(|e| CanonicalError::Parse(e.to_string()))?;
    if canonical_json(&value)? == bytes { Ok(value) } else { Err(CanonicalError::NotCanonical) }
}

/// The largest magnitude of an integer that canonical JSON carries as it is: 2^53 - 1 (RFC 8785 §3.2.2.3).
pub const EXACT_INTEGER: i64 = (1 << 53) - 1;

/// Whether canonical JSON carries every integer of a value as it is, instead of rounding it.
#[must_use]
pub fn is_exact(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Number(n) => {
            let magnitude = n.as_u64().or_else(|| n.as_i64().map(i64::unsigned_abs));
            magnitude.is_none_or(|magnitude| magnitude <= EXACT_INTEGER.unsigned_abs())
        }
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(map) => map.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    /// Names and texts with all that sorts or is written in a way of its own.
    fn words() -> impl Strategy<Value = String> {
        let chars = prop_oneof![
            proptest::char::range('a', 'f'),
            proptest::char::range('\0', '\u{7f}'),
            Just('\u{e9}'),
            Just('\u{ffff}'),
            Just('\u{e000}'),
            Just('\u{1f600}'),
            any::<char>(),
        ];
        proptest::collection::vec(chars, 0..6).prop_map(String::from_iter)
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-300i64..300).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-1e22f64..1e22).prop_map(Value::from),
            words().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::vec((words(), inner), 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_value_is_written_as_the_library_writes_it(value in values()) {
            let ours = canonical_json(&value).unwrap();
            let library = serde_json_canonicalizer::to_vec(&value).unwrap();
            prop_assert_eq!(String::from_utf8(ours).unwrap(), String::from_utf8(library).unwrap());
        }

        #[test]
        fn what_is_written_reads_back(value in values()) {
            let bytes = canonical_json(&value).unwrap();
            let back: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(canonical_json(&back).unwrap(), bytes);
        }
    }

    fn depth(value: &Value) -> usize {
        let inner = match value {
            Value::Array(items) => items.iter().map(depth).max(),
            Value::Object(members) => members.values().map(depth).max(),
            _ => None,
        };
        1 + inner.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn the_exact_form_is_the_form_or_a_refusal(value in values(), limit in 0usize..6) {
            let exact = canonical_json_exact(&value, limit);
            match (is_exact(&value), depth(&value) <= limit) {
                (true, true) => prop_assert_eq!(exact.unwrap(), canonical_json(&value).unwrap()),
                (false, true) => prop_assert!(matches!(exact, Err(CanonicalError::Inexact))),
                (true, false) => prop_assert!(matches!(exact, Err(CanonicalError::TooDeep))),
                (false, false) => prop_assert!(exact.is_err()),
            }
        }
    }

    #[test]
    fn what_a_variant_wraps_lies_a_level_deeper() {
        for (shape, levels) in
            [(Shape::Unit, 1), (Shape::One(7), 2), (Shape::Pair(1, "a"), 3), (Shape::Named { z: None, a: () }, 3)]
        {
            assert!(canonical_json_exact(&shape, levels).is_ok());
            assert!(matches!(canonical_json_exact(&shape, levels - 1), Err(CanonicalError::TooDeep)));
        }
    }

    #[derive(Serialize)]
    enum Shape {
        Unit,
        One(u8),
        Pair(i16, &'static str),
        Named { z: Option<f32>, a: () },
    }

    #[derive(Serialize)]
    struct Wrapped(u64);

    #[derive(Serialize)]
    struct Parts<'a> {
        shapes: Vec<Shape>,
        b: Wrapped,
        tuple: (char, i128),
        bytes: &'a [u8],
        keyed: BTreeMap<i32, bool>,
        #[serde(flatten)]
        more: BTreeMap<&'a str, Value>,
    }

    #[test]
    fn every_kind_of_type_is_written_as_the_library_writes_it() {
        let named = Shape::Named { z: Some(0.5), a: () };
        let parts = Parts {
            shapes: vec![Shape::Unit, Shape::One(7), Shape::Pair(-3, "\u{7}\n\"\\/"), named],
            b: Wrapped((1 << 53) + 1),
            tuple: ('\u{1f600}', -5),
            bytes: &[0, 255],
            keyed: BTreeMap::from([(-1, true), (10, false), (9, true)]),
            more: BTreeMap::from([("zz", json!({"y": [], "x": {}})), ("aa", json!(-0.0)), ("c", json!(1e21))]),
        };
        let library = serde_json_canonicalizer::to_vec(&parts).unwrap();
        assert_eq!(String::from_utf8(canonical_json(&parts).unwrap()), String::from_utf8(library));
    }

    #[test]
    fn what_has_no_form_is_refused() {
        #[derive(Serialize)]
        struct Twice<'a> {
            b: u8,
            a: u8,
            #[serde(flatten)]
            more: BTreeMap<&'a str, u8>,
        }
        for more in [BTreeMap::from([("a", 1)]), BTreeMap::from([("b", 1)])] {
            assert!(canonical_json(&Twice { b: 1, a: 2, more }).is_err());
        }
        assert!(canonical_json(&f64::NAN).is_err());
        assert!(canonical_json(&[f64::INFINITY]).is_err());
        assert!(canonical_json(&BTreeMap::from([(vec![1u8], 1)])).is_err());
        assert!(canonical_json(&BTreeMap::from([(None::<String>, 1)])).is_err());
    }

    #[test]
    fn integers_are_exact_up_to_two_to_the_53() {
        let edge = (1u64 << 53) - 1;
        for good in [json!(edge), json!(-(edge as i64)), json!([{"a": 0.1}]), json!(1e300)] {
            assert!(is_exact(&good), "{good}");
        }
        for bad in [json!(edge + 1), json!(i64::MIN), json!(u64::MAX), json!({"a": [1u64 << 60]})] {
            assert!(!is_exact(&bad), "{bad}");
        }
    }

    #[test]
    fn sorts_keys_and_refuses_other_spellings() {
        let bytes = canonical_json(&json!({"b": 1.0, "a": "\u{20ac}"})).unwrap();
        assert_eq!(bytes, "{\"a\":\"€\",\"b\":1}".as_bytes());
        assert!(parse_canonical::<Value>(&bytes).is_ok());
        for other in [
            "{\"b\":1,\"a\":\"€\"}",
            "{\"a\":\"\\u20ac\",\"b\":1}",
            "{\"a\":\"€\", \"b\":1}",
            "{\"a\":\"€\",\"b\":1.0}",
            "{\"a\":1,\"a\":\"€\",\"b\":1}",
        ] {
            assert!(parse_canonical::<Value>(other.as_bytes()).is_err(), "{other}");
        }
    }
}
