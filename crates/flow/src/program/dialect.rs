//! What a JSON Schema may hold here, checked before it is built: the whole vocabulary of draft 2020-12, within
//! bounds, referring only to itself. A keyword that the draft does not have is refused, never ignored: a check
//! that silently does nothing is worse than none.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Schemas in a schema, each as often as it is referred to; validation takes time by it.
const MAX_SCHEMAS: usize = 20_000;
/// References and schemas inside of one another.
const MAX_NESTING: usize = 48;
/// Patterns of one schema.
const MAX_PATTERNS: usize = 64;
/// The one dialect.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Keywords that hold one schema.
const ONE: [&str; 11] = [
    "additionalProperties",
    "items",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords that hold a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords that hold schemas by name.
const NAMED: [&str; 5] = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Keywords that hold something else.
const PLAIN: [&str; 38] = [
    "$id",
    "$schema",
    "$ref",
    "$dynamicRef",
    "$anchor",
    "$dynamicAnchor",
    "$comment",
    "$vocabulary",
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxContains",
    "minContains",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
    "format",
    "contentEncoding",
    "contentMediaType",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
];

/// Why a schema was refused: JSON pointer inside it, whether it is only not supported yet, message.
pub(crate) type Refusal = (String, bool, String);

/// Everything about a schema that is refused; empty when it may be built.
pub(super) fn refusals(schema: &Value) -> Vec<Refusal> {
    let mut walk = Walk { schemas: BTreeMap::new(), anchors: BTreeMap::new(), patterns: 0, refused: Vec::new() };
    walk.schema(schema, String::new(), 0);
    if walk.refused.is_empty() {
        let mut known = BTreeMap::new();
        let size = walk.size("", 0, &mut known);
        if size > MAX_SCHEMAS {
            let why =
                format!("the schema is larger than {MAX_SCHEMAS} schemas, counted as often as each is referred to");
            walk.refused.push((String::new(), false, why));
        }
    }
    walk.refused
}

/// The schemas found, by pointer: what each holds, and what it refers to.
struct Walk {
    schemas: BTreeMap<String, (Vec<String>, Vec<String>)>,
    anchors: BTreeMap<String, String>,
    patterns: usize,
    refused: Vec<Refusal>,
}

impl Walk {
    fn refuse(&mut self, at: String, unsupported: bool, why: impl Into<String>) {
        if self.refused.len() < 50 {
            self.refused.push((at, unsupported, why.into()));
        }
    }

    fn schema(&mut self, value: &Value, at: String, depth: usize) {
        let map = match value {
            Value::Bool(_) => return drop(self.schemas.insert(at, (Vec::new(), Vec::new()))),
            Value::Object(map) if depth <= MAX_NESTING => map,
            _ => return self.refuse(at, false, "a schema is an object or a boolean"),
        };
        let mut inside = Vec::new();
        let mut refers = Vec::new();
        for (key, value) in map {
            let here = format!("{at}/{}", escaped(key));
            match (key.as_str(), value) {
                (name, value) if ONE.contains(&name) => {
                    inside.push(here.clone());
                    self.schema(value, here, depth + 1);
                }
                (name, Value::Array(items)) if LIST.contains(&name) => {
                    for (i, item) in items.iter().enumerate() {
                        inside.push(format!("{here}/{i}"));
                        self.schema(item, format!("{here}/{i}"), depth + 1);
                    }
                }
                (name, Value::Object(named)) if NAMED.contains(&name) => {
                    if name == "patternProperties" {
                        self.patterns += named.len();
                    }
                    for (name, item) in named {
                        let there = format!("{here}/{}", escaped(name));
                        // A definition counts where it is referred to.
                        if !matches!(key.as_str(), "$defs" | "definitions") {
                            inside.push(there.clone());
                        }
                        self.schema(item, there, depth + 1);
                    }
                }
                (name, _) if LIST.contains(&name) => {
                    self.refuse(here, false, format!("`{name}` must be a list of schemas"))
                }
                (name, _) if NAMED.contains(&name) => {
                    self.refuse(here, false, format!("`{name}` must be an object of schemas"));
                }
                ("$ref" | "$dynamicRef", Value::String(to)) => refers.extend(self.reference(here, to)),
                (name, value) => self.plain(name, value, here, &at),
            }
        }
        self.patterns += usize::from(map.contains_key("pattern"));
        if self.patterns == MAX_PATTERNS + 1 {
            self.refuse(at.clone(), false, format!("a schema has at most {MAX_PATTERNS} patterns"));
        }
        self.schemas.insert(at, (inside, refers));
    }

    fn reference(&mut self, at: String, to: &str) -> Option<String> {
        match to.strip_prefix('#') {
            Some(inside) => Some(inside.to_owned()),
            None => {
                self.refuse(at, true, "a reference to outside of the schema is not supported: it begins with `#`");
                None
            }
        }
    }

    fn plain(&mut self, name: &str, value: &Value, here: String, at: &str) {
        match (name, value) {
            ("$schema", Value::String(draft)) if draft.trim_end_matches('#') == DRAFT => {}
            ("$schema", _) => {
                self.refuse(here, true, format!("a schema of another draft than {DRAFT} is not supported"))
            }
            ("$id", _) if !at.is_empty() => {
                self.refuse(here, true, "`$id` inside of a schema is not supported");
            }
            ("$anchor" | "$dynamicAnchor", Value::String(anchor)) => {
                if self.anchors.insert(anchor.clone(), at.to_owned()).is_some() {
                    self.refuse(here, false, "this anchor is there twice");
                }
            }
            (name, _) if PLAIN.contains(&name) || name.starts_with("x-") => {}
            (name, _) => {
                let shown: String = name.chars().take(60).collect();
                self.refuse(here, false, format!("`{shown}` is not a keyword of JSON Schema 2020-12"));
            }
        }
    }

    /// How many schemas a schema stands for, references followed. One that is being counted already recurs with
    /// the data, and counts once.
    fn size(&mut self, at: &str, depth: usize, known: &mut BTreeMap<String, Option<usize>>) -> usize {
        match known.get(at) {
            Some(size) => return size.unwrap_or(0),
            None if depth > MAX_NESTING => {
                self.refuse(at.to_owned(), false, format!("the schema nests more than {MAX_NESTING} references"));
                return 0;
            }
            None => {}
        }
        let Some((inside, refers)) = self.schemas.get(at).cloned() else { return 0 };
        known.insert(at.to_owned(), None);
        let mut size = 1usize;
        for pointer in inside {
            size = size.saturating_add(self.size(&pointer, depth + 1, known));
        }
        for to in refers {
            let target = match to.as_str() {
                "" => Some(String::new()),
                pointer if pointer.starts_with('/') => Some(pointer.to_owned()),
                anchor => self.anchors.get(anchor).cloned(),
            };
            match target.filter(|target| self.schemas.contains_key(target)) {
                Some(target) => size = size.saturating_add(self.size(&target, depth + 1, known)),
                None => {
                    let shown: String = to.chars().take(60).collect();
                    self.refuse(at.to_owned(), false, format!("`#{shown}` is no schema in here"));
                }
            }
        }
        known.insert(at.to_owned(), Some(size));
        size
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The same value with the keys of each object in order, so that what is found first does not depend on how
/// it was written.
pub(super) fn ordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(ordered).collect()),
        Value::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            Value::Object(members.into_iter().map(|(key, item)| (key.clone(), ordered(item))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
