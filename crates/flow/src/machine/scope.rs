//! The variables an expression sees, with their labels.

use super::{
    Machine,
    frame::{Data, Frame, State, TaskFrame},
};
use crate::program::task::{EXTENDED, Kind};
use mandate_kernel::{Labels, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

impl Machine {
    /// The value of a variable here. Compilation made sure that it is defined.
    pub(super) fn variable(&mut self, name: &str) -> Data {
        match name {
            "context" => self.at.context.clone(),
            "runtime" => Data::new(
                json!({"name": "mandate", "version": Self::VERSION.to_string(), "metadata": {}}),
                Labels::default(),
            ),
            "workflow" => self.workflow(),
            "task" => self.top_task().map_or_else(nothing, |frame| self.descriptor(frame)),
            "input" => self.top_task().map_or_else(nothing, |frame| frame.input.clone()),
            // What fills the slot is nobody's to see: the parameter is always redacted.
            "authorization" => {
                let task = self.top_task().and_then(|frame| self.program.task(frame.task));
                let scheme = task.and_then(|task| task.scheme);
                let value = scheme.map_or(Value::Null, |scheme| json!({"scheme": scheme, "parameter": Value::Null}));
                Data::new(value, Labels::default())
            }
            "output" => self.top_task().and_then(|frame| frame.output.clone()).unwrap_or_else(nothing),
            _ => {
                let mut frames = self.upward().flat_map(|strand| strand.frames.iter().rev());
                frames.find_map(|frame| self.local(frame, name)).unwrap_or_else(nothing)
            }
        }
    }

    /// A variable that a loop, a `catch` or an extension introduced.
    fn local(&self, frame: &Frame, name: &str) -> Option<Data> {
        let Frame::Task(frame) = frame else { return None };
        let task = self.program.task(frame.task)?;
        if name == EXTENDED {
            return task.extended.then(|| frame.raw.clone());
        }
        match (&task.kind, &frame.state) {
            (Kind::For { each, at, .. }, State::For { items, labels, index }) => {
                let value = if name == each {
                    items.get(*index)?.clone()
                } else if name == at {
                    Value::from(*index)
                } else {
                    return None;
                };
                Some(Data::new(value, labels.clone()))
            }
            (Kind::Listen(listen), State::Listen(listening)) => {
                let each = listen.each.as_ref()?;
                let item = listening.item()?;
                if name == each.item {
                    return Some(item);
                }
                let index = Value::from(listening.taken.len().saturating_sub(1));
                (name == each.at).then(|| Data::new(index, item.labels))
            }
            (Kind::Try { catch, .. }, State::Try { caught: Some(failure), .. }) if catch.variable == name => {
                let value = serde_json::to_value(&failure.error).unwrap_or(Value::Null);
                Some(Data::new(value, failure.labels.clone()))
            }
            _ => None,
        }
    }

    /// `$workflow`, made when first asked for: it holds the whole document.
    fn workflow(&mut self) -> Data {
        let (program, run, at, input) = (&self.program, &self.run, self.started_at, &self.input);
        let value = self.workflow.get_or_insert_with(|| {
            Arc::new(json!({
                "id": run.as_str(),
                "definition": program.document(),
                "input": *input.value,
                "startedAt": moment(at),
            }))
        });
        Data { value: value.clone(), labels: self.input.labels.clone() }
    }

    /// `$task`
    fn descriptor(&self, frame: &TaskFrame) -> Data {
        let task = self.program.task(frame.task);
        let pointer = task.map_or("", |task| &task.pointer);
        let mut value = json!({
            "name": task.map_or("", |task| &task.name),
            "reference": pointer,
            "definition": self.program.document().pointer(pointer),
            "input": *frame.raw.value,
            "startedAt": moment(frame.started),
        });
        let mut labels = frame.raw.labels.clone();
        if let (Some(output), Some(map)) = (&frame.output, value.as_object_mut()) {
            map.insert("output".to_owned(), (*output.value).clone());
            labels = labels.join(&output.labels);
        }
        Data::new(value, labels)
    }
}

fn nothing() -> Data {
    Data::new(Value::Null, Labels::default())
}

fn moment(at: Timestamp) -> Value {
    json!({"iso8601": at.to_string(), "epoch": {"seconds": at.as_secs(), "milliseconds": at.as_millis()}})
}
