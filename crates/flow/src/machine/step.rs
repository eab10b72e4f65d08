//! One move after the other, until the machine waits again. Nothing here recurses.

use super::{
    Machine,
    event::Intent,
    frame::{Data, Frame, Purpose, State, TaskFrame},
    trace::Ending,
};
use crate::{
    error::{ErrorKind, Failure, WorkflowError},
    program::{
        task::{BlockId, Kind, Pause, Task, Then},
        time,
    },
};
use mandate_kernel::{Limits, StepPath};
use serde_json::Value;

/// Tasks of one run, whether they have effects or not. Ends loops of `then`.
const MAX_TASKS: u32 = 10 * Limits::DEFAULT.steps;

/// What is to be done next.
#[derive(Debug, Clone)]
pub(super) enum Move {
    /// Begin the run.
    Start,
    /// Run the task the block on top points to, or leave the block.
    Next,
    /// The value of an evaluation is there.
    Got(Purpose, Data),
    /// The timer on top fired, or its event was emitted.
    Woken,
    /// The listening task on top looks at its next event.
    Listened,
    /// The task on top gave this.
    Output(Data),
    /// The task on top is done.
    Leave,
    /// The block on top is done.
    BlockDone,
    /// The last task is done.
    Finish,
    /// Something failed.
    Throw(Failure),
}

/// How a strand goes on.
pub(super) enum Step {
    /// At once.
    Go(Move),
    /// When what is asked for is there.
    Ask(Intent),
    /// When its branches are done, or not at all.
    Rest,
    /// The run is over.
    End(Intent),
}

impl Machine {
    pub(super) fn step(&mut self, next: Move) -> Step {
        match next {
            Move::Start => self.begin_run(),
            Move::Next => self.next_task(),
            Move::Got(purpose, data) => self.got(purpose, data),
            Move::Woken => self.woken(),
            Move::Listened => self.listened(),
            Move::Output(data) => self.output(data),
            Move::Leave => self.leave(),
            Move::BlockDone => self.block_done(),
            Move::Finish => self.finish(),
            Move::Throw(failure) => self.throw(failure),
        }
    }

    fn begin_run(&mut self) -> Step {
        let program = self.program.clone();
        let input = self.input.clone();
        if let Err(limit) = crate::expr::fits(&input.value) {
            self.raise(&input.labels);
            return self.fault(ErrorKind::Validation, format!("the input went past the limit of {limit}"));
        }
        if let Some(schema) = &program.input().schema {
            self.raise(&input.labels);
            if let Err(message) = schema.check(&input.value) {
                return self.fault(ErrorKind::Validation, format!("the input does not fit its schema: {message}"));
            }
        }
        match &program.input().shape {
            Some(shape) => self.evaluate(Purpose::WorkflowInput, shape, &input),
            None => Step::Go(Move::Got(Purpose::WorkflowInput, input)),
        }
    }

    pub(super) fn enter(&mut self, block: BlockId, path: String, data: Data) -> Step {
        self.at.data = data;
        self.at.frames.push(Frame::Block { block, index: 0, offset: 0, path });
        Step::Go(Move::Next)
    }

    fn next_task(&mut self) -> Step {
        let Some(Frame::Block { block, index, offset, path }) = self.at.frames.last() else {
            return Step::Go(Move::Finish);
        };
        let program = self.program.clone();
        let found = program.task_at(*block, *index).and_then(|id| Some((id, program.task(id)?)));
        let Some((id, task)) = found else {
            self.pop(Ending::Completed);
            return Step::Go(Move::BlockDone);
        };
        let path = StepPath(format!("{path}/{}/{}", index + offset, task.name.replace('~', "~0").replace('/', "~1")));
        let raw = self.at.data.clone();
        let trace = self.trace.begin(task, &path, &self.at.pc);
        self.at.frames.push(Frame::Task(Box::new(TaskFrame {
            trace,
            task: id,
            path,
            started: self.now,
            input: raw.clone(),
            raw: raw.clone(),
            output: None,
            then: None,
            state: State::Plain,
            deadline: None,
        })));
        self.counts.tasks = self.counts.tasks.saturating_add(1);
        if self.counts.tasks > MAX_TASKS {
            return self.fault(ErrorKind::Runtime, format!("the run went past the limit of {MAX_TASKS} tasks"));
        }
        match &task.condition {
            Some(condition) => self.evaluate(Purpose::If, condition, &raw),
            None => self.take_input(task),
        }
    }

    fn take_input(&mut self, task: &Task) -> Step {
        let raw = self.at.data.clone();
        if let Some(schema) = &task.input.schema {
            self.witness(&raw.labels);
            if let Err(message) = schema.check(&raw.value) {
                return invalid("input", &message, raw);
            }
        }
        match &task.input.shape {
            Some(shape) => self.evaluate(Purpose::Input, shape, &raw),
            None => Step::Go(Move::Got(Purpose::Input, raw)),
        }
    }

    /// Takes in the value of an evaluation for the task on top.
    fn got(&mut self, purpose: Purpose, data: Data) -> Step {
        let program = self.program.clone();
        match purpose {
            Purpose::WorkflowInput => return self.begin_tasks(data),
            Purpose::RunDeadline => return self.set_run_deadline(&data),
            Purpose::WorkflowOutput => return self.complete(data),
            _ => {}
        }
        let Some(task) = self.task_mut().and_then(|frame| program.task(frame.task)) else {
            return Step::Go(Move::Finish);
        };
        match purpose {
            Purpose::If => self.condition(task, &data),
            Purpose::Input => {
                if let Some(frame) = self.task_mut() {
                    frame.input = data;
                }
                self.before_body(task)
            }
            Purpose::Emit => self.emit(&data),
            Purpose::Check(filter, index) => self.checked(task, filter, index, &data),
            Purpose::Until => self.until(&data),
            Purpose::Turn => self.turn_shaped(task, data),
            Purpose::Deadline => self.set_deadline(task, &data),
            Purpose::Arguments => match &task.kind {
                Kind::Call { function, .. } => self.call(function.clone(), data),
                _ => Step::Go(Move::Leave),
            },
            Purpose::Set => Step::Go(Move::Output(data)),
            Purpose::Case(index) => self.case(task, index, &data),
            Purpose::Collection => self.collection(data),
            Purpose::While => self.iterate(task, &data),
            Purpose::Raise => self.raised(task, &data),
            Purpose::Pause => match time::duration(&data.value) {
                Ok(duration) => {
                    self.timed(&data.labels);
                    self.sleep(duration)
                }
                Err(message) => Step::Go(Move::Throw(Failure {
                    error: WorkflowError::new(ErrorKind::Expression, message).quoting_data(),
                    labels: data.labels,
                })),
            },
            Purpose::CatchWhen | Purpose::CatchExcept | Purpose::RetryWhen | Purpose::RetryExcept => {
                self.verdict(task, purpose, &data)
            }
            Purpose::Output => self.shaped(task, data),
            Purpose::Export => self.exported(task, data),
            Purpose::WorkflowInput | Purpose::WorkflowOutput | Purpose::RunDeadline => Step::Go(Move::Finish),
        }
    }

    /// A task whose `if` does not hold is skipped: the data passes by and its `then` does not count.
    fn condition(&mut self, task: &Task, verdict: &Data) -> Step {
        self.raise(&verdict.labels);
        if truthy(&verdict.value) {
            return self.take_input(task);
        }
        self.trace.skip(&self.at.frames);
        self.pop(Ending::Completed);
        self.advance(Then::Continue)
    }

    pub(super) fn body(&mut self, task: &Task) -> Step {
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (input, path) = (frame.input.clone(), frame.path.clone());
        match &task.kind {
            Kind::Do(block) => self.enter(*block, format!("{path}/do"), input),
            Kind::Call { arguments, .. } => self.evaluate(Purpose::Arguments, arguments, &input),
            Kind::Set(value) => self.evaluate(Purpose::Set, value, &input),
            Kind::Switch(_) => self.cases(task, 0),
            Kind::For { collection, .. } => self.evaluate(Purpose::Collection, collection, &input),
            Kind::Try { .. } => self.attempt(task),
            Kind::Raise(error) => self.evaluate(Purpose::Raise, error, &input),
            Kind::Wait(Pause::Fixed(duration)) => self.sleep(*duration),
            Kind::Wait(Pause::Computed(duration)) => self.evaluate(Purpose::Pause, duration, &input),
            Kind::Fork { branches, compete } => self.fork(branches, *compete),
            Kind::Emit(event) => self.evaluate(Purpose::Emit, event, &input),
            Kind::Listen(listen) => self.listen(listen),
            Kind::Run(_) => self.fault(ErrorKind::Configuration, "`run` is not performed by this version".to_owned()),
            Kind::Refused => {
                self.fault(ErrorKind::Configuration, "the task was refused when the document was compiled".to_owned())
            }
        }
    }

    /// Looks at the cases from `index` on; the default is taken when none of the others holds.
    fn cases(&mut self, task: &Task, index: usize) -> Step {
        let Kind::Switch(cases) = &task.kind else { return Step::Go(Move::Leave) };
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let input = frame.input.clone();
        let next = cases.iter().enumerate().skip(index).find_map(|(i, case)| Some((i, case.when.as_ref()?)));
        if let Some((i, when)) = next {
            return self.evaluate(Purpose::Case(i), when, &input);
        }
        frame.then = cases.iter().find(|case| case.when.is_none()).map(|case| case.then);
        Step::Go(Move::Output(input))
    }

    fn case(&mut self, task: &Task, index: usize, verdict: &Data) -> Step {
        self.raise(&verdict.labels);
        let Kind::Switch(cases) = &task.kind else { return Step::Go(Move::Leave) };
        if !truthy(&verdict.value) {
            return self.cases(task, index + 1);
        }
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        frame.then = cases.get(index).map(|case| case.then);
        let input = frame.input.clone();
        Step::Go(Move::Output(input))
    }

    fn woken(&mut self) -> Step {
        let program = self.program.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        match program.task(frame.task) {
            Some(task) if matches!(task.kind, Kind::Try { .. }) => self.attempt(task),
            _ => {
                let input = frame.input.clone();
                Step::Go(Move::Output(input))
            }
        }
    }

    /// Takes what the task gave, and shapes it.
    fn output(&mut self, data: Data) -> Step {
        let program = self.program.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        frame.output = Some(data.clone());
        // The body is over: a failing `output.as` of a `try` is not for its own `catch`.
        frame.state = State::Plain;
        let id = frame.task;
        self.clear_deadline();
        let Some(task) = program.task(id) else { return Step::Go(Move::Leave) };
        match &task.output.shape {
            Some(shape) => self.evaluate(Purpose::Output, shape, &data),
            None => self.shaped(task, data),
        }
    }

    fn shaped(&mut self, task: &Task, data: Data) -> Step {
        if let Some(schema) = &task.output.schema {
            self.witness(&data.labels);
            if let Err(message) = schema.check(&data.value) {
                return invalid("output", &message, data);
            }
        }
        if let Some(frame) = self.task_mut() {
            frame.output = Some(data.clone());
        }
        match &task.export.shape {
            Some(shape) => self.evaluate(Purpose::Export, shape, &data),
            None => Step::Go(Move::Leave),
        }
    }

    fn exported(&mut self, task: &Task, data: Data) -> Step {
        if let Some(schema) = &task.export.schema {
            self.witness(&data.labels);
            if let Err(message) = schema.check(&data.value) {
                return invalid("export", &message, data);
            }
        }
        self.at.context = data.under(&self.at.pc);
        Step::Go(Move::Leave)
    }

    fn leave(&mut self) -> Step {
        let program = self.program.clone();
        let Some(Frame::Task(frame)) = self.pop(Ending::Completed) else { return Step::Go(Move::Finish) };
        let then = frame.then.or_else(|| program.task(frame.task).map(|task| task.then)).unwrap_or(Then::Continue);
        self.at.data = frame.output.unwrap_or(frame.input);
        self.advance(then)
    }

    /// Follows a flow directive from a task of the block on top.
    fn advance(&mut self, then: Then) -> Step {
        let Some(Frame::Block { index, .. }) = self.at.frames.last_mut() else { return Step::Go(Move::Finish) };
        match then {
            Then::Continue => *index += 1,
            Then::Task(target) => *index = target,
            Then::Exit => {
                self.pop(Ending::Completed);
                return Step::Go(Move::BlockDone);
            }
            Then::End => return Step::Go(Move::Finish),
        }
        Step::Go(Move::Next)
    }

    fn block_done(&mut self) -> Step {
        if self.at.frames.is_empty() && self.at.above.is_some() {
            return self.joined();
        }
        let data = self.at.data.clone();
        let program = self.program.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        match &mut frame.state {
            State::Listen(_) => match program.task(frame.task) {
                Some(task) => self.turned(task, data),
                None => Step::Go(Move::Leave),
            },
            State::Plain | State::Fork { .. } => Step::Go(Move::Output(data)),
            State::For { index, .. } => {
                *index += 1;
                self.turn()
            }
            State::Try { handling, .. } => {
                if *handling {
                    self.handled(data)
                } else {
                    Step::Go(Move::Output(data))
                }
            }
        }
    }

    fn finish(&mut self) -> Step {
        self.only_this();
        let program = self.program.clone();
        let data = self.at.data.clone();
        match &program.output().shape {
            Some(shape) => self.evaluate(Purpose::WorkflowOutput, shape, &data),
            None => self.complete(data),
        }
    }

    fn complete(&mut self, data: Data) -> Step {
        let program = self.program.clone();
        let output = data.under(&self.at.pc);
        if let Some(schema) = &program.output().schema
            && let Err(message) = schema.check(&output.value)
        {
            self.raise(&output.labels);
            return self.fault(ErrorKind::Validation, format!("the output does not fit its schema: {message}"));
        }
        Step::End(Intent::Complete { output: output.into_labelled() })
    }
}

fn invalid(what: &str, message: &str, data: Data) -> Step {
    let error = WorkflowError::new(ErrorKind::Validation, format!("the {what} does not fit its schema: {message}"));
    let error = error.quoting_data();
    Step::Go(Move::Throw(Failure { error, labels: data.labels }))
}

/// Whether a condition holds: all but null and false do, as in jq.
pub(super) const fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
