//! Recorded runs are told again: a run that waits for months must go on as it began (`Machine::VERSION`).
//!
//! Each file in `tests/recorded` is one run: its document and input, everything it was told from outside in
//! that order, and everything it asked for. A file is never changed. When the machine has to behave
//! otherwise its version rises, and the files of the older version stay with the machine of that version.
//! New files are made from `tests/recorded/*.yaml` by `MANDATE_RECORD=1 cargo test -p mandate-flow --test recorded`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::result_large_err, reason = "the answers of scripted functions")]

mod common;

use common::{compile, start};
use mandate_flow::{
    EmitId, ErrorKind, Event, Failure, Intent, Labelled, ListenId, Machine, Open, Program, TimerId, WorkflowError,
};
use mandate_kernel::{Digest, Integrity, Labels, Source, StepSeq, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::{fs, path::PathBuf, sync::Arc};

fn files(extension: &str) -> Vec<PathBuf> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests/recorded"].iter().collect();
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// Labels that name where a value came from.
fn from(origin: &str) -> Labels {
    let source = Source { origin: origin.to_owned(), digest: Digest::of(origin.as_bytes()) };
    Labels { sources: [source].into(), ..Labels::default() }
}

/// What a function answers: its arguments and ordinal, or every other time a failure.
fn answer(name: &str, ordinal: u32, arguments: &Value) -> Result<Labelled, Failure> {
    if name.ends_with(".fails") && !ordinal.is_multiple_of(3) {
        let error = WorkflowError::new(ErrorKind::Communication, format!("no answer to {ordinal}"));
        return Err(Failure { error, labels: from(name) });
    }
    Ok(Labelled { value: json!({"n": ordinal, "of": arguments}), labels: from(name) })
}

fn line(intent: &Intent) -> Option<Value> {
    let asked = match intent {
        Intent::Call { seq, path, function, arguments } => {
            json!({"call": function, "step": seq, "path": path, "arguments": arguments})
        }
        Intent::Sleep { id, path, duration } => json!({"sleep": id, "path": path, "millis": duration.as_millis()}),
        Intent::Cancel(open) => json!({"cancel": open.to_string()}),
        Intent::Complete { output } => json!({"complete": output}),
        Intent::Fault { error, labels } => json!({"fault": error, "labels": labels}),
        Intent::Emit { id, path, event } => json!({"emit": id, "path": path, "event": event}),
        Intent::Listen { id, path, types } => json!({"listen": id, "path": path, "types": types}),
        Intent::Evaluate(_) => return None,
    };
    Some(asked)
}

fn written(event: &Event) -> Value {
    match event {
        Event::Returned { seq, at, result } => match result {
            Ok(value) => json!({"returned": seq, "at": at, "value": value}),
            Err(failure) => json!({"returned": seq, "at": at, "failure": failure}),
        },
        Event::Woke { id, at } => json!({"woke": id, "at": at}),
        Event::Emitted { id, at } => json!({"emitted": id, "at": at}),
        Event::Received { id, at, event } => json!({"received": id, "at": at, "event": event}),
        Event::Evaluated { .. } => panic!("not recorded: {event:?}"),
    }
}

fn read(told: &Value) -> Event {
    let at: Timestamp = serde_json::from_value(told["at"].clone()).unwrap();
    let number = |name: &str| u32::try_from(told[name].as_u64().unwrap()).unwrap();
    if told.get("woke").is_some() {
        return Event::Woke { id: TimerId(number("woke")), at };
    }
    if told.get("emitted").is_some() {
        return Event::Emitted { id: EmitId(number("emitted")), at };
    }
    if told.get("received").is_some() {
        let event = serde_json::from_value(told["event"].clone()).unwrap();
        return Event::Received { id: ListenId(number("received")), at, event };
    }
    let result = match told.get("value") {
        Some(value) => Ok(serde_json::from_value(value.clone()).unwrap()),
        None => Err(serde_json::from_value(told["failure"].clone()).unwrap()),
    };
    Event::Returned { seq: StepSeq(number("returned")), at, result }
}

/// Everything that a run asks for, told this.
fn asked(program: &Arc<Program>, input: &Labelled, told: &[Event]) -> Vec<Value> {
    let (mut machine, intents) = Machine::start(program.clone(), start(input));
    let (mut queue, mut told, mut lines) = (VecDeque::from(intents), told.iter(), Vec::new());
    loop {
        while let Some(intent) = queue.pop_front() {
            lines.extend(line(&intent));
            if let Intent::Evaluate(e) = &intent
                && machine.open().contains(&Open::Evaluation(e.id))
            {
                let event = Event::Evaluated { id: e.id, result: mandate_flow::evaluate(e) };
                queue.extend(machine.apply(event).unwrap());
            }
        }
        let Some(event) = told.next() else { return lines };
        queue.extend(machine.apply(event.clone()).unwrap());
    }
}

/// An event from outside, every 20 ms another one.
fn event(number: u64, types: Option<&BTreeSet<String>>) -> Labelled {
    let kind = match types {
        Some(types) => types.iter().nth(number as usize % types.len()).unwrap().clone(),
        None => "anything".to_owned(),
    };
    let id = format!("e{number}");
    let value = json!({"specversion": "1.0", "id": id, "source": "/there", "type": kind, "data": {"n": number}});
    Labelled { value, labels: Labels { integrity: Integrity::Untrusted, ..from("outside") } }
}

/// Everything that a run is told until it ends: calls take a time that depends on their place, events come by turns.
fn tell(program: &Arc<Program>, input: &Labelled) -> Vec<Event> {
    let (mut machine, intents) = Machine::start(program.clone(), start(input));
    let (mut queue, mut open, mut listens) = (VecDeque::from(intents), Vec::<(u64, Intent)>::new(), BTreeMap::new());
    let (mut told, mut clock, mut events) = (Vec::new(), 1_000, 0);
    loop {
        while let Some(intent) = queue.pop_front() {
            match &intent {
                Intent::Evaluate(e) if machine.open().contains(&Open::Evaluation(e.id)) => {
                    queue.extend(
                        machine.apply(Event::Evaluated { id: e.id, result: mandate_flow::evaluate(e) }).unwrap(),
                    );
                }
                Intent::Call { path, .. } => {
                    let pace = 10 + u64::from(Digest::of(path.0.as_bytes()).as_bytes()[0] % 90);
                    open.push((clock + pace, intent));
                }
                Intent::Sleep { duration, .. } => open.push((clock + duration.as_millis(), intent)),
                Intent::Emit { .. } => open.push((clock, intent)),
                Intent::Listen { id, types, .. } => drop(listens.insert(*id, types.clone())),
                Intent::Evaluate(_) | Intent::Cancel(_) | Intent::Complete { .. } | Intent::Fault { .. } => {}
            }
        }
        if machine.has_ended() {
            return told;
        }
        let waits = machine.open();
        open.retain(|(_, intent)| intent.open().is_some_and(|open| waits.contains(&open)));
        listens.retain(|id, types| {
            waits.contains(&Open::Listen(*id)) && types.as_ref().is_none_or(|types| !types.contains("never"))
        });
        let next = (0..open.len()).min_by_key(|i| open[*i].0);
        let comes = 1_000 + (events + 1) * 20;
        let event = if let Some(id) = listens.keys().nth(events as usize % listens.len().max(1)).copied()
            && next.is_none_or(|next| comes < open[next].0)
        {
            (events, clock) = (events + 1, clock.max(comes));
            Event::Received { id, at: at(clock), event: event(events, listens[&id].as_ref()) }
        } else {
            let (due, intent) = open.remove(next.unwrap());
            clock = clock.max(due);
            match intent {
                Intent::Call { seq, function, arguments, .. } => {
                    Event::Returned { seq, at: at(clock), result: answer(function.as_str(), seq.0, &arguments.value) }
                }
                Intent::Sleep { id, .. } => Event::Woke { id, at: at(clock) },
                Intent::Emit { id, .. } => Event::Emitted { id, at: at(clock) },
                other => panic!("{other:?} does not wait"),
            }
        };
        told.push(event.clone());
        queue.extend(machine.apply(event).unwrap());
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(millis).unwrap())
}

/// Every kind of intent and of event has to be in some recorded run: a kind that is in none is not guarded.
#[test]
fn every_kind_is_recorded() {
    let mut kinds = BTreeSet::new();
    for path in files("json") {
        let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for line in recorded["told"].as_array().unwrap().iter().chain(recorded["asked"].as_array().unwrap()) {
            kinds.extend(line.as_object().unwrap().keys().cloned());
        }
    }
    for kind in
        ["returned", "woke", "emitted", "received", "call", "sleep", "emit", "listen", "cancel", "complete", "fault"]
    {
        assert!(kinds.contains(kind), "no recorded run holds `{kind}`: record one (tests/recorded.rs says how)");
    }
}

fn record() {
    for path in files("yaml") {
        let target = path.with_extension("json");
        if target.exists() {
            continue;
        }
        let program = compile(&fs::read_to_string(&path).unwrap());
        let input = Labelled { value: json!({"quarter": "2026-Q3", "list": [3, 1, 2]}), labels: from("input") };
        let told = tell(&program, &input);
        let recorded = json!({
            "machine": Machine::VERSION, "document": program.document(), "input": input,
            "told": told.iter().map(written).collect::<Vec<_>>(), "asked": asked(&program, &input, &told),
        });
        fs::write(target, format!("{}\n", serde_json::to_string_pretty(&recorded).unwrap())).unwrap();
    }
}

#[test]
fn recorded_runs_go_on_as_they_began() {
    if std::env::var_os("MANDATE_RECORD").is_some() {
        record();
    }
    let files = files("json");
    assert!(files.len() >= 7, "{files:?}");
    for path in files {
        let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(recorded["machine"], json!(Machine::VERSION), "{}: which machine replays it?", path.display());
        let program = Arc::new(Program::from_json(recorded["document"].clone()).unwrap());
        let input: Labelled = serde_json::from_value(recorded["input"].clone()).unwrap();
        let told: Vec<Event> = recorded["told"].as_array().unwrap().iter().map(read).collect();
        assert!(!told.is_empty());
        assert_eq!(json!(asked(&program, &input, &told)), recorded["asked"], "{}", path.display());
    }
}
