//! Schemas: what they accept, what is refused in them, and how long they may take.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::time::Instant;

#[test]
fn checks_and_names_the_place_and_never_the_value() {
    let schema = Schema::of(&json!({
        "type": "object", "required": ["quarter"], "additionalProperties": false,
        "properties": {
            "quarter": {"type": "string", "pattern": "^\\d{4}-Q[1-4]$"},
            "rows": {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 0}},
            "mode": {"enum": ["a", 1]}
        }
    }))
    .unwrap();
    assert_eq!(schema.check(&json!({"quarter": "2026-Q3", "rows": [1, 2.0], "mode": 1.0})), Ok(()));
    for (bad, told) in [
        (json!([]), "the value must be object"),
        (json!({}), "the value must have `quarter`"),
        (json!({"quarter": 3}), "/quarter must be string"),
        (json!({"quarter": "2026-Q5"}), "/quarter must match ^\\d{4}-Q[1-4]$"),
        (json!({"quarter": "2026-Q3\n"}), "/quarter must match ^\\d{4}-Q[1-4]$"),
        (json!({"quarter": "2026-Q3", "other": 1}), "/other is not allowed"),
        (json!({"quarter": "2026-Q3", "rows": [1, 2, 3]}), "/rows is longer than `maxItems`"),
        (json!({"quarter": "2026-Q3", "rows": [-1]}), "/rows/0 is outside `minimum` 0"),
        (json!({"quarter": "2026-Q3", "rows": [1.5]}), "/rows/0 must be integer"),
        (json!({"quarter": "2026-Q3", "mode": "b"}), "/mode is not one of the values the schema lists"),
    ] {
        assert_eq!(schema.check(&bad), Err(told.to_owned()), "{bad}");
    }
}

#[test]
fn the_whole_vocabulary_checks() {
    for (schema, good, bad) in [
        (json!({"allOf": [{"minimum": 1}, {"maximum": 3}]}), json!(2), json!(4)),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), json!(null), json!(1)),
        (json!({"oneOf": [{"minimum": 1}, {"minimum": 5}]}), json!(2), json!(6)),
        (json!({"not": {"const": 1.0}}), json!(2), json!(1)),
        (json!({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}), json!("ab"), json!(1)),
        (json!({"prefixItems": [{"type": "string"}], "items": false}), json!(["a"]), json!(["a", 1])),
        (json!({"contains": {"const": 1}, "minContains": 2}), json!([1, 1]), json!([1])),
        (json!({"uniqueItems": true}), json!([1, 2]), json!([1, 1.0])),
        (json!({"multipleOf": 0.5}), json!(1.5), json!(1.3)),
        (json!({"propertyNames": {"maxLength": 1}}), json!({"a": 1}), json!({"ab": 1})),
        (json!({"patternProperties": {"^a": {"type": "null"}}}), json!({"ab": null}), json!({"ab": 1})),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1, "b": 1}), json!({"a": 1})),
        (json!({"dependentSchemas": {"a": {"minProperties": 2}}}), json!({"a": 1, "b": 1}), json!({"a": 1})),
        (
            json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}),
            json!({"a": 1}),
            json!({"b": 1}),
        ),
        (json!({"prefixItems": [true], "unevaluatedItems": false}), json!([1]), json!([1, 2])),
        (json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}), json!("x"), json!(1)),
        (json!({"$ref": "#n", "$defs": {"a": {"$anchor": "n", "type": "string"}}}), json!("x"), json!(1)),
        (
            json!({"properties": {"next": {"$ref": "#"}, "n": {"type": "number"}}}),
            json!({"next": {"n": 1}}),
            json!({"next": {"n": "x"}}),
        ),
        (json!(true), json!(1), json!(null)),
    ] {
        let compiled = Schema::of(&schema).unwrap();
        assert_eq!(compiled.check(&good), Ok(()), "{schema}");
        assert!(schema == json!(true) || compiled.check(&bad).is_err(), "{schema} {bad}");
    }
    assert!(Schema::of(&json!(false)).unwrap().check(&json!(1)).is_err());
    // These describe, and don't reject.
    let described =
        json!({"format": "email", "contentMediaType": "application/json", "contentEncoding": "base64", "x-any": 1});
    assert_eq!(Schema::of(&described).unwrap().check(&json!("{")), Ok(()));
}

#[test]
fn what_is_wrong_in_a_schema_is_told_at_its_place() {
    for (bad, at, unsupported) in [
        (json!(3), "", false),
        (json!({"type": 3}), "/type", false),
        (json!({"type": "text"}), "/type", false),
        (json!({"requred": ["a"]}), "/requred", false),
        (json!({"required": "a"}), "/required", false),
        (json!({"allOf": {}}), "/allOf", false),
        (json!({"properties": {"a": {"minimum": "1"}}}), "/properties/a/minimum", false),
        (json!({"pattern": "(?=a)"}), "/pattern", false),
        (json!({"pattern": "(a)\\1"}), "/pattern", false),
        (json!({"patternProperties": {"[": true}}), "/patternProperties/[", false),
        (json!({"properties": {"a": {"$ref": "#/x"}}}), "/properties/a", false),
        (json!({"$ref": "#/required", "required": ["a"]}), "", false),
        (json!({"$ref": "https://h.example/s.json"}), "/$ref", true),
        (json!({"$ref": "file:///etc/passwd"}), "/$ref", true),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema", true),
        (json!({"$defs": {"a": {"$id": "https://h.example/a"}}}), "/$defs/a/$id", true),
    ] {
        let refused = Schema::compile(&bad).unwrap_err();
        let found: Vec<_> = refused.iter().map(|(at, unsupported, _)| (at.as_str(), *unsupported)).collect();
        assert!(found.contains(&(at, unsupported)), "{bad}: {refused:?}");
    }
}

/// `levels` definitions, each of which refers to the next twice.
fn doubling(levels: usize) -> Value {
    let mut defs = serde_json::Map::new();
    for i in 0..levels {
        let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
        defs.insert(format!("a{i}"), json!({"allOf": [next.clone(), next]}));
    }
    defs.insert(format!("a{levels}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/a0", "$defs": defs})
}

#[test]
fn bombs_are_refused_or_end_quickly() {
    let began = Instant::now();
    assert!(Schema::of(&doubling(4)).unwrap().check(&json!("x")).is_ok());
    assert!(Schema::of(&doubling(20)).unwrap_err().contains("larger"));
    let chain: serde_json::Map<_, _> =
        (0..5_000).map(|i| (format!("a{i}"), json!({"$ref": format!("#/$defs/a{}", (i + 1) % 5_000)}))).collect();
    assert!(Schema::of(&json!({"$ref": "#/$defs/a0", "$defs": chain})).unwrap_err().contains("nests"));
    // A reference that leads back without taking anything of the data.
    for circular in
        [json!({"$ref": "#"}), json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), json!({"not": {"$ref": "#"}})]
    {
        if let Ok(schema) = Schema::of(&circular) {
            let _ended = schema.check(&json!({"a": 1}));
        }
    }
    // Twice at each level of the data.
    let twice = json!({"properties": {"a": {"$ref": "#"}}});
    let schema = Schema::of(&json!({"allOf": [twice.clone(), twice], "type": ["object", "null"]})).unwrap();
    for end in [json!(null), json!(1)] {
        let deep = (0..60).fold(end.clone(), |inner, _| json!({"a": inner}));
        assert_eq!(schema.check(&deep).is_ok(), end.is_null());
    }
    let text = "a".repeat(1 << 20);
    for pattern in ["^(a+)+$", "(a|a)*b", "(.*)*x$"] {
        let _ended = Schema::of(&json!({"pattern": pattern})).unwrap().check(&json!(text));
    }
    let many: Vec<_> = (0..100_000).map(Value::from).collect();
    assert_eq!(Schema::of(&json!({"uniqueItems": true})).unwrap().check(&Value::from(many.clone())), Ok(()));
    assert!(Schema::of(&json!({"items": {"type": "string"}})).unwrap().check(&Value::from(many)).is_err());
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

/// As many references at each level of the data as there may be, and as many levels: on a thread with the small
/// stack that a server's threads have.
#[test]
fn the_deepest_validation_fits_a_small_stack() {
    let chain = |length: usize| {
        let mut defs: serde_json::Map<_, _> = (0..length)
            .map(|i| (format!("a{i}"), json!({"allOf": [{"$ref": format!("#/$defs/a{}", i + 1)}]})))
            .collect();
        defs.insert(format!("a{length}"), json!({"properties": {"a": {"$ref": "#/$defs/a0"}}, "type": "object"}));
        json!({"$ref": "#/$defs/a0", "$defs": defs, "unevaluatedProperties": false})
    };
    let check = move || {
        let longest = (1..200).rev().find_map(|length| Schema::of(&chain(length)).ok()).unwrap();
        for end in [json!({}), json!(1)] {
            let deep = (0..64).fold(end.clone(), |inner, _| json!({"a": inner}));
            assert_eq!(longest.check(&deep).is_ok(), end.is_object());
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(check).unwrap().join().unwrap();
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-d]", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The same value, members in the opposite order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(reversed).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(key, item)| (key.clone(), reversed(item))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    /// A replay reads values from the journal in canonical form: the finding must be the same.
    #[test]
    fn the_order_of_members_does_not_matter(value in values()) {
        let schema = json!({
            "type": "object", "required": ["a"], "maxProperties": 3,
            "properties": {"a": {"type": "string"}, "b": {"items": {"minimum": 0}}, "c": {"anyOf": [{"type": "null"}, {"required": ["a"]}]}},
            "additionalProperties": {"type": "boolean"},
        });
        let (one, other) = (Schema::of(&schema).unwrap(), Schema::of(&reversed(&schema)).unwrap());
        prop_assert_eq!(one.check(&value), other.check(&reversed(&value)));
    }
}
