//! The trace of tasks: which ran, in which order, how they ended, and what it tells of the data.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(clippy::result_large_err, reason = "the answers of scripted functions")]

mod common;

use common::{HEAD, Order, Told, compile, drive_in, start};
use mandate_flow::{Event, Failure, Intent, Labelled, Machine, Open, Program, evaluate};
use mandate_kernel::{Digest, Labels, Source};
use serde_json::{Value, json};
use std::{collections::VecDeque, sync::Arc};

fn answer(_: &str, ordinal: u32, _: &Value) -> Result<Labelled, Failure> {
    Ok(Labelled { value: json!({"n": ordinal}), labels: Labels::default() })
}

/// A run told to a machine that keeps a trace, an event at a time: what is asked, and the trace after each.
fn traced(program: &Arc<Program>, input: &Labelled, told: &[Event]) -> (Machine, usize) {
    let (mut machine, intents) = Machine::traced(program.clone(), start(input), 1);
    let (mut queue, mut asked) = (VecDeque::from(intents), 0);
    for mark in 0.. {
        while let Some(intent) = queue.pop_front() {
            asked += 1;
            if let Intent::Evaluate(e) = &intent
                && machine.open().contains(&Open::Evaluation(e.id))
            {
                let event = Event::Evaluated { id: e.id, result: evaluate(e) };
                queue.extend(machine.apply(event).unwrap());
            }
        }
        let Some(event) = told.get(mark) else { break };
        machine.mark(mark as u64 + 2);
        queue.extend(machine.apply(event.clone()).unwrap());
    }
    (machine, asked)
}

fn input() -> Labelled {
    let source = Source { origin: "input".to_owned(), digest: Digest::of(b"input") };
    Labelled {
        value: json!({"color": "red", "list": [1, 2]}),
        labels: Labels { sources: [source].into(), ..Labels::default() },
    }
}

fn told(program: &Arc<Program>) -> Told {
    drive_in(program, &input(), &Order::Time(&|path| if path.contains("slow") { 500 } else { 5 }), answer)
}

/// `name state began-ended` for each task.
fn lines(document: &str) -> Vec<String> {
    let program = compile(&format!("{HEAD}{document}"));
    let (machine, _) = traced(&program, &input(), &told(&program).journal);
    let line = |task: &mandate_flow::TaskTrace| {
        let (at, ending) = task.ended.unwrap();
        format!("{} {} {}-{at}", task.name, json!(ending).as_str().unwrap(), task.began)
    };
    machine.tasks().map(line).collect()
}

#[test]
fn tasks_stand_in_the_order_in_which_they_began() {
    let document = r#"
do:
- first: {set: {a: 1}, then: third}
- second: {set: {b: 2}, then: end}
- third: {call: f}
- skipped: {if: "${ false }", set: {c: 3}}
- loop: {for: {in: "${ [1, 2] }"}, do: [{inner: {set: {d: 4}}}], then: second}
"#;
    assert_eq!(
        lines(document),
        [
            "first completed 1-1",
            "third completed 1-2",
            "loop completed 2-2",
            "inner completed 2-2",
            "inner completed 2-2",
            "second completed 2-2",
        ]
    );
}

#[test]
fn errors_go_through_tasks_and_cut_others_off() {
    let document = r#"
do:
- race:
    fork:
      compete: true
      branches:
      - slow: {call: slow}
      - fast: {call: fast}
- attempt:
    try:
    - fails: {raise: {error: {type: "https://e.example/x", status: 500}}}
    catch: {retry: {delay: PT1S, limit: {attempt: {count: 2}}}, do: [{mend: {set: {ok: true}}}]}
- late: {wait: PT1M, timeout: {after: PT1S}}
- never: {set: {x: 1}}
"#;
    assert_eq!(
        lines(document),
        [
            "race completed 1-2",
            "slow cancelled 1-2",
            "fast completed 1-2",
            "attempt completed 2-3",
            "fails faulted 2-2",
            "fails faulted 3-3",
            "mend completed 3-3",
            "late faulted 3-4",
        ]
    );
}

/// That a task began tells as much as led there, and its entry says so.
#[test]
fn what_data_decided_on_is_labelled_by_it() {
    let document = r#"
do:
- before: {set: "${ . }"}
- choose: {switch: [{red: {when: "${ .color == \"red\" }", then: red}}, {other: {then: end}}]}
- red: {set: {a: 1}}
"#;
    let program = compile(&format!("{HEAD}{document}"));
    let (machine, _) = traced(&program, &input(), &[]);
    let depends: Vec<bool> = machine.tasks().map(|task| task.control != Labels::default()).collect();
    assert_eq!(depends, [false, false, true]);
    assert_eq!(machine.tasks().last().unwrap().control.sources, input().labels.sources);
}

/// Also of a run that is in the middle: what runs has not ended, and a machine that keeps no trace is the same.
#[test]
fn a_trace_changes_nothing_and_may_be_taken_at_any_point() {
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded")).unwrap() {
        let path = file.unwrap().path();
        // What `events.yaml` waits for comes from outside.
        if path.extension().is_none_or(|kind| kind != "yaml") || path.ends_with("events.yaml") {
            continue;
        }
        let program = compile(&std::fs::read_to_string(&path).unwrap());
        let journal = told(&program).journal;
        let mut before = Vec::new();
        for some in 0..=journal.len() {
            let (machine, asked) = traced(&program, &input(), &journal[..some]);
            assert_eq!(machine.has_ended(), some == journal.len());
            let begun: Vec<_> = machine.tasks().map(|task| (task.path.clone(), task.began)).collect();
            assert_eq!(begun[..before.len()], before, "{}: what began stays", path.display());
            assert_eq!(machine.tasks().all(|task| task.ended.is_some()), machine.has_ended(), "{}", path.display());
            let (mut plain, intents) = Machine::start(program.clone(), start(&input()));
            assert!(plain.tasks().next().is_none() && !intents.is_empty() && asked > 0);
            plain.mark(9);
            before = begun;
        }
    }
}
