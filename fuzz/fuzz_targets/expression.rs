//! Any text as an expression: compiled or refused, never worse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mandate_flow::{Program, yaml};
use serde_json::json;

fuzz_target!(|text: &str| {
    let whole = format!("${{ {text} }}");
    let document = json!({
        "document": {"dsl": "1.0.3", "namespace": "n", "name": "n", "version": "1.0.0"},
        "do": [{"a": {"set": {"x": whole}}}],
    });
    let written = document.to_string();
    let Ok(spanned) = yaml::parse("f.json", &written) else { return };
    if let Err(wrong) = Program::from_spanned(spanned) {
        for found in wrong.as_slice() {
            assert!(found.line == 1 && found.column >= 1 && found.column <= written.chars().count() + 1, "{found:?}");
        }
    }
});
