//! No label gets lost: what a source can influence carries its label, also through control flow.
//!
//! Each random program runs twice, the answer of one source changed. Where the two runs first differ
//! in what is seen from outside, both must carry that source's label there. A run that ends by a fault
//! outside any `catch` tells by ending; then only the fault must carry it, and of two faults one.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::result_large_err, reason = "helpers of tests")]

mod common;

use common::{HEAD, Order, Seen, Told, compile, drive, drive_in, same_states};
use mandate_flow::{ErrorKind, Failure, Labelled, WorkflowError};
use mandate_kernel::{Confidentiality, Digest, Integrity, Labels, Readers, Source};
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

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
        expression().prop_map(|e| json!({"wait": jq(&format!("{{milliseconds: (({e}) | if type == \"number\" then . * 4 else 1 end)}}"))})),
        expression().prop_map(|e| json!({"emit": {"event": {"with": {"type": "t", "id": "1", "data": jq(&e)}}}})),
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
        let forked = (proptest::collection::vec(inner.clone(), 1..4), any::<bool>());
        let timed = (inner.clone(), proptest::sample::select(vec![1u64, 3, 7, 50]));
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
            forked.prop_map(|(branches, compete)| {
                let branches: Vec<Value> =
                    branches.into_iter().enumerate().map(|(i, b)| json!({format!("b{i}"): b})).collect();
                json!({"fork": {"branches": branches, "compete": compete}})
            }),
            timed.prop_map(|(mut task, after)| {
                task["timeout"] = json!({"after": {"milliseconds": after}});
                task
            }),
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

/// A task of a branch that calls, or goes one way or another by what a call gave.
fn branching() -> impl Strategy<Value = Value> {
    let call = |n: u32| json!({"call": format!("f.n{n}"), "with": {"x": 1}});
    let condition = || proptest::sample::select(vec![".a", ".a == 1", "$context.a == 1"]);
    prop_oneof![
        (0..3u32).prop_map(call),
        (0..3u32).prop_map(move |n| {
            let mut task = call(n);
            task["export"] = json!({"as": "."});
            task
        }),
        (condition(), 0..3u32).prop_map(move |(when, n)| {
            let mut task = call(n);
            task["if"] = json!(when);
            task
        }),
        (condition(), directive()).prop_map(
            |(when, then)| json!({"switch": [{"x": {"when": when, "then": then}}, {"y": {"then": "continue"}}]})
        ),
        condition().prop_map(|e| json!({"set": jq(&format!("if {e} then error(\"x\") else . end"))})),
        condition().prop_map(
            |e| json!({"wait": jq(&format!("if {e} then {{milliseconds: 40}} else {{milliseconds: 1}} end"))})
        ),
    ]
}

/// A fork, perhaps in a `try`, perhaps under a timeout, with calls of nothing in particular before and after.
fn forked() -> impl Strategy<Value = Value> {
    let branch = proptest::collection::vec(branching(), 1..4);
    let shape = (any::<bool>(), any::<bool>(), proptest::option::of(proptest::sample::select(vec![2u64, 9, 30])));
    (proptest::collection::vec(branch, 2..4), shape).prop_map(|(branches, (compete, tried, within))| {
        let named = |name: &str, i: usize, task: Value| json!({format!("{name}{i}"): task});
        let list = |tasks: Vec<Value>| -> Value {
            tasks.into_iter().enumerate().map(|(i, task)| named("t", i, task)).collect()
        };
        let branches: Vec<Value> =
            branches.into_iter().enumerate().map(|(i, tasks)| named("b", i, json!({"do": list(tasks)}))).collect();
        let mut task = json!({"fork": {"branches": branches, "compete": compete}});
        if let Some(after) = within {
            task["timeout"] = json!({"after": {"milliseconds": after}});
        }
        let call = |name: &str| json!({name: {"call": "f.n3", "with": {"x": 1}}});
        if tried {
            task = json!({"try": [{"t": task}], "catch": {"do": [call("caught")]}});
        }
        json!([{"fork": task}, call("after")])
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

/// How long a call takes: by its place alone, since time is no one's secret here.
fn pace(path: &str) -> u64 {
    u64::from(Digest::of(path.as_bytes()).as_bytes()[0] % 8)
}

fn input(world: &World) -> Labelled {
    Labelled { value: world[0].clone().unwrap_or(Value::Null), labels: tagged("input") }
}

fn look(program: &std::sync::Arc<mandate_flow::Program>, world: &World, order: &Order<'_>) -> Told {
    drive_in(program, &input(world), order, |name, _, _| {
        let index = 1 + name.trim_start_matches("f.n").parse::<usize>().unwrap();
        match world.get(index).unwrap_or(&Some(Value::Null)) {
            Some(value) => Ok(Labelled { value: value.clone(), labels: tagged(name) }),
            None => Err(Failure { error: WorkflowError::new(ErrorKind::Communication, "no"), labels: tagged(name) }),
        }
    })
}

/// What each branch shows, by the path of the branch; the pauses are time, and not looked at.
fn by_branch(seen: &[Seen]) -> BTreeMap<String, Vec<&Seen>> {
    let mut all: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for one in seen.iter().filter(|one| !matches!(one, Seen::Sleep { .. })) {
        let branch = match one {
            Seen::Call { path, .. } | Seen::Emit { path, .. } => path.rfind("/fork/branches/").map_or("", |at| {
                let name = at + path[at..].match_indices('/').nth(4).map_or(path.len() - at, |(end, _)| end);
                &path[..name]
            }),
            _ => "",
        };
        all.entry(branch.to_owned()).or_default().push(one);
    }
    all
}

static TIME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#""time":"1970-[^"]*""#).unwrap());

/// Where two runs that differ in one source first show something else, branch by branch, both carry its
/// label. A run that ends by a fault cuts off what would have followed; then only the fault carries it.
fn tells_nothing(a: &[Seen], b: &[Seen], origin: &str) -> Result<(), String> {
    let text = |seen: &Seen| match seen {
        Seen::Fault(error, _) => format!("{error}"),
        // An event says when it was emitted, and what somebody can tell from the time is out of scope (I7).
        other => TIME.replace_all(&other.to_string(), "").into_owned(),
    };
    let carries = |seen: &Seen| seen.labels().is_some_and(|l| l.sources.contains(&source(origin)));
    let faulted = |seen: &[Seen]| matches!(seen.last(), Some(Seen::Fault(..)));
    let (of_a, of_b) = (by_branch(a), by_branch(b));
    let branches: BTreeSet<_> = of_a.keys().chain(of_b.keys()).collect();
    for branch in branches {
        let none = Vec::new();
        let (x, y) = (of_a.get(branch).unwrap_or(&none), of_b.get(branch).unwrap_or(&none));
        let same = x.iter().zip(y).take_while(|(x, y)| text(x) == text(y)).count();
        let wrong = match (x.get(same), y.get(same)) {
            (None, None) => false,
            (Some(x), Some(y)) if [x, y].iter().all(|seen| matches!(seen, Seen::Fault(..))) => {
                // One of them ended because of the source, and carries it. The other got past that place, which
                // is told by not ending there, and failed at another for a reason of its own.
                !carries(x) && !carries(y)
            }
            (x, y) => x.is_some_and(|x| !carries(x) && !faulted(b)) || y.is_some_and(|y| !carries(y) && !faulted(a)),
        };
        if wrong {
            let show = |seen: Option<&&Seen>| seen.map(|seen| format!("{seen} {:?}", seen.labels()));
            return Err(format!("`{branch}`: {:?}\n{:?}", show(x.get(same)), show(y.get(same))));
        }
    }
    Ok(())
}

// Enough that each rule of the machine's, taken away alone, is missed.
proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_branch_does_to_another_carries_its_label(tasks in forked(), world in [answer(), answer(), answer(), answer()], which in 0..4usize, other in answer(), start in 0..8u64) {
        let document = format!("{HEAD}do: {tasks}");
        let program = compile(&document);
        let mut changed = world.clone();
        changed[which] = other;
        let origin = ["input", "f.n0", "f.n1", "f.n2"][which];
        let pace = |path: &str| (pace(path) + start) % 8;
        let (a, b) = (look(&program, &world, &Order::Time(&pace)), look(&program, &changed, &Order::Time(&pace)));
        if let Err(why) = tells_nothing(&a.seen, &b.seen, origin) {
            prop_assert!(false, "{document}\n{world:?}\n{changed:?}\n{why}");
        }
    }
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
        let (a, b) = (look(&program, &world, &Order::Time(&pace)), look(&program, &changed, &Order::Time(&pace)));
        if let Err(why) = tells_nothing(&a.seen, &b.seen, origin) {
            prop_assert!(false, "{document}\n{world:?}\n{changed:?}\n{why}");
        }
    }

    #[test]
    fn told_in_any_order_and_taken_up_at_any_point_it_is_the_same_machine(tasks in block(task()), world in [answer(), answer(), answer(), answer()], drawn in proptest::collection::vec(any::<u8>(), 1..12)) {
        let program = compile(&format!("{HEAD}do: {tasks}"));
        let told = look(&program, &world, &Order::Drawn(&drawn));
        same_states(&program, &input(&world), &told);
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
