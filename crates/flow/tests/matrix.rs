//! The support matrix of the guide: each row is a document that is compiled here. `MANDATE_BLESS=1` writes
//! the page anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests")]

#[path = "matrix/rows.rs"]
mod rows;

use mandate_flow::{Program, UNSUPPORTED, yaml};
use rows::{CHAPTERS, Row, Status};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

fn compiled(document: &str) -> Result<Program, mandate_flow::Diagnostics> {
    let head = "document: {dsl: '1.0.3', namespace: n, name: n, version: '1.0.0'}\n";
    let document = if document.starts_with("document:") { document.to_owned() } else { format!("{head}{document}") };
    Program::from_yaml("row.yaml", &document)
}

/// What becomes of a row's document, told apart as `apply` does.
fn status(document: &str) -> Result<Status, String> {
    match compiled(document) {
        Ok(program) => match (program.needs().iter().next(), program.not_performed().is_empty()) {
            (Some(need), _) => Ok(Status::Switch(need.switch())),
            (None, true) => Ok(Status::Yes),
            (None, false) => Ok(Status::Later),
        },
        Err(found) if found.as_slice().iter().all(|d| d.code == UNSUPPORTED || d.code == "flow.credential") => {
            Ok(Status::No)
        }
        Err(found) => Err(found.to_string()),
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    CHAPTERS.iter().flat_map(|(_, rows)| *rows)
}

#[test]
fn each_row_says_what_becomes_of_its_document() {
    let mut wrong = Vec::new();
    for (what, _, document, expected, _) in rows() {
        match status(document) {
            Ok(found) if found == *expected => {}
            found => wrong.push(format!("{what}: expected {expected:?}, found {found:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every property that the schema defines, by its path.
fn properties(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        found.insert(path.clone());
        properties(&path, inner, found);
    }
    for key in ["oneOf", "allOf", "anyOf"] {
        for inner in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
            let title = inner.get("title").and_then(Value::as_str).filter(|_| path == "callTask");
            properties(title.unwrap_or(path), inner, found);
        }
    }
    for key in ["items", "additionalProperties"] {
        schema.get(key).into_iter().for_each(|inner| properties(path, inner, found));
    }
}

#[test]
fn every_property_of_the_schema_has_a_row() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../../shared/ows/schema/workflow.yaml"].iter().collect();
    let Ok(text) = fs::read_to_string(path) else {
        println!("skipped: the specification's schema is not here");
        return;
    };
    let schema = yaml::parse("workflow.yaml", &text).unwrap().into_value();
    let mut defined = BTreeSet::new();
    properties("", &schema, &mut defined);
    for (name, inner) in schema.get("$defs").and_then(Value::as_object).unwrap() {
        properties(name, inner, &mut defined);
    }
    assert!(defined.len() > 250, "{}", defined.len());
    let told: BTreeSet<&str> = rows().flat_map(|(_, keys, ..)| keys.split_whitespace()).collect();
    let covers = |key: &str, path: &str| {
        key == path
            || key.strip_suffix(".*").is_some_and(|above| path.strip_prefix(above).is_some_and(|p| p.starts_with('.')))
    };
    let missing: Vec<_> = defined.iter().filter(|path| !told.iter().any(|key| covers(key, path))).collect();
    assert!(missing.is_empty(), "no row stands for {missing:?}");
    let stale: Vec<_> = told.iter().filter(|key| !defined.iter().any(|path| covers(key, path))).collect();
    assert!(stale.is_empty(), "the schema does not define {stale:?}");
}

/// The page of the guide.
fn page() -> String {
    let mut page = "# What of the language is supported\n\nMade by `crates/flow/tests/matrix.rs`, which compiles a document for each row; every property of the specification's\nschema (DSL 1.0.3) has one. What the columns mean:\n\n- **yes**: it runs.\n- **switch**: `apply` refuses it unless the operator has turned that on.\n- **not yet**: it is read and checked whole, and `apply` refuses it until a run performs it.\n- **refused**: it is refused when the document is compiled, with line and column.\n\nHow the rest of the language is read is in [the workflow language](06-language.md).\n".to_owned();
    for (title, rows) in CHAPTERS {
        page.push_str(&format!("\n## {title}\n\n| Feature | Supported | |\n|---|---|---|\n"));
        for (what, _, _, status, note) in *rows {
            let status = match status {
                Status::Yes => "yes".to_owned(),
                Status::Switch(name) => format!("switch `{name}`"),
                Status::Later => "not yet".to_owned(),
                Status::No => "refused".to_owned(),
            };
            page.push_str(&format!("| {what} | {status} | {note} |\n"));
        }
    }
    page
}

#[test]
fn the_guide_says_so() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/guide/12-language-support.md"].iter().collect();
    let page = page();
    if std::env::var_os("MANDATE_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/guide/12-language-support.md is stale: run this test with MANDATE_BLESS=1");
}
