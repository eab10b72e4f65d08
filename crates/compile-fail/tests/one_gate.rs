//! What the compiler doesn't see: a gate has a table of live permits, so a process has one gate. A stop
//! that asked the wrong table would wait for nobody.
#![allow(clippy::unwrap_used, reason = "a test ends where its setting fails")]

use std::path::{Path, PathBuf};

/// The Rust files under `folder`, without those of tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "tests" && name != "benches" {
                sources(&path, found);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && !name.ends_with("_tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_gate_is_made_in_one_place() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    sources(crates, &mut files);
    let places: Vec<String> = files
        .iter()
        .filter(|path| !path.starts_with(crates.join("gate")))
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let made = text.matches("Gate::new(").count();
            vec![path.strip_prefix(crates).unwrap().display().to_string(); made]
        })
        .collect();
    assert_eq!(places.len(), 1, "every other place would be a second gate: {places:?}");
}
