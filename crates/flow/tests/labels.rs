//! No label gets lost: what a source can influence carries its label, also through control flow.
//!
//! Each random program runs twice, the answer of one source changed. Where the two runs first differ
//! in what is seen from outside, both must carry that source's label there. A run that ends by a fault
//! outside any `catch` tells by ending; then only the fault must carry it, and of two faults one.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::result_large_err, reason = "helpers of tests")]

mod common;

use common::{HEAD, Seen, compile, drive};
use mandate_flow::{ErrorKind, Failure, Labelled, WorkflowError};
use mandate_kernel::{Confidentiality, Digest, Integrity, Labels, Readers, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

fn source(origin: &str) -> Source {
    Source { origin: origin.to_owned(), digest: Digest::of(origin.as_bytes()) }
}

fn tagged(origin: &str) -> Labels {
    Labels { sources: [source(origin)].into(), ..Labels::default() }
}

fn expression() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        ".",
        ".a",
        ".b",
        "1",
        "{a: .b, b: .a}",
        "[.a, .b]",
        "$context",
        "$context.a",
        "$context | .a",
        "$input as $x | $x.a",
        "{a: $context.a, b: 1}",
        "$input",
        "$workflow.input",
        ".a // 0",
        ".a + 1",
        ".a.b",
        "error(\"x\")",
        "{a: 1}",
        "if .a then 1 else 2 end",
    ])
    .prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![".a", ".a == 1", ".b | not", "$context.a == null", ".a.b", ".a == null", "true"])
        .prop_map(str::to_owned)
}

fn jq(e: &str) -> String {
    format!("${{ {e} }}")
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        (expression(), expression()).prop_map(|(a, b)| json!({"set": {"a": jq(&a), "b": jq(&b)}})),
        expression().prop_map(|e| json!({"set": jq(&e)})),
        (0..3, expression()).prop_map(|(n, e)| json!({"call": format!("f.n{n}"), "with": {"x": jq(&e)}})),
        (condition(), directive(), directive()).prop_map(|(when, then, other)| json!({"switch": [{"x": {"when": when, "then": then}}, {"y": {"then": other}}]})),
        expression().prop_map(|e| json!({"raise": {"error": {"type": "https://example.org/odd", "status": 400, "detail": jq(&format!("({e}) | tostring"))}}})),
    ]
}

fn directive() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["continue", "exit", "end"])
}

fn block(task: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::vec(task, 1..4)
        .prop_map(|tasks| tasks.into_iter().enumerate().map(|(i, t)| json!({format!("t{i}"): t})).collect())
}

fn task() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let decorated = (
            inner.clone(),
            proptest::option::of(condition()),
            proptest::option::of(expression()),
            proptest::option::of(expression()),
        );
        let caught = (
            block(inner.clone()),
            proptest::option::of(block(inner.clone())),
            proptest::option::of(condition()),
            any::<bool>(),
        );
        prop_oneof![
            block(inner.clone()).prop_map(|b| json!({"do": b})),
            (block(inner.clone()), proptest::option::of(condition())).prop_map(|(b, w)| {
                let mut task = json!({"for": {"in": "[.a, .b]"}, "do": b});
                if let Some(w) = w {
                    task["while"] = json!(w);
                }
                task
            }),
            caught.prop_map(|(body, handler, when, retry)| {
                let mut catch = json!({});
                if let Some(handler) = handler {
                    catch["do"] = handler;
                }
                if let Some(when) = when {
                    catch["when"] = json!(when);
                }
                if retry {
                    catch["retry"] = json!({"limit": {"attempt": {"count": 2}}});
                }
                json!({"try": body, "catch": catch})
            }),
            decorated.prop_map(|(mut task, condition, output, export)| {
                if let Some(condition) = condition {
                    task["if"] = json!(condition);
                }
                if let Some(output) = output {
                    task["output"] = json!({"as": output});
                }
                if let Some(export) = export {
                    task["export"] = json!({"as": export});
                }
                task
            }),
        ]
    })
}

fn answer() -> impl Strategy<Value = Option<Value>> {
    proptest::sample::select(vec![
        None,
        Some(json!(null)),
        Some(json!(1)),
        Some(json!({"a": 1, "b": 2})),
        Some(json!({"a": {"b": 1}})),
        Some(json!({"a": false, "b": "x"})),
    ])
}

/// What the input and the three functions answer; `None` is an error.
type World = [Option<Value>; 4];

fn look(program: &std::sync::Arc<mandate_flow::Program>, world: &World) -> Vec<Seen> {
    let input = Labelled { value: world[0].clone().unwrap_or(Value::Null), labels: tagged("input") };
    drive(program, &input, |name, _, _| {
        let index = 1 + name.trim_start_matches("f.n").parse::<usize>().unwrap();
        match &world[index] {
            Some(value) => Ok(Labelled { value: value.clone(), labels: tagged(name) }),
            None => Err(Failure { error: WorkflowError::new(ErrorKind::Communication, "no"), labels: tagged(name) }),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_source_influences_carries_its_label(tasks in block(task()), world in [answer(), answer(), answer(), answer()], which in 0..4usize, other in answer()) {
        let document = format!("{HEAD}do: {tasks}");
        let program = compile(&document);
        let mut changed = world.clone();
        changed[which] = other;
        let origin = ["input", "f.n0", "f.n1", "f.n2"][which];
        let (a, b) = (look(&program, &world), look(&program, &changed));
        let quiet = |seen: &Seen| !matches!(seen, Seen::Sleep { .. });
        let text = |seen: &Seen| match seen {
            Seen::Fault(error, _) => format!("{error}"),
            other => other.to_string(),
        };
        let mut pairs = a.iter().filter(|s| quiet(s)).zip(b.iter().filter(|s| quiet(s)));
        if let Some((x, y)) = pairs.find(|(x, y)| text(x) != text(y)) {
            let carries = |seen: &Seen| seen.labels().is_some_and(|l| l.sources.contains(&source(origin)));
            let faults = [x, y].map(|s| matches!(s, Seen::Fault(..)));
            if faults == [true, true] {
                // One of them ended because of the source, and carries it. The other got past that place, which
                // is told by not ending there, and failed at another for a reason of its own.
                prop_assert!(carries(x) || carries(y), "{document}\n{x}\n{y}\n{:?}", [x.labels(), y.labels()]);
            } else {
                prop_assert!(carries(x) || faults[1], "{document}\n{x}\n{y}\n{:?}", x.labels());
                prop_assert!(carries(y) || faults[0], "{document}\n{x}\n{y}\n{:?}", y.labels());
            }
        }
    }

    #[test]
    fn a_compiled_program_is_its_stored_form(tasks in block(task())) {
        let program = compile(&format!("{HEAD}do: {tasks}"));
        let stored = mandate_flow::Program::from_json(program.document().clone()).unwrap();
        prop_assert_eq!(stored.version(), program.version());
        prop_assert_eq!(stored.functions(), program.functions());
    }
}

#[test]
fn labels_join_in_each_dimension() {
    let program = compile(&format!("{HEAD}do: [{{c: {{call: f.n0}}}}, {{s: {{set: {{x: '${{ .v }}'}}}}}}]"));
    let input = Labelled {
        value: json!({}),
        labels: Labels { readers: Readers::Groups(["a".into(), "b".into()].into()), ..Labels::default() },
    };
    let seen = drive(&program, &input, |_, _, _| {
        let labels = Labels {
            confidentiality: Confidentiality::Restricted,
            integrity: Integrity::Untrusted,
            readers: Readers::Groups(["b".into()].into()),
            ..Labels::default()
        };
        Ok(Labelled { value: json!({"v": 1}), labels })
    });
    let Some(Seen::Complete(output)) = seen.last() else { panic!("{seen:?}") };
    assert_eq!(output.labels.confidentiality, Confidentiality::Restricted);
    assert_eq!(output.labels.integrity, Integrity::Untrusted);
    assert_eq!(output.labels.readers, Readers::Groups(["b".into()].into()));
}

#[test]
fn a_branch_not_taken_still_counts() {
    for body in [
        "{s: {if: .secret, set: {x: 1}}}, {t: {set: {x: 0}}}",
        "{s: {switch: [{c: {when: .secret, then: end}}]}}, {t: {set: {x: 0}}}",
        "{s: {for: {in: '[.secret] | map(select(.))'}, do: [{u: {set: {x: 1}}}]}}, {t: {set: {x: 0}}}",
        "{s: {try: [{u: {set: {y: '${ if .secret then error(\"x\") else 1 end }'}}}], catch: {}}}, {t: {set: {x: 0}}}",
    ] {
        let program = compile(&format!("{HEAD}do: [{body}]"));
        for secret in [true, false] {
            let input = Labelled { value: json!({"secret": secret}), labels: tagged("input") };
            let seen = drive(&program, &input, |_, _, _| panic!("no call"));
            let labels = seen.last().and_then(Seen::labels).unwrap();
            assert!(labels.sources.contains(&source("input")), "{body}");
        }
    }
}

#[test]
fn variables_bring_their_labels() {
    for (tasks, origin) in [
        ("{c: {call: f.n0, export: {as: .}}}, {k: {set: {z: 1}}}, {s: {set: '${ $context }'}}", "f.n0"),
        ("{k: {set: {z: 1}}}, {s: {set: '${ $workflow.input }'}}", "input"),
        (
            "{c: {call: f.n0, export: {as: .}}}, {s: {input: {from: $context}, set: {z: 1}, output: {as: $input}}}",
            "f.n0",
        ),
        ("{c: {call: f.n0}}, {s: {set: {z: 1}, output: {as: $task.input}}}", "f.n0"),
    ] {
        let program = compile(&format!("{HEAD}do: [{tasks}]"));
        let input = Labelled { value: json!({"a": 1}), labels: tagged("input") };
        let seen = drive(&program, &input, |name, _, _| Ok(Labelled { value: json!({"b": 2}), labels: tagged(name) }));
        let labels = seen.last().and_then(Seen::labels).unwrap();
        assert!(labels.sources.contains(&source(origin)), "{tasks}: {labels:?}");
    }
}
