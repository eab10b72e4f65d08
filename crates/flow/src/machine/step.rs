//! One move after the other, until the machine waits again. Nothing here recurses.

use super::{
    Machine,
    event::Intent,
    frame::{Data, Frame, Purpose, State, TaskFrame},
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
#[derive(Debug)]
pub(super) enum Move {
    /// Begin the run.
    Start,
    /// Run the task the block on top points to, or leave the block.
    Next,
    /// The value of an evaluation is there.
    Got(Purpose, Data),
    /// The timer on top fired.
    Woken,
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

/// Go on, or wait with this intent.
pub(super) enum Step {
    Go(Move),
    Stop(Intent),
}

impl Machine {
    pub(super) fn drive(&mut self, first: Move) -> Vec<Intent> {
        let mut next = first;
        loop {
            match self.step(next) {
                Step::Go(more) => next = more,
                Step::Stop(intent) => return vec![intent],
            }
        }
    }

    fn step(&mut self, next: Move) -> Step {
        match next {
            Move::Start => self.begin_run(),
            Move::Next => self.next_task(),
            Move::Got(purpose, data) => self.got(purpose, data),
            Move::Woken => self.woken(),
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
        self.data = data;
        self.frames.push(Frame::Block { block, index: 0, path });
        Step::Go(Move::Next)
    }

    fn next_task(&mut self) -> Step {
        let Some(Frame::Block { block, index, path }) = self.frames.last() else { return Step::Go(Move::Finish) };
        let program = self.program.clone();
        let found = program.task_at(*block, *index).and_then(|id| Some((id, program.task(id)?)));
        let Some((id, task)) = found else {
            self.frames.pop();
            return Step::Go(Move::BlockDone);
        };
        let path = StepPath(format!("{path}/{index}/{}", task.name.replace('~', "~0").replace('/', "~1")));
        let raw = self.data.clone();
        self.frames.push(Frame::Task(Box::new(TaskFrame {
            task: id,
            path,
            started: self.now,
            input: raw.clone(),
            raw: raw.clone(),
            output: None,
            then: None,
            state: State::Plain,
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
        let raw = self.data.clone();
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
            Purpose::WorkflowInput => return self.enter(program.entry(), "/do".to_owned(), data),
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
                self.body(task)
            }
            Purpose::Arguments => match &task.kind {
                Kind::Call { function, .. } => self.call(function.clone(), data),
                _ => Step::Go(Move::Leave),
            },
            Purpose::Set => Step::Go(Move::Output(data)),
            Purpose::Case(index) => self.case(task, index, &data),
            Purpose::Collection => self.collection(data),
            Purpose::While => self.iterate(task, &data),
            Purpose::Raise => self.raised(&data),
            Purpose::Pause => match time::duration(&data.value) {
                Ok(duration) => self.sleep(duration),
                Err(message) => Step::Go(Move::Throw(Failure {
                    error: WorkflowError::new(ErrorKind::Expression, message),
                    labels: data.labels,
                })),
            },
            Purpose::CatchWhen | Purpose::CatchExcept | Purpose::RetryWhen | Purpose::RetryExcept => {
                self.verdict(task, purpose, &data)
            }
            Purpose::Output => self.shaped(task, data),
            Purpose::Export => self.exported(task, data),
            Purpose::WorkflowInput | Purpose::WorkflowOutput => Step::Go(Move::Finish),
        }
    }

    /// A task whose `if` does not hold is skipped: the data passes by and its `then` does not count.
    fn condition(&mut self, task: &Task, verdict: &Data) -> Step {
        self.raise(&verdict.labels);
        if truthy(&verdict.value) {
            return self.take_input(task);
        }
        self.frames.pop();
        self.advance(Then::Continue)
    }

    fn body(&mut self, task: &Task) -> Step {
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (input, path) = (frame.input.clone(), frame.path.clone());
        if task.timeout.is_some() || self.program.timeout().is_some() {
            return self.fault(ErrorKind::Configuration, "a timeout is not watched by this version".to_owned());
        }
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

    fn raised(&mut self, data: &Data) -> Step {
        let labels = data.labels.clone();
        let error = match serde_json::from_value::<WorkflowError>((*data.value).clone()) {
            Ok(error) => error,
            Err(_) => WorkflowError::new(
                ErrorKind::Expression,
                "`raise` did not give an error: its type must be text and its status a number",
            ),
        };
        Step::Go(Move::Throw(Failure { error, labels }))
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
        let Some(task) = program.task(frame.task) else { return Step::Go(Move::Leave) };
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
        self.context = data.under(&self.pc);
        Step::Go(Move::Leave)
    }

    fn leave(&mut self) -> Step {
        let program = self.program.clone();
        let Some(Frame::Task(frame)) = self.frames.pop() else { return Step::Go(Move::Finish) };
        let then = frame.then.or_else(|| program.task(frame.task).map(|task| task.then)).unwrap_or(Then::Continue);
        self.data = frame.output.unwrap_or(frame.input);
        self.advance(then)
    }

    /// Follows a flow directive from a task of the block on top.
    fn advance(&mut self, then: Then) -> Step {
        let Some(Frame::Block { index, .. }) = self.frames.last_mut() else { return Step::Go(Move::Finish) };
        match then {
            Then::Continue => *index += 1,
            Then::Task(target) => *index = target,
            Then::Exit => {
                self.frames.pop();
                return Step::Go(Move::BlockDone);
            }
            Then::End => return Step::Go(Move::Finish),
        }
        Step::Go(Move::Next)
    }

    fn block_done(&mut self) -> Step {
        let data = self.data.clone();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        match &mut frame.state {
            State::Plain => Step::Go(Move::Output(data)),
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
        self.frames.clear();
        let program = self.program.clone();
        let data = self.data.clone();
        match &program.output().shape {
            Some(shape) => self.evaluate(Purpose::WorkflowOutput, shape, &data),
            None => self.complete(data),
        }
    }

    fn complete(&mut self, data: Data) -> Step {
        let program = self.program.clone();
        let output = data.under(&self.pc);
        if let Some(schema) = &program.output().schema
            && let Err(message) = schema.check(&output.value)
        {
            self.raise(&output.labels);
            return self.fault(ErrorKind::Validation, format!("the output does not fit its schema: {message}"));
        }
        self.waiting = super::Waiting::Ended;
        Step::Stop(Intent::Complete { output: output.into_labelled() })
    }
}

fn invalid(what: &str, message: &str, data: Data) -> Step {
    let error = WorkflowError::new(ErrorKind::Validation, format!("the {what} does not fit its schema: {message}"));
    Step::Go(Move::Throw(Failure { error, labels: data.labels }))
}

/// Whether a condition holds: all but null and false do, as in jq.
pub(super) const fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}
