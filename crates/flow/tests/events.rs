//! `emit` and `listen`: events out and in.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{HEAD, RUN, compile, show, start};
use mandate_flow::{Event, Intent, Labelled, ListenId, Machine, MachineError, evaluate};
use mandate_kernel::{Digest, Integrity, Labels, Source, Timestamp};
use serde_json::{Value, json};
use std::collections::VecDeque;

fn outside() -> Labels {
    let source = Source { origin: "outside".to_owned(), digest: Digest::of(b"outside") };
    Labels { sources: [source].into(), integrity: Integrity::Untrusted, ..Labels::default() }
}

fn event(type_: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "1", "source": "/there", "type": type_, "data": data})
}

/// A run that is told of events as they come, whoever listens.
struct Run {
    machine: Machine,
    lines: Vec<String>,
    labels: Labels,
}

impl Run {
    fn of(tasks: &str) -> Self {
        let input = Labelled { value: json!({"order": 7}), labels: Labels::default() };
        let (machine, intents) = Machine::start(compile(&format!("{HEAD}{tasks}")), start(&input));
        let mut run = Self { machine, lines: Vec::new(), labels: Labels::default() };
        run.goes_on(intents);
        run
    }

    fn goes_on(&mut self, intents: Vec<Intent>) {
        let mut queue = VecDeque::from(intents);
        while let Some(intent) = queue.pop_front() {
            let event = match intent {
                Intent::Evaluate(e) => Event::Evaluated { id: e.id, result: evaluate(&e) },
                Intent::Emit { id, event, .. } => {
                    self.lines.push(format!("emit {}", show(&event.value)));
                    self.labels = event.labels;
                    Event::Emitted { id, at: Timestamp::from_millis(2_000) }
                }
                Intent::Listen { id, types, .. } => {
                    self.lines.push(format!("listen {} {types:?}", id.0));
                    continue;
                }
                Intent::Complete { output } => {
                    self.lines.push(format!("complete {}", show(&output.value)));
                    self.labels = output.labels;
                    continue;
                }
                Intent::Fault { error, .. } => {
                    self.lines.push(format!("fault {error}"));
                    continue;
                }
                Intent::Call { seq, arguments, .. } => {
                    self.lines.push(format!("call {}", show(&arguments.value)));
                    Event::Returned { seq, at: Timestamp::from_millis(2_000), result: Ok(arguments) }
                }
                Intent::Sleep { .. } | Intent::Cancel(_) => continue,
            };
            queue.extend(self.machine.apply(event).unwrap());
        }
    }

    /// Tells the listening task.
    fn told(mut self, id: u32, type_: &str, data: &Value) -> Self {
        let event = Labelled { value: event(type_, data), labels: outside() };
        let told = Event::Received { id: ListenId(id), at: Timestamp::from_millis(3_000), event };
        let intents = self.machine.apply(told).unwrap();
        self.goes_on(intents);
        self
    }

    fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }
}

#[test]
fn an_event_is_completed_and_emitted_and_is_what_the_task_gives() {
    let run =
        Run::of("do: [{e: {emit: {event: {with: {type: order.placed, data: {order: '${ .order }'}, extra: x}}}}}]");
    let emitted = format!(
        r#"emit {{"data":{{"order":7}},"extra":"x","id":"{RUN}-1","source":"/workflows/test/test","specversion":"1.0","time":"{}","type":"order.placed"}}"#,
        Timestamp::from_millis(1_000)
    );
    let given = emitted.replacen("emit", "complete", 1);
    assert_eq!(run.lines, [emitted, given]);
    let own =
        "do: [{e: {emit: {event: {with: {type: a.b, id: '${ .order | tostring }', source: https://x.example}}}}}]";
    assert!(Run::of(own).lines[0].contains(r#""id":"7","source":"https://x.example""#));
    let wrong = Run::of("do: [{e: {emit: {event: {with: {type: '${ .order }'}}}}}]");
    assert!(
        wrong.last().starts_with("fault Data does not fit its schema (400): the event's `type`"),
        "{}",
        wrong.last()
    );
}

#[test]
fn one_event_that_fits_is_taken_and_others_do_not_touch_it() {
    let tasks = "do: [{l: {listen: {to: {one: {with: {type: order.paid, data: '${ .order == 7 }'}}}}}}, {e: {emit: {event: {with: {type: done}}}, output: {as: $input}}}]";
    let run = Run::of(tasks);
    assert_eq!(run.lines, [r#"listen 1 Some({"order.paid"})"#]);
    let run = run.told(1, "order.sent", &json!({"order": 7})).told(1, "order.paid", &json!({"order": 8}));
    assert_eq!(run.lines.len(), 1);
    let run = run.told(1, "order.paid", &json!({"order": 7, "by": "card"}));
    assert_eq!(run.last(), r#"complete [{"by":"card","order":7}]"#);
    assert_eq!(run.labels.integrity, Integrity::Untrusted);
    // What follows carries the labels of what came (I7).
    let emitted = run.lines.iter().find(|line| line.starts_with("emit")).unwrap();
    assert!(emitted.contains("done"));
    let mut machine = run.machine;
    let late = Event::Received {
        id: ListenId(1),
        at: Timestamp::EPOCH,
        event: Labelled { value: json!({}), labels: outside() },
    };
    assert!(matches!(machine.apply(late), Err(MachineError::Ended { .. })));
}

#[test]
fn an_event_is_read_as_data_envelope_or_raw() {
    for (read, expected) in [
        ("data", r#"[{"a":1}]"#),
        ("raw", r#"["{\"a\":1}"]"#),
        ("envelope", r#"[{"data":{"a":1},"id":"1","source":"/there","specversion":"1.0","type":"t"}]"#),
    ] {
        let run = Run::of(&format!("do: [{{l: {{listen: {{to: {{any: []}}, read: {read}}}}}}}]"));
        assert_eq!(run.last(), "listen 1 None");
        assert_eq!(run.told(1, "t", &json!({"a": 1})).last(), format!("complete {expected}"), "{read}");
    }
}

#[test]
fn all_any_and_until() {
    let all = "do: [{l: {listen: {to: {all: [{with: {type: a}}, {with: {type: b}}, {with: {type: a}}]}}}}]";
    let run =
        Run::of(all).told(1, "a", &json!(1)).told(1, "c", &json!(0)).told(1, "a", &json!(2)).told(1, "a", &json!(3));
    assert_eq!(run.lines.len(), 1);
    assert_eq!(run.told(1, "b", &json!(4)).last(), "complete [1,2,4]");
    let any = "do: [{l: {listen: {to: {any: [{with: {type: a}}, {with: {type: b}}]}}}}]";
    assert_eq!(Run::of(any).told(1, "c", &json!(0)).told(1, "b", &json!(1)).last(), "complete [1]");
    let until = "do: [{l: {listen: {to: {any: [{with: {type: a}}], until: '( . | length ) > 2'}}}}]";
    let run = Run::of(until).told(1, "a", &json!(1)).told(1, "a", &json!(2));
    assert_eq!(run.lines.len(), 1);
    assert_eq!(run.told(1, "a", &json!(3)).last(), "complete [1,2,3]");
    let consumed = "do: [{l: {listen: {to: {any: [{with: {type: a}}], until: {one: {with: {type: stop}}}}}}}]";
    let run = Run::of(consumed);
    assert_eq!(run.last(), r#"listen 1 Some({"a", "stop"})"#);
    assert_eq!(run.told(1, "a", &json!(1)).told(1, "a", &json!(2)).told(1, "stop", &json!(9)).last(), "complete [1,2]");
    let forever = "do: [{l: {listen: {to: {any: [], until: {any: [{with: {type: stop}}]}}}}}]";
    assert_eq!(Run::of(forever).told(1, "x", &json!(1)).told(1, "stop", &json!(9)).last(), "complete [1]");
}

#[test]
fn what_is_correlated_is_as_expected_or_as_first() {
    let given = "do: [{l: {listen: {to: {one: {with: {type: a}, correlate: {o: {from: .data.order, expect: '${ $input.order }'}}}}}}}]";
    assert_eq!(
        Run::of(given).told(1, "a", &json!({"order": 6})).told(1, "a", &json!({"order": 7, "x": 1})).last(),
        r#"complete [{"order":7,"x":1}]"#
    );
    let first = "do: [{l: {listen: {to: {any: [{with: {type: a}, correlate: {o: {from: '${ .data.order }'}}}], until: 'length == 2'}}}}]";
    let run = Run::of(first).told(1, "a", &json!({"order": 1})).told(1, "a", &json!({"order": 2})).told(
        1,
        "a",
        &json!({"order": 1}),
    );
    assert_eq!(run.last(), r#"complete [{"order":1},{"order":1}]"#);
}

#[test]
fn each_event_is_worked_on_in_turn_and_what_comes_meanwhile_waits() {
    let tasks = "do: [{l: {listen: {to: {any: [{with: {type: a}}], until: 'length == 3'}}, foreach: {item: e, at: i, do: [{c: {call: f.n, with: {e: '${ $e }', i: '${ $i }', d: '${ . }'}}}, {w: {wait: PT1S}}], output: {as: .i}}}}]";
    let run =
        Run::of(tasks).told(1, "a", &json!(5)).told(1, "a", &json!(6)).told(1, "b", &json!(0)).told(1, "a", &json!(7));
    assert_eq!(run.last(), r#"call {"d":5,"e":5,"i":0}"#);
    let mut run = run;
    for n in 1..=3u32 {
        let woke = Event::Woke { id: mandate_flow::TimerId(n), at: Timestamp::from_millis(4_000) };
        let intents = run.machine.apply(woke).unwrap();
        run.goes_on(intents);
    }
    assert!(run.lines.contains(&r#"call {"d":7,"e":7,"i":2}"#.to_owned()), "{:?}", run.lines);
    assert_eq!(run.last(), "complete [0,1,2]");
}

#[test]
fn a_listening_branch_may_lose_or_time_out() {
    let tasks = "do: [{f: {fork: {compete: true, branches: [{l: {listen: {to: {one: {with: {type: a}}}}}}, {m: {listen: {to: {one: {with: {type: b}}}}}}]}}}, {n: {listen: {to: {one: {with: {type: a}}}}}}]";
    let run = Run::of(tasks).told(2, "b", &json!(1));
    assert_eq!(run.last(), r#"listen 3 Some({"a"})"#);
    assert_eq!(run.machine.open(), [mandate_flow::Open::Listen(ListenId(3))]);
    assert_eq!(run.told(3, "a", &json!(2)).last(), "complete [2]");
    let timed = "do: [{l: {listen: {to: {one: {with: {type: a}}}}, timeout: {after: PT1S}}}]";
    let mut run = Run::of(timed);
    let intents =
        run.machine.apply(Event::Woke { id: mandate_flow::TimerId(1), at: Timestamp::from_millis(2_000) }).unwrap();
    run.goes_on(intents);
    assert!(run.last().starts_with("fault Timed out (408)"), "{}", run.last());
}
