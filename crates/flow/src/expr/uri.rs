//! URI templates: simple expansion alone (RFC 6570 level 1).

use super::ExprError;
use mandate_kernel::canonical_json;
use serde_json::Value;

/// Bytes of an expanded URI.
const MAX_BYTES: usize = 8 << 10;

/// A part of a URI template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UriPart {
    /// Taken as it is.
    Text(String),
    /// The member of the input of that name; empty when it has none.
    Variable(String),
}

/// Fills a template from the members of `input`. A value is percent-encoded, so that it never leaves its place
/// in the URI; one that would make a path segment `.` or `..` is an error.
pub(super) fn expand(parts: &[UriPart], input: &Value) -> Result<Value, ExprError> {
    let mut uri = String::new();
    for part in parts {
        match part {
            UriPart::Text(text) => uri.push_str(text),
            UriPart::Variable(name) => encode(&mut uri, &text(name, input.get(name))?),
        }
        if uri.len() > MAX_BYTES {
            return Err(ExprError::Limit(format!("{MAX_BYTES} bytes of a URI")));
        }
    }
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(ExprError::Failed("a value would make a segment of the URI's path `.` or `..`".to_owned()));
    }
    Ok(Value::String(uri))
}

fn text(name: &str, value: Option<&Value>) -> Result<String, ExprError> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => canonical_json(value)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| ExprError::Failed(format!("the URI variable `{name}` can't be written"))),
        Some(_) => {
            Err(ExprError::Failed(format!("the URI variable `{name}` must be text, a number, a boolean or null")))
        }
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
fn encode(uri: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let hex = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(['%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parts() -> Vec<UriPart> {
        let text = |text: &str| UriPart::Text(text.to_owned());
        let variable = |name: &str| UriPart::Variable(name.to_owned());
        vec![text("https://h.example/pets/"), variable("id"), text("/of/"), variable("a.b"), text("?q="), variable("q")]
    }

    #[test]
    fn values_stay_in_their_place() {
        let expanded = expand(&parts(), &json!({"id": 7, "a.b": "a/b ä", "q": true})).unwrap();
        assert_eq!(expanded, "https://h.example/pets/7/of/a%2Fb%20%C3%A4?q=true");
        assert_eq!(expand(&parts(), &json!(null)).unwrap(), "https://h.example/pets//of/?q=");
        for bad in [json!({"id": ".."}), json!({"id": []}), json!({"a.b": {}}), json!({"q": "x".repeat(9_000)})] {
            assert!(expand(&parts(), &bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_the_shape(id in ".*", q in ".*") {
            if let Ok(Value::String(uri)) = expand(&parts(), &json!({"id": id, "q": q, "a.b": 1.0})) {
                prop_assert!(uri.starts_with("https://h.example/pets/"));
                prop_assert_eq!(uri.matches('/').count(), 6);
                prop_assert_eq!(uri.matches('?').count(), 1);
                prop_assert!(fluent_uri::Uri::parse(uri.as_str()).is_ok(), "{}", uri);
            }
        }
    }
}
