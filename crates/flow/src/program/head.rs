//! `document`: what a workflow is called, and in which version of the language it is written.

use super::{compile::Compiler, reader::Ptr};
use crate::UNSUPPORTED;
use serde_json::Value;

impl Compiler<'_> {
    pub(super) fn head(&mut self, ptr: Ptr<'_>, value: &Value) {
        let Some(map) = self.reader.object(ptr, value) else { return };
        self.reader.keys(
            ptr,
            map,
            &["dsl", "namespace", "name", "version", "title", "summary", "tags", "metadata"],
            &[],
        );
        for key in ["dsl", "version"] {
            let Some(value) = self.reader.required(ptr, map, key) else { continue };
            let Some(text) = self.reader.text(ptr.key(key), value) else { continue };
            if !is_semver(text) {
                self.reader.report(
                    "flow.version",
                    ptr.key(key),
                    format!("`{key}` must be a semantic version such as 1.0.0"),
                    None,
                );
            } else if key == "dsl" && !matches!(text, "1.0.0" | "1.0.1" | "1.0.2" | "1.0.3") {
                self.reader.report(
                    UNSUPPORTED,
                    ptr.key(key),
                    "this version of the language is not supported yet",
                    Some("1.0.0 to 1.0.3 are"),
                );
            }
        }
        for key in ["namespace", "name"] {
            let Some(value) = self.reader.required(ptr, map, key) else { continue };
            let Some(text) = self.reader.text(ptr.key(key), value) else { continue };
            if !is_name(text) {
                self.reader.report(
                    "flow.name",
                    ptr.key(key),
                    format!(
                        "`{key}` must be 1 to 63 letters, digits and `-`, starting and ending with a letter or digit"
                    ),
                    None,
                );
            }
        }
        for key in ["title", "summary"] {
            map.get(key).map(|value| self.reader.text(ptr.key(key), value));
        }
        for key in ["tags", "metadata"] {
            map.get(key).map(|value| self.reader.object(ptr.key(key), value));
        }
    }
}

/// `MAJOR.MINOR.PATCH`, with the pre-release and build parts of SemVer 2.0.0.
pub(super) fn is_semver(text: &str) -> bool {
    let identifiers =
        |s: &str| s.split('.').all(|i| !i.is_empty() && i.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let numbers: Vec<_> = core.split('.').collect();
    let plain =
        |n: &&str| n.bytes().all(|b| b.is_ascii_digit()) && !n.is_empty() && (n.len() == 1 || !n.starts_with('0'));
    numbers.len() == 3 && numbers.iter().all(plain) && pre.is_none_or(identifiers) && build.is_none_or(identifiers)
}

/// A DNS label, capital letters allowed (the pattern of the schema).
pub(super) fn is_name(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}
