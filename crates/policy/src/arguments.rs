//! The arguments of a step as policies see them: each leaf a tag named by its JSON pointer, in an
//! entity for each type of value, because the shape differs from function to function.

use crate::vocabulary::Vocabulary;
use cedar_policy::{Entity, RestrictedExpression};
use serde_json::{Number, Value};

/// Leaves that policies are willing to look at. More than that is refused, not cut.
const MAX_LEAVES: usize = 1_000;
/// Nesting that policies are willing to look at.
const MAX_DEPTH: usize = 64;
/// The largest whole number such that it and all its neighbours are exact in a double.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;
/// Whole parts beyond this don't fit Cedar's decimal.
const MAX_DECIMAL: i64 = 922_337_203_685_476;

type Tags = Vec<(String, RestrictedExpression)>;

#[derive(Default)]
struct Leaves {
    count: usize,
    text: Tags,
    number: Tags,
    decimal: Tags,
    flag: Tags,
    list: Tags,
}

/// The entities that hold `arguments`.
///
/// # Errors
/// A sentence, when there are too many leaves or they nest too deep.
pub(crate) fn entities(arguments: &Value, names: &Vocabulary) -> Result<Vec<Entity>, String> {
    let mut leaves = Leaves::default();
    leaves.walk("", arguments, 0)?;
    let Leaves { text, number, decimal, flag, list, .. } = leaves;
    names
        .arguments
        .iter()
        .zip([text, number, decimal, flag, list])
        .map(|(uid, tags)| Entity::new_with_tags(uid.clone(), [], [], tags).map_err(|e| e.to_string()))
        .collect()
}

impl Leaves {
    fn walk(&mut self, pointer: &str, value: &Value, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("arguments nest deeper than {MAX_DEPTH}, which policies don't look at"));
        }
        self.count += 1;
        if self.count > MAX_LEAVES {
            return Err(format!("arguments hold more than {MAX_LEAVES} values, which policies don't look at"));
        }
        let at = || pointer.to_owned();
        match value {
            Value::Null => {}
            Value::Bool(flag) => self.flag.push((at(), RestrictedExpression::new_bool(*flag))),
            Value::String(text) => self.text.push((at(), RestrictedExpression::new_string(text.clone()))),
            Value::Number(number) => self.number(pointer, number),
            Value::Array(items) => match texts(items) {
                Some(list) => {
                    self.count += list.len();
                    self.list.push((at(), RestrictedExpression::new_set(list)));
                }
                None => {
                    for (index, item) in items.iter().enumerate() {
                        self.walk(&format!("{pointer}/{index}"), item, depth + 1)?;
                    }
                }
            },
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.walk(&format!("{pointer}/{}", escaped(name)), field, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, pointer: &str, number: &Number) {
        let at = || pointer.to_owned();
        let whole = whole(number);
        if let Some(whole) = whole {
            self.number.push((at(), RestrictedExpression::new_long(whole)));
        }
        let decimal = match whole {
            Some(whole) => (whole.unsigned_abs() <= MAX_DECIMAL.unsigned_abs()).then(|| format!("{whole}.0")),
            None => exact_decimal(number),
        };
        match decimal {
            Some(decimal) => self.decimal.push((at(), RestrictedExpression::new_decimal(decimal))),
            None if whole.is_none() => self.text.push((at(), RestrictedExpression::new_string(number.to_string()))),
            None => {}
        }
    }
}

/// A JSON pointer's reference token (RFC 6901 §3): no two paths share a pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The members of a list that holds texts alone.
fn texts(items: &[Value]) -> Option<Vec<RestrictedExpression>> {
    items.iter().map(|item| item.as_str().map(|s| RestrictedExpression::new_string(s.to_owned()))).collect()
}

/// A whole number, however it is spelt: canonical JSON writes 1.0 as 1.
fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let double = number.as_f64().filter(|d| d.fract() == 0.0 && d.abs() <= MAX_SAFE)?;
        // Exact: a whole number within ±2^53 prints as its digits.
        format!("{double:.0}").parse().ok()
    })
}

/// The number as a decimal of one to four places, when that is exactly its shortest form.
fn exact_decimal(number: &Number) -> Option<String> {
    let text = format!("{}", number.as_f64()?);
    let (whole, places) = text.split_once('.')?;
    let fits = whole.parse::<i64>().is_ok_and(|w| w.unsigned_abs() <= MAX_DECIMAL.unsigned_abs());
    (fits && (1..=4).contains(&places.len())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    /// Pointers by type of value, in order.
    fn seen(arguments: &Value) -> [Vec<String>; 5] {
        let mut leaves = Leaves::default();
        leaves.walk("", arguments, 0).unwrap();
        [leaves.text, leaves.number, leaves.decimal, leaves.flag, leaves.list]
            .map(|tags| tags.into_iter().map(|(pointer, _)| pointer).collect::<BTreeSet<_>>().into_iter().collect())
    }

    #[test]
    fn each_value_is_seen_as_what_it_is() {
        let cases: [(Value, [&[&str]; 5]); 12] = [
            (json!({"a": "x"}), [&["/a"], &[], &[], &[], &[]]),
            (json!({"a": 1}), [&[], &["/a"], &["/a"], &[], &[]]),
            (json!({"a": 1.0}), [&[], &["/a"], &["/a"], &[], &[]]),
            (json!({"a": -0.25}), [&[], &[], &["/a"], &[], &[]]),
            (json!({"a": 0.123_45}), [&["/a"], &[], &[], &[], &[]]),
            (json!({"a": 1e300}), [&["/a"], &[], &[], &[], &[]]),
            (json!({"a": u64::MAX}), [&["/a"], &[], &[], &[], &[]]),
            (json!({"a": i64::MAX}), [&[], &["/a"], &[], &[], &[]]),
            (json!({"a": true, "b": null}), [&[], &[], &[], &["/a"], &[]]),
            (json!({"a": ["x", "y"], "b": []}), [&[], &[], &[], &[], &["/a", "/b"]]),
            (json!({"a": ["x", {"b": "y"}]}), [&["/a/0", "/a/1/b"], &[], &[], &[], &[]]),
            (json!({"a/b": "x", "a": {"b": "y"}, "~": "z"}), [&["/a/b", "/a~1b", "/~0"], &[], &[], &[], &[]]),
        ];
        for (arguments, expected) in cases {
            assert_eq!(
                seen(&arguments),
                expected.map(|p| p.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()),
                "{arguments}"
            );
        }
    }

    #[test]
    fn all_that_is_seen_is_accepted() {
        let names = Vocabulary::shared().unwrap();
        let arguments = json!([
            0.5,
            -0.0001,
            922_337_203_685_476_i64,
            -922_337_203_685_476_i64,
            9e15,
            922337203685476.5,
            "x",
            [],
            null
        ]);
        assert_eq!(entities(&arguments, names).unwrap().len(), 5);
    }

    #[test]
    fn too_much_is_refused() {
        let names = Vocabulary::shared().unwrap();
        assert!(entities(&json!(vec![1; 1_001]), names).is_err());
        let mut deep = json!(1);
        for _ in 0..70 {
            deep = json!([deep]);
        }
        assert!(entities(&deep, names).is_err());
    }
}
