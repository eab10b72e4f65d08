//! JSON values as YAML, for people to read and to apply again.

use serde_json::{Map, Value};

/// The value as a YAML document, ending in a newline. [`parse`](super::parse) reads back an equal one.
#[must_use]
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

/// Writes a value in a position where a block may begin, its lines indented by `indent`.
fn node(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => members(out, map, indent, false),
        Value::Array(list) if !list.is_empty() => {
            for item in list {
                pad(out, indent);
                out.push_str("- ");
                match item {
                    // The first member stands behind the dash.
                    Value::Object(map) if !map.is_empty() => members(out, map, indent + 2, true),
                    Value::Array(inner) if !inner.is_empty() => {
                        out.truncate(out.len() - 1);
                        out.push('\n');
                        node(out, item, indent + 2);
                    }
                    scalar => line(out, scalar, indent),
                }
            }
        }
        scalar => line(out, scalar, indent),
    }
}

fn members(out: &mut String, map: &Map<String, Value>, indent: usize, mut behind_dash: bool) {
    for (key, value) in map {
        if !std::mem::take(&mut behind_dash) {
            pad(out, indent);
        }
        out.push_str(&quoted(key));
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                members(out, inner, indent + 2, false);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                node(out, value, indent + 2);
            }
            scalar => {
                out.push(' ');
                line(out, scalar, indent);
            }
        }
    }
}

fn line(out: &mut String, scalar: &Value, indent: usize) {
    match scalar {
        Value::String(text) if is_block(text) => {
            out.push_str("|\n");
            for row in text.lines() {
                if !row.is_empty() {
                    pad(out, indent + 2);
                }
                out.push_str(row);
                out.push('\n');
            }
        }
        Value::String(text) => {
            out.push_str(&quoted(text));
            out.push('\n');
        }
        // Scalars and empty collections are the same in both.
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Whether a text reads better, and reads back the same, as a literal block.
fn is_block(text: &str) -> bool {
    let printable = |c: char| {
        c == '\n' || (!c.is_control() && c < '\u{d7ff}' && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
    };
    text.len() > 1
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(printable)
        && text.lines().all(|row| row.trim_end() == row)
}

/// A text plain where nobody could take it for anything else, otherwise in double quotes, whose escapes
/// are those of JSON.
fn quoted(text: &str) -> String {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_./@+".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| inner(c) || c == ' ')
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn reads_like_what_people_write() {
        let value = json!({
            "apiVersion": "mandate.dev/v1", "kind": "Worker", "metadata": {"name": "finance/q"},
            "spec": {"do": [{"a": {"set": {"x": "${ .y }"}}}, 3, []], "none": null, "text": "one\ntwo\n", "version": "1.0"},
        });
        let expected = "apiVersion: mandate.dev/v1\nkind: Worker\nmetadata:\n  name: finance/q\nspec:\n  do:\n    - a:\n        set:\n          x: \"${ .y }\"\n    - 3\n    - []\n  none: null\n  text: |\n    one\n    two\n  version: \"1.0\"\n";
        assert_eq!(emit(&value), expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text =
            prop_oneof!["\\PC{0,12}", "[a-z0-9:#\\-'\"|> \n\t]{0,16}", Just("yes".to_owned()), Just("~".to_owned())];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1_000_000_000i64..1_000_000_000).prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_the_same(value in values()) {
            let text = emit(&value);
            let read = crate::yaml::parse("x", &text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(read.into_value(), value, "{}", text);
        }
    }
}
