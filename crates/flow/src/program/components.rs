//! `use`: what a document defines once and refers to by name.
//!
//! A definition is compiled where it is referred to, with the variables known there, and what is wrong in
//! it is told at its own place. Functions alone are compiled once: what one sees does not depend on who
//! calls it. What nothing refers to is checked all the same.

use super::{
    compile::{Compiler, with},
    extension::Extension,
    reader::{Ptr, enclosed},
    task::{BlockId, Pause, Timeout},
};
use crate::{UNSUPPORTED, expr::Scope};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a definition that is compiled wherever it is referred to.
const MAX_DEFINITION: usize = 16 << 10;

/// The one catalog there is: the registry of functions.
pub(super) const DEFAULT_CATALOG: &str = "default";

/// Names of kinds of calls, which no function can take.
pub(super) const PROTOCOLS: [&str; 6] = ["http", "grpc", "openapi", "asyncapi", "mcp", "a2a"];

/// The definitions of a document, and what was done with them so far.
pub(super) struct Components<'s> {
    root: Option<&'s Map<String, Value>>,
    referred: BTreeSet<(&'static str, String)>,
    /// Functions of the document by name, and whether the call is part of an extension; `None` while one is
    /// being compiled.
    pub(super) functions: BTreeMap<(String, bool), Option<BlockId>>,
    /// Whether what is compiled belongs to an extension, and so is not extended itself.
    pub(super) in_extension: bool,
    pub(super) extensions: Vec<Extension>,
}

impl<'s> Components<'s> {
    pub(super) fn of(document: &'s Value) -> Self {
        let root = document.get("use").and_then(Value::as_object);
        Self {
            root,
            referred: BTreeSet::new(),
            functions: BTreeMap::new(),
            in_extension: false,
            extensions: Vec::new(),
        }
    }

    /// The definitions of a section that is an object.
    fn section(&self, section: &str) -> Option<&'s Map<String, Value>> {
        self.root?.get(section)?.as_object()
    }

    /// A definition, without noting that something refers to it.
    pub(super) fn get(&self, section: &str, name: &str) -> Option<&'s Value> {
        self.section(section)?.get(name)
    }

    /// The items of a section that is a list.
    pub(super) fn list(&self, section: &str) -> &'s [Value] {
        self.root.and_then(|root| root.get(section)).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether the document declares that secret.
    pub(super) fn declares(&self, secret: &str) -> bool {
        self.list("secrets").iter().any(|name| name.as_str() == Some(secret))
    }
}

impl<'s> Compiler<'s> {
    /// The sections themselves, and those parts that nothing refers to by name.
    pub(super) fn components(&mut self, ptr: Ptr<'_>, value: &Value) {
        let Some(map) = self.reader.object(ptr, value) else { return };
        let objects = ["authentications", "errors", "functions", "retries", "timeouts", "catalogs"];
        let known: Vec<&str> = objects.iter().copied().chain(["extensions", "secrets"]).collect();
        self.reader.keys(ptr, map, &known, &[]);
        for section in objects {
            map.get(section).map(|value| self.reader.object(ptr.key(section), value));
        }
        if let Some(secrets) = map.get("secrets") {
            self.secrets(ptr.key("secrets"), secrets);
        }
        if let Some(extensions) = map.get("extensions") {
            self.extensions(ptr.key("extensions"), extensions);
        }
        for name in map.get("catalogs").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if name != DEFAULT_CATALOG {
                let at = ptr.key("catalogs");
                self.reader.report_key(
                    UNSUPPORTED,
                    at.key(name),
                    format!("the catalog `{}` is not supported: there is one, the registry", short(name)),
                    Some("register the function and call it by its name"),
                );
            }
        }
        for name in map.get("functions").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if PROTOCOLS.contains(&name.as_str()) {
                let at = ptr.key("functions");
                let why = format!("`{name}` is a kind of call of the language");
                self.reader.report_key("flow.name", at.key(name), why, Some("choose another name"));
            }
        }
    }

    fn secrets(&mut self, ptr: Ptr<'_>, value: &Value) {
        let Some(names) = self.reader.list(ptr, value) else { return };
        let mut seen = BTreeSet::new();
        for (i, name) in names.iter().enumerate() {
            let Some(name) = self.reader.text(ptr.index(i), name) else { continue };
            if !is_secret_name(name) {
                let why = "the name of a secret is 1 to 128 letters, digits, `-`, `_` and `.`";
                self.reader.report("flow.name", ptr.index(i), why, None);
            } else if !seen.insert(name) {
                self.reader.report("flow.duplicate", ptr.index(i), "this secret is declared twice", Some("keep one"));
            }
        }
    }

    /// The definition something refers to.
    pub(super) fn referred(&mut self, at: Ptr<'_>, section: &'static str, name: &str) -> Option<&'s Value> {
        if let Some(found) = self.components.get(section, name) {
            self.components.referred.insert((section, name.to_owned()));
            // It is compiled once for each reference, so that what is small here can't become large.
            if section != "functions" && !fits(found, &mut { MAX_DEFINITION }) {
                let (root, why) = (Ptr::Root.key("use"), format!("a definition is at most {MAX_DEFINITION} bytes"));
                let ptr = root.key(section);
                self.reader.report_key("flow.limit", ptr.key(name), why, None);
                return None;
            }
            return Some(found);
        }
        let mut known: Vec<&String> = self.components.section(section).into_iter().flat_map(Map::keys).collect();
        known.sort();
        let known: Vec<String> = known.into_iter().take(8).map(|name| short(name)).collect();
        let help = match (section, known.as_slice()) {
            ("timeouts", []) => "write {after: PT30S}, or define it there".to_owned(),
            (_, []) => "define it there".to_owned(),
            _ => format!("defined there: {}", known.join(", ")),
        };
        let why = format!("there is no `{}` in `use.{section}`", short(name));
        self.reader.report("flow.reference", at, why, Some(&help));
        None
    }

    /// Checks what nothing refers to, without keeping anything of it.
    pub(super) fn unused(&mut self, scope: &Scope) {
        let generous = with(scope, &["context", "task", "input", "error"]);
        let root = Ptr::Root.key("use");
        let (tasks, blocks) = (self.code.tasks.len(), self.code.blocks.len());
        for section in ["timeouts", "retries", "errors", "authentications", "functions"] {
            let Some(map) = self.components.section(section) else { continue };
            let at = root.key(section);
            for (name, value) in map {
                if self.components.referred.contains(&(section, name.clone())) {
                    continue;
                }
                let kept = (self.code.functions.clone(), self.code.secrets.clone(), self.code.needs.clone());
                let (slots, subflows) = (self.code.authentications.len(), self.code.subflows.clone());
                let ptr = at.key(name);
                match section {
                    "timeouts" => drop(self.timeout_defined(ptr, value, &generous)),
                    "retries" => drop(self.retry_defined(ptr, value, &generous)),
                    "errors" => drop(self.error_defined(ptr, value, &generous)),
                    "authentications" => drop(self.policy(ptr, value, Some(name), &generous)),
                    _ => drop(self.function_defined(name, value)),
                }
                (self.code.functions, self.code.secrets, self.code.needs) = kept;
                self.code.authentications.truncate(slots);
                self.code.subflows = subflows;
            }
        }
        self.code.tasks.truncate(tasks);
        self.code.blocks.truncate(blocks);
    }

    /// `timeout`, in place or by name.
    pub(super) fn timeout(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Timeout> {
        let Some(name) = value.as_str() else { return self.timeout_defined(ptr, value, scope) };
        let found = self.referred(ptr, "timeouts", name)?;
        let (root, name) = (Ptr::Root.key("use"), name.to_owned());
        let section = root.key("timeouts");
        self.timeout_defined(section.key(&name), found, scope)
    }

    fn timeout_defined(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Timeout> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["after"], &[]);
        let after = self.reader.required(ptr, map, "after")?;
        let after = self.pause(ptr.key("after"), after, scope)?;
        Some(Timeout { after })
    }

    /// A duration of the document, or one from an expression.
    pub(super) fn pause(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Pause> {
        if value.as_str().is_some_and(|text| enclosed(text).is_some()) {
            return self.reader.expression(at, value, scope).map(Pause::Computed);
        }
        self.reader.duration(at, value).map(Pause::Fixed)
    }
}

/// Whether the texts and numbers in a value are at most `left` bytes; looks no further than that.
fn fits(value: &Value, left: &mut usize) -> bool {
    let mut charge = |size: usize| left.checked_sub(size).map(|rest| *left = rest).is_some();
    match value {
        Value::String(text) => charge(text.len()),
        Value::Array(items) => charge(items.len()) && items.iter().all(|item| fits(item, left)),
        Value::Object(map) => map
            .iter()
            .all(|(key, item)| left.checked_sub(key.len()).map(|rest| *left = rest).is_some() && fits(item, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) => charge(8),
    }
}

/// Whether a text can name a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    (1..=128).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A name as it may be shown.
pub(super) fn short(name: &str) -> String {
    name.chars().take(60).collect()
}
