//! `emit` and `listen`: CloudEvents out and in.

use super::{
    EmitId, ListenId, Machine,
    event::{Intent, Labelled},
    frame::{Data, Purpose, State},
    step::{Move, Step, truthy},
    strand::{StrandId, Waiting},
};
use crate::{
    error::{ErrorKind, Failure, WorkflowError},
    program::task::{Check, EventMatch, Expect, Kind, Listen, Strategy, Task, Until},
};
use mandate_kernel::{Labels, canonical_json};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// Events that a listening task holds: those to come, and those it gives.
const MAX_EVENTS: usize = 1_000;

/// How far a listening task is.
#[derive(Debug, Clone)]
pub(super) struct Listening {
    pub(super) id: ListenId,
    /// Received and not looked at.
    inbox: VecDeque<Data>,
    /// The one that is looked at.
    event: Option<Data>,
    /// Which filters have had their event.
    fitted: Vec<bool>,
    /// What the task gives: an event each, or what was made of it.
    pub(super) taken: Vec<Value>,
    labels: Labels,
    /// The first value of each correlation without an expectation, by filter and check.
    first: BTreeMap<(usize, usize), Value>,
}

impl Listening {
    /// The event in hand, as the document reads it, for `foreach`.
    pub(super) fn item(&self) -> Option<Data> {
        let value = self.taken.last()?.clone();
        Some(Data::new(value, self.labels.clone()))
    }
}

impl Machine {
    /// Completes the event that `emit` describes, and asks for it to be sent.
    pub(super) fn emit(&mut self, data: &Data) -> Step {
        self.counts.emits = self.counts.emits.saturating_add(1);
        let id = EmitId(self.counts.emits);
        let mut event = data.value.as_object().cloned().unwrap_or_default();
        let head = |key: &str| self.program.document().pointer(&format!("/document/{key}")).cloned();
        let source = format!("/workflows/{}/{}", text(head("namespace")), text(head("name")));
        for (key, value) in [
            ("specversion", json!("1.0")),
            ("id", json!(format!("{}-{}", self.run, id.0))),
            ("source", json!(source)),
            ("time", json!(self.now.to_string())),
        ] {
            event.entry(key).or_insert(value);
        }
        let wrong = ["specversion", "id", "source", "type"]
            .into_iter()
            .find(|key| event.get(*key).and_then(Value::as_str).is_none_or(str::is_empty));
        if let Some(key) = wrong {
            let error =
                WorkflowError::new(ErrorKind::Validation, format!("the event's `{key}` must be text, not empty"));
            return Step::Go(Move::Throw(Failure { error, labels: data.labels.clone() }));
        }
        let event = Data::new(Value::Object(event), data.labels.clone()).under(&self.at.pc);
        self.at.waiting = Waiting::Emit { id, event: event.clone() };
        Step::Ask(Intent::Emit { id, path: self.path(), event: event.into_labelled() })
    }

    /// Begins to listen.
    pub(super) fn listen(&mut self, listen: &Listen) -> Step {
        self.counts.listens = self.counts.listens.saturating_add(1);
        let id = ListenId(self.counts.listens);
        let path = self.path();
        let filters = listen.filters.len();
        let Some(frame) = self.task_mut() else { return Step::Go(Move::Finish) };
        frame.state = State::Listen(Box::new(Listening {
            id,
            inbox: VecDeque::new(),
            event: None,
            fitted: vec![false; filters],
            taken: Vec::new(),
            labels: Labels::default(),
            first: BTreeMap::new(),
        }));
        self.at.waiting = Waiting::Events { id };
        Step::Ask(Intent::Listen { id, path, types: listen.types() })
    }

    /// An event came for a listening task, wherever its branch is just now.
    pub(super) fn received(&mut self, id: ListenId, event: Labelled) -> Option<Option<Move>> {
        let strand = self.strands().find(|strand| strand.listens(id)).map(|strand| strand.id)?;
        self.put(strand, id, Data::from(event));
        if self.at.id != strand || !matches!(self.at.waiting, Waiting::Events { id: waits } if waits == id) {
            return Some(None);
        }
        self.at.waiting = Waiting::Branches;
        Some(Some(Move::Listened))
    }

    /// Leaves the event in the task's inbox. The branch is driven next if it waits for it.
    fn put(&mut self, strand: StrandId, id: ListenId, event: Data) {
        let waits = self.strands().any(|s| s.id == strand && matches!(s.waiting, Waiting::Events { id: w } if w == id));
        if waits {
            self.switch(strand);
        }
        let states = self.states_mut(strand);
        for state in states {
            if let State::Listen(listening) = state
                && listening.id == id
                && listening.inbox.len() < MAX_EVENTS
            {
                listening.inbox.push_back(event);
                return;
            }
        }
    }

    fn listening(&mut self) -> Option<&mut Listening> {
        match self.task_mut().map(|frame| &mut frame.state) {
            Some(State::Listen(listening)) => Some(listening),
            _ => None,
        }
    }

    /// Looks at the next event of the inbox, or waits for one.
    pub(super) fn listened(&mut self) -> Step {
        let Some(listening) = self.listening() else { return Step::Go(Move::Leave) };
        let id = listening.id;
        let Some(event) = listening.inbox.pop_front() else {
            self.at.waiting = Waiting::Events { id };
            return Step::Rest;
        };
        listening.event = Some(event.clone());
        listening.labels = listening.labels.join(&event.labels);
        // From here on the run depends on what came, also where it does not fit.
        self.raise(&event.labels);
        self.check(0, 0)
    }

    /// Looks at one check of one filter after the other. The filters of `until` come after those of `to`.
    pub(super) fn check(&mut self, filter: usize, from: usize) -> Step {
        let program = self.program.clone();
        let Some(task) = self.task_mut().and_then(|frame| program.task(frame.task)) else {
            return Step::Go(Move::Finish);
        };
        let (Kind::Listen(listen), Some(listening)) = (&task.kind, self.listening()) else {
            return Step::Go(Move::Leave);
        };
        let Some(event) = listening.event.clone() else { return Step::Go(Move::Listened) };
        let Some(wanted) = listen.filter(filter) else {
            // None fits: it is not for this task. With no filters at all, any is.
            return if listen.filters.is_empty() && filter == listen.ends() {
                self.take(task, listen, None)
            } else {
                Step::Go(Move::Listened)
            };
        };
        let done = listen.to == Strategy::All && listening.fitted.get(filter) == Some(&true);
        if done {
            return self.check(filter + 1, 0);
        }
        for (index, check) in wanted.checks.iter().enumerate().skip(from) {
            let (expression, input) = match check {
                Check::Equal { attribute, value } => {
                    if same(event.value.get(attribute).unwrap_or(&Value::Null), value) {
                        continue;
                    }
                    return self.check(filter + 1, 0);
                }
                Check::Holds { attribute, holds } => {
                    let value = event.value.get(attribute).cloned().unwrap_or(Value::Null);
                    (holds, Data::new(value, event.labels.clone()))
                }
                Check::Correlates { values, .. } => (values, event),
            };
            return self.evaluate(Purpose::Check(filter, index), expression, &input);
        }
        self.take(task, listen, Some(filter))
    }

    /// Takes in the value of a check.
    pub(super) fn checked(&mut self, task: &Task, filter: usize, index: usize, data: &Data) -> Step {
        self.raise(&data.labels);
        let (Kind::Listen(listen), Some(listening)) = (&task.kind, self.listening()) else {
            return Step::Go(Move::Leave);
        };
        let check = listen.filter(filter).and_then(|wanted: &EventMatch| wanted.checks.get(index));
        let fits = match check {
            Some(Check::Correlates { expect, .. }) => {
                let found = data.value.get(0).cloned().unwrap_or(Value::Null);
                match expect {
                    Expect::Given => data.value.get(1).is_some_and(|wanted| same(&found, wanted)),
                    Expect::First => match listening.first.get(&(filter, index)) {
                        Some(first) => same(&found, first),
                        None => {
                            listening.first.insert((filter, index), found);
                            true
                        }
                    },
                }
            }
            _ => truthy(&data.value),
        };
        if fits { self.check(filter, index + 1) } else { self.check(filter + 1, 0) }
    }

    /// The event fits a filter (or there is none, and any does).
    fn take(&mut self, task: &Task, listen: &Listen, filter: Option<usize>) -> Step {
        let Some(listening) = self.listening() else { return Step::Go(Move::Leave) };
        let Some(event) = listening.event.take() else { return Step::Go(Move::Listened) };
        if filter.is_some_and(|filter| filter >= listen.filters.len()) {
            return self.heard();
        }
        if let Some(fitted) = filter.and_then(|filter| listening.fitted.get_mut(filter)) {
            *fitted = true;
        }
        if listening.taken.len() >= MAX_EVENTS {
            return self.fault(ErrorKind::Runtime, format!("a task listened to more than {MAX_EVENTS} events"));
        }
        listening.taken.push(listen.read.of(&event.value));
        let index = listening.taken.len() - 1;
        match &listen.each {
            Some(each) => {
                let data = Data::new(event.value.get("data").cloned().unwrap_or(Value::Null), event.labels);
                let path = format!("{}/foreach#{index}/do", self.path());
                self.enter(each.block, path, data)
            }
            None => self.after_event(task),
        }
    }

    /// One turn of `foreach` is done: what it gave stands for the event.
    pub(super) fn turned(&mut self, task: &Task, data: Data) -> Step {
        match &task.kind {
            Kind::Listen(listen) if listen.each.as_ref().is_some_and(|each| each.shape.is_some()) => {
                let shape = listen.each.as_ref().and_then(|each| each.shape.as_ref());
                match shape {
                    Some(shape) => self.evaluate(Purpose::Turn, shape, &data),
                    None => Step::Go(Move::Leave),
                }
            }
            _ => self.turn_shaped(task, data),
        }
    }

    pub(super) fn turn_shaped(&mut self, task: &Task, data: Data) -> Step {
        if let Some(listening) = self.listening() {
            listening.labels = listening.labels.join(&data.labels);
            if let Some(last) = listening.taken.last_mut() {
                *last = Arc::unwrap_or_clone(data.value);
            }
        }
        self.after_event(task)
    }

    /// Whether to go on listening.
    fn after_event(&mut self, task: &Task) -> Step {
        let Kind::Listen(listen) = &task.kind else { return Step::Go(Move::Leave) };
        let Some(listening) = self.listening() else { return Step::Go(Move::Leave) };
        match (&listen.to, &listen.until) {
            (Strategy::Any, Some(Until::Holds(condition))) => {
                let taken = Data::new(Value::Array(listening.taken.clone()), listening.labels.clone());
                self.evaluate(Purpose::Until, condition, &taken)
            }
            (Strategy::Any, Some(Until::Consumed(_))) => Step::Go(Move::Listened),
            (Strategy::All, _) if listening.fitted.iter().any(|fitted| !fitted) => Step::Go(Move::Listened),
            _ => self.heard(),
        }
    }

    pub(super) fn until(&mut self, verdict: &Data) -> Step {
        self.raise(&verdict.labels);
        if truthy(&verdict.value) { self.heard() } else { Step::Go(Move::Listened) }
    }

    /// The task has what it listened for.
    fn heard(&mut self) -> Step {
        let pc = self.at.pc.clone();
        let Some(listening) = self.listening() else { return Step::Go(Move::Leave) };
        let (taken, labels) = (std::mem::take(&mut listening.taken), listening.labels.join(&pc));
        let id = listening.id;
        self.others.asked.push(Intent::Cancel(super::Open::Listen(id)));
        Step::Go(Move::Output(Data::new(Value::Array(taken), labels)))
    }
}

fn text(value: Option<Value>) -> String {
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn same(a: &Value, b: &Value) -> bool {
    matches!((canonical_json(a), canonical_json(b)), (Ok(a), Ok(b)) if a == b)
}
