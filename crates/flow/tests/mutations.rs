//! Any change of a document gives a document that compiles, or findings: never a panic, and never for long.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

use mandate_flow::{Labelled, Machine, Program, Start, yaml};
use mandate_kernel::{Labels, RunId, Timestamp};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, sync::OnceLock, time::Instant};

#[path = "matrix/rows.rs"]
#[allow(dead_code, reason = "only the documents are used here")]
mod rows;

/// The specification's examples where they are here, the broken documents, and those of the matrix.
fn corpus() -> &'static [Value] {
    static CORPUS: OnceLock<Vec<Value>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut found = Vec::new();
        for folder in ["../../../shared/ows/examples", "tests/broken"] {
            let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), folder].iter().collect();
            let mut paths: Vec<_> = fs::read_dir(path).into_iter().flatten().map(|e| e.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
            paths.sort();
            let texts = paths.iter().map(|path| fs::read_to_string(path).unwrap());
            found.extend(texts.filter_map(|text| Some(yaml::parse("x", &text).ok()?.into_value())));
        }
        for (_, _, document, ..) in rows::CHAPTERS.iter().flat_map(|(_, rows)| *rows) {
            let mut value = yaml::parse("x", document).unwrap().into_value();
            value["document"] = json!({"dsl": "1.0.3", "namespace": "n", "name": "n", "version": "1.0.0"});
            found.push(value);
        }
        found
    })
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The `n`-th value inside, itself being the first.
fn nth(value: &Value, n: &mut usize) -> Option<Value> {
    if *n == 0 {
        return Some(value.clone());
    }
    *n -= 1;
    match value {
        Value::Array(items) => items.iter().find_map(|item| nth(item, n)),
        Value::Object(map) => map.values().find_map(|item| nth(item, n)),
        _ => None,
    }
}

#[derive(Debug, Clone)]
enum Change {
    Delete,
    Duplicate,
    Rename(String),
    Replace(Value),
}

/// Changes the `n`-th member or item.
fn changed(value: &Value, n: &mut usize, change: &Change) -> Value {
    let mut due = || {
        let due = *n == 0;
        *n = n.wrapping_sub(1);
        due
    };
    match value {
        Value::Array(items) => {
            let mut made = Vec::new();
            for item in items {
                match (due(), change) {
                    (false, _) => made.push(item.clone()),
                    (true, Change::Delete) => {}
                    (true, Change::Duplicate | Change::Rename(_)) => made.extend([item.clone(), item.clone()]),
                    (true, Change::Replace(other)) => made.push(other.clone()),
                }
            }
            made.iter().map(|item| changed(item, n, change)).collect()
        }
        Value::Object(map) => {
            let mut made = Map::new();
            for (key, item) in map {
                match (due(), change) {
                    (false, _) => drop(made.insert(key.clone(), item.clone())),
                    (true, Change::Delete) => {}
                    (true, Change::Duplicate) => {
                        made.extend([(key.clone(), item.clone()), (format!("{key}2"), item.clone())])
                    }
                    (true, Change::Rename(name)) => drop(made.insert(name.clone(), item.clone())),
                    (true, Change::Replace(other)) => drop(made.insert(key.clone(), other.clone())),
                }
            }
            made.iter().map(|(key, item)| (key.clone(), changed(item, n, change))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

fn change() -> impl Strategy<Value = Change> {
    let odd = prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([])),
        Just(json!([[[{}]]])),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        "[$]\\{ [.a-z$|()\\[\\]]{0,12} \\}".prop_map(Value::from),
        "(https://h|x:|/|\\{|\\}|%|\\.\\.|@){0,6}".prop_map(Value::from),
        // A part of some document where it does not belong.
        (any::<prop::sample::Index>(), any::<prop::sample::Index>()).prop_map(|(which, part)| {
            let document = which.get(corpus());
            nth(document, &mut part.index(count(document))).unwrap_or_default()
        }),
    ];
    prop_oneof![
        Just(Change::Delete),
        Just(Change::Duplicate),
        prop_oneof!["[a-z]{1,5}", Just("with".to_owned()), Just("do".to_owned()), Just("\u{0}/~".to_owned())]
            .prop_map(Change::Rename),
        odd.prop_map(Change::Replace),
    ]
}

/// What is found where. Two findings at one pointer may differ in their columns alone, which JSON does not have.
fn codes(found: &mandate_flow::Diagnostics) -> BTreeSet<(&'static str, String)> {
    found.as_slice().iter().map(|d| (d.code, d.pointer.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_changed_document_compiles_or_gives_findings(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), change()), 1..4),
    ) {
        let began = Instant::now();
        let mut document = which.get(corpus()).clone();
        for (place, change) in &changes {
            let size = count(&document);
            document = changed(&document, &mut place.index(size), change);
        }
        let text = yaml::emit(&document);
        let written = Program::from_yaml("x.yaml", &text);
        match (Program::from_json(document.clone()), written) {
            (Ok(one), Ok(other)) => {
                prop_assert_eq!(one.version(), other.version());
                let start = Start {
                    run: "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse::<RunId>().unwrap(),
                    started_at: Timestamp::EPOCH,
                    input: Labelled { value: json!({}), labels: Labels::default() },
                };
                let (_machine, intents) = Machine::start(Arc::new(one), start);
                prop_assert!(!intents.is_empty());
            }
            (Err(one), Err(other)) => {
                for diagnostic in other.as_slice() {
                    prop_assert!(diagnostic.line > 0, "{}\n{}", diagnostic, text);
                    prop_assert!(diagnostic.span.0 + diagnostic.span.1 <= text.len(), "{}\n{}", diagnostic, text);
                }
                // YAML refuses more than JSON does, and then says nothing of the rest.
                if !other.as_slice().iter().any(|d| d.code.starts_with("yaml.")) {
                    prop_assert_eq!(codes(&one), codes(&other), "{}", text);
                }
            }
            (Ok(_), Err(found)) => prop_assert!(found.as_slice().iter().all(|d| d.code.starts_with("yaml.")), "{}\n{}", found, text),
            (Err(found), Ok(_)) => prop_assert!(false, "{}\n{}", found, text),
        }
        prop_assert!(began.elapsed().as_secs() < 3, "{:?}\n{}", began.elapsed(), text);
    }
}
