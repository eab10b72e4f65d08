//! Wild expressions: what they give, what is refused of their results, and how they meet the tame ones.

use super::*;
use crate::machine::EvalId;
use mandate_kernel::{StepPath, canonical_json};
use proptest::prelude::*;
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

fn scope() -> Scope {
    ["v", "context"].map(str::to_owned).into()
}

/// As a run does it: compiled, sent in canonical form, evaluated elsewhere, filled in.
fn eval(text: &str, input: &Value) -> Result<Value, ExprError> {
    let expression = Expression::jq(text, &scope()).unwrap_or_else(|r| panic!("{text}: {r:?}"));
    assert!(expression.is_wild(), "{text}");
    filled(expression, input)
}

fn filled(expression: Expression, input: &Value) -> Result<Value, ExprError> {
    let variables = expression.variables().iter().map(|name| (name.clone(), Arc::new(json!({"k": 7})))).collect();
    let evaluation = Evaluation {
        id: EvalId(1),
        path: StepPath(String::new()),
        expression: Arc::new(expression),
        input: Arc::new(input.clone()),
        variables,
    };
    let sent = canonical_json(&job(&evaluation).unwrap()).unwrap();
    let values = Interpreter::default().evaluate(&serde_json::from_slice(&sent).unwrap())?;
    evaluate_with(&evaluation, values)
}

fn canonical(value: &Value) -> Value {
    serde_json::from_slice(&canonical_json(value).unwrap()).unwrap()
}

#[test]
fn a_table_of_results() {
    let data = json!({"a": [3, 1, 2], "s": "a1b22", "o": {"b": {"c": 1}, "a": null}, "t": 1_700_000_000});
    for (text, expected) in [
        ("def f($x): $x * 2; f(.a[0])", json!(6)),
        ("def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; 10 | fac", json!(3_628_800)),
        ("reduce .a[] as $x (0; . + $x)", json!(6)),
        ("[foreach .a[] as $x (0; . + $x; [$x, .])]", json!([[3, 3], [1, 4], [2, 6]])),
        ("[limit(3; repeat(1))]", json!([1, 1, 1])),
        ("[.[] | numbers]", json!([1_700_000_000])),
        ("try error(\"x\") catch .", json!("x")),
        ("[label $out | .a[] | if . == 1 then break $out else . end]", json!([3])),
        (".s | test(\"b[0-9]+\")", json!(true)),
        (".s | [match(\"[0-9]+\"; \"g\").string]", json!(["1", "22"])),
        (".s | gsub(\"[0-9]\"; \"#\")", json!("a#b##")),
        (".s | sub(\"(?<l>[a-z])\"; \"<\\(.l)>\")", json!("<a>1b22")),
        ("[.s | splits(\"[0-9]+\")]", json!(["a", "b", ""])),
        (".s | [scan(\"[a-z]\")]", json!(["a", "b"])),
        (".s | capture(\"(?<d>[0-9]+)\")", json!({"d": "1"})),
        (".s | ltrimstr(\"a\") | rtrimstr(\"2\")", json!("1b2")),
        (".s | @base64 | [., @base64d]", json!(["YTFiMjI=", "a1b22"])),
        ("@uri \"x=\\(\"a b\")\"", json!("x=a%20b")),
        ("@html \"<\\(\"<&>\")>\"", json!("<&lt;&amp;&gt;>")),
        ("@json \"v=\\(.a)\"", json!("v=[3,1,2]")),
        ("@sh \"\\(.s)\"", json!("'a1b22'")),
        (".o | tojson | [., fromjson]", json!(["{\"a\":null,\"b\":{\"c\":1}}", {"a": null, "b": {"c": 1}}])),
        ("[.o | paths]", json!([["a"], ["b"], ["b", "c"]])),
        ("getpath([\"o\", \"b\", \"c\"])", json!(1)),
        (".o | setpath([\"a\"]; 5)", json!({"a": 5, "b": {"c": 1}})),
        ("del(.a, .s, .t) | .o.b.c += 1", json!({"o": {"b": {"c": 2}, "a": null}})),
        (".o | walk(if type == \"number\" then . + 1 else . end)", json!({"a": null, "b": {"c": 2}})),
        ("[.. | numbers] | length", json!(5)),
        ("[.o | recurse | numbers]", json!([1])),
        (".a as [$x, $y] | $x - $y", json!(2)),
        (".o as {b: {$c}} | $c", json!(1)),
        (".a | [., map(. * 2)] | transpose", json!([[3, 6], [1, 2], [2, 4]])),
        ("[.a | combinations(1)] | length", json!(3)),
        (".t | todate", json!("2023-11-14T22:13:20Z")),
        (".t | todate | fromdate", json!(1_700_000_000)),
        (".t | strftime(\"%Y-%m-%d\")", json!("2023-11-14")),
        (".t | gmtime | mktime", json!(1_700_000_000)),
        ("\"2024-02-29\" | strptime(\"%Y-%m-%d\") | mktime", json!(1_709_164_800)),
        (".a | index(1), ([.[] | sqrt] | length) | [.] | length", json!("several")),
        ("16 | sqrt, 1 | [.] | .[0]", json!("several")),
        ("[16 | sqrt, log2]", json!([4, 4])),
        ("[2 | pow(.; 10)]", json!([1024])),
        ("until(type == \"array\"; .a)", json!([3, 1, 2])),
        ("[.a[] as $x | $v.k + $x | tojson] | join(\",\")", json!("10,8,9")),
        ("isempty(.a[])", json!(false)),
        ("\"a\" | in({a: 1})", json!(true)),
        ("{now: 1, env: .t, input: 2} | with_entries(.value |= . + 1) | .now", json!(2)),
        ("[.a[] | tojson | ascii_downcase] | implode? // \"no\"", json!("no")),
        ("[getpath([\"a\", 0], [\"a\", 1])]", json!([3, 1])),
        ("splits(\"x\")? // 1", json!(1)),
    ] {
        match eval(text, &data) {
            Ok(value) => assert_eq!(canonical(&value), canonical(&expected), "{text}"),
            Err(error) if expected == json!("several") => {
                assert!(error.to_string().contains("more than one value"), "{text}: {error}");
            }
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn what_a_run_can_not_hold_is_an_error() {
    for (text, part) in [
        ("[9007199254740991 | . + 1 | recurse(empty)] | .[0]", "too large"),
        ("[limit(40; repeat(10))] | reduce .[] as $x (1; . * $x)", "too large"),
        ("nan", "not a finite"),
        ("[infinite]", "not a finite"),
        ("-infinite", "not a finite"),
        ("{a: {\"1\": nan}} | del(.b)", "not a finite"),
        ("\"1e999\" | fromjson", "not a finite"),
        ("\"a\" | tobytes", "bytes"),
        ("\"gIA=\" | @base64d", "bytes"),
        ("{(1): 2} | del(.a)", "not text"),
        ("def f: empty; f", "no value"),
        ("recurse(if . < 3 then . + 1 else empty end)", "more than one"),
        ("def f: sqrt; \"a\" | f", "wrong type"),
        ("[1] | .[] |= error(\"told\")", "told"),
        ("try error({}) catch error(.)", "raised a value"),
        ("def f: .[0]; true | f", "can't be indexed"),
        ("def f: {} - 1; f", "can't be calculated"),
        ("def f: 1 |= 2; f", "not a path"),
        ("1, 2 | walk(.)", "more than one"),
    ] {
        let error = eval(text, &json!(null)).map(|v| v.to_string());
        assert!(matches!(&error, Err(ExprError::Failed(why)) if why.contains(part)), "{text}: {error:?}");
    }
    for (text, limit) in [
        ("reduce range(100) as $i (0; [.])", "nesting"),
        ("reduce range(100000) as $i (0; [.])", "nesting"),
        ("[limit(1500000; repeat(1))]", "value size"),
        ("def f: \"x\" * 2000000; f", "value size"),
    ] {
        assert_eq!(eval(text, &json!(null)), Err(ExprError::Limit(limit.to_owned())), "{text}");
    }
}

#[test]
fn tame_and_wild_parts_are_filled_in_together() {
    let jq = |text: &str| Expression::jq(text, &scope()).unwrap();
    let inner = Expression::array(vec![jq("reduce .[] as $x (0; . + $x)"), jq(".[0]")]);
    let whole = Expression::object(vec![
        ("a".to_owned(), inner),
        ("b".to_owned(), Expression::constant(json!("c"))),
        ("d".to_owned(), jq("@json")),
        ("e".to_owned(), jq("$v.k")),
    ]);
    assert!(whole.is_wild() && whole.reads_input());
    assert_eq!(whole.variables().iter().collect::<Vec<_>>(), ["v"]);
    let value = filled(whole, &json!([1, 2])).unwrap();
    assert_eq!(value, json!({"a": [3, 1], "b": "c", "d": "[1,2]", "e": 7}));
}

#[test]
fn without_a_process_a_wild_expression_has_no_value() {
    let evaluation = Evaluation {
        id: EvalId(1),
        path: StepPath(String::new()),
        expression: Arc::new(Expression::jq("paths", &scope()).unwrap()),
        input: Arc::new(json!(null)),
        variables: BTreeMap::new(),
    };
    assert!(matches!(evaluate(&evaluation), Err(ExprError::Failed(_))));
}

/// A document may have thousands of them, compiled anew each time a run is taken up.
#[test]
fn compiling_is_quick() {
    let begun = std::time::Instant::now();
    for n in 0..500 {
        Expression::jq(&format!("[paths] | reduce .[] as $x ({n}; . + ($x | length)) | todate"), &scope()).unwrap();
    }
    println!("one takes {:?}", begun.elapsed() / 500);
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn a_literal_in_a_wild_expression_is_seen() {
    let expression =
        Expression::jq("[\"a\\u0062c\" | test(\"x\\(\"inner\")y\")] | {key: .} | .field", &scope()).unwrap();
    for text in ["abc", "x", "inner", "y", "key", "field"] {
        assert!(expression.texts().contains(&text), "{text}: {:?}", expression.texts());
    }
}

/// Inputs, spelt so that a slip would show: keys out of order, whole numbers as floats.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i32..4).prop_map(|n| Value::from(f64::from(n) / 2.0)),
        "[ab1é,]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec(("[abk]", inner), 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

const LEAVES: &[&str] = &[
    ".",
    ".a",
    ".[0]?",
    ".[]?",
    "1",
    "\"a\"",
    "null",
    "$v",
    "..",
    "paths",
    "recurse",
    "tojson",
    "tostring",
    "length",
    "keys",
    "@base64",
    "@json",
    "@text",
    "@uri",
    "\"<\\(.)>\"",
    "[limit(3; repeat(1))]",
    "empty",
    "error",
    "type",
    "not",
    "sqrt",
    "infinite",
    "ascii_downcase",
    "explode",
    "transpose",
    "to_entries",
    "add",
    "todate",
    "break $out",
];
const UNARY: &[&str] = &[
    "map",
    "walk",
    "first",
    "last",
    "isempty",
    "test",
    "splits",
    "del",
    "path",
    "getpath",
    "map_values",
    "any",
    "sort_by",
    "group_by",
    "paths",
    "f",
    "ltrimstr",
    "with_entries",
    "has",
    "error",
    "skip(1; .)|map",
];

/// Random jq, tame and wild. It ends: nothing in it calls itself.
fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(LEAVES.to_vec()).prop_map(str::to_owned);
    let whole = leaf.prop_recursive(4, 16, 3, |e| {
        let (pair, operators) = ((e.clone(), e.clone()), ["+", "-", "*", "/", "%", "==", "<", "and", "//", "|=", "+="]);
        prop_oneof![
            pair.clone().prop_map(|(a, b)| format!("({a} | {b})")),
            (pair.clone(), proptest::sample::select(operators.to_vec()))
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (e.clone(), proptest::sample::select(UNARY.to_vec())).prop_map(|(a, f)| format!("{f}({a})")),
            pair.clone().prop_map(|(a, b)| format!("(reduce limit(5; {a}) as $x (.; {b}))")),
            pair.clone().prop_map(|(a, b)| format!("(foreach limit(5; {a}) as $x (.; {b}; [$x, .]))")),
            pair.clone().prop_map(|(a, b)| format!("(try {a} catch {b})")),
            pair.clone().prop_map(|(a, b)| format!("(label $out | {a}, {b})")),
            pair.clone().prop_map(|(a, b)| format!("({a} as [$x, {{a: $y}}] | [$x, $y, {b}])")),
            pair.clone().prop_map(|(a, b)| format!("{{a: {a}, ({b}): 1}}")),
            (e.clone(), e.clone(), e).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c} end)")),
        ]
    });
    whole.prop_map(|text| format!("label $out | def f(g): [g, .]; [{text}]"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// What compiles here compiles there, and gives the same twice, whatever the spelling of its input.
    #[test]
    fn the_same_job_gives_the_same_value(text in expression(), input in value()) {
        let Ok(expression) = Expression::jq(&text, &scope()) else { return Ok(()) };
        prop_assert!(expression.is_wild());
        let job = |input: Value| Job { expressions: vec![text.clone()], input, variables: [("v".to_owned(), json!({"k": 7}))].into() };
        let mut first = Interpreter::default();
        let once = first.evaluate(&job(input.clone()));
        prop_assert!(!matches!(&once, Err(ExprError::Failed(why)) if why.contains("that compiles")), "{}", text);
        prop_assert_eq!(&once, &first.evaluate(&job(input.clone())), "a second time: {}", text);
        prop_assert_eq!(&once, &Interpreter::default().evaluate(&job(canonical(&input))), "canonical: {}", text);
        if let Ok(values) = once {
            let canonical = values.iter().map(canonical).collect::<Vec<_>>();
            prop_assert!(values.iter().all(mandate_kernel::is_exact), "{}", text);
            prop_assert_eq!(canonical.len(), 1);
        }
    }

    #[test]
    fn any_words_are_read_or_refused(words in proptest::collection::vec(proptest::sample::select(vec![
        "def", "f", ":", ";", "(", ")", "[", "]", "{", "}", "|", ".", "..", "reduce", "foreach", "as", "$x", "$v", "try", "catch",
        "label", "break", "if", "then", "else", "end", "import", "include", "module", "\"a\"", "\"\\(", "@base64", "1", ",", "//=", "?", "-", "::",
    ]), 0..24)) {
        let _ = Expression::jq(&words.join(" "), &scope()).map(|_| ());
    }
}
