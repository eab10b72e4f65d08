//! Compiles a document: its head, its blocks and what all tasks have in common.

use super::{
    authentication::AuthenticationSlot,
    components::Components,
    credential,
    process::Need,
    protocol::DescribedCall,
    reader::{Ptr, Reader},
    schedule::Schedule,
    task::{BlockId, Filter, Kind, Task, TaskId, Then, Timeout},
};
use crate::{
    Diagnostics,
    expr::{Scope, shallow},
    yaml::Spanned,
};
use mandate_kernel::{FunctionName, Limits};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Tasks of one document.
const MAX_TASKS: usize = 1_000;

/// Tasks inside of one another, those of functions where they are called. The compiler recurses at each.
const MAX_NESTING: usize = 64;

/// Keys every task may have.
const BASE: [&str; 7] = ["if", "input", "output", "export", "timeout", "then", "metadata"];

/// Each kind of task with the keys it adds.
const KINDS: [(&str, &[&str]); 12] = [
    ("call", &["with"]),
    ("for", &["while", "do"]),
    ("do", &[]),
    ("fork", &[]),
    ("emit", &[]),
    ("listen", &["foreach"]),
    ("raise", &[]),
    ("run", &[]),
    ("set", &[]),
    ("switch", &[]),
    ("try", &["catch"]),
    ("wait", &[]),
];

/// Names the language gives to its own variables; a loop or a `catch` can't take them.
const RESERVED: [&str; 8] = ["context", "input", "output", "task", "workflow", "runtime", "secrets", "authorization"];

/// What a document compiles to.
#[derive(Debug, Default)]
pub(super) struct Code {
    pub(super) tasks: Vec<Task>,
    pub(super) blocks: Vec<Vec<TaskId>>,
    pub(super) functions: BTreeSet<FunctionName>,
    pub(super) input: Filter,
    pub(super) output: Filter,
    pub(super) entry: Option<BlockId>,
    pub(super) timeout: Option<Timeout>,
    pub(super) schedule: Option<Schedule>,
    pub(super) authentications: Vec<AuthenticationSlot>,
    pub(super) secrets: BTreeSet<String>,
    pub(super) needs: BTreeSet<Need>,
    pub(super) described: Vec<DescribedCall>,
    /// What no run performs yet: where, and what.
    pub(super) later: Vec<(String, &'static str)>,
    pub(super) subflows: BTreeSet<(String, String, String)>,
    /// Where wild expressions stand.
    pub(super) wild: Option<Diagnostics>,
    /// Tasks of the lists read so far, also those that are not compiled yet.
    pub(super) counted: usize,
    /// Whether it was said that there are too many tasks.
    too_many: bool,
}

/// Compiles, or says everything that is wrong.
pub(super) fn compile(source: &Spanned) -> Result<Code, Diagnostics> {
    let mut compiler = Compiler {
        reader: Reader::new(source),
        code: Code::default(),
        components: Components::of(source.value()),
        nesting: 0,
    };
    if shallow(source.value(), Limits::DEFAULT.depth) {
        compiler.document(source.value());
        credential::check(&mut compiler.reader, Ptr::Root, source.value(), false);
    } else {
        compiler.reader.report(
            "flow.limit",
            Ptr::Root,
            format!("the document nests more than {} levels", Limits::DEFAULT.depth),
            None,
        );
    }
    let more = compiler.reader.more;
    match Diagnostics::collect(compiler.reader.found) {
        Some(diagnostics) => Err(diagnostics.and_more(more)),
        None => Ok(Code { wild: Diagnostics::collect(compiler.reader.wild), ..compiler.code }),
    }
}

pub(super) struct Compiler<'s> {
    pub(super) reader: Reader<'s>,
    pub(super) code: Code,
    pub(super) components: Components<'s>,
    /// Tasks around the one that is being compiled.
    nesting: usize,
}

/// Names of the tasks of one block, for `then`.
pub(super) type Names<'v> = Vec<&'v str>;

/// A scope with more names.
pub(super) fn with(scope: &Scope, names: &[&str]) -> Scope {
    scope.iter().cloned().chain(names.iter().map(|n| (*n).to_owned())).collect()
}

impl Compiler<'_> {
    fn document(&mut self, value: &Value) {
        let root = Ptr::Root;
        let Some(map) = self.reader.object(root, value) else { return };
        self.reader.keys(
            root,
            map,
            &["document", "input", "output", "do", "evaluate", "use", "timeout", "schedule"],
            &[],
        );
        if let Some(head) = self.reader.required(root, map, "document") {
            self.head(root.key("document"), head);
        }
        if let Some(components) = map.get("use") {
            self.components(root.key("use"), components);
        }
        if let Some(schedule) = map.get("schedule") {
            self.code.schedule = self.schedule(root.key("schedule"), schedule);
        }
        if let Some(evaluate) = map.get("evaluate") {
            self.evaluate(root.key("evaluate"), evaluate);
        }
        let scope = with(&Scope::new(), &["workflow", "runtime"]);
        if let Some(input) = map.get("input") {
            self.code.input = self.filter(root.key("input"), input, "from", &scope);
        }
        if let Some(output) = map.get("output") {
            self.code.output = self.filter(root.key("output"), output, "as", &with(&scope, &["context"]));
        }
        if let Some(timeout) = map.get("timeout") {
            self.code.timeout = self.timeout(root.key("timeout"), timeout, &scope);
        }
        if let Some(tasks) = self.reader.required(root, map, "do") {
            self.code.entry = self.block(root.key("do"), tasks, &with(&scope, &["context"]));
        }
        self.unused(&scope);
    }

    fn evaluate(&mut self, ptr: Ptr<'_>, value: &Value) {
        let Some(map) = self.reader.object(ptr, value) else { return };
        self.reader.keys(ptr, map, &["language", "mode"], &[]);
        for (key, only) in [("language", "jq"), ("mode", "strict")] {
            if map.get(key).is_some_and(|value| value.as_str() != Some(only)) {
                self.reader.unsupported(ptr.key(key), format!("any `{key}` but {only}"));
            }
        }
    }

    /// `{schema, from}` or `{schema, as}`
    fn filter(&mut self, ptr: Ptr<'_>, value: &Value, shape: &str, scope: &Scope) -> Filter {
        let Some(map) = self.reader.object(ptr, value) else { return Filter::default() };
        self.reader.keys(ptr, map, &["schema", shape], &[]);
        Filter {
            schema: map.get("schema").and_then(|schema| self.reader.schema(ptr.key("schema"), schema)),
            shape: map.get(shape).and_then(|value| self.reader.shape(ptr.key(shape), value, scope)),
        }
    }

    /// A list of `{name: task}`.
    pub(super) fn block(&mut self, ptr: Ptr<'_>, value: &Value, scope: &Scope) -> Option<BlockId> {
        let items = self.reader.list(ptr, value)?;
        if !self.has_room(ptr, items.len()) {
            return None;
        }
        let id = BlockId(self.code.blocks.len());
        self.code.blocks.push(Vec::new());
        let mut entries = Vec::new();
        for (i, item) in items.iter().enumerate() {
            if let Some(entry) = self.single(ptr.index(i), item) {
                entries.push((i, entry));
            }
        }
        let names: Names<'_> = entries.iter().map(|(_, (name, _))| *name).collect();
        let mut tasks = Vec::new();
        for (position, (i, (name, task))) in entries.iter().enumerate() {
            let item = ptr.index(*i);
            if names.iter().take(position).any(|other| other == name) {
                self.reader.report_key(
                    "flow.duplicate-task",
                    item.key(name),
                    format!("the task `{name}` appears twice in this list"),
                    Some("`then` could not tell them apart"),
                );
            }
            tasks.push(self.task(item.key(name), name, task, scope, &names));
        }
        if let Some(block) = self.code.blocks.get_mut(id.0) {
            *block = tasks;
        }
        Some(id)
    }

    /// Whether the document may have so many tasks more.
    pub(super) fn has_room(&mut self, ptr: Ptr<'_>, tasks: usize) -> bool {
        let room = MAX_TASKS.saturating_sub(self.code.counted);
        self.code.counted = self.code.counted.saturating_add(tasks);
        // Told once, and nothing inside is read: this takes no time, however long the list is.
        if tasks > room && !std::mem::replace(&mut self.code.too_many, true) {
            let why = format!("the document has more than {MAX_TASKS} tasks");
            self.reader.report("flow.limit", ptr.index(room), why, None);
        }
        tasks <= room
    }

    /// An object with exactly one key.
    pub(super) fn single<'v>(&mut self, ptr: Ptr<'_>, value: &'v Value) -> Option<(&'v str, &'v Value)> {
        let map = self.reader.object(ptr, value)?;
        let mut members = map.iter();
        match (members.next(), members.next()) {
            (Some((name, value)), None) => Some((name, value)),
            _ => {
                self.reader.report(
                    "flow.item",
                    ptr,
                    format!("an item of a list holds one name, not {}", map.len()),
                    Some("begin each with `- `"),
                );
                None
            }
        }
    }

    pub(super) fn task(&mut self, ptr: Ptr<'_>, name: &str, value: &Value, scope: &Scope, names: &Names<'_>) -> TaskId {
        let outer = with(scope, &["task"]);
        let inner = with(&outer, &["input"]);
        let empty = Map::new();
        let map = self.reader.object(ptr, value).unwrap_or(&empty);
        let id = TaskId(self.code.tasks.len());
        // The place in the table is taken before what is inside, so that ids follow the document.
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
            stands_in: false,
            kind: Kind::Refused,
        });
        let condition = map.get("if").and_then(|value| self.reader.expression(ptr.key("if"), value, &inner));
        let input =
            map.get("input").map(|value| self.filter(ptr.key("input"), value, "from", &outer)).unwrap_or_default();
        let output =
            map.get("output").map(|value| self.filter(ptr.key("output"), value, "as", &inner)).unwrap_or_default();
        let export_scope = with(&inner, &["output"]);
        let export = map
            .get("export")
            .map(|value| self.filter(ptr.key("export"), value, "as", &export_scope))
            .unwrap_or_default();
        let timeout = map.get("timeout").and_then(|value| self.timeout(ptr.key("timeout"), value, &inner));
        let then = map.get("then").and_then(|value| self.then(ptr.key("then"), value, names)).unwrap_or(Then::Continue);
        if let Some(metadata) = map.get("metadata") {
            self.reader.object(ptr.key("metadata"), metadata);
        }
        let slots = self.code.authentications.len();
        self.nesting += 1;
        let kind = if self.nesting > MAX_NESTING {
            let why = format!("tasks nest more than {MAX_NESTING} levels, those of functions included");
            self.reader.report_key("flow.limit", ptr, why, None);
            Kind::Refused
        } else {
            self.kind(ptr, value, map, &inner, names)
        };
        self.nesting -= 1;
        let call = matches!(kind, Kind::Call { .. });
        let scheme = self.code.authentications.get(slots).filter(|_| call).map(|slot| slot.scheme);
        if let Some(task) = self.code.tasks.get_mut(id.0) {
            *task = Task {
                condition,
                input,
                output,
                export,
                timeout,
                then,
                scheme,
                extended: false,
                stands_in: false,
                kind,
                name: std::mem::take(&mut task.name),
                pointer: std::mem::take(&mut task.pointer),
            };
        }
        let kind = KINDS.iter().map(|(kind, _)| *kind).find(|kind| map.contains_key(*kind));
        self.extended(ptr, name, kind.unwrap_or_default(), id)
    }

    fn kind(
        &mut self,
        ptr: Ptr<'_>,
        value: &Value,
        map: &Map<String, Value>,
        scope: &Scope,
        names: &Names<'_>,
    ) -> Kind {
        let mut present =
            KINDS.iter().filter(|(kind, _)| map.contains_key(*kind) && !(*kind == "do" && map.contains_key("for")));
        let (Some((kind, more)), None) = (present.next(), present.next()) else {
            if value.is_object() {
                let kinds = KINDS.map(|(kind, _)| kind).join(", ");
                self.reader.report_key(
                    "flow.task",
                    ptr,
                    "a task is exactly one of its kinds",
                    Some(&format!("one of: {kinds}")),
                );
            }
            return Kind::Refused;
        };
        let known: Vec<&str> = BASE.iter().chain(std::iter::once(kind)).chain(more.iter()).copied().collect();
        self.reader.keys(ptr, map, &known, &[]);
        let at = ptr.key(kind);
        let Some(body) = map.get(*kind) else { return Kind::Refused };
        match *kind {
            "do" => self.block(at, body, scope).map(Kind::Do),
            "call" => self.call(ptr, body, map, scope),
            "set" => self.set(at, body, scope),
            "switch" => self.switch(at, body, scope, names),
            "for" => self.for_each(ptr, body, map, scope),
            "try" => self.try_catch(ptr, body, map, scope, names),
            "raise" => self.raise(at, body, scope),
            "wait" => self.wait(at, body, scope),
            "fork" => self.fork(at, body, scope),
            "emit" => self.emit(at, body, scope),
            "listen" => self.listen(ptr, body, map, scope),
            "run" => self.run(at, body, scope),
            other => {
                self.reader.unsupported(at, format!("`{other}`"));
                None
            }
        }
        .unwrap_or(Kind::Refused)
    }

    /// A flow directive.
    pub(super) fn then(&mut self, ptr: Ptr<'_>, value: &Value, names: &Names<'_>) -> Option<Then> {
        match self.reader.text(ptr, value)? {
            "continue" => Some(Then::Continue),
            "exit" => Some(Then::Exit),
            "end" => Some(Then::End),
            name => {
                let target = names.iter().position(|other| *other == name);
                if target.is_none() {
                    let shown: String = name.chars().take(60).collect();
                    self.reader.report(
                        "flow.target",
                        ptr,
                        format!("there is no task `{shown}` in this list"),
                        Some("`then` goes to a task of the same list, or is continue, exit or end"),
                    );
                }
                target.map(Then::Task)
            }
        }
    }

    /// The name of a variable that a loop or a `catch` introduces.
    pub(super) fn variable(&mut self, ptr: Ptr<'_>, value: Option<&Value>, default: &str) -> String {
        let Some(value) = value else { return default.to_owned() };
        let Some(name) = self.reader.text(ptr, value) else { return default.to_owned() };
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && name.len() <= 64;
        if !letters || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            self.reader.report(
                "flow.variable",
                ptr,
                "a variable is letters, digits and `_`, not starting with a digit",
                Some("write it without `$`"),
            );
        } else if RESERVED.contains(&name) {
            self.reader.report(
                "flow.variable",
                ptr,
                format!("`{name}` is a variable of the language"),
                Some("choose another name"),
            );
        }
        name.to_owned()
    }
}
