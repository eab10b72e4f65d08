//! The specification's own examples, where its folder is there: each is read without loss, and each
//! compiles or is refused for what is not supported yet, with its place.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests")]

use mandate_flow::{Program, UNSUPPORTED, yaml};
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
fn examples_are_read_without_loss() {
    for (name, text) in files("examples") {
        let value = yaml::parse(&name, &text).unwrap_or_else(|d| panic!("{d}")).into_value();
        let canonical = String::from_utf8(canonical_json(&value).unwrap()).unwrap();
        let again = yaml::parse(&name, &canonical).unwrap_or_else(|d| panic!("{d}")).into_value();
        assert_eq!(value, again, "{name}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical).unwrap(), value, "{name}");
    }
}

#[test]
fn examples_compile_or_are_not_supported_yet() {
    let (mut compiled, mut refused) = (Vec::new(), 0);
    for (name, text) in files("examples") {
        match Program::from_yaml(&name, &text) {
            Ok(program) => {
                let value = yaml::parse(&name, &text).unwrap().into_value();
                assert_eq!(program.document(), &value, "{name}");
                assert_eq!(Program::from_json(value).unwrap().version(), program.version(), "{name}");
                compiled.push(name);
            }
            Err(diagnostics) => {
                refused += 1;
                assert!(diagnostics.as_slice().iter().any(|d| d.code == UNSUPPORTED), "{diagnostics}");
                for d in diagnostics.as_slice() {
                    assert!(d.line > 0 && d.column > 0, "{d}");
                    let expected = [UNSUPPORTED, "flow.name", "flow.credential"];
                    assert!(expected.contains(&d.code), "{} {d}", d.code);
                }
            }
        }
    }
    println!("compiled {compiled:?}, refused {refused}");
    assert!(refused == 0 || compiled.len() >= 5, "{compiled:?}");
}

#[test]
fn invalid_fixtures_are_invalid() {
    for (name, text) in files("invalid") {
        let diagnostics = Program::from_yaml(&name, &text).unwrap_err();
        assert!(diagnostics.as_slice().iter().any(|d| d.code != UNSUPPORTED && d.line > 0), "{diagnostics}");
    }
}
