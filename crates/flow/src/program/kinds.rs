//! Compiles the kinds of task that stay inside the run: `set`, `switch`, `for`, `raise`, `wait`.

use super::{
    compile::{Compiler, Names, with},
    reader::{Ptr, enclosed},
    task::{Case, Expr, Kind},
};
use crate::expr::Scope;
use serde_json::{Map, Value};
use std::sync::Arc;

impl Compiler<'_> {
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
        let Some(name) = error.as_str() else {
            return self.error_defined(at.key("error"), error, scope).map(Kind::Raise);
        };
        let found = self.referred(at.key("error"), "errors", name)?;
        let root = Ptr::Root.key("use");
        let section = root.key("errors");
        self.error_defined(section.key(name), found, scope).map(Kind::Raise)
    }

    /// An error written out: `{type, status, title?, detail?, instance?}`.
    pub(super) fn error_defined(&mut self, ptr: Ptr<'_>, error: &Value, scope: &Scope) -> Option<Expr> {
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
        self.reader.template(ptr, error, scope).map(Arc::new)
    }

    /// An HTTP status.
    pub(super) fn status(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<u16> {
        let status = value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (100..=599).contains(n));
        if status.is_none() {
            self.reader.report("flow.type", ptr, "`status` must be a whole number from 100 to 599", None);
        }
        status
    }

    pub(super) fn wait(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        self.pause(at, body, scope).map(Kind::Wait)
    }
}
