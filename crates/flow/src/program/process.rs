//! Compiles `run`: another workflow, a script, a shell command, a container.
//!
//! A process gets its definition as one object, with its expressions evaluated once. A text is an
//! expression only as a whole: a script may hold `${x}` for its own language.

use super::{
    compile::Compiler,
    head::{is_name, is_semver},
    reader::{Ptr, enclosed},
    task::{Expr, Kind, Process, Return},
};
use crate::expr::{Expression, Scope};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Something a document needs that is off unless the operator turns it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// `run: script`
    Script,
    /// `run: shell`
    Shell,
    /// `run: container`
    Container,
    /// An authentication whose credential comes from the run's data.
    CallerSuppliedCredentials,
}

impl Need {
    /// Every need, in the order of declaration.
    pub const ALL: &'static [Self] = &[Self::Script, Self::Shell, Self::Container, Self::CallerSuppliedCredentials];

    /// The name of the operator's switch.
    #[must_use]
    pub const fn switch(self) -> &'static str {
        match self {
            Self::Script => "run-script",
            Self::Shell => "run-shell",
            Self::Container => "run-container",
            Self::CallerSuppliedCredentials => "caller-supplied-credentials",
        }
    }

    /// The need behind a switch's name; `None` for a name that is no switch's.
    #[must_use]
    pub fn of_switch(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|need| need.switch() == name)
    }
}

/// Kinds of processes, with their keys.
const PROCESSES: [(&str, &[&str]); 4] = [
    (
        "container",
        &[
            "image",
            "name",
            "command",
            "ports",
            "volumes",
            "environment",
            "stdin",
            "arguments",
            "lifetime",
            "pullPolicy",
        ],
    ),
    ("script", &["language", "code", "source", "stdin", "arguments", "environment"]),
    ("shell", &["command", "stdin", "arguments", "environment"]),
    ("workflow", &["namespace", "name", "version", "input"]),
];

impl Compiler<'_> {
    pub(super) fn run(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        let map = self.reader.object(at, body)?;
        self.reader.keys(at, map, &["container", "script", "shell", "workflow", "await", "return"], &[]);
        let awaited = match map.get("await") {
            Some(value) => self.reader.boolean(at.key("await"), value)?,
            None => true,
        };
        let returns = match map.get("return") {
            Some(value) => self.returns(at.key("return"), value)?,
            None => Return::Stdout,
        };
        let mut present = PROCESSES.iter().filter(|(kind, _)| map.contains_key(*kind));
        let (Some((kind, keys)), None) = (present.next(), present.next()) else {
            let why = "`run` starts exactly one of container, script, shell, workflow";
            self.reader.report_key("flow.run", at, why, None);
            return None;
        };
        let ptr = at.key(kind);
        let definition = map.get(*kind).and_then(|value| self.reader.object(ptr, value))?;
        self.reader.keys(ptr, definition, keys, &[]);
        let process = match *kind {
            "workflow" => self.subflow(ptr, definition, scope, (awaited, returns))?,
            "script" => {
                self.code.needs.insert(Need::Script);
                Process::Script { definition: self.script(ptr, definition, scope)?, awaited, returns }
            }
            "shell" => {
                self.code.needs.insert(Need::Shell);
                self.reader.required(ptr, definition, "command");
                Process::Shell { definition: self.members(ptr, definition, scope)?, awaited, returns }
            }
            _ => {
                self.code.needs.insert(Need::Container);
                Process::Container { definition: self.container(ptr, definition, scope)?, awaited, returns }
            }
        };
        Some(Kind::Run(process))
    }

    fn returns(&mut self, at: Ptr<'_>, value: &Value) -> Option<Return> {
        let known = [
            ("stdout", Return::Stdout),
            ("stderr", Return::Stderr),
            ("code", Return::Code),
            ("all", Return::All),
            ("none", Return::None),
        ];
        let name = self.reader.one_of(at, value, &known.map(|(name, _)| name))?;
        known.iter().find(|(known, _)| *known == name).map(|(_, returns)| *returns)
    }

    fn subflow(
        &mut self,
        ptr: Ptr<'_>,
        map: &Map<String, Value>,
        scope: &Scope,
        (awaited, returns): (bool, Return),
    ) -> Option<Process> {
        if !matches!(returns, Return::Stdout | Return::None) {
            let why = "a workflow gives its output or nothing: `return` is stdout or none";
            self.reader.report("flow.run", ptr, why, None);
        }
        let mut member = |key: &str, fits: fn(&str) -> bool, what: &str| {
            let value = self.reader.required(ptr, map, key)?;
            let text = self.reader.text(ptr.key(key), value)?;
            if !fits(text) {
                self.reader.report("flow.name", ptr.key(key), format!("`{key}` must be {what}"), None);
            }
            Some(text.to_owned())
        };
        let name = "1 to 63 letters, digits and `-`, starting and ending with a letter or digit";
        let (namespace, name) = (member("namespace", is_name, name), member("name", is_name, name));
        let fits = |text: &str| text == "latest" || is_semver(text);
        let version = member("version", fits, "a semantic version such as 1.0.0, or latest");
        let input = match map.get("input") {
            Some(value) => {
                self.reader.object(ptr.key("input"), value)?;
                Some(Arc::new(self.reader.template(ptr.key("input"), value, scope)?))
            }
            None => None,
        };
        let (namespace, name, version) = (namespace?, name?, version?);
        self.code.subflows.insert((namespace.clone(), name.clone(), version.clone()));
        Some(Process::Workflow { namespace, name, version, input, awaited, returns })
    }

    fn script(&mut self, ptr: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Expr> {
        if let Some(language) = self.reader.required(ptr, map, "language") {
            self.reader.one_of(ptr.key("language"), language, &["js", "javascript", "python"]);
        }
        match (map.get("code"), map.get("source")) {
            (Some(_), None) => {}
            (None, Some(source)) => {
                // What it says is checked; where the code comes from is not the run's to decide.
                self.resource(ptr.key("source"), source, scope);
                self.reader.unsupported(ptr.key("source"), "a script from outside the document");
            }
            _ => self.reader.report("flow.run", ptr, "a script has either `code` or `source`", None),
        }
        self.members(ptr, map, scope)
    }

    fn container(&mut self, ptr: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Expr> {
        self.reader.required(ptr, map, "image");
        if let Some(policy) = map.get("pullPolicy") {
            self.reader.one_of(ptr.key("pullPolicy"), policy, &["ifNotPresent", "always", "never"]);
        }
        if let Some(lifetime) = map.get("lifetime") {
            let at = ptr.key("lifetime");
            let lifetime = self.reader.object(at, lifetime)?;
            self.reader.keys(at, lifetime, &["cleanup", "after"], &[]);
            let cleanup = self.reader.required(at, lifetime, "cleanup")?;
            let cleanup = self.reader.one_of(at.key("cleanup"), cleanup, &["always", "never", "eventually"])?;
            match (cleanup == "eventually", lifetime.get("after")) {
                (true, Some(after)) => drop(self.reader.duration(at.key("after"), after)),
                (true, None) => drop(self.reader.required(at, lifetime, "after")),
                (false, Some(_)) => {
                    let why = "`after` belongs to `cleanup: eventually` alone";
                    self.reader.report_key("flow.run", at.key("after"), why, None);
                }
                (false, None) => {}
            }
        }
        self.members(ptr, map, scope)
    }

    /// The definition of a process: texts, lists of texts, and maps of values.
    fn members(&mut self, ptr: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Expr> {
        let mut members = Vec::new();
        for (key, value) in map {
            let at = ptr.key(key);
            let member = match key.as_str() {
                "arguments" => {
                    let items = self.reader.list(at, value)?;
                    let items: Option<Vec<_>> =
                        items.iter().enumerate().map(|(i, item)| self.words(at.index(i), item, scope)).collect();
                    Expression::array(items?)
                }
                "environment" | "ports" | "volumes" => {
                    self.reader.object(at, value)?;
                    self.reader.template(at, value, scope)?
                }
                "lifetime" | "source" => Expression::constant(value.clone()),
                _ => self.words(at, value, scope)?,
            };
            members.push((key.clone(), member));
        }
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        Some(Arc::new(Expression::object(members)))
    }

    /// A text that is an expression as a whole or not at all.
    pub(super) fn words(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let text = self.reader.text(at, value)?;
        match enclosed(text) {
            Some(_) => self.reader.template(at, value, scope),
            None => Some(Expression::constant(value.clone())),
        }
    }
}
