//! `use.extensions`: tasks before and after the tasks of a kind, woven in when the document is compiled.
//!
//! The rules, where the specification leaves a choice:
//! - An extension applies to every task of its kind, also inside other tasks and in the document's functions,
//!   and `composite` means `do` and `fork`. It never applies to the tasks of extensions, so it ends.
//! - Of several, the first in the list stands around the others.
//! - The task's `if` is asked first, and its `then` counts last. `when` is asked once, before the task.
//! - What `before` and `after` give does not reach the task nor what follows it; only an `exit` in them ends
//!   the task there, with what the exiting task gave.
//! - `before` and `after` see the run's context, not the variables of loops around the task. `$task` is the
//!   extended task in `when`.
//! - A task that jumps to another by itself (a `switch`, a `catch` with `then`) can't be extended.

use super::{
    compile::{Compiler, with},
    components::short,
    reader::Ptr,
    task::{Case, EXTENDED, Expr, Kind, TaskId, Then},
};
use crate::{
    UNSUPPORTED,
    expr::{Expression, Scope},
};
use serde_json::Value;
use std::sync::Arc;

/// Extensions of one document.
const MAX_EXTENSIONS: usize = 16;

/// What can be extended.
const TARGETS: [&str; 12] =
    ["call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all"];

/// A compiled extension.
pub(super) struct Extension {
    name: String,
    target: String,
    when: Option<Expr>,
    before: Vec<TaskId>,
    after: Vec<TaskId>,
}

impl Extension {
    fn applies(&self, kind: &str) -> bool {
        match self.target.as_str() {
            "all" => true,
            "composite" => matches!(kind, "do" | "fork"),
            target => target == kind,
        }
    }
}

impl Compiler<'_> {
    /// Compiles the list of extensions.
    pub(super) fn extensions(&mut self, ptr: Ptr<'_>, value: &Value) {
        let Some(items) = self.reader.list(ptr, value) else { return };
        if items.len() > MAX_EXTENSIONS {
            let why = format!("a document has at most {MAX_EXTENSIONS} extensions");
            self.reader.report("flow.limit", ptr.index(MAX_EXTENSIONS), why, None);
            return;
        }
        self.components.in_extension = true;
        let mut found = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let Some((name, value)) = self.single(ptr.index(i), item) else { continue };
            let at = ptr.index(i);
            found.extend(self.extension(at.key(name), name, value));
        }
        self.components.in_extension = false;
        self.components.extensions = found;
    }

    fn extension(&mut self, ptr: Ptr<'_>, name: &str, value: &Value) -> Option<Extension> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["extend", "when", "before", "after"], &[]);
        let scope = with(&Scope::new(), &["workflow", "runtime", "context"]);
        let target = self.reader.required(ptr, map, "extend");
        let target = target.and_then(|value| self.reader.one_of(ptr.key("extend"), value, &TARGETS));
        let inner = with(&scope, &["task", "input"]);
        let when = map.get("when").map(|value| self.reader.expression(ptr.key("when"), value, &inner));
        let mut tasks = |key: &str| {
            let block = map.get(key).and_then(|value| self.block(ptr.key(key), value, &scope));
            block.and_then(|block| self.code.blocks.get(block.0)).cloned().unwrap_or_default()
        };
        let (before, after) = (tasks("before"), tasks("after"));
        let when = match when {
            Some(when) => Some(when?),
            None => None,
        };
        Some(Extension { name: name.to_owned(), target: target?.to_owned(), when, before, after })
    }

    /// The task, or what stands around it for the extensions of its kind.
    pub(super) fn extended(&mut self, ptr: Ptr<'_>, name: &str, kind: &str, id: TaskId) -> TaskId {
        if self.components.in_extension || !self.components.extensions.iter().any(|e| e.applies(kind)) {
            return id;
        }
        let Some(task) = self.code.tasks.get_mut(id.0) else { return id };
        let jumps = match &task.kind {
            Kind::Switch(cases) => cases.iter().any(|case| matches!(case.then, Then::Task(_) | Then::Exit)),
            Kind::Try { catch, .. } => matches!(catch.then, Some(Then::Task(_) | Then::Exit)),
            _ => false,
        };
        let (condition, then) = (task.condition.take(), std::mem::replace(&mut task.then, Then::Continue));
        let extensions = std::mem::take(&mut self.components.extensions);
        if jumps {
            let by = extensions.iter().find(|e| e.applies(kind)).map_or_else(String::new, |e| short(&e.name));
            let why = format!("extending a task that jumps to another by itself is not supported (by `{by}`)");
            self.reader.report_key(UNSUPPORTED, ptr, why, Some("extend other kinds of tasks, or put it into a `do`"));
        }
        let mut outer = id;
        for extension in extensions.iter().rev().filter(|e| e.applies(kind)) {
            outer = self.woven(ptr, name, extension, outer).unwrap_or(outer);
        }
        self.components.extensions = extensions;
        if let Some(task) = self.code.tasks.get_mut(outer.0) {
            task.condition = condition;
            task.then = then;
        }
        outer
    }

    /// `[when? → 1 : 2, [before…, input, task, [after…, output]], task]`
    fn woven(&mut self, ptr: Ptr<'_>, name: &str, extension: &Extension, task: TaskId) -> Option<TaskId> {
        let mut tasks = extension.before.clone();
        if !tasks.is_empty() {
            tasks.push(self.restored(name, ptr)?);
        }
        tasks.push(task);
        if !extension.after.is_empty() {
            let mut after = extension.after.clone();
            after.push(self.restored(name, ptr)?);
            tasks.push(self.around(name, ptr, after));
        }
        let whole = self.around(name, ptr, tasks);
        let Some(when) = &extension.when else { return Some(whole) };
        if let Some(task) = self.code.tasks.get_mut(whole.0) {
            task.then = Then::Exit;
        }
        let cases =
            vec![Case { when: Some(when.clone()), then: Then::Task(1) }, Case { when: None, then: Then::Task(2) }];
        let guard = self.stand_in(name, ptr, Kind::Switch(cases));
        Some(self.around(name, ptr, vec![guard, whole, task]))
    }

    fn around(&mut self, name: &str, ptr: Ptr<'_>, tasks: Vec<TaskId>) -> TaskId {
        let block = self.listed(tasks);
        let id = self.stand_in(name, ptr, Kind::Do(block));
        if let Some(task) = self.code.tasks.get_mut(id.0) {
            task.extended = true;
        }
        id
    }

    /// Gives again what came into the list it stands in.
    fn restored(&mut self, name: &str, ptr: Ptr<'_>) -> Option<TaskId> {
        let scope = with(&Scope::new(), &[EXTENDED]);
        let raw = Expression::jq(&format!("${EXTENDED}"), &scope).ok()?;
        Some(self.stand_in(name, ptr, Kind::Set(Arc::new(raw))))
    }
}
