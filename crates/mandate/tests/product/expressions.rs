//! Wild expressions in the running product: they work, bombs end within their budget while other runs go on,
//! and the processes that evaluate them have nothing.

use super::world::{apply, ended, role, run, run_with, try_apply, until, worker};
use crate::house::House;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Bombs, each with the limits one of which it must meet.
const BOMBS: [(&str, &str, &[&str]); 8] = [
    ("bomb-tail", "def f: f; f", &["time"]),
    ("bomb-deep", "def f: 1 + f; f", &["recursion"]),
    ("bomb-repeat", "[limit(1e9; repeat(1))]", &["time", "memory"]),
    ("bomb-range", "def f: last(range(1e18)); f", &["time"]),
    ("bomb-text", "def f: \"x\" * 1000000000; f", &["memory"]),
    ("bomb-regex", "def e: \"a\" * 900000; [e | match(\"(a?){900}a{900}\"; \"g\")]", &["time", "memory"]),
    ("bomb-nest", "reduce range(1000) as $i (0; [.])", &["nesting"]),
    ("bomb-output", "[limit(4; repeat(\"x\" * 400000))]", &["value size"]),
];
/// An evaluation's budget of time.
const BUDGET: Duration = Duration::from_secs(2);

fn computing(name: &str, expression: &str) -> Value {
    worker(name, json!([{"one": {"set": {"a": format!("${{ {expression} }}")}}}]), &[], json!({}))
}

/// A step that ends the run with an error where the expression doesn't hold.
fn holds(expression: &str) -> Value {
    let error = json!({"type": "https://example.com/wrong", "status": 500, "title": "Wrong"});
    json!({"check": {"if": format!("${{ ({expression}) | not }}"), "raise": {"error": error}}})
}

/// Starts a Worker of Finance as the lead; it may have ended at once.
fn started(house: &House, name: &str) -> String {
    run_with(house, "finance-lead", name, &["--detach"]).json()["run"].as_str().unwrap().to_owned()
}

/// A house whose finance lead may run every Worker of Finance.
fn open_house() -> House {
    let house = House::start();
    apply(
        &house,
        "admin",
        vec![role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"}))],
    );
    house
}

/// The processes that evaluate expressions for the house.
fn children(house: &House) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let parent = format!("PPid:\t{}\n", house.pid());
    let read = |path: &PathBuf, name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    processes
        .filter(|path| read(path, "status").contains(&parent) && read(path, "cmdline").contains("evaluate-expressions"))
        .collect()
}

#[test]
fn jq_beyond_the_subset_works() {
    let house = open_house();
    for (n, (expression, expected)) in [
        ("reduce .quarter as $q ([]; . + [$q | ascii_downcase]) | first", json!("2026-q3")),
        (".quarter | capture(\"(?<year>[0-9]+)-Q(?<n>[0-9])\") | [.year, .n | tonumber]", json!([2026, 3])),
        ("def twice(f): [f, f]; twice(.quarter | @base64)", json!(["MjAyNi1RMw==", "MjAyNi1RMw=="])),
        ("[paths]", json!([["quarter"]])),
        ("try error(\"no\") catch .", json!("no")),
        ("1767225600 | todate", json!("2026-01-01T00:00:00Z")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("jq-{n}");
        let steps =
            json!([{"one": {"set": {"a": format!("${{ {expression} }}")}}}, holds(&format!(".a == {expected}"))]);
        apply(&house, "admin", vec![worker(&name, steps, &[], json!({}))]);
        let view = run(&house, "finance-lead", &name).json();
        assert_eq!(view["state"], "completed", "{expression}: {view}");
    }
}

#[test]
fn bombs_end_as_expression_errors_while_others_go_on() {
    let house = open_house();
    let mut workers: Vec<Value> = BOMBS.iter().map(|(name, expression, _)| computing(name, expression)).collect();
    workers.push(computing("tame", ".quarter"));
    workers.push(computing("wild", "[paths] | length"));
    apply(&house, "admin", workers);
    let timed = |name: &str| {
        let begun = Instant::now();
        run(&house, "finance-lead", name).exits(0);
        begun.elapsed()
    };
    let usual = [timed("tame"), timed("wild"), timed("tame"), timed("wild")].into_iter().max().unwrap();

    let begun = Instant::now();
    let bombs: Vec<_> = BOMBS.iter().map(|(name, ..)| started(&house, name)).collect();
    let meanwhile: Vec<_> = ["tame", "wild", "tame", "wild"].map(timed).into();
    let busy = begun.elapsed();
    for ((name, _, limits), run) in BOMBS.iter().zip(&bombs) {
        let view = ended(&house, run);
        let problem = &view["problem"];
        assert_eq!(view["state"], "faulted", "{name}: {view}");
        assert!(problem["type"].as_str().unwrap().ends_with("/expression"), "{name}: {view}");
        let told = problem["detail"].as_str().unwrap();
        assert!(limits.iter().any(|limit| told.contains(&format!("limit of {limit}"))), "{name}: {told}");
    }
    println!("usual {usual:?}, beside bombs {meanwhile:?}, bombs {:?}", begun.elapsed());
    for time in &meanwhile {
        // Two processors are busy with eight bombs, and other tests; what must not be is waiting for one.
        assert!(*time < usual * 4 + BUDGET / 2, "usually {usual:?}, beside bombs {meanwhile:?} in {busy:?}");
    }
    // The house is as it was.
    timed("wild");
    assert_eq!(house.http("GET", "/readyz", None, None).status, 200);
}

#[test]
fn a_process_for_expressions_has_nothing() {
    let house = open_house();
    apply(&house, "admin", vec![computing("slow", "until(false; .)")]);
    let run = started(&house, "slow");
    let begun = Instant::now();
    let found = loop {
        let found = children(&house);
        if !found.is_empty() || begun.elapsed() > BUDGET {
            break found;
        }
    };
    assert!(!found.is_empty());
    for child in found {
        let Ok(status) = std::fs::read_to_string(child.join("status")) else { continue };
        // One that is only starting is not confined yet, and has not been asked anything.
        if !status.contains("Seccomp:\t2") {
            continue;
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert_eq!(std::fs::read(child.join("environ")).unwrap(), b"", "its environment");
        assert_eq!(std::fs::read_link(child.join("cwd")).unwrap(), PathBuf::from("/"));
        let limits = std::fs::read_to_string(child.join("limits")).unwrap();
        let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        for name in ["Max file size", "Max core file size", "Max processes"] {
            assert_eq!(limit(name).split_whitespace().filter(|word| *word == "0").count(), 2, "{limits}");
        }
        for name in ["Max address space", "Max cpu time", "Max open files"] {
            assert!(!limit(name).contains("unlimited"), "{limits}");
        }
        for file in std::fs::read_dir(child.join("fd")).unwrap() {
            let to = std::fs::read_link(file.unwrap().path()).unwrap();
            let to = to.to_string_lossy().into_owned();
            assert!(!to.contains("mandate.db") && !to.starts_with("socket:["), "it has {to}");
        }
    }
    ended(&house, &run);
    let begun = Instant::now();
    while children(&house).len() > 3 {
        assert!(begun.elapsed() < Duration::from_secs(5), "killed children stay");
    }
}

#[test]
fn a_limit_that_was_met_is_met_again_after_a_crash() {
    let mut house = open_house();
    let steps = json!([
        {"guarded": {
            "try": [{"burst": {"set": {"a": "${ until(false; .) }"}}}],
            "catch": {"as": "error", "do": [{"told": {"set": {"caught": "${ $error.detail }"}}}]},
        }},
        {"pause": {"wait": {"seconds": 4}}},
        holds(".caught | contains(\"limit of time\")"),
    ]);
    apply(&house, "admin", vec![worker("caught", steps, &[], json!({}))]);
    let run = started(&house, "caught");
    until(&house, &run, &["waiting"]);
    house.restart();
    let view = ended(&house, &run);
    assert_eq!(view["state"], "completed", "{view}");
    let events = house.http("GET", &format!("/v1/runs/{run}/events"), Some(&house.token("finance-lead")), None);
    let events = String::from_utf8_lossy(&events.body).into_owned();
    assert_eq!(events.matches("\"evaluation-ended\"").count(), 1, "{events}");
}

#[test]
fn what_reads_the_outside_is_refused_at_apply() {
    let house = open_house();
    for expression in ["env", "$ENV.PATH", "input", "[inputs]", "now", "halt", "debug", "localtime", "1 | halt_error"] {
        let reply = try_apply(&house, "admin", vec![computing("bad", expression)]);
        assert_eq!(reply.status, 422, "{expression}: {}", String::from_utf8_lossy(&reply.body));
        let why = reply.json().to_string();
        assert!(why.contains("is not for expressions"), "{expression}: {why}");
    }
}
