//! Extensions, run: what is woven in happens, and nothing else changes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]
#![allow(dead_code, reason = "each test file uses its part of what they share")]

mod common;

use serde_json::{Value, json};

/// Runs a document, and shows what was seen without its places.
fn run(document: &str, input: Value, script: Vec<Result<Value, mandate_flow::WorkflowError>>) -> Vec<String> {
    let seen = common::run(document, input, script);
    seen.iter().map(|line| line.split(" at /").next().unwrap().to_owned()).collect()
}

const LOG: &str = "
use:
  extensions:
    - log:
        extend: set
        before: [{entering: {call: log.it, with: {at: '${ $context.n }', got: '${ . }'}}}]
        after: [{leaving: {call: log.it, with: {got: '${ . }'}}}]
";

#[test]
fn before_and_after_happen_and_the_data_passes_by() {
    let document = format!("{LOG}do: [{{a: {{set: {{x: '${{ .x + 1 }}'}}}}}}, {{b: {{set: {{y: '${{ .x }}'}}}}}}]");
    let seen = run(&document, json!({"x": 1}), vec![Ok(json!("ignored")); 4]);
    assert_eq!(
        seen,
        [
            r#"call log.it {"at":null,"got":{"x":1}}"#,
            r#"call log.it {"got":{"x":2}}"#,
            r#"call log.it {"at":null,"got":{"x":2}}"#,
            r#"call log.it {"got":{"y":2}}"#,
            r#"complete {"y":2}"#,
        ]
    );
}

#[test]
fn the_condition_and_the_directive_of_the_task_still_count() {
    let document = format!(
        "{LOG}do: [{{a: {{if: .no, set: {{x: 9}}, then: end}}}}, {{b: {{set: {{y: 1}}, then: d}}}}, {{c: {{raise: {{error: {{type: 'https://x.example/e', status: 500}}}}}}}}, {{d: {{do: []}}}}]"
    );
    let seen = run(&document, json!({"x": 1}), vec![Ok(json!(0)); 2]);
    assert_eq!(seen.len(), 3, "{seen:?}");
    assert_eq!(seen[2], r#"complete {"y":1}"#);
}

#[test]
fn exit_gives_what_was_injected_and_when_decides() {
    let document = "
use:
  extensions:
    - mock:
        extend: call
        when: $task.definition.with.mocked
        before: [{answer: {set: {mocked: true}, then: exit}}, {never: {set: {x: 1}}}]
do:
  - a: {call: real.thing, with: {mocked: true}, export: {as: '{a: .}'}}
  - b: {call: real.thing, with: {mocked: false}}
";
    let seen = run(document, json!({"in": 1}), vec![Ok(json!({"real": true}))]);
    assert_eq!(seen, [r#"call real.thing {"mocked":false}"#, r#"complete {"real":true}"#]);
}

#[test]
fn the_first_extension_stands_around_the_second_and_none_extends_another() {
    let document = "
use:
  functions:
    note: {call: log.it, with: {who: '${ .who }'}}
  extensions:
    - outer: {extend: all, before: [{o: {call: note, with: {who: outer}}}]}
    - inner: {extend: wait, before: [{i: {call: note, with: {who: inner}}}], after: [{j: {call: note, with: {who: after}}}]}
do:
  - a: {wait: PT1S}
";
    let seen = run(document, json!(5), vec![Ok(json!(0)); 3]);
    assert_eq!(
        seen,
        [
            r#"call log.it {"who":"outer"}"#,
            r#"call log.it {"who":"inner"}"#,
            "sleep 1000",
            r#"call log.it {"who":"after"}"#,
            "complete 5",
        ]
    );
}

#[test]
fn loops_and_functions_are_extended_inside() {
    let document = "
use:
  functions:
    put: {set: {n: '${ .n }'}}
  extensions:
    - log: {extend: set, after: [{l: {call: log.it, with: {n: '${ .n }'}}}]}
do:
  - a: {for: {in: '${ [1, 2] }'}, do: [{b: {call: put, with: {n: '${ $item }'}}}]}
";
    let seen = run(document, json!({}), vec![Ok(json!(0)); 2]);
    assert_eq!(seen, [r#"call log.it {"n":1}"#, r#"call log.it {"n":2}"#, r#"complete {"n":2}"#]);
}
