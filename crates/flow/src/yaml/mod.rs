//! YAML 1.2 (core schema) to JSON values, with the place of every value and key.
//!
//! Stricter than YAML: one document, text keys without duplicates, no anchors, aliases or tags, numbers
//! that JSON keeps exactly, bounded size and nesting. Each refusal names its line and column.

mod build;
mod emit;

use crate::diagnostic::{Diagnostic, Diagnostics};
use build::Builder;
pub use emit::emit;
use mandate_kernel::Limits;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where something is in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
    /// Byte offset.
    pub offset: usize,
    /// Byte length.
    pub len: usize,
}

/// A value read from a text, and where each part of it stands there.
#[derive(Debug, Clone)]
pub struct Spanned {
    file: String,
    text: String,
    value: Value,
    root: Option<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    key: Option<Place>,
    place: Place,
    children: Children,
}

#[derive(Debug, Clone)]
enum Children {
    None,
    Items(Vec<Node>),
    Members(BTreeMap<String, Node>),
}

impl Spanned {
    /// A value that was not read from a text: its diagnostics have pointers but no lines.
    #[must_use]
    pub fn without_places(name: &str, value: Value) -> Self {
        Self { file: name.to_owned(), text: String::new(), value, root: None }
    }

    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The value, owned.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The place of the value at a JSON pointer, or of the nearest value around it.
    #[must_use]
    pub fn place(&self, pointer: &str) -> Option<Place> {
        self.nearest(pointer).map(|node| node.place)
    }

    /// The place of the key at a JSON pointer; of the value where it has no key.
    #[must_use]
    pub fn key_place(&self, pointer: &str) -> Option<Place> {
        self.nearest(pointer).map(|node| node.key.unwrap_or(node.place))
    }

    fn nearest(&self, pointer: &str) -> Option<&Node> {
        let mut node = self.root.as_ref()?;
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            let child = match &node.children {
                Children::None => None,
                Children::Items(items) => segment.parse::<usize>().ok().and_then(|i| items.get(i)),
                Children::Members(members) => members.get(&segment),
            };
            match child {
                Some(child) => node = child,
                None => return Some(node),
            }
        }
        Some(node)
    }

    /// The place of a part of the text value at a pointer, by byte offset and length in the *decoded*
    /// text. Where escapes or folding hide the part, the place of the whole text.
    #[must_use]
    pub fn place_inside(&self, pointer: &str, decoded: &str, offset: usize, len: usize) -> Option<Place> {
        let whole = self.place(pointer)?;
        let raw = self.text.get(whole.offset..whole.offset + whole.len).unwrap_or_default();
        let Some((start, end)) = locate(raw, decoded, offset, len) else { return Some(whole) };
        let before = raw.get(..start).unwrap_or_default();
        let (line, column) = match before.rsplit_once('\n') {
            Some((_, last)) => (whole.line + before.matches('\n').count(), last.chars().count() + 1),
            None => (whole.line, whole.column + before.chars().count()),
        };
        Some(Place { line, column, offset: whole.offset + start, len: end - start })
    }

    /// A finding about the value at a pointer.
    #[must_use]
    pub fn diagnostic(
        &self,
        code: &'static str,
        pointer: &str,
        message: impl Into<String>,
        help: Option<&str>,
    ) -> Diagnostic {
        self.found(code, pointer, self.place(pointer), message.into(), help)
    }

    pub(crate) fn found(
        &self,
        code: &'static str,
        pointer: &str,
        place: Option<Place>,
        message: String,
        help: Option<&str>,
    ) -> Diagnostic {
        let place = place.unwrap_or_default();
        Diagnostic {
            code,
            message,
            help: help.map(str::to_owned),
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            pointer: pointer.to_owned(),
            span: (place.offset, place.len),
        }
    }
}

/// Finds in the raw scalar what stands at `offset..offset+len` of its decoded text, by walking both
/// and skipping blanks, line breaks and the header of a block scalar. `None` where they differ.
fn locate(raw: &str, decoded: &str, offset: usize, len: usize) -> Option<(usize, usize)> {
    let skip = match raw.chars().next()? {
        '\'' | '"' => 1,
        '|' | '>' => raw.find('\n')?,
        _ => 0,
    };
    let mut raws = raw.char_indices().skip_while(|(i, _)| *i < skip).filter(|(_, c)| !c.is_whitespace());
    let (mut start, mut end) = (None, None);
    for (at, wanted) in decoded.char_indices().filter(|(_, c)| !c.is_whitespace()) {
        if at >= offset + len.max(1) {
            break;
        }
        let (here, found) = raws.next()?;
        if found != wanted {
            return None;
        }
        if at >= offset {
            start.get_or_insert(here);
            end = Some(here + found.len_utf8());
        }
    }
    // Past the last character: right behind it.
    match (start, end) {
        (Some(start), Some(end)) => Some((start, end)),
        _ => raws.next().map(|(i, _)| (i, i)).or(Some((raw.len(), raw.len()))),
    }
}

/// Reads one YAML document (JSON is YAML).
///
/// # Errors
/// [`Diagnostics`] with line and column: syntax, duplicate keys, anchors, aliases, tags, several
/// documents, keys that are not text, numbers JSON can't keep, size and nesting.
pub fn parse(file: &str, text: &str) -> Result<Spanned, Diagnostics> {
    let mut builder = Builder::new(file, text);
    if text.len() > Limits::DEFAULT.request_body {
        builder.report(
            "yaml.size",
            Place { line: 1, column: 1, ..Place::default() },
            format!("the file is larger than {} bytes", Limits::DEFAULT.request_body),
            None,
        );
    } else {
        builder.read();
    }
    match Diagnostics::collect(builder.found) {
        Some(diagnostics) => Err(diagnostics),
        None => {
            let (value, root) = builder.done.unzip();
            Ok(Spanned { file: file.to_owned(), text: text.to_owned(), value: value.unwrap_or(Value::Null), root })
        }
    }
}
