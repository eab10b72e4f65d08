//! Compiles `try`: what it catches, and when it is begun again.

use super::{
    compile::{Compiler, Names, with},
    reader::Ptr,
    task::{Catch, ErrorFilter, Kind, Pause, Retry, Timeout},
    time::{Backoff, Growth},
};
use crate::expr::Scope;
use mandate_kernel::{Duration, Limits};
use serde_json::{Map, Value};

impl Compiler<'_> {
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
        let mut block = block?;
        if let Some(each) = retry.as_ref().and_then(|retry| retry.each) {
            // One attempt is a task of its own, so that a timeout can end it and the `catch` see it.
            let attempt = self.stand_in("attempt", ptr, Kind::Do(block));
            if let Some(task) = self.code.tasks.get_mut(attempt.0) {
                task.timeout = Some(Timeout { after: Pause::Fixed(each) });
            }
            block = self.listed(vec![attempt]);
        }
        let catch = Catch { filter, variable, when, except_when, retry, block: handler, then };
        Some(Kind::Try { block, catch: Box::new(catch) })
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
        let Some(name) = value.as_str() else { return self.retry_defined(ptr, value, scope) };
        let found = self.referred(ptr, "retries", name)?;
        let root = Ptr::Root.key("use");
        let section = root.key("retries");
        self.retry_defined(section.key(name), found, scope)
    }

    /// A retry policy written out.
    pub(super) fn retry_defined(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Retry> {
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
        let (attempts, within, each) =
            map.get("limit").map(|value| self.limit(ptr.key("limit"), value)).unwrap_or_default();
        let attempts = attempts.unwrap_or(Limits::DEFAULT.attempts);
        Some(Retry { when, except_when, backoff: Backoff { delay, growth, jitter }, attempts, within, each })
    }

    fn growth(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<Growth> {
        let map = self.reader.object(ptr, value)?;
        let mut members = map.iter();
        let (Some((name, settings)), None) = (members.next(), members.next()) else {
            self.reader.report("flow.type", ptr, "a backoff is exactly one of constant, linear, exponential", None);
            return None;
        };
        let growth = match name.as_str() {
            "constant" => Growth::Constant,
            "linear" => Growth::Linear,
            "exponential" => Growth::Exponential,
            _ => {
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

    fn limit(&mut self, ptr: Ptr<'_>, value: &Value) -> (Option<u32>, Option<Duration>, Option<Duration>) {
        let Some(map) = self.reader.object(ptr, value) else { return (None, None, None) };
        self.reader.keys(ptr, map, &["attempt", "duration"], &[]);
        let within = map.get("duration").and_then(|value| self.reader.duration(ptr.key("duration"), value));
        let at = ptr.key("attempt");
        let Some(attempt) = map.get("attempt").and_then(|value| self.reader.object(at, value)) else {
            return (None, within, None);
        };
        self.reader.keys(at, attempt, &["count", "duration"], &[]);
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
        let each = attempt.get("duration").and_then(|value| self.reader.duration(at.key("duration"), value));
        (count, within, each)
    }
}
