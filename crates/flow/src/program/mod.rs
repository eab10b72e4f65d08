//! A compiled Worker document.

mod authentication;
mod call;
mod compile;
mod components;
mod credential;
mod dialect;
mod endpoint;
mod events;
mod extension;
mod head;
mod kinds;
mod listening;
mod occasion;
mod predicate;
mod process;
mod protocol;
mod reader;
mod schedule;
mod schema;
pub(crate) mod task;
pub(crate) mod time;
mod trying;

use crate::{
    Diagnostics, OfData,
    yaml::{self, Spanned},
};
pub use authentication::AuthenticationSlot;
use compile::Code;
use mandate_kernel::{Digest, FunctionName, canonical_json};
pub use occasion::{EventFilter, EventStrategy};
pub use predicate::Predicate;
pub use process::Need;
pub use protocol::DescribedCall;
pub use schedule::{Cron, ReadAs, Schedule};
pub use schema::Schema;
use serde_json::Value;
use std::{collections::BTreeSet, sync::Arc};
use task::{BlockId, Filter, Kind, Task, TaskId, Timeout};

/// A compiled, immutable Worker document.
#[derive(Debug)]
pub struct Program {
    document: Arc<Value>,
    version: Digest,
    code: Code,
}

impl Program {
    /// Compiles a YAML text (JSON is YAML). `file_name` is only for the diagnostics.
    ///
    /// # Errors
    /// [`Diagnostics`] with line and column: everything found, not only the first.
    pub fn from_yaml(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::build(yaml::parse(file_name, text)?)
    }

    /// Compiles what was read with its places already.
    ///
    /// # Errors
    /// [`Diagnostics`] with line and column, where `source` has places.
    pub fn from_spanned(source: Spanned) -> Result<Self, Diagnostics> {
        Self::build(source)
    }

    /// Compiles a document as stored. Its diagnostics have JSON pointers instead of lines.
    ///
    /// # Errors
    /// [`Diagnostics`] with JSON pointers.
    pub fn from_json(document: Value) -> Result<Self, Diagnostics> {
        Self::build(Spanned::without_places("document", document))
    }

    fn build(source: Spanned) -> Result<Self, Diagnostics> {
        let code = compile::compile(&source)?;
        let canonical = canonical_json(source.value())
            .map_err(|error| source.diagnostic("flow.canonical", "", error.to_string(), None))?;
        Ok(Self { document: Arc::new(source.into_value()), version: Digest::of(&canonical), code })
    }

    /// The document, whole: nothing of what was written is lost.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The version: the digest of the document's canonical JSON (RFC 8785).
    #[must_use]
    pub const fn version(&self) -> Digest {
        self.version
    }

    /// Every function the document may call.
    #[must_use]
    pub const fn functions(&self) -> &BTreeSet<FunctionName> {
        &self.code.functions
    }

    /// Where the document has wild expressions, which [`crate::evaluate`] does not evaluate: findings for
    /// whoever does not take them.
    #[must_use]
    pub const fn wild(&self) -> Option<&Diagnostics> {
        self.code.wild.as_ref()
    }

    /// Every place that needs a credential, in the order of the compilation.
    #[must_use]
    pub fn authentications(&self) -> &[AuthenticationSlot] {
        &self.code.authentications
    }

    /// The secrets that fill the document's slots, by name.
    #[must_use]
    pub const fn secrets(&self) -> &BTreeSet<String> {
        &self.code.secrets
    }

    /// What the document needs that is off unless the operator turns it on.
    #[must_use]
    pub const fn needs(&self) -> &BTreeSet<Need> {
        &self.code.needs
    }

    /// What compiles and no run performs yet: JSON pointer, and what stands there. For `apply` to refuse.
    #[must_use]
    pub fn not_performed(&self) -> Vec<(String, &'static str)> {
        let mut found = self.code.later.clone();
        for task in &self.code.tasks {
            if matches!(task.kind, Kind::Run(_)) {
                found.push((format!("{}/run", task.pointer), "`run`"));
            }
        }
        found
    }

    /// Every `call: openapi` whose description's address is written out, for `apply` to look the operation up.
    #[must_use]
    pub fn described_calls(&self) -> &[DescribedCall] {
        &self.code.described
    }

    /// The workflows it starts: namespace, name and version.
    #[must_use]
    pub const fn subflows(&self) -> &BTreeSet<(String, String, String)> {
        &self.code.subflows
    }

    /// When it starts by itself.
    #[must_use]
    pub const fn schedule(&self) -> Option<&Schedule> {
        self.code.schedule.as_ref()
    }

    /// `document.name`
    #[must_use]
    pub fn name(&self) -> &str {
        self.head("name")
    }

    /// `document.namespace`
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.head("namespace")
    }

    /// `document.version`
    #[must_use]
    pub fn semver(&self) -> &str {
        self.head("version")
    }

    fn head(&self, key: &str) -> &str {
        self.document.get("document").and_then(|head| head.get(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// The JSON Schema of the input, if the document gives one. The machine checks it at the start.
    #[must_use]
    pub fn input_schema(&self) -> Option<&Value> {
        self.document.pointer("/input/schema/document")
    }

    /// The JSON Schema of the output, if the document gives one. The machine checks it at the end.
    #[must_use]
    pub fn output_schema(&self) -> Option<&Value> {
        self.document.pointer("/output/schema/document")
    }

    /// Which members of the error that a `raise` gives are not written in the document as they are.
    pub(crate) fn computed(&self, task: &str) -> OfData {
        let raised = self.document.pointer(&format!("{task}/raise/error"));
        let error = match raised {
            Some(Value::String(name)) => self.document.pointer(&format!("/use/errors/{name}")),
            other => other,
        };
        let Some(error) = error.and_then(Value::as_object) else { return OfData::default() };
        let computed = |member: &str| match error.get(member) {
            None | Some(Value::Number(_)) => false,
            Some(Value::String(text)) => text.contains("${"),
            Some(_) => true,
        };
        OfData {
            type_: computed("type"),
            status: computed("status"),
            title: computed("title"),
            detail: computed("detail"),
            instance: computed("instance"),
        }
    }

    pub(crate) const fn input(&self) -> &Filter {
        &self.code.input
    }

    pub(crate) const fn output(&self) -> &Filter {
        &self.code.output
    }

    /// How long a whole run may take.
    pub(crate) const fn timeout(&self) -> Option<&Timeout> {
        self.code.timeout.as_ref()
    }

    pub(crate) fn entry(&self) -> BlockId {
        self.code.entry.unwrap_or(BlockId(0))
    }

    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        self.code.tasks.get(id.0)
    }

    /// The task at an index of a block; none past its end.
    pub(crate) fn task_at(&self, block: BlockId, index: usize) -> Option<TaskId> {
        self.code.blocks.get(block.0)?.get(index).copied()
    }
}
