//! One helper for all machine tests: runs a document against scripted functions, and proves on the
//! way that a replay of its journal gives the same intents.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::result_large_err, reason = "helpers of tests")]

use mandate_flow::{Event, Failure, Intent, Labelled, Machine, Program, Start, WorkflowError, evaluate};
use mandate_kernel::{Labels, StepPath, Timestamp, canonical_json};
use serde_json::Value;
use std::sync::Arc;

pub(crate) const RUN: &str = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD";
pub(crate) const HEAD: &str = "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}\n";

/// Something seen from outside, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Call { function: String, path: String, arguments: Labelled },
    Sleep { millis: u64 },
    Complete(Labelled),
    Fault(WorkflowError, Labels),
}

impl Seen {
    pub(crate) fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Call { arguments, .. } => Some(&arguments.labels),
            Self::Sleep { .. } => None,
            Self::Complete(output) => Some(&output.labels),
            Self::Fault(_, labels) => Some(labels),
        }
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call { function, path, arguments } => {
                write!(f, "call {function} {} at {path}", show(&arguments.value))
            }
            Self::Sleep { millis } => write!(f, "sleep {millis}"),
            Self::Complete(output) => write!(f, "complete {}", show(&output.value)),
            Self::Fault(error, _) => {
                let kind = error.type_.rsplit('/').next().unwrap_or_default();
                let at = error.instance.clone().unwrap_or_else(|| StepPath("nowhere".to_owned()));
                write!(f, "fault {kind} {} at {at}", error.status)
            }
        }
    }
}

pub(crate) fn show(value: &Value) -> String {
    String::from_utf8(canonical_json(value).unwrap()).unwrap()
}

fn canonical(value: &Value) -> Value {
    serde_json::from_slice(&canonical_json(value).unwrap()).unwrap()
}

/// An event as a journal gives it back: every value in canonical form.
fn journaled(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Evaluated { result: Ok(value), .. } => *value = canonical(value),
        Event::Returned { result: Ok(output), .. } => output.value = canonical(&output.value),
        _ => {}
    }
    event
}

pub(crate) fn start(input: &Labelled) -> Start {
    Start { run: RUN.parse().unwrap(), input: input.clone(), started_at: Timestamp::from_millis(1_000) }
}

/// Runs to the end. `function` answers each call by name and ordinal.
pub(crate) fn drive(
    program: &Arc<Program>,
    input: &Labelled,
    mut function: impl FnMut(&str, u32, &Value) -> Result<Labelled, Failure>,
) -> Vec<Seen> {
    let (mut machine, mut intents) = Machine::start(program.clone(), start(input));
    let (mut seen, mut journal) = (Vec::new(), Vec::new());
    let mut clock = Timestamp::from_millis(1_000);
    loop {
        assert_eq!(intents.len(), 1, "exactly one intent is open");
        let event = match intents.pop().unwrap() {
            Intent::Evaluate(e) => Event::Evaluated { id: e.id, result: evaluate(&e) },
            Intent::Call { seq, path, function: name, arguments } => {
                let result = function(name.as_str(), seq.0, &arguments.value);
                seen.push(Seen::Call { function: name.to_string(), path: path.0, arguments });
                Event::Returned { seq, at: clock, result }
            }
            Intent::Sleep { id, duration, .. } => {
                clock = clock.plus(duration);
                seen.push(Seen::Sleep { millis: duration.as_millis() });
                Event::Woke { id, at: clock }
            }
            Intent::Complete { output } => {
                seen.push(Seen::Complete(output));
                break;
            }
            Intent::Fault { error, labels } => {
                seen.push(Seen::Fault(error, labels));
                break;
            }
        };
        journal.push(event.clone());
        intents = machine.apply(event).unwrap();
    }
    assert!(machine.has_ended());
    replay(program, input, &journal, &seen);
    seen
}

/// Feeds the journal, in canonical form, to a fresh machine; evaluates again on the way.
fn replay(program: &Arc<Program>, input: &Labelled, journal: &[Event], seen: &[Seen]) {
    let input = Labelled { value: canonical(&input.value), labels: input.labels.clone() };
    let (mut machine, mut intents) = Machine::start(program.clone(), start(&input));
    let mut again = Vec::new();
    let mut events = journal.iter();
    loop {
        match intents.pop().unwrap() {
            Intent::Evaluate(e) => {
                let Some(Event::Evaluated { id, result }) = events.clone().next() else {
                    panic!("the replay evaluates elsewhere")
                };
                assert_eq!(*id, e.id);
                let now = evaluate(&e);
                assert_eq!(now.as_ref().map(show), result.as_ref().map(show), "an evaluation differs in the replay");
            }
            Intent::Call { path, function, arguments, .. } => {
                again.push(Seen::Call { function: function.to_string(), path: path.0, arguments });
            }
            Intent::Sleep { duration, .. } => again.push(Seen::Sleep { millis: duration.as_millis() }),
            Intent::Complete { output } => again.push(Seen::Complete(output)),
            Intent::Fault { error, labels } => again.push(Seen::Fault(error, labels)),
        }
        match events.next() {
            Some(event) => intents = machine.apply(journaled(event)).unwrap(),
            None => break,
        }
    }
    let lines = |seen: &[Seen]| seen.iter().map(|s| (s.to_string(), s.labels().cloned())).collect::<Vec<_>>();
    assert_eq!(lines(&again), lines(seen), "the replay differs");
}

pub(crate) fn compile(document: &str) -> Arc<Program> {
    match Program::from_yaml("test.yaml", document) {
        Ok(program) => Arc::new(program),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// Runs a document (its head may be left out) on a script of results, in the order of the calls, and
/// shows what was seen.
pub(crate) fn run(document: &str, input: Value, script: Vec<Result<Value, WorkflowError>>) -> Vec<String> {
    let document =
        if document.trim_start().starts_with("document:") { document.to_owned() } else { format!("{HEAD}{document}") };
    let mut script = script.into_iter();
    let input = Labelled { value: input, labels: Labels::default() };
    let seen = drive(&compile(&document), &input, |name, _, _| {
        let result = script.next().unwrap_or_else(|| panic!("the script has no answer for {name}"));
        result
            .map(|value| Labelled { value, labels: Labels::default() })
            .map_err(|error| Failure { error, labels: Labels::default() })
    });
    assert!(script.next().is_none(), "the script has answers left: {seen:?}");
    seen.iter().map(ToString::to_string).collect()
}
