//! Compiles `call`: a function of the document, one of the registry, or a protocol.

use super::{
    compile::{Compiler, with},
    components::{DEFAULT_CATALOG, PROTOCOLS, short},
    reader::Ptr,
    task::{BlockId, Filter, Kind, Task, TaskId, Then},
};
use crate::{
    UNSUPPORTED,
    expr::{Expression, Scope},
};
use mandate_kernel::FunctionName;
use serde_json::{Map, Value};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn call(&mut self, ptr: Ptr<'_>, body: &Value, map: &Map<String, Value>, scope: &Scope) -> Option<Kind> {
        let at = ptr.key("call");
        let name = self.reader.text(at, body)?;
        if PROTOCOLS.contains(&name) {
            return self.protocol(ptr, name, map.get("with"), scope);
        }
        if self.components.get("functions", name).is_some() {
            return self.local(ptr, name, map.get("with"), scope);
        }
        let function = self.registered(at, name);
        let arguments = self.arguments(ptr.key("with"), map.get("with"), scope);
        let (function, arguments) = (function?, Arc::new(arguments?));
        self.code.functions.insert(function.clone());
        Some(Kind::Call { function, arguments })
    }

    fn arguments(&mut self, at: Ptr<'_>, with: Option<&Value>, scope: &Scope) -> Option<Expression> {
        let Some(value) = with else { return Some(Expression::constant(Value::Object(Map::new()))) };
        self.reader.object(at, value)?;
        self.reader.template(at, value, scope)
    }

    /// `NAME` or `NAME@default`: a function of the registry.
    fn registered(&mut self, at: Ptr<'_>, name: &str) -> Option<FunctionName> {
        if name.contains("://") {
            let help = "register the function, and call it by its name";
            self.reader.report(UNSUPPORTED, at, "a function by its address is not supported", Some(help));
            return None;
        }
        let (name, catalog) = name.split_once('@').map_or((name, DEFAULT_CATALOG), |(name, catalog)| (name, catalog));
        if catalog != DEFAULT_CATALOG {
            let why = format!("the catalog `{}` is not supported: there is one, the registry", short(catalog));
            self.reader.report(UNSUPPORTED, at, why, Some("call the function by its name, or as NAME@default"));
            return None;
        }
        if let Some((name, _)) = name.split_once(':') {
            let why = "functions of the registry have no version numbers";
            let help = format!("write `{}`: applying the Worker pins the function it was applied with", short(name));
            self.reader.report(UNSUPPORTED, at, why, Some(&help));
            return None;
        }
        FunctionName::new(name).map_err(|error| self.reader.report("flow.name", at, error.to_string(), None)).ok()
    }

    /// A function of the document, in the place of its call. Its input is `with`; without one, the call's.
    fn local(&mut self, ptr: Ptr<'_>, name: &str, with: Option<&Value>, scope: &Scope) -> Option<Kind> {
        let at = ptr.key("call");
        let definition = self.referred(at, "functions", name)?;
        let arguments = match with {
            Some(value) => Some(self.arguments(ptr.key("with"), Some(value), scope)?),
            None => None,
        };
        let key = (name.to_owned(), self.components.in_extension);
        let body = match self.components.functions.get(&key) {
            Some(Some(done)) => *done,
            Some(None) => {
                let why = format!("the function `{}` calls itself, directly or through others", short(name));
                self.reader.report("flow.cycle", at, why, Some("a document's functions can't recurse"));
                return None;
            }
            None => self.function_defined(name, definition),
        };
        let Some(arguments) = arguments else { return Some(Kind::Do(body)) };
        let first = self.stand_in(name, ptr, Kind::Set(Arc::new(arguments)));
        let tasks: Vec<TaskId> =
            std::iter::once(first).chain(self.code.blocks.get(body.0).into_iter().flatten().copied()).collect();
        Some(Kind::Do(self.listed(tasks)))
    }

    /// Compiles a function of the document, once: it sees the run's context, and its input, not the variables
    /// of loops around a call. It is a list of its own, so its `then` names no other task.
    pub(super) fn function_defined(&mut self, name: &str, definition: &Value) -> BlockId {
        let key = (name.to_owned(), self.components.in_extension);
        self.components.functions.insert(key.clone(), None);
        let (root, scope) = (Ptr::Root.key("use"), with(&Scope::new(), &["workflow", "runtime", "context"]));
        let section = root.key("functions");
        self.code.counted = self.code.counted.saturating_add(1);
        let task = self.task(section.key(name), name, definition, &scope, &Vec::new());
        let block = self.listed(vec![task]);
        self.components.functions.insert(key, Some(block));
        block
    }

    /// A task that the document does not write, in the place of the one at `ptr`.
    pub(super) fn stand_in(&mut self, name: &str, ptr: Ptr<'_>, kind: Kind) -> TaskId {
        let id = TaskId(self.code.tasks.len());
        self.code.tasks.push(Task {
            name: name.to_owned(),
            pointer: ptr.to_string(),
            condition: None,
            input: Filter::default(),
            output: Filter::default(),
            export: Filter::default(),
            timeout: None,
            then: Then::Continue,
            scheme: None,
            extended: false,
            stands_in: true,
            kind,
        });
        id
    }

    /// A block of tasks that are there already.
    pub(super) fn listed(&mut self, tasks: Vec<TaskId>) -> BlockId {
        let id = BlockId(self.code.blocks.len());
        self.code.blocks.push(tasks);
        id
    }
}
