//! YAML 1.2 (core schema) to JSON values, with the place of every value and key.
//!
//! Stricter than YAML: one document, text keys without duplicates, no anchors, aliases or tags, numbers
//! that JSON keeps exactly, bounded size and nesting. Each refusal names its line and column.

use crate::diagnostic::{Diagnostic, Diagnostics};
use mandate_kernel::Limits;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Findings after which a file is not read on.
const ENOUGH: usize = 50;
/// Bytes of a key; what refers to keys stays short.
const MAX_KEY: usize = 256;

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

struct Builder<'t> {
    file: &'t str,
    text: &'t str,
    /// Byte offset of each character, where the text is not plain ASCII.
    offsets: Vec<usize>,
    open: Vec<Open>,
    done: Option<(Value, Node)>,
    documents: usize,
    found: Vec<Diagnostic>,
}

/// A collection being read.
enum Open {
    Items { start: Place, values: Vec<Value>, nodes: Vec<Node> },
    Members { start: Place, values: Map<String, Value>, nodes: BTreeMap<String, Node>, key: Option<(String, Place)> },
}

impl<'t> Builder<'t> {
    fn new(file: &'t str, text: &'t str) -> Self {
        let offsets = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(i, _)| i).collect() };
        Self { file, text, offsets, open: Vec::new(), done: None, documents: 0, found: Vec::new() }
    }

    fn byte(&self, marker: &Marker) -> usize {
        if self.text.is_ascii() {
            marker.index().min(self.text.len())
        } else {
            self.offsets.get(marker.index()).copied().unwrap_or(self.text.len())
        }
    }

    fn place(&self, span: &Span) -> Place {
        let offset = self.byte(&span.start);
        let len = self.byte(&span.end).saturating_sub(offset);
        Place { line: span.start.line(), column: span.start.col() + 1, offset, len }
    }

    /// The place of a marker; behind the last character that is not blank where it lies past that.
    fn within(&self, marker: &Marker) -> Place {
        let written = self.text.trim_end();
        let offset = self.byte(marker);
        if offset <= written.len() {
            return Place { line: marker.line().max(1), column: marker.col() + 1, offset, len: 0 };
        }
        let last = written.rsplit_once('\n').map_or(written, |(_, last)| last);
        Place {
            line: written.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            offset: written.len(),
            len: 0,
        }
    }

    fn report(&mut self, code: &'static str, place: Place, message: String, help: Option<&str>) {
        self.found.push(Diagnostic {
            code,
            message,
            help: help.map(str::to_owned),
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            pointer: String::new(),
            span: (place.offset, place.len),
        });
    }

    fn read(&mut self) {
        let mut parser = Parser::new_from_str(self.text);
        while self.found.len() < ENOUGH {
            match parser.next_event() {
                None => break,
                Some(Ok((event, span))) => {
                    let place = self.place(&span);
                    if !self.event(event, place) {
                        break;
                    }
                }
                Some(Err(error)) => {
                    let place = self.within(error.marker());
                    self.report("yaml.syntax", place, format!("this is not YAML: {}", error.info()), None);
                    break;
                }
            }
        }
        if self.found.is_empty() && self.done.is_none() {
            self.report(
                "yaml.empty",
                Place { line: 1, column: 1, ..Place::default() },
                "the file is empty".to_owned(),
                None,
            );
        }
    }

    /// Takes one event in; false when reading on makes no sense.
    fn event(&mut self, event: Event<'_>, place: Place) -> bool {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.report(
                        "yaml.documents",
                        place,
                        "a file holds one document".to_owned(),
                        Some("put the second in a file of its own"),
                    );
                    return false;
                }
            }
            Event::Alias(_) => {
                self.report("yaml.alias", place, "aliases are refused".to_owned(), Some("write the value out"));
                self.attach(Value::Null, Node { key: None, place, children: Children::None });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                if self.awaits_key() {
                    self.key(&text, style, place);
                } else {
                    let value = self.scalar(&text, style, place);
                    self.attach(value, Node { key: None, place, children: Children::None });
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                return self.begin(Open::Items { start: place, values: Vec::new(), nodes: Vec::new() }, place);
            }
            Event::MappingStart(anchor, tag) => {
                self.properties(anchor, tag.is_some(), place);
                return self.begin(
                    Open::Members { start: place, values: Map::new(), nodes: BTreeMap::new(), key: None },
                    place,
                );
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
        }
        true
    }

    fn properties(&mut self, anchor: usize, tagged: bool, place: Place) {
        if anchor != 0 {
            self.report(
                "yaml.alias",
                place,
                "anchors are refused".to_owned(),
                Some("write the value out where it is needed"),
            );
        }
        if tagged {
            self.report("yaml.tag", place, "tags are refused".to_owned(), Some("quote a value to make it text"));
        }
    }

    fn begin(&mut self, open: Open, place: Place) -> bool {
        if self.awaits_key() {
            self.report("yaml.key", place, "a key must be text".to_owned(), None);
            return false;
        }
        if self.open.len() >= Limits::DEFAULT.depth {
            self.report(
                "yaml.depth",
                place,
                format!("the file nests more than {} levels", Limits::DEFAULT.depth),
                None,
            );
            return false;
        }
        self.open.push(open);
        true
    }

    fn end(&mut self, end: Place) {
        let spanning = |start: Place| Place { len: (end.offset + end.len).saturating_sub(start.offset), ..start };
        match self.open.pop() {
            Some(Open::Items { start, values, nodes }) => {
                self.attach(
                    Value::Array(values),
                    Node { key: None, place: spanning(start), children: Children::Items(nodes) },
                );
            }
            Some(Open::Members { start, values, nodes, .. }) => {
                self.attach(
                    Value::Object(values),
                    Node { key: None, place: spanning(start), children: Children::Members(nodes) },
                );
            }
            None => {}
        }
    }

    fn attach(&mut self, value: Value, mut node: Node) {
        match self.open.last_mut() {
            None => self.done = Some((value, node)),
            Some(Open::Items { values, nodes, .. }) => {
                values.push(value);
                nodes.push(node);
            }
            Some(Open::Members { values, nodes, key, .. }) => {
                if let Some((name, place)) = key.take() {
                    node.key = Some(place);
                    values.insert(name.clone(), value);
                    nodes.insert(name, node);
                }
            }
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Members { key: None, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) {
        let plain_other = style == ScalarStyle::Plain && !matches!(resolve(text), Resolved::Text);
        if plain_other {
            self.report("yaml.key", place, format!("the key `{}` is not text", short(text)), Some("quote it"));
        }
        if text.len() > MAX_KEY {
            self.report("yaml.key", place, format!("a key is longer than {MAX_KEY} bytes"), None);
        }
        let duplicate = matches!(self.open.last(), Some(Open::Members { values, .. }) if values.contains_key(text));
        if duplicate {
            self.report(
                "yaml.duplicate-key",
                place,
                format!("the key `{}` appears twice", short(text)),
                Some("keep one"),
            );
        }
        if let Some(Open::Members { key, .. }) = self.open.last_mut() {
            *key = Some((text.to_owned(), place));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) -> Value {
        if style != ScalarStyle::Plain {
            return Value::String(text.to_owned());
        }
        match resolve(text) {
            Resolved::Null => Value::Null,
            Resolved::Bool(b) => Value::Bool(b),
            Resolved::Number(n) => Value::Number(n),
            Resolved::Text => Value::String(text.to_owned()),
            Resolved::Unkept => {
                self.report(
                    "yaml.number",
                    place,
                    format!("the number {} can't be kept exactly", short(text)),
                    Some("quote it to make it text"),
                );
                Value::Null
            }
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// What a plain scalar means in the core schema (YAML 1.2.2 §10.3.2).
enum Resolved {
    Null,
    Bool(bool),
    Number(Number),
    Text,
    /// A number that JSON does not keep: past 2^53, infinite, or not a number.
    Unkept,
}

fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        _ => {}
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).map_or(Resolved::Unkept, exact);
    let digits = |s: &str, f: fn(&u8) -> bool| !s.is_empty() && s.bytes().all(|b| f(&b));
    if let Some(hex) = text.strip_prefix("0x").filter(|s| digits(s, u8::is_ascii_hexdigit)) {
        return radix(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o").filter(|s| digits(s, |b| (b'0'..=b'7').contains(b))) {
        return radix(octal, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits(unsigned, u8::is_ascii_digit) {
        return text.strip_prefix('+').unwrap_or(text).parse().map_or(Resolved::Unkept, exact);
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Resolved::Unkept;
    }
    if is_float(unsigned) {
        return text.parse().ok().and_then(Number::from_f64).map_or(Resolved::Unkept, Resolved::Number);
    }
    Resolved::Text
}

fn exact(n: i64) -> Resolved {
    if n.unsigned_abs() < 1 << 53 { Resolved::Number(n.into()) } else { Resolved::Unkept }
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| !e.is_empty() && all_digits(e))
}
