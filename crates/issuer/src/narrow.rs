//! The arguments of one call as limits: as tight as the lattice can say.

use mandate_identity::{ArgumentLimits, Limit};
use serde_json::Value;
use std::collections::BTreeMap;

/// The longest text that is written out in a token. What is longer is held by the request's digest.
const MAX_TEXT: usize = 256;

/// The most limits in one token.
const MAX_LIMITS: usize = 64;

/// Narrows `held` to the very arguments of a call that it admits: each limit, and each scalar argument
/// that has none, becomes "equals". Where a value can't be written as such (too long, a fraction, a
/// list), the limit held stays. `held` covers the result.
pub(crate) fn to_call(held: &ArgumentLimits, arguments: &Value) -> ArgumentLimits {
    let mut limits: BTreeMap<String, Limit> = held
        .iter()
        .map(|(pointer, limit)| (pointer.to_owned(), exact(pointer, arguments).unwrap_or_else(|| limit.clone())))
        .collect();
    let unlimited = arguments.as_object().into_iter().flatten().map(|(name, _)| pointer_to(name));
    for pointer in unlimited {
        if limits.len() >= MAX_LIMITS {
            break;
        }
        if let Some(limit) = exact(&pointer, arguments) {
            limits.entry(pointer).or_insert(limit);
        }
    }
    // A pointer of more than 256 bytes is no limit that others could read: the held ones suffice.
    ArgumentLimits::new(limits).unwrap_or_else(|_| held.clone())
}

fn exact(pointer: &str, arguments: &Value) -> Option<Limit> {
    let value = arguments.pointer(pointer)?;
    let scalar = match value {
        Value::String(text) => text.len() <= MAX_TEXT,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::Array(_) | Value::Object(_) => false,
    };
    let limit = Limit::Equals(value.clone());
    // The lattice admits no fraction and no number that readers disagree about.
    (scalar && limit.admits(value)).then_some(limit)
}

fn pointer_to(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn limits(of: &[(&str, Limit)]) -> ArgumentLimits {
        ArgumentLimits::new(of.iter().map(|(p, l)| ((*p).to_owned(), l.clone())).collect()).unwrap()
    }

    #[test]
    fn each_scalar_becomes_itself() {
        let arguments = json!({
            "quarter": "2026-Q3", "year": 2026, "dry": true, "none": null, "a/b~c": 1,
            "rate": 1.5, "list": [1], "map": {"x": 1}, "text": "t".repeat(257),
        });
        let held = limits(&[("/quarter", Limit::Prefix("2026-".to_owned())), ("/rate", Limit::Prefix(String::new()))]);
        let narrowed = to_call(&held, &arguments);
        let got: Vec<(&str, &Limit)> = narrowed.iter().collect();
        let equals = |value: Value| Limit::Equals(value);
        assert_eq!(
            got,
            [
                ("/a~1b~0c", &equals(json!(1))),
                ("/dry", &equals(json!(true))),
                ("/none", &equals(json!(null))),
                ("/quarter", &equals(json!("2026-Q3"))),
                ("/rate", &Limit::Prefix(String::new())),
                ("/year", &equals(json!(2026))),
            ]
        );
    }

    #[test]
    fn a_name_no_pointer_can_hold_falls_back_to_what_is_held() {
        let held = limits(&[("/a", Limit::Range { min: 0, max: 9 })]);
        let mut arguments = json!({"a": 1});
        arguments["n".repeat(300)] = json!(2);
        assert_eq!(to_call(&held, &arguments), held);
    }

    proptest! {
        #[test]
        fn held_covers_the_result_and_the_call_is_admitted(
            numbers in proptest::collection::btree_map("[a-c]", (-5i64..5, proptest::option::of(0i64..3)), 0..4),
            texts in proptest::collection::btree_map("[d-f]", ("[a-b]{0,3}", proptest::option::of(0usize..4)), 0..4),
        ) {
            let mut arguments = serde_json::Map::new();
            let mut held = Vec::new();
            for (name, (n, slack)) in numbers {
                held.extend(slack.map(|by| (format!("/{name}"), Limit::Range { min: n - by, max: n + by })));
                arguments.insert(name, json!(n));
            }
            for (name, (text, kept)) in texts {
                held.extend(kept.map(|n| (format!("/{name}"), Limit::Prefix(text.chars().take(n).collect()))));
                arguments.insert(name, json!(text));
            }
            let arguments = Value::Object(arguments);
            let held = ArgumentLimits::new(held.into_iter().collect()).unwrap();
            prop_assert!(held.admit(&arguments).is_ok());
            let narrowed = to_call(&held, &arguments);
            prop_assert!(held.cover(&narrowed).is_ok());
            prop_assert!(narrowed.admit(&arguments).is_ok());
            for (name, value) in arguments.as_object().unwrap() {
                let mut other = arguments.clone();
                other[name] = match value { Value::String(s) => json!(format!("{s}x")), n => json!(n.as_i64().unwrap() + 1) };
                prop_assert!(narrowed.admit(&other).is_err());
            }
        }
    }
}
