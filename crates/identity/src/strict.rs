//! JSON from outside, read strictly: no member twice, nothing after the end.

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, collections::HashSet, fmt};

/// Reads JSON that must not name a member twice in any object: two readers could otherwise see two
/// different values under one signature. `None` for anything else; the cause is not told, because it
/// could hold a piece of the token.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    unambiguous(bytes).ok()?;
    serde_json::from_slice(bytes).ok()
}

/// Whether bytes are JSON that names no member twice in any object. Nothing of it is kept.
///
/// # Errors
/// Where it is not, and why; never what stands there.
pub fn unambiguous(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Unambiguous>(bytes).map(|_| ())
}

/// Any JSON value without a repeated member. Holds nothing.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Scan)
    }
}

struct Scan;

impl<'de> Visitor<'de> for Scan {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_str<E>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_unit<E>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unambiguous, A::Error> {
        while items.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unambiguous, A::Error> {
        let mut seen: HashSet<Name<'de>> = HashSet::new();
        while let Some((name, Unambiguous)) = members.next_entry::<Name<'de>, Unambiguous>()? {
            if !seen.insert(name) {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(Unambiguous)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(PartialEq, Eq, Hash)]
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_repeated_member_is_refused_at_any_depth() {
        for good in [r#"{"a":1,"b":{"a":1}}"#, r#"[{"a":1},{"a":2}]"#, "null", r#"{"a":-1.5e3,"b":"","c":true}"#] {
            assert!(from_slice::<Value>(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"a":2}]}"#, r#"{"a":1,"\u0061":2}"#, "{} {}", "{", ""] {
            assert!(from_slice::<Value>(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(from_slice::<Value>("[".repeat(100_000).as_bytes()).is_none());
    }
}
