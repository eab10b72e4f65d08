//! One helper for all machine tests: runs a document against scripted functions, and proves on the
//! way that a replay of its journal gives the same intents.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use mandate_flow::{Event, Failure, Intent, Labelled, Machine, Open, Program, Start, WorkflowError, evaluate};
use mandate_kernel::{Duration, Labels, StepPath, Timestamp, canonical_json};
use serde_json::Value;
use std::sync::Arc;

pub(crate) const RUN: &str = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD";
pub(crate) const HEAD: &str = "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}\n";

/// Something seen from outside, with its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Call { function: String, path: String, arguments: Labelled },
    Sleep { millis: u64 },
    Emit { path: String, event: Labelled },
    Complete(Labelled),
    Fault(WorkflowError, Labels),
}

impl Seen {
    pub(crate) fn labels(&self) -> Option<&Labels> {
        match self {
            Self::Call { arguments, .. } => Some(&arguments.labels),
            Self::Sleep { .. } => None,
            Self::Complete(output) | Self::Emit { event: output, .. } => Some(&output.labels),
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
            Self::Emit { path, event } => write!(f, "emit {} at {path}", show(&event.value)),
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

/// In which order what is open is answered.
pub(crate) enum Order<'a> {
    /// As time goes: a call at that path takes so many milliseconds.
    Time(&'a dyn Fn(&str) -> u64),
    /// As drawn: which of those open, over and over.
    Drawn(&'a [u8]),
}

/// A call or timer that waits to be answered.
struct Waits {
    due: Timestamp,
    intent: Intent,
}

/// A whole run: what was seen, what was told from outside in its order, and the machine before each of that.
pub(crate) struct Told {
    pub(crate) seen: Vec<Seen>,
    pub(crate) journal: Vec<Event>,
    pub(crate) states: Vec<String>,
}

/// Runs to the end. `function` answers each call by name and ordinal.
pub(crate) fn drive(
    program: &Arc<Program>,
    input: &Labelled,
    function: impl FnMut(&str, u32, &Value) -> Result<Labelled, Failure>,
) -> Vec<Seen> {
    drive_in(program, input, &Order::Time(&|_| 0), function).seen
}

/// Takes in what the machine asks for; does every evaluation at once, in the order asked.
fn quiet(
    machine: &mut Machine,
    first: Vec<Intent>,
    seen: &mut Vec<Seen>,
    open: &mut Vec<Waits>,
    clock: Timestamp,
    pace: &dyn Fn(&str) -> u64,
) {
    let mut intents = std::collections::VecDeque::from(first);
    while let Some(intent) = intents.pop_front() {
        match &intent {
            Intent::Evaluate(e) => {
                if machine.open().contains(&Open::Evaluation(e.id)) {
                    intents.extend(machine.apply(Event::Evaluated { id: e.id, result: evaluate(e) }).unwrap());
                }
            }
            Intent::Call { path, function, arguments, .. } => {
                let due = clock.plus(Duration::from_millis(pace(&path.0)));
                seen.push(Seen::Call {
                    function: function.to_string(),
                    path: path.0.clone(),
                    arguments: arguments.clone(),
                });
                open.push(Waits { due, intent });
            }
            Intent::Sleep { duration, .. } => {
                seen.push(Seen::Sleep { millis: duration.as_millis() });
                open.push(Waits { due: clock.plus(*duration), intent });
            }
            Intent::Emit { path, event, .. } => {
                seen.push(Seen::Emit { path: path.0.clone(), event: event.clone() });
                open.push(Waits { due: clock, intent });
            }
            Intent::Listen { .. } => {}
            Intent::Cancel(what) => open.retain(|waits| waits.intent.open() != Some(*what)),
            Intent::Complete { output } => seen.push(Seen::Complete(output.clone())),
            Intent::Fault { error, labels } => seen.push(Seen::Fault(error.clone(), labels.clone())),
        }
    }
    if !machine.has_ended() {
        let listening = machine.open().into_iter().filter(|open| matches!(open, Open::Listen(_)));
        let waits: std::collections::BTreeSet<_> =
            open.iter().filter_map(|waits| waits.intent.open()).chain(listening).collect();
        assert_eq!(waits.into_iter().collect::<Vec<_>>(), machine.open(), "what is open is what was asked");
    }
}

/// Runs to the end in an order.
pub(crate) fn drive_in(
    program: &Arc<Program>,
    input: &Labelled,
    order: &Order<'_>,
    mut function: impl FnMut(&str, u32, &Value) -> Result<Labelled, Failure>,
) -> Told {
    let (mut machine, intents) = Machine::start(program.clone(), start(input));
    let mut told = Told { seen: Vec::new(), journal: Vec::new(), states: Vec::new() };
    let (mut clock, mut open, mut turn) = (Timestamp::from_millis(1_000), Vec::new(), 0usize);
    let none = |_: &str| 0;
    let pace: &dyn Fn(&str) -> u64 = if let Order::Time(pace) = order { *pace } else { &none };
    quiet(&mut machine, intents, &mut told.seen, &mut open, clock, pace);
    while !machine.has_ended() {
        told.states.push(format!("{machine:?}"));
        let next = match order {
            Order::Time(_) => (0..open.len()).min_by_key(|i| open[*i].due).unwrap(),
            Order::Drawn(drawn) => usize::from(drawn[turn % drawn.len()]) % open.len(),
        };
        turn += 1;
        let Waits { due, intent } = open.remove(next);
        clock = clock.max(due);
        let event = match intent {
            Intent::Call { seq, function: name, arguments, .. } => {
                Event::Returned { seq, at: clock, result: function(name.as_str(), seq.0, &arguments.value) }
            }
            Intent::Sleep { id, .. } => Event::Woke { id, at: clock },
            Intent::Emit { id, .. } => Event::Emitted { id, at: clock },
            other => panic!("{other:?} does not wait"),
        };
        told.journal.push(event.clone());
        let intents = machine.apply(event).unwrap();
        quiet(&mut machine, intents, &mut told.seen, &mut open, clock, pace);
    }
    told.states.push(format!("{machine:?}"));
    replay(program, input, &told);
    told
}

/// Feeds the journal, in canonical form, to a fresh machine, as a process does that takes the run up after
/// a crash: after each event it asks for the same.
fn replay(program: &Arc<Program>, input: &Labelled, told: &Told) {
    let input = Labelled { value: canonical(&input.value), labels: input.labels.clone() };
    let (mut machine, intents) = Machine::start(program.clone(), start(&input));
    let (mut again, mut open) = (Vec::new(), Vec::new());
    let none = |_: &str| 0;
    quiet(&mut machine, intents, &mut again, &mut open, Timestamp::EPOCH, &none);
    let lines = |seen: &[Seen]| seen.iter().map(|s| (s.to_string(), s.labels().cloned())).collect::<Vec<_>>();
    for event in &told.journal {
        open.retain(|waits| waits.intent.open() != Some(event.answers()));
        let intents = machine.apply(journaled(event)).unwrap();
        quiet(&mut machine, intents, &mut again, &mut open, Timestamp::EPOCH, &none);
    }
    assert_eq!(lines(&again), lines(&told.seen), "the replay differs");
}

/// The same for values that are canonical as they are: also the state is the same, at every point.
pub(crate) fn same_states(program: &Arc<Program>, input: &Labelled, told: &Told) {
    let (mut machine, intents) = Machine::start(program.clone(), start(input));
    let (mut again, mut open) = (Vec::new(), Vec::new());
    let none = |_: &str| 0;
    quiet(&mut machine, intents, &mut again, &mut open, Timestamp::EPOCH, &none);
    assert_eq!(told.states.len(), told.journal.len() + 1);
    for (state, event) in told.states.iter().zip(&told.journal) {
        assert_eq!(&format!("{machine:?}"), state, "a machine after a crash is another");
        open.retain(|waits| waits.intent.open() != Some(event.answers()));
        let intents = machine.apply(event.clone()).unwrap();
        quiet(&mut machine, intents, &mut again, &mut open, Timestamp::EPOCH, &none);
    }
    assert_eq!(told.states.last(), Some(&format!("{machine:?}")));
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
