//! Compiles what happens beside the one line of tasks: branches.

use super::{
    compile::{Code, Compiler},
    reader::Ptr,
    task::{BlockId, Branch, Kind, Then},
};
use crate::expr::Scope;
use serde_json::Value;

impl Compiler<'_> {
    /// `fork`: each branch is a block of its one task.
    pub(super) fn fork(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        let map = self.reader.object(at, body)?;
        self.reader.keys(at, map, &["branches", "compete"], &[]);
        let compete = match map.get("compete") {
            None => false,
            Some(Value::Bool(compete)) => *compete,
            Some(_) => {
                self.reader.report("flow.type", at.key("compete"), "`compete` must be true or false", None);
                false
            }
        };
        let list = at.key("branches");
        let items = self.reader.required(at, map, "branches").and_then(|items| self.reader.list(list, items))?;
        if items.is_empty() {
            self.reader.report("flow.type", list, "`fork` needs at least one branch", None);
        }
        if !self.has_room(list, items.len()) {
            return None;
        }
        let mut branches = Vec::new();
        let mut taken: Vec<&str> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = list.index(index);
            let Some((name, task)) = self.single(at, item) else { continue };
            if taken.contains(&name) {
                let why = format!("the branch `{name}` appears twice in this fork");
                self.reader.report_key("flow.duplicate-task", at.key(name), why, None);
            }
            taken.push(name);
            let block = BlockId(self.code.blocks.len());
            self.code.blocks.push(Vec::new());
            // A branch is on its own: its task has no others to go to.
            let id = self.task(at.key(name), name, task, scope, &Vec::new());
            if let Some(tasks) = self.code.blocks.get_mut(block.0) {
                tasks.push(id);
            }
            branches.push(Branch { block, ends: self.code.ends(block) });
        }
        Some(Kind::Fork { branches, compete })
    }
}

impl Code {
    /// Whether a task of the block, or below, says `then: end`.
    fn ends(&self, block: BlockId) -> bool {
        let tasks = self.blocks.get(block.0).into_iter().flatten().filter_map(|id| self.tasks.get(id.0));
        tasks.into_iter().any(|task| {
            task.then == Then::End
                || match &task.kind {
                    Kind::Do(block) | Kind::For { block, .. } => self.ends(*block),
                    Kind::Try { block, catch } => {
                        self.ends(*block)
                            || catch.then == Some(Then::End)
                            || catch.block.is_some_and(|block| self.ends(block))
                    }
                    Kind::Switch(cases) => cases.iter().any(|case| case.then == Then::End),
                    Kind::Fork { branches, .. } => branches.iter().any(|branch| branch.ends),
                    Kind::Listen(listen) => listen.each.as_ref().is_some_and(|each| self.ends(each.block)),
                    _ => false,
                }
        })
    }
}
