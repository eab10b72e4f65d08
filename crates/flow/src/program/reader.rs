//! Reads a document part by part and collects what is wrong with it.

use super::{schema::Schema, task::Expr, time};
use crate::{
    Diagnostic, UNSUPPORTED,
    expr::{Expression, Refusal, Scope},
    yaml::{Place, Spanned},
};
use mandate_kernel::Duration;
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};

/// Findings after which more are only counted.
const ENOUGH: usize = 100;

/// A JSON pointer as a chain on the stack; written out only where it is needed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ptr<'p> {
    Root,
    Key(&'p Ptr<'p>, &'p str),
    Index(&'p Ptr<'p>, usize),
}

impl<'p> Ptr<'p> {
    pub(super) const fn key(&'p self, key: &'p str) -> Self {
        Self::Key(self, key)
    }

    pub(super) const fn index(&'p self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

impl fmt::Display for Ptr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key) => write!(f, "{parent}/{}", key.replace('~', "~0").replace('/', "~1")),
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// The document and the findings so far.
pub(super) struct Reader<'s> {
    source: &'s Spanned,
    pub(super) found: Vec<Diagnostic>,
    /// Findings that were counted and not kept.
    pub(super) more: usize,
}

impl<'s> Reader<'s> {
    pub(super) const fn new(source: &'s Spanned) -> Self {
        Self { source, found: Vec::new(), more: 0 }
    }

    fn push(
        &mut self,
        code: &'static str,
        ptr: Ptr<'_>,
        place: impl Fn(&Spanned, &str) -> Option<Place>,
        message: String,
        help: Option<&str>,
    ) {
        if self.found.len() < ENOUGH {
            let pointer = ptr.to_string();
            self.found.push(self.source.found(code, &pointer, place(self.source, &pointer), message, help));
        } else {
            self.more += 1;
        }
    }

    /// A finding about a value.
    pub(super) fn report(&mut self, code: &'static str, ptr: Ptr<'_>, message: impl Into<String>, help: Option<&str>) {
        self.push(code, ptr, Spanned::place, message.into(), help);
    }

    /// A finding about a key.
    pub(super) fn report_key(
        &mut self,
        code: &'static str,
        ptr: Ptr<'_>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        self.push(code, ptr, Spanned::key_place, message.into(), help);
    }

    /// Something the language has and this version does not run yet.
    pub(super) fn unsupported(&mut self, ptr: Ptr<'_>, what: impl fmt::Display) {
        self.report_key(UNSUPPORTED, ptr, format!("{what} is not supported yet"), None);
    }

    pub(super) fn object<'v>(&mut self, ptr: Ptr<'_>, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let map = value.as_object();
        if map.is_none() {
            self.report("flow.type", ptr, "this must be an object", None);
        }
        map
    }

    pub(super) fn list<'v>(&mut self, ptr: Ptr<'_>, value: &'v Value) -> Option<&'v Vec<Value>> {
        let list = value.as_array();
        if list.is_none() {
            self.report("flow.type", ptr, "this must be a list", None);
        }
        list
    }

    pub(super) fn text<'v>(&mut self, ptr: Ptr<'_>, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.report("flow.type", ptr, "this must be text", None);
        }
        text
    }

    /// True or false.
    pub(super) fn boolean(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<bool> {
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.report("flow.type", ptr, "this must be true or false", None);
        }
        boolean
    }

    /// One of a closed list of texts.
    pub(super) fn one_of<'v>(&mut self, ptr: Ptr<'_>, value: &'v Value, known: &[&str]) -> Option<&'v str> {
        let text = self.text(ptr, value)?;
        if !known.contains(&text) {
            let why = format!("this must be one of: {}", known.join(", "));
            self.report("flow.value", ptr, why, None);
            return None;
        }
        Some(text)
    }

    /// The value at a required key.
    pub(super) fn required<'v>(&mut self, ptr: Ptr<'_>, map: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
        let value = map.get(key);
        if value.is_none() {
            self.report("flow.missing", ptr, format!("`{key}` is missing"), None);
        }
        value
    }

    /// Refuses keys outside `known`; those in `later` are not supported yet.
    pub(super) fn keys(&mut self, ptr: Ptr<'_>, map: &Map<String, Value>, known: &[&str], later: &[&str]) {
        for key in map.keys() {
            if later.contains(&key.as_str()) {
                self.unsupported(ptr.key(key), format!("`{key}`"));
            } else if !known.contains(&key.as_str()) {
                let help = format!("known here: {}", known.join(", "));
                let shown: String = key.chars().take(60).collect();
                self.report_key(
                    "flow.unknown-key",
                    ptr.key(key),
                    format!("the key `{shown}` is not known here"),
                    Some(&help),
                );
            }
        }
    }

    /// An expression, bare or in `${ }`.
    pub(super) fn expression(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expr> {
        let text = self.text(ptr, value)?;
        let (offset, inner) = enclosed(text).unwrap_or((0, text));
        self.jq(ptr, text, offset, inner, scope).map(Arc::new)
    }

    /// A value with `${ }` expressions inside.
    pub(super) fn template(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        match value {
            Value::String(text) => match enclosed(text) {
                Some((offset, inner)) => self.jq(ptr, text, offset, inner, scope),
                None if text.contains("${") => {
                    let at = text.find("${").unwrap_or(0);
                    let refusal = Refusal {
                        code: "expr.partial",
                        offset: at,
                        len: 2,
                        message: "an expression must be the whole text".to_owned(),
                        help: Some("write ${ \"text \\(.value)\" }".to_owned()),
                    };
                    self.refused(ptr, text, 0, vec![refusal]);
                    None
                }
                None => Some(Expression::constant(value.clone())),
            },
            Value::Array(items) => {
                let parts: Vec<_> =
                    items.iter().enumerate().map(|(i, item)| self.template(ptr.index(i), item, scope)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Expression::array)
            }
            Value::Object(map) => {
                let parts: Vec<_> = map
                    .iter()
                    .map(|(key, item)| Some((key.clone(), self.template(ptr.key(key), item, scope)?)))
                    .collect();
                let mut members = parts.into_iter().collect::<Option<Vec<_>>>()?;
                // The order of keys in the text must not matter, not even to which error comes first.
                members.sort_by(|(a, _), (b, _)| a.cmp(b));
                Some(Expression::object(members))
            }
            _ => Some(Expression::constant(value.clone())),
        }
    }

    fn jq(&mut self, ptr: Ptr<'_>, whole: &str, offset: usize, inner: &str, scope: &Scope) -> Option<Expression> {
        match Expression::jq(inner, scope) {
            Ok(expression) => {
                if expression.texts().into_iter().any(super::credential::is_literal) {
                    self.report("flow.credential", ptr, super::credential::MESSAGE, Some(super::credential::HELP));
                }
                Some(expression)
            }
            Err(refusals) => {
                self.refused(ptr, whole, offset, refusals);
                None
            }
        }
    }

    fn refused(&mut self, ptr: Ptr<'_>, whole: &str, offset: usize, refusals: Vec<Refusal>) {
        for refusal in refusals {
            let place = |source: &Spanned, pointer: &str| {
                source.place_inside(pointer, whole, offset + refusal.offset, refusal.len)
            };
            self.push(refusal.code, ptr, place, refusal.message.clone(), refusal.help.as_deref());
        }
    }

    /// `from` or `as`: an expression, or an object with expressions inside.
    pub(super) fn shape(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expr> {
        match value {
            Value::String(_) => self.expression(ptr, value, scope),
            Value::Object(_) => self.template(ptr, value, scope).map(Arc::new),
            _ => {
                self.report("flow.type", ptr, "this must be an expression or an object", None);
                None
            }
        }
    }

    /// `schema: {format, document}`
    pub(super) fn schema(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<Arc<Schema>> {
        let map = self.object(ptr, value)?;
        self.keys(ptr, map, &["format", "document"], &["resource"]);
        if let Some(format) = map.get("format")
            && format.as_str() != Some("json")
        {
            self.unsupported(ptr.key("format"), "a schema format other than json");
        }
        if map.contains_key("resource") {
            return None;
        }
        let document = self.required(ptr, map, "document")?;
        let inside = ptr.key("document").to_string();
        let refused = match Schema::compile(document) {
            Ok(schema) => return Some(Arc::new(schema)),
            Err(refused) => refused,
        };
        for (pointer, unsupported, message) in refused {
            let code = if unsupported { UNSUPPORTED } else { "flow.schema" };
            let pointer = format!("{inside}{pointer}");
            if self.found.len() < ENOUGH {
                self.found.push(self.source.found(code, &pointer, self.source.key_place(&pointer), message, None));
            } else {
                self.more += 1;
            }
        }
        None
    }

    /// A duration written in the document.
    pub(super) fn duration(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<Duration> {
        if value.as_str().is_some_and(|text| enclosed(text).is_some()) {
            self.unsupported(ptr, "an expression as this duration");
            return None;
        }
        time::duration(value).map_err(|message| self.report("flow.duration", ptr, message, None)).ok()
    }
}

/// The inside of a text that is `${ … }` as a whole, and where it begins.
pub(super) fn enclosed(text: &str) -> Option<(usize, &str)> {
    let start = text.len() - text.trim_start().len() + 2;
    let inner = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    Some((start, inner))
}
