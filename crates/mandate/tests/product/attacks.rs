//! What an attack on the running product once achieved, and must not again.

use super::world::{apply, manifest, search, try_apply, worker};
use crate::house::House;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn policy(text: &str) -> Vec<Value> {
    vec![manifest("Policy", "finance/attack", json!({"file": "attack.cedar", "text": text}))]
}

fn problem(reply: &crate::house::http::Reply) -> String {
    let kind = reply.json()["type"].as_str().unwrap_or_default().to_owned();
    kind.rsplit('/').next().unwrap_or_default().to_owned()
}

fn start(house: &House, account: &str, body: &Value, key: &str) -> crate::house::http::Reply {
    let token = house.token(account);
    house.http_with("POST", "/v1/runs?wait=20", Some(&token), &[("idempotency-key", key)], Some(body))
}

/// Workers that compute for ever leave the server to others, and end by themselves.
#[test]
fn a_worker_that_computes_does_not_stop_the_house() {
    let house = House::start();
    let loops = json!([
        {"first": {"wait": {"milliseconds": 1}}},
        {"all": {"for": {"each": "i", "in": "${ [range(10000)] }"}, "do": [
            {"one": {"set": {"x": "${ [range(90000)] | map(. * 2) | add }"}}}
        ]}},
    ]);
    apply(
        &house,
        "admin",
        vec![
            worker("busy", loops, &[], json!({})),
            super::world::role(
                "finance/busy-runner",
                "user:finance-lead",
                "runner",
                json!({"resource": "finance/busy"}),
            ),
        ],
    );
    let runs: Vec<String> = (0..3)
        .map(|_| {
            let args = ["run", "finance/busy", "--purpose", "compute", "--detach", "-o", "json"];
            house.cli_as("finance-lead", &args).json()["run"].as_str().unwrap().to_owned()
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(house.http("GET", "/livez", None, None).status, 200);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let killed = house.cli_as("finance-lead", &["runs", "kill", &runs[0], "-o", "json"]).exits(0).json();
    assert_eq!(killed["state"], "cancelled");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for run in &runs[1..] {
        let args = ["runs", "kill", run, "-o", "json"];
        assert_eq!(house.cli_as("finance-lead", &args).exits(0).json()["state"], "cancelled");
    }
}

#[test]
fn a_policy_under_which_its_author_could_not_mend_it_is_refused() {
    let house = House::start();
    for text in [
        "@id(\"x.overflow\") permit (principal, action, resource) when { 9223372036854775807 + 1 > 0 };",
        "@id(\"x.forbid\") forbid (principal, action, resource);",
    ] {
        let reply = try_apply(&house, "admin", policy(text));
        assert_eq!((reply.status, problem(&reply)), (422, "would-lock-out".to_owned()), "{text}");
    }
    let nested = format!(
        "@id(\"x.deep\") permit (principal, action, resource) when {{ {}true{} }};",
        "(".repeat(2000),
        ")".repeat(2000)
    );
    let reply = try_apply(&house, "admin", policy(&nested));
    assert_eq!((reply.status, problem(&reply)), (422, "invalid-policy".to_owned()));
    apply(&house, "admin", policy("@id(\"x.fine\") forbid (principal, action == Action::\"key.rotate\", resource);"));
}

#[test]
fn a_witness_without_its_memory_and_a_log_without_its_end_do_not_start() {
    let mut house = House::start();
    house.settled(&house.start_run(), Duration::from_secs(20));
    house.kill9();
    let memory = house.data_dir().join("witness/state.json");
    let kept = std::fs::read(&memory).unwrap();
    std::fs::remove_file(&memory).unwrap();
    assert!(House::start_with(house.data_dir(), house.port(), &[]).is_err());
    std::fs::write(&memory, kept).unwrap();
    house.restart();
    house.kill9();
    let database = rusqlite::Connection::open(house.data_dir().join("mandate.db")).unwrap();
    let gone = database.execute(
        "DELETE FROM ledger_entries WHERE tenant = 'demo' AND idx = (SELECT MAX(idx) FROM ledger_entries WHERE tenant = 'demo')",
        [],
    );
    assert_eq!(gone.unwrap(), 1);
    drop(database);
    assert!(House::start_with(house.data_dir(), house.port(), &[]).is_err());
}

#[test]
fn a_start_key_means_one_request_and_an_artefact_leaves_a_trace() {
    let house = House::start();
    let body = |quarter: &str| json!({"worker": "finance/quarterly-summary", "purpose": "close", "input": {"quarter": quarter}});
    let first = start(&house, "finance-lead", &body("2026-Q3"), "K1");
    assert_eq!(first.status, 201);
    assert_eq!(start(&house, "finance-lead", &body("2026-Q3"), "K1").json()["run"], first.json()["run"]);
    let other = start(&house, "finance-lead", &body("2026-Q1"), "K1");
    assert_eq!((other.status, problem(&other)), (409, "duplicate-start".to_owned()));
    let run = first.json()["run"].as_str().unwrap().to_owned();
    house.settled(&run, Duration::from_secs(30));
    let path = format!("/v1/runs/{run}/artifact");
    assert_eq!(house.http("GET", &path, Some(&house.token("auditor")), None).status, 200);
    let deadline = Instant::now() + Duration::from_secs(10);
    while search(&house, "auditor", "kind=artifact-read").is_empty() {
        assert!(Instant::now() < deadline, "no entry says that the artefact was handed out");
        std::thread::sleep(Duration::from_millis(100));
    }
    let resolve = json!({"happened": true, "value": {"a": 1_152_921_504_606_846_976_u64}});
    let reply =
        house.http("POST", &format!("/v1/runs/{run}/resolve"), Some(&house.token("finance-director")), Some(&resolve));
    assert_eq!((reply.status, problem(&reply)), (422, "inexact-number".to_owned()));
}

/// What could never work is refused where it is written; what may not be seen looks absent.
#[test]
fn apply_refuses_what_could_never_be_sent_and_tells_nothing_of_others() {
    let house = House::start();
    for (url, slot) in [
        ("file:///etc/passwd", json!(null)),
        ("http://8.8.8.8", json!(null)),
        ("https://api.example", json!({"header": "x\r\nevil"})),
    ] {
        let spec = json!({"environments": {"sandbox": {"url": url}}, "slot": slot});
        let reply = try_apply(&house, "admin", vec![manifest("Connection", "finance/odd", spec)]);
        assert_eq!((reply.status, problem(&reply)), (422, "invalid-connection".to_owned()), "{url}");
    }
    let bound = |credential: &str| {
        let mut made = worker("w", json!([{"a": {"set": {"x": 1}}}]), &[], json!({"f": credential}));
        made["metadata"]["name"] = json!("product/w");
        let reply = try_apply(&house, "product-lead", vec![made]);
        (reply.status, problem(&reply))
    };
    assert_eq!(bound("finance/ledgerbook-key"), (422, "unknown-credential".to_owned()));
    assert_eq!(bound("finance/nope"), bound("finance/ledgerbook-key"));
    let mut lasting = worker("w", json!([{"a": {"set": {"x": 1}}}]), &[], json!({}));
    lasting["spec"]["authoritySeconds"] = json!(0);
    assert_eq!(problem(&try_apply(&house, "admin", vec![lasting])), "invalid-worker");
}
