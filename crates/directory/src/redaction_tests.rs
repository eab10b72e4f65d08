//! Nothing withheld survives, and nothing else changes.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn field(at: &str, confidentiality: Option<Confidentiality>, data: &[Category]) -> FieldLabels {
    FieldLabels { at: at.to_owned().try_into().unwrap(), confidentiality, data: data.iter().copied().collect() }
}

fn clearance() -> Clearance {
    Clearance {
        confidentiality: Confidentiality::Confidential,
        data: [Category::Financial].into(),
        readers: Some(["finance".to_owned()].into()),
    }
}

#[test]
fn withholds_exactly_the_fields_above_the_clearance() {
    let value = json!({"rows": [
        {"region": "North", "account_manager": "desk-04", "amount": 1},
        {"region": "South", "account_manager": null},
        {"region": "West"},
        "account_manager",
    ], "account_manager": "desk-09", "a/b~": {"x": 1}});
    let fields = [
        field("/rows/*/account_manager", None, &[Category::Personal]),
        field("/rows/*/amount", Some(Confidentiality::Confidential), &[Category::Financial]),
        field("/a~1b~0", Some(Confidentiality::Restricted), &[]),
    ];
    let (shown, withheld) = redact(&value, &fields, &clearance());
    assert_eq!(
        shown,
        json!({"rows": [
            {"region": "North", "account_manager": WITHHELD, "amount": 1},
            {"region": "South", "account_manager": WITHHELD},
            {"region": "West"},
            "account_manager",
        ], "account_manager": "desk-09", "a/b~": WITHHELD})
    );
    let mut withheld = withheld;
    withheld.sort();
    assert_eq!(withheld, ["/a~1b~0", "/rows/0/account_manager", "/rows/1/account_manager"]);
    assert!(withheld.iter().all(|pointer| value.pointer(pointer).is_some()));
}

#[test]
fn admits_what_is_within_in_every_part() {
    let labels = |confidentiality, categories: &[Category], readers: Option<&[&str]>| Labels {
        confidentiality,
        categories: categories.iter().copied().collect(),
        readers: readers
            .map_or(Readers::Anyone, |groups| Readers::Groups(groups.iter().map(ToString::to_string).collect())),
        ..Labels::default()
    };
    let held = clearance();
    let (low, high) = (Confidentiality::Internal, Confidentiality::Restricted);
    assert!(held.admits(&Labels::default()));
    assert!(held.admits(&labels(low, &[Category::Financial], Some(&["finance", "audit"]))));
    assert!(!held.admits(&labels(high, &[], None)));
    assert!(!held.admits(&labels(low, &[Category::Financial, Category::Personal], None)));
    assert!(!held.admits(&labels(low, &[], Some(&["audit"]))));
    assert!(!held.admits(&labels(low, &[], Some(&[]))));
    for readers in [None, Some(BTreeSet::new())] {
        let held = Clearance { readers, ..clearance() };
        assert!(held.admits(&labels(low, &[], None)));
        assert!(!held.admits(&labels(low, &[], Some(&["finance"]))));
    }
}

/// Values whose texts are all different, so that a survivor can be found.
fn numbered(value: &mut Value, next: &mut u32) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| numbered(item, next)),
        Value::Object(map) => map.values_mut().for_each(|item| numbered(item, next)),
        leaf => {
            *next += 1;
            *leaf = Value::from(format!("leaf-{next}-"));
        }
    }
}

fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(map) => map.values().flat_map(leaves).collect(),
        leaf => leaf.as_str().map(str::to_owned).into_iter().collect(),
    }
}

fn values() -> impl Strategy<Value = Value> {
    Just(Value::Null).prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc*~/]{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn patterns() -> impl Strategy<Value = Vec<String>> {
    let part = prop_oneof![Just("*".to_owned()), "[abc]{1,2}", "[0-3]", Just("~0".to_owned()), Just("a~1".to_owned())];
    let pattern = proptest::collection::vec(part, 1..4).prop_map(|parts| format!("/{}", parts.join("/")));
    proptest::collection::vec(pattern, 0..4)
}

proptest! {
    #[test]
    fn nothing_withheld_survives_and_nothing_else_changes(value in values(), patterns in patterns()) {
        let mut value = value;
        numbered(&mut value, &mut 0);
        let fields: Vec<_> = patterns.iter().map(|at| field(at, None, &[Category::Personal])).collect();
        let (shown, withheld) = redact(&value, &fields, &clearance());
        let text = shown.to_string();
        let mut restored = shown.clone();
        for pointer in &withheld {
            let original = value.pointer(pointer).unwrap();
            for leaf in leaves(original) {
                prop_assert!(!text.contains(&leaf), "{pointer} {leaf}");
            }
            let place = restored.pointer_mut(pointer).unwrap();
            prop_assert_eq!(&*place, &Value::from(WITHHELD));
            *place = original.clone();
        }
        prop_assert_eq!(restored, value.clone());
        // A clearance for everything withholds nothing.
        let all = Clearance { data: [Category::Financial, Category::Personal].into(), ..clearance() };
        prop_assert_eq!(redact(&value, &fields, &all), (value, Vec::new()));
    }
}
