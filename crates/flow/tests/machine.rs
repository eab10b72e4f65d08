//! The machine, one document and one expected trace at a time.

#![allow(clippy::result_large_err, reason = "the answers of scripted functions")]

mod common;

use common::{HEAD, compile, run, start};
use mandate_flow::{ErrorKind, Event, Intent, Labelled, Machine, MachineError, TimerId, WorkflowError, evaluate};
use mandate_kernel::{Labels, StepSeq, Timestamp};
use serde_json::{Value, json};

fn communication(status: u16) -> WorkflowError {
    WorkflowError { status, ..WorkflowError::new(ErrorKind::Communication, "no answer") }
}

#[test]
fn quarterly_summary_runs() {
    let document = r#"
document:
  dsl: '1.0.3'
  namespace: finance
  name: quarterly-summary
  version: '1.0.0'
input:
  schema:
    document:
      type: object
      required: [quarter]
      properties:
        quarter: { type: string, pattern: '^\d{4}-Q[1-4]$' }
do:
  - revenue:
      call: warehouse.revenue
      with: { quarter: '${ .quarter }' }
      export:
        as: '$context + { revenue: $output.rows }'
  - costs:
      call: ledgerbook.costs
      with: { quarter: '${ $workflow.input.quarter }' }
      export:
        as: '$context + { costs: $output.rows }'
  - prepare:
      set: { lines: [], quarter: '${ $workflow.input.quarter }' }
  - correlate:
      for: { each: row, in: '$context.revenue', at: i }
      do:
        - line:
            set:
              quarter: ${ .quarter }
              lines: >-
                ${ .lines + [ $row.product as $p
                  | ($context.costs | map(select(.product == $p) | .amount) | add // 0) as $cost
                  | { product: $p, margin: ($row.amount - $cost), at: $i } ] }
  - judge:
      switch:
        - loss: { when: '.lines | any(.margin < 0)', then: flag }
        - fine: { then: publish }
  - flag:
      set: '${ . + { attention: [ .lines[] | select(.margin < 0) | .product ] } }'
  - publish:
      call: report.publish
      with:
        title: '${ "Quarterly summary \(.quarter)" }'
        total: ${ .lines | map(.margin) | add }
        attention: ${ .attention // [] }
output:
  as: { report: '${ .id }' }
"#;
    let revenue = json!({"rows": [{"product": "a", "amount": 100}, {"product": "b", "amount": 40}]});
    let costs = json!({"rows": [{"product": "a", "amount": 30}, {"product": "b", "amount": 50}, {"product": "a", "amount": 5.5}]});
    let trace = run(document, json!({"quarter": "2026-Q3"}), vec![Ok(revenue), Ok(costs), Ok(json!({"id": "r-1"}))]);
    assert_eq!(
        trace,
        [
            r#"call warehouse.revenue {"quarter":"2026-Q3"} at /do/0/revenue"#,
            r#"call ledgerbook.costs {"quarter":"2026-Q3"} at /do/1/costs"#,
            r#"call report.publish {"attention":["b"],"title":"Quarterly summary 2026-Q3","total":54.5} at /do/6/publish"#,
            r#"complete {"report":"r-1"}"#,
        ]
    );
    assert_eq!(run(document, json!({"quarter": "soon"}), vec![]), ["fault validation 400 at /"]);
    let program = compile(document);
    let functions: Vec<_> = program.functions().iter().map(ToString::to_string).collect();
    assert_eq!(functions, ["ledgerbook.costs", "report.publish", "warehouse.revenue"]);
    assert_eq!((program.namespace(), program.name(), program.semver()), ("finance", "quarterly-summary", "1.0.0"));
    assert!(program.input_schema().is_some() && program.output_schema().is_none());
}

/// A document without its head, an input, and what is seen of its run.
type Case = (&'static str, Value, &'static [&'static str]);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn documents_without_calls() {
    let cases: Vec<Case> = vec![
        // Data flow.
        (
            "do: [{a: {input: {from: .user.name}, set: {player: '${ . }'}}}]",
            json!({"user": {"name": "x"}}),
            &[r#"complete {"player":"x"}"#],
        ),
        ("do: [{a: {set: {v: 1}, output: {as: .v}}}]", json!({}), &["complete 1"]),
        (
            "do: [{a: {set: '${ . }', output: {as: .x}}}, {b: {set: '${ . }', output: {as: '{ ids: [ $input, . ] }'}}}]",
            json!({"x": 1}),
            &[r#"complete {"ids":[1,1]}"#],
        ),
        (
            "input: {from: .inner}\ndo: [{a: {set: {raw: '${ $workflow.input.inner }', seen: '${ . }'}}}]\noutput: {as: '[.raw, .seen]'}",
            json!({"inner": 7}),
            &["complete [7,7]"],
        ),
        (
            "do: [{a: {set: {n: 1}, export: {as: {kept: '${ $output.n }', was: '${ $input.m }'}}}}, {b: {set: '${ $context }'}}]",
            json!({"m": 2}),
            &[r#"complete {"kept":1,"was":2}"#],
        ),
        (
            "do: [{a: {set: '${ [$task.name, $task.reference, $task.definition.metadata.k, $task.input, $workflow.id, $workflow.definition.document.name, $runtime.name] }', metadata: {k: v}}}]",
            json!(3),
            &[r#"complete ["a","/do/0/a","v",3,"run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD","test","mandate"]"#],
        ),
        (
            "do: [{a: {set: '${ $workflow.startedAt }'}}]",
            json!(null),
            &[r#"complete {"epoch":{"milliseconds":1000,"seconds":1},"iso8601":"1970-01-01T00:00:01.000Z"}"#],
        ),
        (
            "do: [{a: {do: [{b: {set: {x: '${ .x + 1 }'}}}, {c: {set: {x: '${ .x * 10 }'}}}]}}]",
            json!({"x": 1}),
            &[r#"complete {"x":20}"#],
        ),
        ("do: []", json!([1]), &["complete [1]"]),
        // Flow.
        (
            "do: [{a: {set: {x: 1}, then: c}}, {b: {set: {x: '${ .x + 10 }'}, then: end}}, {c: {set: {x: '${ .x + 1 }'}, then: b}}]",
            json!({}),
            &[r#"complete {"x":12}"#],
        ),
        (
            "do: [{a: {do: [{b: {set: {x: 1}, then: exit}}, {c: {set: {x: 2}}}]}}, {d: {set: '${ [.x] }'}}]",
            json!({}),
            &["complete [1]"],
        ),
        ("do: [{a: {do: [{b: {set: {x: 1}, then: end}}]}}, {d: {set: {x: 2}}}]", json!({}), &[r#"complete {"x":1}"#]),
        (
            "do: [{a: {if: .no, set: {x: 1}, then: end}}, {b: {set: '${ [.] }'}}]",
            json!({"no": false}),
            &[r#"complete [{"no":false}]"#],
        ),
        (
            "do: [{a: {set: {n: '${ .n + 1 }'}}}, {b: {switch: [{more: {when: .n < 3, then: a}}, {done: {then: end}}]}}]",
            json!({"n": 0}),
            &[r#"complete {"n":3}"#],
        ),
        (
            "do: [{a: {switch: [{x: {when: .c == 1, then: b}}], then: end}}, {b: {set: {got: b}}}]",
            json!({"c": 2}),
            &[r#"complete {"c":2}"#],
        ),
        (
            "do: [{a: {switch: [{d: {then: c}}, {x: {when: .c == 1, then: b}}]}}, {b: {set: {got: b}, then: end}}, {c: {set: {got: c}}}]",
            json!({"c": 1}),
            &[r#"complete {"got":"b"}"#],
        ),
        // Loops.
        (
            "do: [{l: {for: {each: color, in: .colors}, do: [{m: {set: {p: '${ {c: (.p.c + [$color]), i: (.p.i + [$index])} }'}}}]}}]",
            json!({"colors": ["r", "g"]}),
            &[r#"complete {"p":{"c":["r","g"],"i":[0,1]}}"#],
        ),
        (
            "do: [{l: {for: {in: [{k: 1}, {k: 2}]}, do: [{m: {set: {s: '${ (.s // 0) + $item.k }'}}}]}}]",
            json!({}),
            &[r#"complete {"s":3}"#],
        ),
        (
            "do: [{l: {for: {in: '[1,2,3,4]'}, while: $item < 3, do: [{m: {set: {s: '${ (.s // 0) + $item }'}}}]}}]",
            json!({}),
            &[r#"complete {"s":3}"#],
        ),
        (
            "do: [{l: {for: {each: x, in: '[1,2]'}, do: [{k: {for: {each: y, in: '[10,20]', at: j}, do: [{m: {set: {s: '${ .s + [$x * $y, $index, $j] }'}}}]}}]}}]",
            json!({}),
            &[r#"complete {"s":[10,0,0,20,0,1,20,1,0,40,1,1]}"#],
        ),
        ("do: [{l: {for: {in: '[]'}, do: [{m: {set: {x: 1}}}]}}]", json!("same"), &[r#"complete "same""#]),
        ("do: [{l: {for: {in: .n}, do: [{m: {set: {x: 1}}}]}}]", json!({"n": 3}), &["fault expression 400 at /do/0/l"]),
        // Errors.
        (
            "do: [{a: {raise: {error: {type: 'https://example.org/odd', status: 418, title: Odd, detail: '${ \"it is \\(.x)\" }'}}}}]",
            json!({"x": 1}),
            &["fault odd 418 at /do/0/a"],
        ),
        ("do: [{a: {set: '${ .x.y }'}}]", json!({"x": 1}), &["fault expression 400 at /do/0/a"]),
        ("do: [{a: {set: '${ .[] }'}}]", json!([1, 2]), &["fault expression 400 at /do/0/a"]),
        ("do: [{a: {set: '${ empty }'}}]", json!(1), &["fault expression 400 at /do/0/a"]),
        (
            "do: [{t: {try: [{a: {raise: {error: {type: 'https://example.org/odd', status: 418}}}}], catch: {as: e, do: [{b: {set: {at: '${ $e.instance }', kind: '${ $e.type }'}}}]}}}]",
            json!({}),
            &[r#"complete {"at":"/do/0/t/try/0/a","kind":"https://example.org/odd"}"#],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {}}}, {b: {set: '${ [.] }'}}]",
            json!(1),
            &["complete [1]"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {errors: {with: {type: 'https://serverlessworkflow.io/dsl/errors/types/expression', status: 400}}, do: [{b: {set: {ok: true}}}]}}}]",
            json!(1),
            &[r#"complete {"ok":true}"#],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {errors: {with: {status: 401}}}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t/try/0/a"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {when: $error.status == 401}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t/try/0/a"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {exceptWhen: $error.status == 400}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t/try/0/a"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {when: '$error | error'}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {do: [{b: {set: '${ error(\"y\") }'}}]}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t/catch/do/0/b"],
        ),
        (
            "do: [{o: {try: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {errors: {with: {status: 401}}}}}], catch: {do: [{b: {set: {outer: '${ $error.instance }'}}}]}}}]",
            json!(1),
            &[r#"complete {"outer":"/do/0/o/try/0/t/try/0/a"}"#],
        ),
        (
            "do: [{t: {try: [{a: {set: {x: 1}}}], output: {as: error}, catch: {do: [{b: {set: {x: 2}}}]}}}]",
            json!(1),
            &["fault expression 400 at /do/0/t"],
        ),
        (
            "do: [{t: {try: [{a: {set: '${ error(\"x\") }'}}], catch: {then: c}}}, {b: {set: {x: b}, then: end}}, {c: {set: {x: c}}}]",
            json!(1),
            &[r#"complete {"x":"c"}"#],
        ),
        (
            "do: [{t: {try: [{a: {set: {x: 1}}}], catch: {then: c}, then: b}}, {b: {set: {x: b}, then: end}}, {c: {set: {x: c}}}]",
            json!(1),
            &[r#"complete {"x":"b"}"#],
        ),
        // Schemas.
        (
            "do: [{a: {input: {schema: {document: {type: object}}}, set: {x: 1}}}]",
            json!(1),
            &["fault validation 400 at /do/0/a"],
        ),
        (
            "do: [{a: {output: {schema: {document: {required: [y]}}}, set: {x: 1}}}]",
            json!(1),
            &["fault validation 400 at /do/0/a"],
        ),
        (
            "do: [{a: {export: {as: ., schema: {document: {required: [y]}}}, set: {x: 1}}}]",
            json!(1),
            &["fault validation 400 at /do/0/a"],
        ),
        (
            "output: {schema: {document: {required: [y]}}}\ndo: [{a: {set: {x: 1}}}]",
            json!(1),
            &["fault validation 400 at /"],
        ),
        // Pauses.
        (
            "do: [{w: {wait: PT1.5S}}, {v: {wait: {minutes: 1}}}, {u: {wait: '${ .d }'}}]",
            json!({"d": {"seconds": 2}}),
            &["sleep 1500", "sleep 60000", "sleep 2000", r#"complete {"d":{"seconds":2}}"#],
        ),
        ("do: [{u: {wait: '${ .d }'}}]", json!({"d": "soon"}), &["fault expression 400 at /do/0/u"]),
        // Bounds.
        ("do: [{a: {set: {x: 1}, then: a}}]", json!(1), &["fault runtime 500 at /do/0/a"]),
        (
            "do: [{t: {try: [{l: {for: {in: '[range(10001)]'}, do: []}}], catch: {}}}]",
            json!(1),
            &["fault runtime 500 at /do/0/t/try/0/l"],
        ),
    ];
    for (document, input, expected) in cases {
        assert_eq!(run(document, input, vec![]), expected, "{document}");
    }
}

const RETRY: &str = "
do:
  - t:
      try:
        - first: {call: a.read}
        - second: {call: b.send, with: {x: '${ .n }'}}
      catch:
        errors: {with: {status: 503}}
        retry:
          when: $error.status == 503
          delay: {seconds: 3}
          backoff: {exponential: {}}
          limit: {attempt: {count: 3}}
        do:
          - gaveUp: {set: {gaveUp: '${ $error.status }'}}
";

#[test]
fn retries_pause_and_end() {
    let (first, second) = ("call a.read {} at /do/0/t/try/0/first", r#"call b.send {"x":1} at /do/0/t/try/1/second"#);
    let read = || Ok(json!({"n": 1}));
    let trace = run(
        RETRY,
        json!({}),
        vec![Err(communication(503)), read(), Err(communication(503)), read(), Ok(json!("sent"))],
    );
    assert_eq!(trace, [first, "sleep 3000", first, second, "sleep 6000", first, second, r#"complete "sent""#]);
    let trace = run(RETRY, json!({}), vec![Err(communication(503)), Err(communication(503)), Err(communication(503))]);
    assert_eq!(trace, [first, "sleep 3000", first, "sleep 6000", first, r#"complete {"gaveUp":503}"#]);
    let trace = run(RETRY, json!({}), vec![Err(communication(404))]);
    assert_eq!(trace, [first, "fault communication 404 at /do/0/t/try/0/first"]);
}

#[test]
fn retries_without_handler_fail_and_limits_hold() {
    let document = |retry: &str| format!("do: [{{t: {{try: [{{c: {{call: a.b}}}}], catch: {{retry: {retry}}}}}}}]");
    let failures = |n: usize| (0..n).map(|_| Err(communication(503))).collect::<Vec<_>>();
    let calls = |trace: Vec<String>| {
        (trace.iter().filter(|line| line.starts_with("call")).count(), trace.last().cloned().unwrap_or_default())
    };
    let fault = "fault communication 503 at /do/0/t/try/0/c".to_owned();
    for (retry, n) in [
        ("{limit: {attempt: {count: 1}}}", 1),
        ("{limit: {attempt: {count: 2}}}", 2),
        ("{}", 20),
        ("{delay: PT10S, backoff: {linear: {}}, limit: {duration: PT31S}}", 3),
        ("{exceptWhen: 'true'}", 1),
    ] {
        assert_eq!(calls(run(&document(retry), json!({}), failures(n))), (n, fault.clone()), "{retry}");
    }
}

#[test]
fn each_call_has_an_ordinal_of_its_own_also_in_a_retry() {
    let program = compile(&format!("{HEAD}do: [{{t: {{try: [{{c: {{call: a.b}}}}], catch: {{retry: {{}}}}}}}}]"));
    let mut ordinals = Vec::new();
    let input = Labelled { value: json!({}), labels: Labels::default() };
    common::drive(&program, &input, |_, ordinal, _| {
        ordinals.push(ordinal);
        let failure = mandate_flow::Failure { error: communication(503), labels: Labels::default() };
        if ordinal < 3 { Err(failure) } else { Ok(input.clone()) }
    });
    assert_eq!(ordinals, [1, 2, 3]);
}

#[test]
fn a_wrong_event_is_refused_and_changes_nothing() {
    let program = compile(&format!("{HEAD}do: [{{c: {{call: a.b, with: {{x: '${{ .x }}'}}}}}}]"));
    let input = Labelled { value: json!({"x": 1}), labels: Labels::default() };
    let (mut machine, intents) = Machine::start(program, start(&input));
    let Some(Intent::Evaluate(evaluation)) = intents.first() else { panic!("{intents:?}") };
    let returned = |seq| Event::Returned { seq: StepSeq(seq), at: Timestamp::EPOCH, result: Ok(input.clone()) };
    let evaluated = Event::Evaluated { id: evaluation.id, result: evaluate(evaluation) };
    assert!(matches!(machine.apply(returned(1)), Err(MachineError::Mismatch { .. })));
    assert!(matches!(
        machine.apply(Event::Woke { id: TimerId(1), at: Timestamp::EPOCH }),
        Err(MachineError::Mismatch { .. })
    ));
    let calls = machine.apply(evaluated.clone()).unwrap();
    assert!(matches!(calls.as_slice(), [Intent::Call { seq: StepSeq(1), .. }]), "{calls:?}");
    assert!(machine.apply(evaluated).is_err());
    assert!(machine.apply(returned(2)).is_err());
    assert!(matches!(machine.apply(returned(1)).unwrap().as_slice(), [Intent::Complete { .. }]));
    assert!(matches!(machine.apply(returned(1)), Err(MachineError::Ended { .. })));
}

#[test]
fn too_large_a_result_is_an_error_of_the_step() {
    let big = Value::String("x".repeat(2 << 20));
    assert_eq!(
        run("do: [{c: {call: a.b}}]", json!({}), vec![Ok(big.clone())]),
        ["call a.b {} at /do/0/c", "fault runtime 500 at /do/0/c"]
    );
    assert_eq!(run("do: []", big, vec![]), ["fault validation 400 at /"]);
    let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(
        run("do: [{c: {call: a.b}}]", json!({}), vec![Ok(deep)]),
        ["call a.b {} at /do/0/c", "fault runtime 500 at /do/0/c"]
    );
}
