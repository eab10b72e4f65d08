//! `try` and `catch`: how an error travels up the stack, and how a block is begun again.

use super::{
    Machine,
    frame::{Data, Frame, Purpose, State},
    step::{Move, Step, truthy},
    trace::Ending,
};
use crate::{
    error::{ErrorKind, Failure, WorkflowError, same_type},
    program::task::{Catch, ErrorFilter, Kind, Retry, Task},
};

impl Machine {
    /// Begins the block of the `try` on top, for the first time or again.
    pub(super) fn attempt(&mut self, task: &Task) -> Step {
        let Kind::Try { block, .. } = &task.kind else { return Step::Go(Move::Leave) };
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (attempts, first) = match frame.state {
            State::Try { attempts, first, .. } => (attempts, first),
            _ => (0, None),
        };
        frame.state = State::Try { attempts: attempts + 1, first, caught: None, handling: false };
        let (path, input) = (format!("{}/try", frame.path), frame.input.clone());
        self.enter(*block, path, input)
    }

    /// `raise`: throws the error that was given.
    pub(super) fn raised(&mut self, task: &Task, data: &Data) -> Step {
        let labels = data.labels.clone();
        let error = match serde_json::from_value::<WorkflowError>((*data.value).clone()) {
            Ok(error) => WorkflowError { of_data: self.program.computed(&task.pointer), ..error },
            Err(_) => WorkflowError::new(
                ErrorKind::Expression,
                "`raise` did not give an error: its type must be text and its status a number",
            ),
        };
        Step::Go(Move::Throw(Failure { error, labels }))
    }

    /// Takes an error up to the nearest `try` whose filter it fits, and asks its conditions. An error
    /// inside `catch` itself goes on up.
    pub(super) fn throw(&mut self, failure: Failure) -> Step {
        let program = self.program.clone();
        let failure = Failure { error: failure.error.at(&self.path()), labels: failure.labels.join(&self.at.pc) };
        while let Some(top) = self.at.frames.last_mut() {
            let Frame::Task(frame) = top else {
                self.pop(Ending::Faulted);
                continue;
            };
            let kind = program.task(frame.task).map(|task| (task, &task.kind));
            if let (Some((task, Kind::Try { catch, .. })), State::Try { caught, handling: false, .. }) =
                (kind, &mut frame.state)
                && caught.is_none()
            {
                // From here on the run depends on the error, also where the filter lets it pass.
                *caught = Some(failure.clone());
                self.raise(&failure.labels);
                if fits(&catch.filter, &failure.error) {
                    return self.ask(task, catch, Purpose::CatchWhen);
                }
            }
            self.pop(Ending::Faulted);
        }
        self.fail_above(failure)
    }

    /// Asks the condition for a purpose, or goes on to what follows when there is none.
    fn ask(&mut self, task: &Task, catch: &Catch, purpose: Purpose) -> Step {
        let retry = catch.retry.as_ref();
        let condition = match purpose {
            Purpose::CatchWhen => catch.when.as_ref(),
            Purpose::CatchExcept => catch.except_when.as_ref(),
            Purpose::RetryWhen => retry.and_then(|retry| retry.when.as_ref()),
            _ => retry.and_then(|retry| retry.except_when.as_ref()),
        };
        let Some(input) = self.task_mut().map(|frame| frame.input.clone()) else { return Step::Go(Move::Finish) };
        match condition {
            Some(condition) => self.evaluate(purpose, condition, &input),
            None => self.granted(task, catch, purpose),
        }
    }

    /// Takes in the answer of a condition of the `try` on top.
    pub(super) fn verdict(&mut self, task: &Task, purpose: Purpose, answer: &Data) -> Step {
        self.raise(&answer.labels);
        let Kind::Try { catch, .. } = &task.kind else { return Step::Go(Move::Leave) };
        let wanted = matches!(purpose, Purpose::CatchWhen | Purpose::RetryWhen);
        if truthy(&answer.value) == wanted {
            return self.granted(task, catch, purpose);
        }
        match purpose {
            Purpose::CatchWhen | Purpose::CatchExcept => self.pass_on(),
            _ => self.handle(catch),
        }
    }

    fn granted(&mut self, task: &Task, catch: &Catch, purpose: Purpose) -> Step {
        match (purpose, &catch.retry) {
            (Purpose::CatchWhen, _) => self.ask(task, catch, Purpose::CatchExcept),
            (Purpose::CatchExcept, Some(_)) => self.ask(task, catch, Purpose::RetryWhen),
            (Purpose::RetryWhen, _) => self.ask(task, catch, Purpose::RetryExcept),
            (Purpose::RetryExcept, Some(retry)) => self.retry(task, catch, retry),
            _ => self.handle(catch),
        }
    }

    /// Begins the block again after a pause, unless a limit is met.
    fn retry(&mut self, task: &Task, catch: &Catch, retry: &Retry) -> Step {
        let (now, run) = (self.now, self.run.clone());
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let State::Try { attempts, first, .. } = &mut frame.state else { return Step::Go(Move::Leave) };
        let first = *first.get_or_insert(now);
        let pause = retry.backoff.pause(*attempts, &format!("{run}{}", frame.path));
        let late = retry.within.is_some_and(|within| now.plus(pause).since(first) > within);
        if late || *attempts >= retry.attempts {
            return self.handle(catch);
        }
        if pause.as_millis() == 0 { self.attempt(task) } else { self.sleep(pause) }
    }

    /// Runs `catch.do`. Without one the error is dropped, unless a retry was asked for: what retries
    /// could not mend is still an error.
    fn handle(&mut self, catch: &Catch) -> Step {
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        let (path, input) = (format!("{}/catch/do", frame.path), frame.input.clone());
        if let (Some(block), State::Try { handling, .. }) = (catch.block, &mut frame.state) {
            *handling = true;
            return self.enter(block, path, input);
        }
        if catch.retry.is_some() && catch.then.is_none() {
            return self.pass_on();
        }
        self.handled(input)
    }

    /// The error is dealt with: `catch.then` decides over the task's own `then`.
    pub(super) fn handled(&mut self, data: Data) -> Step {
        let program = self.program.clone();
        if let Some(frame) = self.task_mut()
            && let Some(Kind::Try { catch, .. }) = program.task(frame.task).map(|task| &task.kind)
        {
            frame.then = catch.then;
        }
        Step::Go(Move::Output(data))
    }

    /// Throws the error in hand again, above the `try` on top.
    fn pass_on(&mut self) -> Step {
        let Some(Frame::Task(frame)) = self.pop(Ending::Faulted) else { return Step::Go(Move::Finish) };
        match frame.state {
            State::Try { caught: Some(failure), .. } => Step::Go(Move::Throw(failure)),
            _ => Step::Go(Move::Finish),
        }
    }
}

fn fits(filter: &ErrorFilter, error: &WorkflowError) -> bool {
    let same =
        |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| found == Some(wanted));
    filter.type_.as_deref().is_none_or(|wanted| same_type(wanted, &error.type_))
        && filter.status.is_none_or(|wanted| wanted == error.status)
        && same(&filter.instance, error.instance.as_ref().map(|path| path.0.as_str()))
        && same(&filter.title, error.title.as_deref())
        && same(&filter.detail, error.detail.as_deref())
}
