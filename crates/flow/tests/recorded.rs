//! Recorded runs are told again: a run that waits for months must go on as it began (`Machine::VERSION`).
//!
//! Each file in `tests/recorded` is one run: its document and input, everything it was told from outside in
//! that order, and everything it asked for. A file is never changed. When the machine has to behave
//! otherwise its version rises, and the files of the older version stay with the machine of that version.
//! New files are made from `tests/recorded/*.yaml` by `MANDATE_RECORD=1 cargo test -p mandate-flow --test recorded`.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::result_large_err, reason = "the answers of scripted functions")]

mod common;

use common::{Order, compile, drive_in, start};
use mandate_flow::{ErrorKind, Event, Failure, Intent, Labelled, Machine, Open, Program, TimerId, WorkflowError};
use mandate_kernel::{Digest, Labels, Source, StepSeq, Timestamp};
use serde_json::{Value, json};
use std::{collections::VecDeque, fs, path::PathBuf, sync::Arc};

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
        Event::Evaluated { .. } | Event::Emitted { .. } | Event::Received { .. } => panic!("not recorded: {event:?}"),
    }
}

fn read(told: &Value) -> Event {
    let at: Timestamp = serde_json::from_value(told["at"].clone()).unwrap();
    let number = |name: &str| u32::try_from(told[name].as_u64().unwrap()).unwrap();
    if told.get("woke").is_some() {
        return Event::Woke { id: TimerId(number("woke")), at };
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

fn record() {
    for path in files("yaml") {
        let target = path.with_extension("json");
        if target.exists() {
            continue;
        }
        let program = compile(&fs::read_to_string(&path).unwrap());
        let input = Labelled { value: json!({"quarter": "2026-Q3", "list": [3, 1, 2]}), labels: from("input") };
        let pace = |path: &str| 10 + u64::from(Digest::of(path.as_bytes()).as_bytes()[0] % 90);
        let run = drive_in(&program, &input, &Order::Time(&pace), answer);
        let recorded = json!({
            "machine": Machine::VERSION, "document": program.document(), "input": input,
            "told": run.journal.iter().map(written).collect::<Vec<_>>(), "asked": asked(&program, &input, &run.journal),
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
    assert!(files.len() >= 4, "{files:?}");
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
