//! The description of the interface is whole, and the copy beside the sources is what the code says.
#![expect(clippy::unwrap_used, reason = "tests")]

use mandate_api::{PROBLEM_TYPES, openapi_document, undescribed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

fn document() -> Value {
    serde_json::from_str(&openapi_document()).unwrap()
}

/// Every operation: path, method, itself.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(|(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    all.collect()
}

#[test]
fn the_copy_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = openapi_document();
    if std::env::var_os("MANDATE_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(held == now, "the interface has changed: read the difference after MANDATE_BLESS=1");
}

#[test]
fn every_endpoint_is_described_and_nothing_else() {
    assert_eq!(undescribed(), Vec::<String>::new());
    let document = document();
    let mut ids = BTreeSet::new();
    let all = operations(&document);
    assert!(all.len() > 35, "{}", all.len());
    for (path, method, operation) in all {
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
        assert!(operation["summary"].as_str().unwrap().len() > 5, "{method} {path}");
        assert!(operation["security"].is_array(), "{method} {path}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{method} {path}");
        assert!(answers.keys().any(|status| status.starts_with('5')), "{method} {path}");
        let named: BTreeSet<&str> = path.split('/').filter_map(|p| p.strip_prefix('{')?.strip_suffix('}')).collect();
        let declared = operation["parameters"].as_array().unwrap();
        let declared = declared.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(named, declared, "{method} {path}");
        for parameter in operation["parameters"].as_array().unwrap() {
            let about = parameter["description"].as_str();
            let explains_itself = path.starts_with("/auth/");
            assert!(explains_itself || about.is_some_and(|about| about.len() > 4), "{method} {path}: {parameter}");
        }
        let writes =
            method != "get" && !["/kill", "/rotate", "/exports", "/logout"].iter().any(|end| path.ends_with(end));
        assert_eq!(operation.get("requestBody").is_some(), writes, "{method} {path}");
    }
}

/// References that lead nowhere are found by generators of clients, and by nobody else.
#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut left = vec![&document];
    let mut used = BTreeSet::new();
    while let Some(value) = left.pop() {
        match value {
            Value::Object(map) => {
                if let Some(to) = map.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
                    used.insert(to.to_owned());
                }
                left.extend(map.values());
            }
            Value::Array(items) => left.extend(items),
            _ => {}
        }
    }
    // What events carry is told in words: this version of OpenAPI has no types for them.
    let of_events = ["RunEvent", "RunEnd"];
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let to = format!("#/components/schemas/{name}");
        assert!(used.contains(&to) || of_events.contains(&name.as_str()), "{name} is used by nothing");
    }
}

#[test]
fn problems_are_a_closed_list() {
    let types = &document()["components"]["schemas"]["Problem"]["properties"]["type"]["enum"];
    let listed: Vec<String> =
        PROBLEM_TYPES.iter().map(|(code, _)| format!("https://mandate.dev/problems/{code}")).collect();
    assert_eq!(*types, json!(listed));
}
