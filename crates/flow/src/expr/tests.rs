//! The evaluator against a table, against jaq itself, and against bombs.

use super::*;
use crate::machine::EvalId;
use mandate_kernel::{StepPath, canonical_json};
use proptest::prelude::*;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Instant};

fn scope() -> Scope {
    ["v", "context"].map(str::to_owned).into()
}

fn eval(text: &str, input: &Value) -> Result<Value, ExprError> {
    let expression = Expression::jq(text, &scope()).unwrap_or_else(|r| panic!("{text}: {r:?}"));
    let variables =
        BTreeMap::from([("v".to_owned(), Arc::new(json!({"k": 7}))), ("context".to_owned(), Arc::new(json!({})))]);
    evaluate(&Evaluation {
        id: EvalId(1),
        path: StepPath(String::new()),
        expression: Arc::new(expression),
        input: Arc::new(input.clone()),
        variables,
    })
}

fn canonical(value: &Value) -> Value {
    serde_json::from_slice(&canonical_json(value).unwrap()).unwrap()
}

/// The result by jaq itself; `None` for an error.
fn jaq(text: &str, input: &Value) -> Option<Value> {
    let job = Job { expressions: vec![text.to_owned()], input: input.clone(), variables: BTreeMap::new() };
    Interpreter::default().evaluate(&job).ok()?.pop()
}

#[test]
fn a_table_of_results() {
    let data = json!({"a": [3, 1, 2], "s": "héllo", "o": {"b": 1, "a": null}, "rows": [{"k": "x", "n": 1}, {"k": "y", "n": 2}, {"k": "x", "n": 5}]});
    for (text, expected) in [
        (".", data.clone()),
        (".a[0], .a[-1] | [.] | .[0]", json!("two")),
        (".a[1:]", json!([1, 2])),
        (".s[1:3]", json!("él")),
        (".s | length", json!(5)),
        (".missing.deeper", json!(null)),
        (".o | keys", json!(["a", "b"])),
        ("[.o[]]", json!([null, 1])),
        ("{s, \"x\": 1, (.s): 2, $v}", json!({"s": "héllo", "x": 1, "héllo": 2, "v": {"k": 7}})),
        ("\"n=\\(.a | length), \\(.o)\"", json!("n=3, {\"a\":null,\"b\":1}")),
        (".rows | group_by(.k) | map({key: .[0].k, value: (map(.n) | add)}) | from_entries", json!({"x": 6, "y": 2})),
        (".rows | max_by(.n).n", json!(5)),
        (".rows | sort_by(-.n) | map(.n)", json!([5, 2, 1])),
        (".rows | unique_by(.k) | map(.n)", json!([1, 2])),
        ("[.rows[] | select(.n > 1) | .k] | join(\"-\")", json!("y-x")),
        (".a as $a | $a | map(. * 2) | add", json!(12)),
        (".a | any(. > 2), all(. > 2) | [.] | length", json!("two")),
        ("if .a then \"yes\" elif .b then 1 else 2 end", json!("yes")),
        (".nope // \"default\"", json!("default")),
        ("[.a[] | if . > 1 then . else empty end]", json!([3, 2])),
        ("[.s.x?, 1]", json!([1])),
        ("(.a | not), 1 | [.] | .[0]", json!("two")),
        ("[range(3)] + [range(2; 4)] + [range(0; 1; 0.5)]", json!([0, 1, 2, 2, 3, 0, 0.5])),
        ("6 / 2", json!(3)),
        ("7 % 3, 1 | tostring", json!("two")),
        ("\"a,b\" / \",\"", json!(["a", "b"])),
        ("\"ab\" * 2", json!("abab")),
        ("[1, [2, [3]]] | flatten", json!([1, 2, 3])),
        ("{a: 1} | to_entries", json!([{"key": "a", "value": 1}])),
        ("{a: 1, b: 2} | with_entries(select(.value > 1))", json!({"b": 2})),
        ("{a: 1} | map_values(. + 1)", json!({"a": 2})),
        ("[\"10\" | tonumber, (1.0 | tostring)]", json!([10, "1"])),
        ("[1.5 | floor, ceil, round]", json!([1, 2, 2])),
        ("[first(.a[]), last(.a[]), (limit(2; .a[]))]", json!([3, 2, 3, 1])),
        ("$v.k", json!(7)),
        ("{} == {} and [1] < [2] and null < false", json!(true)),
        ("[.[\"a\"][0], .\"s\"]", json!([3, "héllo"])),
        ("\"x\" | ascii_upcase", json!("X")),
    ] {
        match eval(text, &data) {
            Ok(value) => assert_eq!(canonical(&value), canonical(&expected), "{text}"),
            Err(error) => {
                assert!(expected == json!("two") && error.to_string().contains("gave 2 values"), "{text}: {error}")
            }
        }
    }
}

#[test]
fn failures_are_errors() {
    for text in [
        "1 / 0",
        "1 % 0",
        "\"a\" - 1",
        "{} | .[0]",
        "[] | .a",
        "1 | .[]",
        "true | length",
        "[1] | join(1)",
        "{(1): 2}",
        "error(\"x\")",
        "error",
        "9007199254740991 + 1",
        "1e308 * 10",
        "[1] | contains(\"a\")",
        "\"x\" | tonumber",
        "null | keys",
        "-\"a\"",
        "[{}] | from_entries",
        "empty",
        "1, 2",
    ] {
        assert!(
            matches!(eval(text, &json!(null)), Err(ExprError::Failed(_))),
            "{text}: {:?}",
            eval(text, &json!(null))
        );
    }
}

#[test]
fn what_is_refused_is_refused_at_its_place() {
    for (text, code, offset) in [
        ("1 | env", "expr.outside", 4),
        ("$ENV", "expr.outside", 0),
        ("$__loc__", "expr.outside", 0),
        ("input", "expr.outside", 0),
        ("[inputs]", "expr.outside", 1),
        ("input_filename", "expr.outside", 0),
        ("input_line_number", "expr.outside", 0),
        ("halt", "expr.outside", 0),
        ("1 | halt_error(3)", "expr.outside", 4),
        ("debug", "expr.outside", 0),
        ("debug(1)", "expr.outside", 0),
        ("stderr", "expr.outside", 0),
        ("now", "expr.outside", 0),
        (".a | localtime", "expr.outside", 5),
        ("strflocaltime(\"%Y\")", "expr.outside", 0),
        ("import \"a\" as a; 1", "expr.outside", 0),
        ("include \"a\"; 1", "expr.outside", 0),
        ("import \"a\" as $a; $a", "expr.outside", 0),
        ("module {}; import \"a\" as $a; $a", "expr.outside", 0),
        ("def f: now; f", "expr.outside", 7),
        (". as [$a] | $b", "expr.variable", 12),
        ("reduce .[] as $x (0; $nope)", "expr.variable", 21),
        ("def f: 1; g", "expr.function", 10),
        ("break $x", "expr.label", 6),
        ("map", "expr.arguments", 0),
        ("map(1; 2)", "expr.arguments", 0),
        ("1 + $nope", "expr.variable", 4),
        (". as $x | $y", "expr.variable", 10),
        ("(. as $x | 1) | $x", "expr.variable", 16),
        ("\"\\($secrets.key)\"", "flow.secrets", 3),
        ("$secrets", "flow.secrets", 0),
        ("def f: $secrets; f", "flow.secrets", 7),
        ("[paths] | $secrets", "flow.secrets", 10),
        ("9007199254740993", "expr.number", 0),
        ("try 9007199254740993", "expr.number", 4),
        ("1e999", "expr.number", 0),
        ("1 +", "expr.syntax", 3),
        ("(1", "expr.syntax", 2),
        ("1 1", "expr.syntax", 2),
        ("def f: 1;", "expr.syntax", 9),
        ("", "expr.syntax", 0),
        ("§", "expr.syntax", 0),
    ] {
        let refusals = Expression::jq(text, &scope()).map(|_| ()).unwrap_err();
        let found: Vec<_> = refusals.iter().map(|r| (r.code, r.offset)).collect();
        assert!(found.contains(&(code, offset)), "{text}: {refusals:?}");
    }
}

#[test]
fn deep_and_long_expressions_are_refused_before_they_are_parsed() {
    for text in [
        format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000)),
        "(".repeat(100_000),
        format!("{}1", "-".repeat(7_000)),
        format!("{}1{}", "if 1 then ".repeat(700), " else 1 end".repeat(10)),
        format!("1{}", "|1".repeat(4_000)),
        format!("1{}", "+1".repeat(4_000)),
        ".a".repeat(4_000),
        format!("\"{}\"", "\\(1".repeat(1_000)),
        "1 as $x | ".repeat(500) + "1",
        ".a?".repeat(2_000),
        "def f: 1; ".repeat(300) + "f",
        "try ".repeat(300) + "1",
        "label $x | ".repeat(300) + "1",
        "reduce . as $x (0; 1) | ".repeat(200) + "1",
    ] {
        let refusals = Expression::jq(&text, &scope()).map(|_| ()).unwrap_err();
        assert!(refusals.iter().any(|r| matches!(r.code, "expr.limit" | "expr.syntax")), "{refusals:?}");
    }
}

#[test]
fn the_deepest_expressions_fit_a_small_stack() {
    let deepest = [
        format!("{}1{}", "[".repeat(99), "]".repeat(99)),
        format!("1{}", "|1".repeat(199)),
        format!("1{}", "+1".repeat(199)),
        format!("{}1", "- ".repeat(199)),
        format!("{}1{}", "map(".repeat(99), ")".repeat(99)),
        format!("{}1{}", "1 as $x | [".repeat(95), "]".repeat(95)),
        format!("{}f", "def f: ".repeat(95) + "1" + &"; f".repeat(95)),
        format!("{}1", "try ".repeat(199)),
        format!("[{}1]", "label $x | ".repeat(99)),
        format!("{}1{}", "reduce (".repeat(66), ") as $x (0; 1)".repeat(66)),
        format!("{}paths{}", "walk(".repeat(99), ")".repeat(99)),
        format!("{}1{}", "if 1 then ".repeat(190), " else 1 end".repeat(190)),
        format!(
            "[{}]",
            vec!["."; 400].join(".a,").chars().take(600).collect::<String>().trim_end_matches([',', '.', 'a'])
        ),
    ];
    let run = move || {
        for text in deepest {
            if let Ok(expression) = Expression::jq(&text, &scope()) {
                let variables = BTreeMap::new();
                let evaluation = Evaluation {
                    id: EvalId(1),
                    path: StepPath(String::new()),
                    expression: Arc::new(expression),
                    input: Arc::new(json!([])),
                    variables,
                };
                let _ = evaluate(&evaluation);
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn bombs_end_quickly() {
    let doubling = format!("[{}]", vec!["(., .)"; 60].join("|"));
    let array = json!((0..2_000).collect::<Vec<_>>());
    for text in [
        "\"x\" * 1000000000",
        "\"x\" * 9007199254740991",
        "[range(1000000000)]",
        "[range(0; 1; 0)]",
        "[range(1000000000)?] // 1",
        "first(range(1000000000))?",
        "[.[] as $a | .[] as $b | .[] as $c | 1]",
        "[limit(3; range(100000000))]",
        doubling.as_str(),
        "([.,.,.,.,.,.,.,.]|[.,.,.,.,.,.,.,.]|[.,.,.,.,.,.,.,.]|[.,.,.,.,.,.,.,.]|[.,.,.,.,.,.,.,.])",
        "\"\\(.)\\(.)\" | \"\\(.)\\(.)\\(.)\\(.)\" | \"\\(.)\\(.)\\(.)\\(.)\" | \"\\(.)\\(.)\\(.)\\(.)\" | \"\\(.)\\(.)\\(.)\\(.)\" | . * 100",
        "{(.[] | tostring): 1, (.[] | tostring): 2}",
        "[range(30000)] | sort_by([range(1000)])",
        "[.[] | . as $x | [range(2000)] | contains([$x])] ",
        ". as $a | [range(100000) | $a] | sort",
        ". as $a | [range(500000)] | sort_by($a)",
        "[range(300000)] as $a | $a | map($a)",
        "[range(100000)] - [range(100000)]",
        "[.[] | tostring] | add * 500 | [., .]",
        "[range(200000)] | . + .",
    ] {
        let began = Instant::now();
        let result = eval(text, &array);
        assert!(matches!(result, Err(ExprError::Limit(_))), "{text}: {:?}", result.map(|v| v.to_string().len()));
        assert!(began.elapsed().as_secs() < 10, "{text} took {:?}", began.elapsed());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5i64..5).prop_map(Value::from),
        (-4i32..4).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[ab,é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abk]", inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

const LEAVES: &[&str] = &[
    ".",
    ".a",
    ".b?",
    ".[0]",
    ".[]?",
    ".[1:]",
    ".[:-1]",
    "1",
    "-2",
    "\"a\"",
    "null",
    "true",
    "[]",
    "{}",
    "length",
    "type",
    "(. |whole | tostring)",
    "not",
    "keys",
    "add",
    "any",
    "all",
    "sort",
    "min",
    "max",
    "unique",
    "reverse",
    "first",
    "last",
    "to_entries",
    "empty",
    "floor",
    "tonumber",
    "ascii_upcase",
    "flatten",
];
const UNARY: &[&str] = &[
    "map",
    "select",
    "sort_by",
    "group_by",
    "unique_by",
    "min_by",
    "max_by",
    "any",
    "all",
    "first",
    "last",
    "map_values",
    "add",
    "contains",
    "startswith",
    "endswith",
];
const OPERATORS: &[&str] = &["+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "and", "or"];

/// Stands before what becomes text: ours writes numbers canonically, jaq tells 1.0 from 1.
const WHOLE: &str = " |whole";
const JAQ_WHOLE: &str = " | walk(if type == \"number\" and . == floor then floor else . end)";

fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(LEAVES.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(4, 20, 3, |e| {
        let pair = (e.clone(), e.clone());
        prop_oneof![
            pair.clone().prop_map(|(a, b)| format!("({a} | {b})")),
            // Not `({a})?` or `({a} // …)`: they hide the errors we give where jaq is lenient.
            e.clone().prop_map(|a| format!("(.a? // {a})")),
            (pair.clone(), proptest::sample::select(OPERATORS.to_vec()))
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (e.clone(), proptest::sample::select(UNARY.to_vec())).prop_map(|(a, f)| format!("{f}({a})")),
            (e.clone(), e.clone(), e.clone()).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c} end)")),
            pair.clone().prop_map(|(a, b)| format!("({a} as $x | [$x, {b}])")),
            pair.clone().prop_map(|(a, b)| format!("{{b: {a}, k: {b}}}")),
            pair.prop_map(|(a, b)| format!("[{a}, {b}]")),
            e.prop_map(|a| format!("\"<\\(({a}){WHOLE})>\"")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn where_both_give_a_result_it_is_jaqs(text in expression(), input in value()) {
        let all = format!("[{text}]");
        let (ours, theirs) = (all.replace(WHOLE, ""), all.replace(WHOLE, JAQ_WHOLE));
        if let (Ok(ours), Some(theirs)) = (eval(&ours, &input), jaq(&theirs, &input)) {
            prop_assert_eq!(canonical(&ours).to_string(), canonical(&theirs).to_string(), "{} on {}", text, input);
        }
    }

    #[test]
    fn only_the_canonical_form_of_the_input_counts(text in expression(), input in value()) {
        let text = text.replace(WHOLE, "");
        let show = |r: Result<Value, ExprError>| r.map(|v| canonical(&v).to_string());
        prop_assert_eq!(show(eval(&format!("[{text}]"), &input)), show(eval(&format!("[{text}]"), &canonical(&input))));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~é]{0,60}") {
        let _ = Expression::jq(&text, &scope()).map(|_| ());
    }
}
