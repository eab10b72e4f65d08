//! The specification's own examples, where its folder is there: each is read and written without loss, and
//! each compiles, compiles for an operator who turned something on, or is refused for a known reason.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use mandate_flow::{Program, yaml};
use mandate_kernel::canonical_json;
use std::{fs, path::PathBuf};

fn files(folder: &str) -> Vec<(String, String)> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../../shared/ows", folder].iter().collect();
    let Ok(entries) = fs::read_dir(&path) else {
        println!("skipped: the specification's {folder} are not here");
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "yaml"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn examples_are_read_and_written_without_loss() {
    for (name, text) in files("examples") {
        let value = yaml::parse(&name, &text).unwrap_or_else(|d| panic!("{d}")).into_value();
        let canonical = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
        let again = yaml::parse(&name, &canonical).unwrap_or_else(|d| panic!("{d}")).into_value();
        assert_eq!(value, again, "{name}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical).unwrap(), value, "{name}");
        let written = yaml::emit(&value);
        let read = yaml::parse(&name, &written).unwrap_or_else(|d| panic!("{d}\n{written}")).into_value();
        assert_eq!(value, read, "{name}\n{written}");
    }
}

/// What becomes of an example: `compiles`, `compiles with SWITCH`, or `refused:` and each finding.
fn outcome(name: &str, text: &str) -> String {
    match Program::from_yaml(name, text) {
        Ok(program) => {
            let value = yaml::parse(name, text).unwrap().into_value();
            assert_eq!(program.document(), &value, "{name}");
            assert_eq!(Program::from_json(value).unwrap().version(), program.version(), "{name}");
            let switches: Vec<_> = program.needs().iter().map(|need| need.switch()).collect();
            if switches.is_empty() { "compiles".to_owned() } else { format!("compiles with {}", switches.join(", ")) }
        }
        Err(diagnostics) => {
            assert_eq!(diagnostics.more(), 0, "{name}");
            let found: Vec<_> = diagnostics
                .as_slice()
                .iter()
                .map(|d| {
                    let quoted = d.message.split('`').nth(1).filter(|_| d.message.starts_with('`'));
                    format!("{} {}:{} {}", d.code, d.line, d.column, quoted.unwrap_or_default()).trim_end().to_owned()
                })
                .collect();
            format!("refused: {}", found.join(", "))
        }
    }
}

#[path = "examples/table.rs"]
mod table;

#[test]
fn examples_compile_or_are_refused_as_the_table_says() {
    let found: Vec<_> = files("examples").iter().map(|(name, text)| (name.clone(), outcome(name, text))).collect();
    if found.is_empty() {
        return;
    }
    assert_eq!(found.len(), 68);
    let told: Vec<_> = table::EXAMPLES.iter().map(|(name, what)| ((*name).to_owned(), (*what).to_owned())).collect();
    let lines: String = found.iter().map(|(name, what)| format!("    ({name:?}, {what:?}),\n")).collect();
    assert!(found == told, "the table in tests/examples/table.rs should be\n{lines}");
}

#[test]
fn invalid_fixtures_are_invalid() {
    for (name, text) in files("invalid") {
        let diagnostics = Program::from_yaml(&name, &text).unwrap_err();
        let known = table::INVALID.iter().find(|(file, _)| *file == name).map(|(_, place)| *place).unwrap();
        let found: Vec<_> =
            diagnostics.as_slice().iter().map(|d| format!("{} {}:{}", d.code, d.line, d.column)).collect();
        assert!(found.iter().any(|found| found == known), "{name}: {found:?}");
    }
}
