//! From parser events to values with places.

use super::{Children, Node, Place};
use crate::diagnostic::Diagnostic;
use mandate_kernel::Limits;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Findings after which a file is not read on.
const ENOUGH: usize = 50;
/// Bytes of a key; what refers to keys stays short.
const MAX_KEY: usize = 256;

/// Takes in the events of the parser; iterative, so that nesting costs no stack.
pub(super) struct Builder<'t> {
    file: &'t str,
    text: &'t str,
    /// Byte offset of each character, where the text is not plain ASCII. Found out once: it is asked for
    /// every event.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    pub(super) done: Option<(Value, Node)>,
    documents: usize,
    pub(super) found: Vec<Diagnostic>,
}

/// A collection being read.
enum Open {
    Items { start: Place, values: Vec<Value>, nodes: Vec<Node> },
    Members { start: Place, values: Map<String, Value>, nodes: BTreeMap<String, Node>, key: Option<(String, Place)> },
}

impl<'t> Builder<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(i, _)| i).collect());
        Self { file, text, offsets, open: Vec::new(), done: None, documents: 0, found: Vec::new() }
    }

    fn byte(&self, marker: &Marker) -> usize {
        match &self.offsets {
            None => marker.index().min(self.text.len()),
            Some(offsets) => offsets.get(marker.index()).copied().unwrap_or(self.text.len()),
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

    pub(super) fn report(&mut self, code: &'static str, place: Place, message: String, help: Option<&str>) {
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

    pub(super) fn read(&mut self) {
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
