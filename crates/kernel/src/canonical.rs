//! Canonical JSON (RFC 8785): one byte string for each value, so that digests and signatures mean
//! the value.

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
}

/// Writes a value in canonical form.
///
/// # Errors
/// [`CanonicalError::Unrepresentable`].
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    serde_json_canonicalizer::to_vec(value).map_err(|e| CanonicalError::Unrepresentable(e.to_string()))
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
    use serde_json::{Value, json};

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
