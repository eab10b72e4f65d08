//! Real children: what they answer, and how each way of misbehaving ends. This program is also the child,
//! an honest one and several that lie.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test with a main of its own"
)]

use mandate_flow::{ExprError, Job};
use mandate_sandbox::{Limits, Outcome, Program, Sandbox, child, frame};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

const TESTS: &[(&str, fn())] = &[
    ("gives_values", gives_values),
    ("bombs_end_by_their_limit", bombs_end_by_their_limit),
    ("a_child_serves_one_owner", a_child_serves_one_owner),
    ("a_child_that_misbehaves_is_an_error", a_child_that_misbehaves_is_an_error),
    ("bombs_hold_nobody_up", bombs_hold_nobody_up),
    ("no_child_is_not_an_answer", no_child_is_not_an_answer),
    ("what_it_costs", what_it_costs),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(0);
    match args.first().map(String::as_str) {
        Some("child") => child::serve(number(1), number(2)),
        Some("liar") => lie(&args[1]),
        filter => {
            let wanted = |name: &str| filter.is_none_or(|filter| filter.starts_with('-') || name.contains(filter));
            for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
                let begun = Instant::now();
                test();
                println!("test {name} ... ok ({:?})", begun.elapsed());
            }
            ExitCode::SUCCESS
        }
    }
}

/// A child that is ready, reads a request, and then does something else than it should.
fn lie(how: &str) -> ExitCode {
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    if how == "unready" {
        return ExitCode::from(70);
    }
    frame::write(&mut to, &[], 0).unwrap();
    while let Ok(Some(_)) = frame::read(&mut from, frame::REQUEST) {
        let mut say = |body: &[u8]| frame::write(&mut to, body, frame::ANSWER);
        match how {
            "pid" => say(format!("{{\"Ok\":[{}]}}", std::process::id()).as_bytes()).unwrap(),
            "hang" => std::thread::sleep(Duration::from_secs(3_600)),
            "die" => return ExitCode::from(3),
            "garble" => say(b"\xff{]").unwrap(),
            "too-many" => say(b"{\"Ok\":[1,2]}").unwrap(),
            "inexact" => say(b"{\"Ok\":[18446744073709551615]}").unwrap(),
            "too-long" => to.write_all(&[0xff; 64]).and_then(|()| to.flush()).unwrap(),
            "half" => {
                to.write_all(&[0, 0, 0, 9, b'{']).and_then(|()| to.flush()).unwrap();
                return ExitCode::SUCCESS;
            }
            "flood" => while to.write_all(&[0; 4096]).is_ok() {},
            "flood-stderr" => while std::io::stderr().write_all(&[b'x'; 4096]).is_ok() {},
            _ => return ExitCode::FAILURE,
        }
    }
    ExitCode::SUCCESS
}

fn sandbox(arguments: &[&str], limits: Limits) -> Arc<Sandbox> {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    Sandbox::new(Program { path: std::env::current_exe().unwrap(), arguments }, limits)
}

fn job(text: &str, input: Value) -> Job {
    Job { expressions: vec![text.to_owned()], input, variables: [("v".to_owned(), json!({"k": 7}))].into() }
}

fn value(value: Value) -> Outcome {
    Outcome::Answered(Ok(vec![value]))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

fn gives_values() {
    run(async {
        let sandbox = sandbox(&["child"], Limits::DEFAULT);
        sandbox.prepare().await.unwrap();
        for (text, expected) in [
            ("[paths]", json!([["a"], ["a", 0]])),
            ("$v.k | @text", json!("7")),
            (".a[0] | todate", json!("1970-01-01T00:00:01Z")),
            ("[.a[0] | tojson | test(\"[0-9]\")]", json!([true])),
            ("reduce range(100000) as $i (0; . + $i)", json!(4_999_950_000_u64)),
            ("def f: if . > 5000 then . else 1 + . | f end; 0 | f", json!(5_001)),
            ("def f: if . > 2000 then 0 else 1 + (. + 1 | f) end; 0 | f", json!(2_001)),
            ("[limit(20000; repeat(\"abcdefgh\"))] | length", json!(20_000)),
            ("\"2024-01-01 [Europe/Berlin]\" | try strptime(\"%Y-%m-%d [%Q]\") catch \"no zones\"", json!("no zones")),
        ] {
            let answer = sandbox.evaluate("run", &job(text, json!({"a": [1]}))).await.unwrap();
            assert_eq!(answer, value(expected), "{text}");
        }
        let failed = sandbox.evaluate("run", &job("error(\"told\")", json!(null))).await.unwrap();
        assert_eq!(failed, Outcome::Answered(Err(ExprError::Failed("told".to_owned()))));
        let unknown = sandbox.evaluate("run", &job("input", json!(null))).await.unwrap();
        assert!(matches!(unknown, Outcome::Answered(Err(ExprError::Failed(_)))), "{unknown:?}");
    });
}

fn bombs_end_by_their_limit() {
    let limits = Limits::new(1_500, 128, 4).unwrap();
    run(async {
        let sandbox = sandbox(&["child"], limits);
        for (text, expected) in [
            ("def f: f; f", &["time"][..]),
            ("until(false; . + 1)", &["time"]),
            ("last(range(1e18))", &["time"]),
            ("last(repeat(1))", &["time"]),
            ("def f: 1 + f; f", &["recursion", "memory", "time"]),
            ("def f: [f]; f", &["recursion", "memory", "time"]),
            ("def f: f | f; f", &["recursion", "memory", "time"]),
            ("def f(g): f(g | g); f(.)", &["recursion", "memory", "time"]),
            ("[repeat(1)]", &["memory", "time"]),
            ("[range(1e18)]", &["memory", "time"]),
            ("[limit(1e9; repeat(1))]", &["memory", "time"]),
            ("def f: \"x\" * 1000000000; f", &["memory"]),
            ("def f: \"x\" * 9007199254740991; f", &["memory"]),
            ("reduce range(64) as $i (\"x\"; . + .)", &["memory"]),
            ("reduce range(64) as $i ([1]; . + .)", &["memory", "time"]),
            ("[limit(400000; repeat(\"xxxxxxxx\"))]", &["value size", "time"]),
            ("reduce range(100000) as $i (0; [.])", &["nesting"]),
            ("def d: reduce range(3000000) as $i (0; [.]); d | tojson", &["recursion", "memory", "time"]),
            ("def d: \"[\" * 10000000; d | fromjson", &["recursion", "memory", "time"]),
            ("[range(100000)] | combinations(100000)", &["recursion", "memory", "time"]),
            ("def e: \"a\" * 900000; [e | match(\"(a?){900}a{900}\"; \"g\")]", &["time", "memory", "value size"]),
            ("def e: \"(\" * 500000; \"a\" | test(e)", &["invalid regex: pattern has too much nesting"]),
        ] {
            let begun = Instant::now();
            let answer = sandbox.evaluate("run", &job(text, json!(null))).await.unwrap();
            let took = begun.elapsed();
            let limit = match &answer {
                Outcome::Limit(limit) => limit,
                Outcome::Answered(Err(ExprError::Limit(limit))) => limit.as_str(),
                Outcome::Answered(Err(ExprError::Failed(why))) => why.as_str(),
                Outcome::Answered(Ok(_)) => "a value",
                Outcome::Broken => "broken",
            };
            assert!(expected.contains(&limit), "{text}: {limit} after {took:?}");
            println!("  {text}: {limit}, {took:?}");
            assert!(took < Duration::from_secs(20), "{text} took {took:?}");
        }
        // And it still works.
        assert_eq!(sandbox.evaluate("run", &job("[paths]", json!([1]))).await.unwrap(), value(json!([[0]])));
    });
}

fn a_child_serves_one_owner() {
    run(async {
        let sandbox = sandbox(&["liar", "pid"], Limits::new(2_000, 64, 2).unwrap());
        let mut owners: Vec<(String, Value)> = Vec::new();
        for turn in 0..3 {
            for owner in ["a", "a", "b", "c", "b", "d", "a"] {
                let Outcome::Answered(Ok(pid)) = sandbox.evaluate(owner, &job("pid", json!(turn))).await.unwrap()
                else {
                    panic!("no pid");
                };
                owners.push((owner.to_owned(), pid[0].clone()));
            }
        }
        for (owner, pid) in &owners {
            assert!(owners.iter().all(|(other, same)| same != pid || other == owner), "{owners:?}");
        }
        assert_eq!(owners[0].1, owners[1].1, "a child is asked again by its owner");
    });
}

fn a_child_that_misbehaves_is_an_error() {
    let limits = Limits::new(500, 64, 2).unwrap();
    for (how, expected) in [
        ("hang", Outcome::Limit("time")),
        ("die", Outcome::Broken),
        ("garble", Outcome::Broken),
        ("too-many", Outcome::Broken),
        ("inexact", Outcome::Broken),
        ("too-long", Outcome::Broken),
        ("half", Outcome::Broken),
        ("flood", Outcome::Broken),
        ("flood-stderr", Outcome::Limit("time")),
    ] {
        run(async {
            let sandbox = sandbox(&["liar", how], limits);
            for _ in 0..2 {
                let begun = Instant::now();
                assert_eq!(sandbox.evaluate("run", &job(".", json!(null))).await.unwrap(), expected, "{how}");
                assert!(begun.elapsed() < Duration::from_secs(10), "{how} took {:?}", begun.elapsed());
            }
        });
    }
}

fn bombs_hold_nobody_up() {
    let limits = Limits::new(2_000, 128, 16).unwrap();
    run(async {
        let sandbox = sandbox(&["child"], limits);
        let bombs: Vec<_> = (0..8)
            .map(|n| {
                let sandbox = Arc::clone(&sandbox);
                let text = ["def f: f; f", "[repeat(1)]", "last(range(1e18))", "def f: 1 + f; f"][n % 4];
                tokio::spawn(async move { sandbox.evaluate(&format!("bomb {n}"), &job(text, json!(null))).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..3 {
            assert_eq!(sandbox.evaluate("good", &job("[paths]", json!([1]))).await.unwrap(), value(json!([[0]])));
        }
        for bomb in bombs {
            assert!(matches!(bomb.await.unwrap().unwrap(), Outcome::Limit(_)));
        }
    });
}

fn no_child_is_not_an_answer() {
    run(async {
        let absent = Program { path: "/nonexistent/mandate".into(), arguments: Vec::new() };
        assert!(Sandbox::new(absent, Limits::DEFAULT).evaluate("run", &job(".", json!(null))).await.is_err());
        let unready = sandbox(&["liar", "unready"], Limits::DEFAULT);
        assert!(unready.prepare().await.is_err());
        assert!(unready.evaluate("run", &job(".", json!(null))).await.is_err());
    });
}

/// Prints what a start and a further evaluation cost.
fn what_it_costs() {
    run(async {
        let sandbox = sandbox(&["child"], Limits::DEFAULT);
        let ask = async |owner: &str| {
            let begun = Instant::now();
            assert_eq!(sandbox.evaluate(owner, &job("[paths]", json!([1]))).await.unwrap(), value(json!([[0]])));
            begun.elapsed()
        };
        let cold = ask("first").await;
        let again = (ask("first").await, ask("first").await);
        let mut others = Vec::new();
        for n in 0..20 {
            others.push(ask(&n.to_string()).await);
        }
        others.sort();
        println!("  first {cold:?}, again {again:?}, another owner (median of 20) {:?}", others[10]);
    });
}
