//! Branches and deadlines, one document and one expected trace at a time.

#![allow(clippy::result_large_err, reason = "the answers of scripted functions")]

mod common;

use common::{HEAD, Order, compile, drive_in, start};
use mandate_flow::{ErrorKind, Event, Failure, Intent, Labelled, Machine, MachineError, Open, TimerId, WorkflowError};
use mandate_kernel::{Labels, StepSeq, Timestamp};
use serde_json::{Value, json};

/// Runs tasks in which `f.n50` takes 50 milliseconds and gives its name and argument; `f.bad` fails at once.
fn run(tasks: &str) -> Vec<String> {
    let program = compile(&format!("{HEAD}{tasks}"));
    let input = Labelled { value: json!({"x": 1}), labels: Labels::default() };
    let pace = |path: &str| path.rsplit('n').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let told = drive_in(&program, &input, &Order::Time(&pace), |name, _, arguments| {
        if name == "f.bad" {
            let error = WorkflowError::new(ErrorKind::Communication, "no");
            return Err(Failure { error, labels: Labels::default() });
        }
        Ok(Labelled { value: json!([name, arguments]), labels: Labels::default() })
    });
    told.seen.iter().map(ToString::to_string).collect()
}

/// The last line of a trace.
fn end(tasks: &str) -> String {
    run(tasks).pop().unwrap_or_default()
}

#[test]
fn branches_run_side_by_side_and_their_outputs_come_in_the_order_of_the_document() {
    let tasks = "do: [{f: {fork: {branches: [{n50: {call: f.n50}}, {n20: {do: [{n20: {call: f.n20}}, {n1: {call: f.n1, with: {a: '${ .[0] }'}}}]}}, {s: {set: {y: '${ .x }'}}}]}}}]";
    assert_eq!(
        run(tasks),
        [
            "call f.n50 {} at /do/0/f/fork/branches/0/n50",
            "call f.n20 {} at /do/0/f/fork/branches/1/n20/do/0/n20",
            r#"call f.n1 {"a":"f.n20"} at /do/0/f/fork/branches/1/n20/do/1/n1"#,
            r#"complete [["f.n50",{}],["f.n1",{"a":"f.n20"}],{"y":1}]"#,
        ]
    );
}

#[test]
fn of_a_competition_the_first_counts_and_the_others_are_cut_off() {
    let tasks = "do: [{f: {fork: {compete: true, branches: [{n50: {do: [{n50: {call: f.n50}}, {never: {call: f.n1}}]}}, {n20: {call: f.n20}}, {w: {wait: {milliseconds: 30}}}]}}}, {n60: {call: f.n60}}]";
    assert_eq!(
        run(tasks),
        [
            "call f.n50 {} at /do/0/f/fork/branches/0/n50/do/0/n50",
            "call f.n20 {} at /do/0/f/fork/branches/1/n20",
            "sleep 30",
            "call f.n60 {} at /do/1/n60",
            r#"complete ["f.n60",{}]"#,
        ]
    );
}

#[test]
fn a_branch_may_exit_end_and_fail() {
    let fork = |other: &str, rest: &str| {
        format!(
            "do: [{{t: {{try: [{{f: {{fork: {{branches: [{{n50: {{call: f.n50}}}}, {{o: {other}}}]}}}}}}], catch: {{do: [{{c: {{set: {{caught: '${{ $error.instance }}'}}}}}}]}}}}}}{rest}]"
        )
    };
    let cases = [
        ("{do: [{a: {set: {z: 1}, then: exit}}, {b: {call: f.n1}}]}", r#"complete [["f.n50",{}],{"z":1}]"#),
        ("{set: {z: 1}, then: exit}", r#"complete [["f.n50",{}],{"z":1}]"#),
        ("{set: {z: 1}, then: end}", r#"complete {"z":1}"#),
        ("{do: [{n20: {call: f.n20}}, {b: {set: {z: 2}, then: end}}]}", r#"complete {"z":2}"#),
        ("{call: f.bad}", r#"complete {"caught":"/do/0/t/try/0/f/fork/branches/1/o"}"#),
        ("{try: [{b: {call: f.bad}}], catch: {do: [{c: {set: {z: 3}}}]}}", r#"complete [["f.n50",{}],{"z":3}]"#),
        (
            "{fork: {branches: [{a: {set: 1}}, {b: {call: f.bad}}]}}",
            r#"complete {"caught":"/do/0/t/try/0/f/fork/branches/1/o/fork/branches/1/b"}"#,
        ),
    ];
    for (other, expected) in cases {
        assert_eq!(end(&fork(other, "").replace("{set: 1}", "{set: {q: 1}}")), expected, "{other}");
    }
    assert_eq!(
        end("do: [{f: {fork: {branches: [{n50: {call: f.n50}}, {o: {call: f.bad}}]}}}]"),
        "fault communication 500 at /do/0/f/fork/branches/1/o"
    );
}

#[test]
fn what_branches_export_is_put_together_in_the_order_of_the_document() {
    let export = |a: &str, b: &str, compete: bool| {
        end(&format!(
            "do: [{{p: {{set: {{p: 1}}, export: {{as: '{{both: 0, gone: 1}}'}}}}}}, {{f: {{fork: {{compete: {compete}, branches: [{{n50: {{call: f.n50, export: {{as: '{a}'}}}}}}, {{n20: {{call: f.n20, export: {{as: '{b}'}}}}}}]}}}}}}, {{r: {{set: '${{ $context }}'}}}}]"
        ))
    };
    assert_eq!(
        export("$context + {a: 1, both: 1}", "$context + {b: 2, both: 2}", false),
        r#"complete {"a":1,"b":2,"both":2,"gone":1}"#
    );
    assert_eq!(export("$context + {both: 1}", "{both: 0}", false), r#"complete {"both":1}"#);
    assert_eq!(export("[1]", "$context + {b: 2}", false), r#"complete {"b":2,"both":0,"gone":1}"#);
    assert_eq!(export("$context + {a: 1}", "[$context.both]", false), "complete [0]");
    assert_eq!(export("$context + {a: 1}", "$context + {b: 2}", true), r#"complete {"b":2,"both":0,"gone":1}"#);
}

#[test]
fn a_branch_sees_the_variables_around_its_fork() {
    let tasks = "do: [{l: {for: {each: row, in: '[10, 20]'}, do: [{f: {fork: {branches: [{a: {set: {r: '${ $row }', i: '${ $index }'}}}, {b: {set: {t: '${ $task.name }'}}}]}}}]}}]";
    assert_eq!(end(tasks), r#"complete [{"i":1,"r":20},{"t":"b"}]"#);
}

#[test]
fn a_deadline_cuts_off_what_is_in_there_and_may_be_caught_outside() {
    let at = |path: &str| format!("fault timeout 408 at {path}");
    for (tasks, expected) in [
        ("do: [{n50: {call: f.n50, timeout: {after: {milliseconds: 49}}}}]", at("/do/0/n50")),
        ("do: [{n50: {call: f.n50, timeout: {after: {milliseconds: 51}}}}]", r#"complete ["f.n50",{}]"#.to_owned()),
        ("timeout: {after: {milliseconds: 49}}\ndo: [{n50: {call: f.n50}}]", at("/")),
        ("timeout: {after: '${ {milliseconds: (.x * 49)} }'}\ndo: [{n50: {call: f.n50}}]", at("/")),
        ("timeout: {after: {milliseconds: 51}}\ndo: [{n50: {call: f.n50}}]", r#"complete ["f.n50",{}]"#.to_owned()),
        // Its own `catch` is a part of it.
        ("do: [{t: {timeout: {after: PT1S}, try: [{w: {wait: PT2S}}], catch: {}}}]", at("/do/0/t")),
        (
            "do: [{t: {try: [{d: {do: [{w: {wait: PT2S}}], timeout: {after: '${ {seconds: .x} }'}}}], catch: {errors: {with: {status: 408}}, do: [{c: {set: {late: '${ $error.instance }'}}}]}}}]",
            r#"complete {"late":"/do/0/t/try/0/d"}"#.to_owned(),
        ),
        // A retry begins the time anew.
        (
            "do: [{t: {try: [{n50: {call: f.n50, timeout: {after: {milliseconds: 20}}}}], catch: {retry: {limit: {attempt: {count: 3}}}}}}]",
            at("/do/0/t/try/0/n50"),
        ),
        // Branches in it are cut off with it, and one in a branch is the branch's own.
        (
            "do: [{t: {try: [{f: {timeout: {after: PT1S}, fork: {branches: [{a: {wait: PT5S}}, {b: {wait: PT6S}}]}}}], catch: {do: [{w: {wait: PT10S}}, {c: {set: {z: 1}}}]}}}]",
            r#"complete {"z":1}"#.to_owned(),
        ),
        (
            "do: [{f: {fork: {branches: [{a: {wait: PT5S}}, {b: {try: [{w: {wait: PT6S, timeout: {after: PT1S}}}], catch: {do: [{c: {set: {z: 1}}}]}}}]}}}]",
            r#"complete [{"x":1},{"z":1}]"#.to_owned(),
        ),
    ] {
        assert_eq!(end(tasks), expected, "{tasks}");
    }
    let calls = |tasks: &str| run(tasks).into_iter().filter(|line| line.starts_with("call")).count();
    assert_eq!(
        calls(
            "do: [{t: {try: [{n50: {call: f.n50, timeout: {after: {milliseconds: 20}}}}], catch: {retry: {limit: {attempt: {count: 3}}}}}}]"
        ),
        3
    );
}

#[test]
fn what_was_cut_off_is_withdrawn_and_not_told_any_more() {
    let tasks = "do: [{f: {timeout: {after: PT1S}, fork: {compete: true, branches: [{a: {call: f.n1}}, {b: {wait: PT1S}}, {c: {call: f.n2}}]}}}, {d: {call: f.n3}}]";
    let input = Labelled { value: Value::Null, labels: Labels::default() };
    let (mut machine, _) = Machine::start(compile(&format!("{HEAD}{tasks}")), start(&input));
    let (first, second, third) = (Open::Call(StepSeq(1)), Open::Call(StepSeq(2)), Open::Call(StepSeq(3)));
    let (limit, pause) = (Open::Timer(TimerId(1)), Open::Timer(TimerId(2)));
    assert_eq!(machine.open(), [first, second, limit, pause]);
    let returned = |seq| Event::Returned { seq: StepSeq(seq), at: Timestamp::EPOCH, result: Ok(input.clone()) };
    let intents = machine.apply(returned(2)).unwrap();
    let withdrawn: Vec<Open> =
        intents.iter().filter_map(|i| if let Intent::Cancel(open) = i { Some(*open) } else { None }).collect();
    assert_eq!(withdrawn, [first, pause, limit]);
    assert_eq!(machine.open(), [third]);
    let error = machine.apply(returned(1)).unwrap_err();
    assert_eq!(error, MachineError::Mismatch { waiting: "step 3".to_owned(), told: "of step 1".to_owned() });
    assert_eq!(machine.open(), [third]);
    assert!(matches!(machine.apply(returned(3)).unwrap().as_slice(), [Intent::Complete { .. }]));
}

#[test]
fn many_branches_run_side_by_side() {
    let branches: Vec<String> = (0..200).map(|i| format!("{{b{i}: {{call: f.n1}}}}")).collect();
    let lines = run(&format!("do: [{{f: {{fork: {{branches: [{}]}}}}}}]", branches.join(", ")));
    assert_eq!(lines.len(), 201);
    let seen = |line: &String| line.starts_with("call f.n1 {} at /do/0/f/fork/branches/");
    assert_eq!(lines.iter().filter(|line| seen(line)).count(), 200);
}
