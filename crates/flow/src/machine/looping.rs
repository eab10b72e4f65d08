//! `for`: one turn after the other.

use super::{
    Machine,
    frame::{Data, Purpose, State},
    step::{Move, Step, truthy},
};
use crate::{
    error::{ErrorKind, Failure, WorkflowError},
    program::task::{Kind, Task},
};
use mandate_kernel::{Labels, Limits};
use serde_json::Value;
use std::sync::Arc;

impl Machine {
    pub(super) fn collection(&mut self, data: Data) -> Step {
        self.raise(&data.labels);
        let labels = data.labels.join(&self.at.pc);
        let most = Limits::DEFAULT.iterations as usize;
        let items = match Arc::unwrap_or_clone(data.value) {
            Value::Array(items) if items.len() <= most => items,
            Value::Array(_) => {
                return self.fault(ErrorKind::Runtime, format!("a loop went past the limit of {most} iterations"));
            }
            _ => {
                let error = WorkflowError::new(ErrorKind::Expression, "`for.in` must give a list");
                return Step::Go(Move::Throw(Failure { error, labels }));
            }
        };
        if let Some(frame) = self.task_mut() {
            frame.state = State::For { items: Arc::new(items), labels, index: 0 };
            self.at.data = frame.input.clone();
        }
        self.turn()
    }

    /// Begins the next turn of the loop on top: asks `while` first.
    pub(super) fn turn(&mut self) -> Step {
        let program = self.program.clone();
        let data = self.at.data.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let Some(task) = program.task(frame.task) else { return Step::Go(Move::Finish) };
        let (State::For { items, index, .. }, Kind::For { condition, .. }) = (&frame.state, &task.kind) else {
            return Step::Go(Move::Leave);
        };
        if *index >= items.len() {
            return Step::Go(Move::Output(data));
        }
        match condition {
            Some(condition) => self.evaluate(Purpose::While, condition, &data),
            None => self.iterate(task, &Data::new(Value::Bool(true), Labels::default())),
        }
    }

    pub(super) fn iterate(&mut self, task: &Task, verdict: &Data) -> Step {
        self.raise(&verdict.labels);
        let data = self.at.data.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (State::For { index, .. }, Kind::For { block, .. }) = (&frame.state, &task.kind) else {
            return Step::Go(Move::Leave);
        };
        if !truthy(&verdict.value) {
            return Step::Go(Move::Output(data));
        }
        let path = format!("{}/for#{index}/do", frame.path);
        self.enter(*block, path, data)
    }
}
