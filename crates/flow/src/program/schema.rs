//! A closed subset of JSON Schema 2020-12, checked in-process. A keyword outside it is refused at
//! compile time, never ignored: a check that silently does nothing is worse than none.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a compiled pattern.
const PATTERN_SIZE: usize = 64 << 10;

/// Keywords that describe and never reject. `format` is one of them by default (§7.2.1).
const ANNOTATIONS: [&str; 11] = [
    "$schema",
    "$id",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "format",
];

/// What a value must be: a JSON Schema of the keywords that this crate supports.
#[derive(Debug, Default)]
pub struct Schema {
    nothing: bool,
    types: Option<BTreeSet<String>>,
    one_of: Option<Vec<Value>>,
    required: Vec<String>,
    properties: BTreeMap<String, Schema>,
    additional: Option<Box<Schema>>,
    items: Option<Box<Schema>>,
    /// `minLength`, `maximum` and so on, by keyword.
    bounds: BTreeMap<&'static str, f64>,
    pattern: Option<regex::bytes::Regex>,
}

/// Keywords whose value is a number.
const BOUNDS: [&str; 10] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Why a schema was refused: JSON pointer inside it, whether it is only not supported yet, message.
pub(crate) type Refusal = (String, bool, String);

impl Schema {
    /// A schema from elsewhere than a document.
    ///
    /// # Errors
    /// The first keyword that is refused, with its JSON pointer.
    pub fn of(value: &Value) -> Result<Self, String> {
        let mut refused = Vec::new();
        let schema = Self::compile(value, "", &mut refused);
        match refused.into_iter().next() {
            None => Ok(schema),
            Some((at, _, message)) => Err(format!("the schema's {at}: {message}")),
        }
    }

    /// Compiles a schema; reports each refusal and goes on.
    pub(crate) fn compile(value: &Value, pointer: &str, refused: &mut Vec<Refusal>) -> Self {
        let map = match value {
            Value::Bool(anything) => return Self { nothing: !anything, ..Self::default() },
            Value::Object(map) => map,
            _ => {
                refused.push((pointer.to_owned(), false, "a schema is an object or a boolean".to_owned()));
                return Self::default();
            }
        };
        let mut schema = Self::default();
        for (key, value) in map {
            let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            if let Err((unsupported, message)) = schema.keyword(key, value, &at, refused) {
                refused.push((at, unsupported, message));
            }
        }
        schema
    }

    fn keyword(
        &mut self,
        key: &str,
        value: &Value,
        at: &str,
        refused: &mut Vec<Refusal>,
    ) -> Result<(), (bool, String)> {
        let wrong = |what: &str| (false, format!("`{key}` must be {what}"));
        if let Some(bound) = BOUNDS.iter().find(|b| **b == key) {
            self.bounds.insert(bound, value.as_f64().ok_or_else(|| wrong("a number"))?);
            return Ok(());
        }
        match key {
            "type" => {
                self.types = Some(texts(value).ok_or_else(|| wrong("a type or a list of types"))?.into_iter().collect())
            }
            "enum" => self.one_of = Some(value.as_array().ok_or_else(|| wrong("a list"))?.clone()),
            "const" => self.one_of = Some(vec![value.clone()]),
            "required" => {
                self.required = texts(value).filter(|_| value.is_array()).ok_or_else(|| wrong("a list of names"))?
            }
            "properties" => {
                for (name, inner) in value.as_object().ok_or_else(|| wrong("an object"))? {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    self.properties.insert(name.clone(), Self::compile(inner, &at, refused));
                }
            }
            "additionalProperties" => self.additional = Some(Box::new(Self::compile(value, at, refused))),
            "items" => self.items = Some(Box::new(Self::compile(value, at, refused))),
            "pattern" => {
                let text = value.as_str().ok_or_else(|| wrong("a regular expression"))?;
                let built = regex::bytes::RegexBuilder::new(text).unicode(false).size_limit(PATTERN_SIZE).build();
                self.pattern =
                    Some(built.map_err(|_| wrong("a regular expression without look-around or back references"))?);
            }
            _ if ANNOTATIONS.contains(&key) => {}
            _ => return Err((true, format!("the schema keyword `{key}` is not supported yet"))),
        }
        Ok(())
    }

    /// Checks a value. The message names the place and what is expected, never the value.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.check_at(value, "")
    }

    fn check_at(&self, value: &Value, at: &str) -> Result<(), String> {
        let here = if at.is_empty() { "the value" } else { at };
        if self.nothing {
            return Err(format!("{here} is not allowed"));
        }
        if let Some(types) = &self.types
            && !types.iter().any(|name| is(value, name))
        {
            return Err(format!("{here} must be {}", types.iter().cloned().collect::<Vec<_>>().join(" or ")));
        }
        if let Some(allowed) = &self.one_of
            && !allowed.iter().any(|other| same(value, other))
        {
            return Err(format!("{here} is not one of the values the schema lists"));
        }
        match value {
            Value::Number(n) => self.check_number(n.as_f64().unwrap_or(f64::NAN), here),
            Value::String(text) => self.check_text(text, here),
            Value::Array(items) => {
                self.check_count(items.len(), "minItems", "maxItems", here)?;
                let Some(schema) = &self.items else { return Ok(()) };
                items.iter().enumerate().try_for_each(|(i, item)| schema.check_at(item, &format!("{at}/{i}")))
            }
            Value::Object(map) => self.check_object(map, at, here),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn check_object(&self, map: &Map<String, Value>, at: &str, here: &str) -> Result<(), String> {
        self.check_count(map.len(), "minProperties", "maxProperties", here)?;
        if let Some(missing) = self.required.iter().find(|name| !map.contains_key(*name)) {
            return Err(format!("{here} must have `{missing}`"));
        }
        let mut names: Vec<_> = map.keys().collect();
        names.sort_unstable();
        for name in names {
            let inner = self.properties.get(name).or(self.additional.as_deref());
            if let (Some(inner), Some(value)) = (inner, map.get(name)) {
                inner.check_at(value, &format!("{at}/{}", name.chars().take(80).collect::<String>()))?;
            }
        }
        Ok(())
    }

    fn check_number(&self, n: f64, here: &str) -> Result<(), String> {
        for (keyword, bound) in &self.bounds {
            let fits = match *keyword {
                "minimum" => n >= *bound,
                "maximum" => n <= *bound,
                "exclusiveMinimum" => n > *bound,
                "exclusiveMaximum" => n < *bound,
                _ => true,
            };
            if !fits {
                return Err(format!("{here} is outside `{keyword}` {bound}"));
            }
        }
        Ok(())
    }

    fn check_text(&self, text: &str, here: &str) -> Result<(), String> {
        if self.bounds.keys().any(|keyword| keyword.ends_with("Length")) {
            self.check_count(text.chars().count(), "minLength", "maxLength", here)?;
        }
        match &self.pattern {
            Some(pattern) if !pattern.is_match(text.as_bytes()) => Err(format!("{here} must match {pattern}")),
            _ => Ok(()),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of things in memory are far below 2^53")]
    fn check_count(&self, count: usize, least: &str, most: &str, here: &str) -> Result<(), String> {
        let count = count as f64;
        if self.bounds.get(least).is_some_and(|bound| count < *bound) {
            return Err(format!("{here} is shorter than `{least}`"));
        }
        if self.bounds.get(most).is_some_and(|bound| count > *bound) {
            return Err(format!("{here} is longer than `{most}`"));
        }
        Ok(())
    }
}

/// One text, or a list of texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn is(value: &Value, name: &str) -> bool {
    match (name, value) {
        ("integer", Value::Number(n)) => n.as_f64().is_some_and(|x| x.fract() == 0.0),
        ("null", Value::Null)
        | ("boolean", Value::Bool(_))
        | ("number", Value::Number(_))
        | ("string", Value::String(_))
        | ("array", Value::Array(_))
        | ("object", Value::Object(_)) => true,
        _ => false,
    }
}

/// Equality by canonical form: `1.0` is `1`.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((mandate_kernel::canonical_json(a), mandate_kernel::canonical_json(b)), (Ok(x), Ok(y)) if x == y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn checks_what_it_accepts_and_refuses_the_rest() {
        let mut refused = Vec::new();
        let schema = Schema::compile(
            &json!({
                "type": "object", "required": ["quarter"], "additionalProperties": false,
                "properties": {
                    "quarter": {"type": "string", "pattern": "^\\d{4}-Q[1-4]$"},
                    "rows": {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 0}},
                    "mode": {"enum": ["a", 1]}
                }
            }),
            "",
            &mut refused,
        );
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(schema.check(&json!({"quarter": "2026-Q3", "rows": [1, 2.0], "mode": 1.0})), Ok(()));
        for bad in [
            json!([]),
            json!({}),
            json!({"quarter": 3}),
            json!({"quarter": "2026-Q5"}),
            json!({"quarter": "2026-Q3\n"}),
            json!({"quarter": "2026-Q3", "other": 1}),
            json!({"quarter": "2026-Q3", "rows": [1, 2, 3]}),
            json!({"quarter": "2026-Q3", "rows": [-1]}),
            json!({"quarter": "2026-Q3", "rows": [1.5]}),
            json!({"quarter": "2026-Q3", "mode": "b"}),
        ] {
            assert!(schema.check(&bad).is_err(), "{bad}");
        }
        for (bad, unsupported) in [
            (json!({"allOf": []}), true),
            (json!({"properties": {"a": {"$ref": "#/x"}}}), true),
            (json!({"type": 3}), false),
            (json!({"pattern": "(?=a)"}), false),
            (json!(3), false),
        ] {
            let mut refused = Vec::new();
            Schema::compile(&bad, "", &mut refused);
            assert_eq!(refused.iter().map(|r| r.1).collect::<Vec<_>>(), [unsupported], "{bad}");
        }
    }
}
