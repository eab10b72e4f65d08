//! Broken documents in `tests/broken`, each with everything that is told about it. `MANDATE_BLESS=1` writes
//! what is told now; read the difference before you keep it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use mandate_flow::Program;
use std::{fs, path::PathBuf};

#[test]
fn each_is_refused_with_its_places() {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/broken"].iter().collect();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    names.sort();
    assert!(names.len() >= 25, "{}", names.len());
    let mut wrong = Vec::new();
    for path in names {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Err(found) = Program::from_yaml(&name, &text) else { panic!("{name} compiles") };
        let mut shown = String::new();
        for diagnostic in found.as_slice() {
            assert!(diagnostic.line > 0 && diagnostic.column > 0, "{diagnostic}");
            assert!(diagnostic.span.0 + diagnostic.span.1 <= text.len(), "{diagnostic}");
            shown.push_str(&format!("{} {diagnostic}\n", diagnostic.code));
        }
        let expected = path.with_extension("txt");
        if std::env::var_os("MANDATE_BLESS").is_some() {
            fs::write(&expected, &shown).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != shown {
            wrong.push(format!("{name}\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "what is told is not what tests/broken says:\n{}", wrong.join("\n"));
}
