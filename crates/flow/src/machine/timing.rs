//! Timers: pauses, and the deadlines of tasks and of the run.

use super::{
    Machine, TimerId,
    event::{Intent, Open},
    frame::{Data, Frame, Purpose},
    step::{Move, Step},
    strand::{StrandId, Waiting},
    trace::Ending,
};
use crate::{
    error::{ErrorKind, Failure, WorkflowError},
    program::{
        task::{Pause, Task},
        time,
    },
};
use mandate_kernel::{Duration, StepPath, Timestamp};

impl Machine {
    fn next_timer(&mut self) -> TimerId {
        self.counts.timers = self.counts.timers.saturating_add(1);
        TimerId(self.counts.timers)
    }

    /// Pauses the branch.
    pub(super) fn sleep(&mut self, duration: Duration) -> Step {
        let id = self.next_timer();
        self.at.waiting = Waiting::Timer { id };
        Step::Ask(Intent::Sleep { id, path: self.path(), duration })
    }

    /// Begins the run's tasks, under the workflow's `timeout` if it has one.
    pub(super) fn begin_tasks(&mut self, data: Data) -> Step {
        let program = self.program.clone();
        self.at.data = data.clone();
        match program.timeout().map(|timeout| &timeout.after) {
            None => self.enter(program.entry(), "/do".to_owned(), data),
            Some(Pause::Fixed(duration)) => self.begin_timed(*duration),
            Some(Pause::Computed(duration)) => self.evaluate(Purpose::RunDeadline, duration, &data),
        }
    }

    pub(super) fn set_run_deadline(&mut self, duration: &Data) -> Step {
        self.raise(&duration.labels);
        match time::duration(&duration.value) {
            Ok(duration) => self.begin_timed(duration),
            Err(message) => self.fault(ErrorKind::Expression, message),
        }
    }

    fn begin_timed(&mut self, duration: Duration) -> Step {
        let id = self.next_timer();
        self.deadline = Some(id);
        self.others.asked.push(Intent::Sleep { id, path: StepPath("/".to_owned()), duration });
        let (entry, data) = (self.program.entry(), self.at.data.clone());
        self.enter(entry, "/do".to_owned(), data)
    }

    /// Begins the body of the task on top, under its `timeout` if it has one.
    pub(super) fn before_body(&mut self, task: &Task) -> Step {
        match task.timeout.as_ref().map(|timeout| &timeout.after) {
            None => self.body(task),
            Some(Pause::Fixed(duration)) => self.body_within(task, *duration),
            Some(Pause::Computed(duration)) => {
                let Some(input) = self.task_mut().map(|frame| frame.input.clone()) else {
                    return Step::Go(Move::Finish);
                };
                self.evaluate(Purpose::Deadline, duration, &input)
            }
        }
    }

    pub(super) fn set_deadline(&mut self, task: &Task, duration: &Data) -> Step {
        self.raise(&duration.labels);
        match time::duration(&duration.value) {
            Ok(duration) => self.body_within(task, duration),
            Err(message) => Step::Go(Move::Throw(Failure {
                error: WorkflowError::new(ErrorKind::Expression, message),
                labels: duration.labels.clone(),
            })),
        }
    }

    fn body_within(&mut self, task: &Task, duration: Duration) -> Step {
        let (id, path) = (self.next_timer(), self.path());
        if let Some(frame) = self.task_mut() {
            frame.deadline = Some(id);
        }
        self.others.asked.push(Intent::Sleep { id, path, duration });
        self.body(task)
    }

    /// The body of the task on top is over.
    pub(super) fn clear_deadline(&mut self) {
        if let Some(id) = self.task_mut().and_then(|frame| frame.deadline.take()) {
            self.others.asked.push(Intent::Cancel(Open::Timer(id)));
        }
    }

    /// What follows when the timer was the deadline of a task or of the run: everything in there is cut
    /// off, and the error raised in its place. A task's own `catch` is a part of it and doesn't see it.
    pub(super) fn overdue(&mut self, id: TimerId, at: Timestamp) -> Option<Move> {
        let of_run = self.deadline == Some(id);
        let found = self.strands().find_map(|strand| {
            let is = |frame: &Frame| matches!(frame, Frame::Task(task) if task.deadline == Some(id));
            strand.frames.iter().position(is).map(|index| (strand.id, index))
        });
        let (strand, index) = if of_run { (StrandId::ROOT, 0) } else { found? };
        if !self.switch(strand) {
            return None;
        }
        self.now = at;
        let below = self.cut_below(strand);
        self.raise(&below);
        if let Some(open) = std::mem::replace(&mut self.at.waiting, Waiting::Branches).open() {
            self.others.asked.push(Intent::Cancel(open));
        }
        while self.at.frames.len() > index + 1 {
            self.pop(Ending::Cancelled);
        }
        let path = if of_run { StepPath("/".to_owned()) } else { self.path() };
        let what = if of_run { "the run" } else { "the task" };
        let error = WorkflowError::new(ErrorKind::Timeout, format!("{what} was not done in time")).at(&path);
        // Its timer has fired: there is nothing to withdraw.
        match self.at.frames.last_mut() {
            Some(Frame::Task(task)) if !of_run => task.deadline = None,
            _ => self.deadline = None,
        }
        self.pop(Ending::Faulted);
        Some(Move::Throw(Failure { error, labels: self.at.pc.clone() }))
    }
}
