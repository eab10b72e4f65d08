//! What ran: the tasks of a run in the order in which they began, also those without effects.
//!
//! Nothing of it decides anything. It is kept only by a machine that was asked to ([`Machine::traced`]): whoever
//! wants to know replays the run's journal.

use super::{
    Machine,
    frame::{Frame, TaskFrame},
};
use crate::program::task::Task;
use mandate_kernel::{Labels, StepPath};
use serde::Serialize;

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It was done, or the run was over within it (`then: end`).
    Completed,
    /// An error went through it.
    Faulted,
    /// It was cut off by something else.
    Cancelled,
}

/// A task that began. One that is begun again (a loop, a retry) is there again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskTrace {
    /// Where in the document.
    pub path: StepPath,
    /// Its name.
    pub name: String,
    /// The mark at which it began ([`Machine::mark`]).
    pub began: u64,
    /// The mark at which it ended, and how; `None` while it runs.
    pub ended: Option<(u64, Ending)>,
    /// The labels of all that led there: whoever learns that it began learns that much.
    pub control: Labels,
}

/// The tasks so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// `None` where nobody asked; of a task that was skipped only its place is left.
    kept: Option<Vec<Option<TaskTrace>>>,
    mark: u64,
}

impl Trace {
    pub(super) const fn kept(mark: u64) -> Self {
        Self { kept: Some(Vec::new()), mark }
    }

    /// Notes that a task has begun; gives its place, which is none where it is not kept.
    pub(super) fn begin(&mut self, task: &Task, path: &StepPath, control: &Labels) -> usize {
        let began = self.mark;
        let Some(kept) = self.kept.as_mut().filter(|_| !task.stands_in) else { return usize::MAX };
        let (path, name, control) = (path.clone(), task.name.clone(), control.clone());
        kept.push(Some(TaskTrace { path, name, began, ended: None, control }));
        kept.len() - 1
    }

    /// Notes how the task at a place ended; the first word counts.
    pub(super) fn end(&mut self, task: &TaskFrame, ending: Ending) {
        let mark = self.mark;
        if let Some(Some(traced)) = self.kept.as_mut().and_then(|kept| kept.get_mut(task.trace)) {
            traced.ended.get_or_insert((mark, ending));
        }
    }

    /// Forgets the task on top, which did not run after all.
    pub(super) fn skip(&mut self, frames: &[Frame]) {
        if let (Some(Frame::Task(task)), Some(kept)) = (frames.last(), &mut self.kept)
            && let Some(traced) = kept.get_mut(task.trace)
        {
            *traced = None;
        }
    }

    pub(super) fn end_frames(&mut self, frames: &[Frame], ending: Ending) {
        for frame in frames {
            if let Frame::Task(task) = frame {
                self.end(task, ending);
            }
        }
    }

    /// The run is over: whatever is open was cut off.
    pub(super) fn end_all(&mut self) {
        let mark = self.mark;
        for task in self.kept.iter_mut().flatten().flatten() {
            task.ended.get_or_insert((mark, Ending::Cancelled));
        }
    }
}

impl Machine {
    /// Says what is to stand in the trace for the present from here on, such as the journal's sequence of the event
    /// that is told next.
    pub const fn mark(&mut self, mark: u64) {
        self.trace.mark = mark;
    }

    /// The tasks that began so far, in that order; empty where the machine was not begun by [`Machine::traced`].
    pub fn tasks(&self) -> impl Iterator<Item = &TaskTrace> {
        self.trace.kept.iter().flatten().flatten()
    }
}
