//! Which facts a policy can look at. Laying facts out for Cedar costs more than judging them, so those
//! that no policy in question mentions are left out.

use cedar_policy::Policy;
use serde_json::Value;
use std::collections::BTreeSet;

/// The fields of `context` that some policies mention.
#[derive(Debug, Default)]
pub(crate) struct Mentions {
    /// The context was used as a whole, or could not be followed: no field may be left out.
    everything: bool,
    fields: BTreeSet<String>,
}

impl Mentions {
    pub(crate) fn add(&mut self, policy: &Policy) {
        // The parsed form, not the text: a name may be spelt with escapes.
        match policy.to_json() {
            Ok(tree) => self.walk(&tree),
            Err(_) => self.everything = true,
        }
    }

    /// Whether a policy may look at `field`.
    pub(crate) fn cover(&self, field: &str) -> bool {
        self.everything || self.fields.contains(field)
    }

    /// Finds `context.FIELD` and `context has FIELD`, and `context` on its own.
    fn walk(&mut self, node: &Value) {
        match node {
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Object(fields) => {
                if is_context(node) {
                    self.everything = true;
                }
                for (operator, operand) in fields {
                    match (operator.as_str(), operand.get("left"), first_name(operand.get("attr"))) {
                        ("." | "has", Some(left), Some(field)) if is_context(left) => {
                            self.fields.insert(field.to_owned());
                        }
                        _ => self.walk(operand),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The name, or the first of the path that `has a.b` looks along.
fn first_name(attr: Option<&Value>) -> Option<&str> {
    let attr = attr?;
    attr.as_str().or_else(|| attr.get(0)?.as_str())
}

fn is_context(node: &Value) -> bool {
    node.get("Var").and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_however_they_are_spelt() {
        let cases: &[(&str, &[&str], bool)] = &[
            ("", &[], false),
            ("when { principal has purpose }", &[], false),
            ("when { context.purpose == \"context.labels\" }", &["purpose"], false),
            ("when { context[\"p\\u{75}rpose\"] == \"\" }", &["purpose"], false),
            ("when { context has \"l\\u{61}bels\" }", &["labels"], false),
            ("unless { if context has a then [context.b].contains(1) else !context.c }", &["a", "b", "c"], false),
            ("when { context has credential.environment }", &["credential"], false),
            ("when { context.arguments.text.hasTag(context.k) }", &["arguments", "k"], false),
            ("when { {a: context.b}.a > 1 } unless { context.c }", &["b", "c"], false),
            ("when { context == {} }", &[], true),
            ("when { [context].contains({}) }", &[], true),
            ("when { (if true then context else context).a }", &[], true),
        ];
        for (condition, fields, everything) in cases {
            let mut mentions = Mentions::default();
            mentions.add(&Policy::parse(None, format!("permit (principal, action, resource) {condition};")).unwrap());
            let found: Vec<&str> = mentions.fields.iter().map(String::as_str).collect();
            assert_eq!((found.as_slice(), mentions.everything), (*fields, *everything), "{condition}");
        }
    }
}
