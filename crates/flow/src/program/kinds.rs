//! Compiles each kind of task.

use super::{
    compile::{Compiler, Names, with},
    reader::{Ptr, enclosed},
    task::{Case, Catch, ErrorFilter, Kind, Pause, Retry},
    time::{Backoff, Growth},
};
use crate::expr::{Expression, Scope};
use mandate_kernel::{Duration, FunctionName, Limits};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Calls that the language defines itself.
const PROTOCOLS: [&str; 6] = ["http", "grpc", "openapi", "asyncapi", "mcp", "a2a"];

impl Compiler<'_> {
    pub(super) fn call(&mut self, ptr: Ptr<'_>, body: &Value, map: &Map<String, Value>, scope: &Scope) -> Option<Kind> {
        let at = ptr.key("call");
        let name = self.reader.text(at, body)?;
        if PROTOCOLS.contains(&name) {
            self.reader.unsupported(at, format!("`call: {name}`"));
            return None;
        }
        if name.contains("://") || name.contains('@') {
            self.reader.unsupported(at, "a function from a catalog");
            return None;
        }
        let function =
            FunctionName::new(name).map_err(|error| self.reader.report("flow.name", at, error.to_string(), None)).ok();
        let arguments = match map.get("with") {
            Some(value) => {
                self.reader.object(ptr.key("with"), value)?;
                self.reader.template(ptr.key("with"), value, scope)
            }
            None => Some(Expression::constant(Value::Object(Map::new()))),
        };
        let (function, arguments) = (function?, Arc::new(arguments?));
        self.code.functions.insert(function.clone());
        Some(Kind::Call { function, arguments })
    }

    pub(super) fn set(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        match body {
            Value::Object(map) if !map.is_empty() => {}
            Value::String(text) if enclosed(text).is_some() => {}
            _ => {
                self.reader.report(
                    "flow.type",
                    at,
                    "`set` needs an object with at least one member, or one expression in ${ }",
                    None,
                );
                return None;
            }
        }
        self.reader.template(at, body, scope).map(|e| Kind::Set(Arc::new(e)))
    }

    pub(super) fn switch(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope, names: &Names<'_>) -> Option<Kind> {
        let items = self.reader.list(at, body)?;
        if items.is_empty() {
            self.reader.report("flow.type", at, "`switch` needs at least one case", None);
        }
        let mut cases = Vec::new();
        let mut defaults = 0;
        for (i, item) in items.iter().enumerate() {
            let Some((name, case)) = self.single(at.index(i), item) else { continue };
            let item = at.index(i);
            let ptr = item.key(name);
            let Some(map) = self.reader.object(ptr, case) else { continue };
            self.reader.keys(ptr, map, &["when", "then"], &[]);
            let when = map.get("when").map(|value| self.reader.expression(ptr.key("when"), value, scope));
            defaults += usize::from(when.is_none());
            if defaults > 1 && when.is_none() {
                self.reader.report_key("flow.switch", ptr, "a switch has one case without `when`", None);
            }
            let then =
                self.reader.required(ptr, map, "then").and_then(|value| self.then(ptr.key("then"), value, names));
            if let Some(then) = then {
                cases.push(Case { when: when.flatten(), then });
            }
        }
        Some(Kind::Switch(cases))
    }

    pub(super) fn for_each(
        &mut self,
        ptr: Ptr<'_>,
        body: &Value,
        map: &Map<String, Value>,
        scope: &Scope,
    ) -> Option<Kind> {
        let at = ptr.key("for");
        let head = self.reader.object(at, body)?;
        self.reader.keys(at, head, &["each", "in", "at"], &[]);
        let each = self.variable(at.key("each"), head.get("each"), "item");
        let index = self.variable(at.key("at"), head.get("at"), "index");
        if each == index {
            self.reader.report("flow.variable", at, "`each` and `at` are the same variable", None);
        }
        let collection = match self.reader.required(at, head, "in") {
            Some(value @ Value::Array(_)) => self.reader.template(at.key("in"), value, scope).map(Arc::new),
            Some(value) => self.reader.expression(at.key("in"), value, scope),
            None => None,
        };
        let inner = with(scope, &[&each, &index]);
        let condition = map.get("while").map(|value| self.reader.expression(ptr.key("while"), value, &inner));
        let block = self.reader.required(ptr, map, "do").and_then(|tasks| self.block(ptr.key("do"), tasks, &inner));
        Some(Kind::For { each, at: index, collection: collection?, condition: condition.flatten(), block: block? })
    }

    pub(super) fn raise(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        let map = self.reader.object(at, body)?;
        self.reader.keys(at, map, &["error"], &[]);
        let error = self.reader.required(at, map, "error")?;
        let ptr = at.key("error");
        if error.is_string() {
            self.reader.unsupported(ptr, "a reference to an error");
            return None;
        }
        let members = self.reader.object(ptr, error)?;
        self.reader.keys(ptr, members, &["type", "status", "title", "detail", "instance"], &[]);
        for key in ["type", "title", "detail", "instance"] {
            if key == "type" {
                self.reader.required(ptr, members, key);
            }
            members.get(key).map(|value| self.reader.text(ptr.key(key), value));
        }
        if let Some(status) = self.reader.required(ptr, members, "status") {
            self.status(ptr.key("status"), status);
        }
        self.reader.template(ptr, error, scope).map(|e| Kind::Raise(Arc::new(e)))
    }

    fn status(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<u16> {
        let status = value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..=599).contains(n));
        if status.is_none() {
            self.reader.report("flow.type", ptr, "`status` must be a whole number from 100 to 599", None);
        }
        status
    }

    pub(super) fn wait(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        let computed = body.as_str().is_some_and(|text| enclosed(text).is_some());
        if computed {
            return self.reader.expression(at, body, scope).map(|e| Kind::Wait(Pause::Computed(e)));
        }
        self.reader.duration(at, body).map(|d| Kind::Wait(Pause::Fixed(d)))
    }

    pub(super) fn try_catch(
        &mut self,
        ptr: Ptr<'_>,
        body: &Value,
        map: &Map<String, Value>,
        scope: &Scope,
        names: &Names<'_>,
    ) -> Option<Kind> {
        let block = self.block(ptr.key("try"), body, scope);
        let value = self.reader.required(ptr, map, "catch")?;
        let at = ptr.key("catch");
        let catch = self.reader.object(at, value)?;
        self.reader.keys(at, catch, &["errors", "as", "when", "exceptWhen", "retry", "do", "then"], &[]);
        let variable = self.variable(at.key("as"), catch.get("as"), "error");
        let inner = with(scope, &[&variable]);
        let filter =
            catch.get("errors").and_then(|errors| self.error_filter(at.key("errors"), errors)).unwrap_or_default();
        let when = catch.get("when").and_then(|value| self.reader.expression(at.key("when"), value, &inner));
        let except_when =
            catch.get("exceptWhen").and_then(|value| self.reader.expression(at.key("exceptWhen"), value, &inner));
        let retry = catch.get("retry").and_then(|value| self.retry(at.key("retry"), value, &inner));
        let handler = catch.get("do").and_then(|tasks| self.block(at.key("do"), tasks, &inner));
        let then = catch.get("then").and_then(|value| self.then(at.key("then"), value, names));
        let catch = Catch { filter, variable, when, except_when, retry, block: handler, then };
        Some(Kind::Try { block: block?, catch: Box::new(catch) })
    }

    fn error_filter(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<ErrorFilter> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["with"], &[]);
        let value = map.get("with")?;
        let at = ptr.key("with");
        let with = self.reader.object(at, value)?;
        self.reader.keys(at, with, &["type", "status", "instance", "title", "detail"], &[]);
        if with.is_empty() {
            self.reader.report("flow.type", at, "an error filter names at least one member", None);
        }
        let mut member = |key: &str| {
            let text = self.reader.text(at.key(key), with.get(key)?)?;
            if text.contains("${") {
                self.reader.unsupported(at.key(key), "an expression in an error filter");
            }
            Some(text.to_owned())
        };
        let (type_, instance, title, detail) = (member("type"), member("instance"), member("title"), member("detail"));
        let status = with.get("status").and_then(|value| self.status(at.key("status"), value));
        Some(ErrorFilter { type_, status, instance, title, detail })
    }

    fn retry(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Retry> {
        if value.is_string() {
            self.reader.unsupported(ptr, "a reference to a retry policy");
            return None;
        }
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["when", "exceptWhen", "delay", "backoff", "limit", "jitter"], &[]);
        let when = map.get("when").and_then(|value| self.reader.expression(ptr.key("when"), value, scope));
        let except_when =
            map.get("exceptWhen").and_then(|value| self.reader.expression(ptr.key("exceptWhen"), value, scope));
        let delay =
            map.get("delay").and_then(|value| self.reader.duration(ptr.key("delay"), value)).unwrap_or_default();
        let growth =
            map.get("backoff").and_then(|value| self.growth(ptr.key("backoff"), value)).unwrap_or(Growth::Constant);
        let jitter = map.get("jitter").and_then(|value| self.jitter(ptr.key("jitter"), value));
        let (attempts, within) = map.get("limit").map(|value| self.limit(ptr.key("limit"), value)).unwrap_or_default();
        let attempts = attempts.unwrap_or(Limits::DEFAULT.attempts);
        Some(Retry { when, except_when, backoff: Backoff { delay, growth, jitter }, attempts, within })
    }

    fn growth(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<Growth> {
        let (name, settings) = self.single(ptr, value)?;
        let growth = match name {
            "constant" => Growth::Constant,
            "linear" => Growth::Linear,
            "exponential" => Growth::Exponential,
            _ => {
                let map = value.as_object()?;
                self.reader.keys(ptr, map, &["constant", "linear", "exponential"], &[]);
                return None;
            }
        };
        let at = ptr.key(name);
        let settings = self.reader.object(at, settings)?;
        self.reader.keys(at, settings, &[], &[]);
        Some(growth)
    }

    fn jitter(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<(Duration, Duration)> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["from", "to"], &[]);
        let mut bound = |key: &str| {
            let value = self.reader.required(ptr, map, key)?;
            self.reader.duration(ptr.key(key), value)
        };
        let (from, to) = (bound("from"), bound("to"));
        let (from, to) = (from?, to?);
        if to < from {
            self.reader.report("flow.duration", ptr, "`to` is shorter than `from`", None);
        }
        Some((from, to))
    }

    fn limit(&mut self, ptr: Ptr<'_>, value: &Value) -> (Option<u32>, Option<Duration>) {
        let Some(map) = self.reader.object(ptr, value) else { return (None, None) };
        self.reader.keys(ptr, map, &["attempt", "duration"], &[]);
        let within = map.get("duration").and_then(|value| self.reader.duration(ptr.key("duration"), value));
        let at = ptr.key("attempt");
        let Some(attempt) = map.get("attempt").and_then(|value| self.reader.object(at, value)) else {
            return (None, within);
        };
        self.reader.keys(at, attempt, &["count"], &["duration"]);
        let most = Limits::DEFAULT.attempts;
        let count = attempt.get("count").and_then(|value| {
            let count = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=most).contains(n));
            if count.is_none() {
                self.reader.report(
                    "flow.limit",
                    at.key("count"),
                    format!("`count` must be a whole number from 1 to {most}"),
                    None,
                );
            }
            count
        });
        (count, within)
    }
}
