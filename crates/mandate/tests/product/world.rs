//! What the tests have in common: Workers, functions and connections of their own, and ways to look.

use super::receiver::Receiver;
use crate::house::http::Reply;
use crate::house::{House, Ran};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as not happening.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A Worker of Finance: its steps, the functions it may call, and what is bound to their slots.
pub(crate) fn worker(name: &str, steps: Value, functions: &[&str], bindings: Value) -> Value {
    manifest(
        "Worker",
        &format!("finance/{name}"),
        json!({
            "document": {
                "document": {"dsl": "1.0.3", "namespace": "finance", "name": name, "version": "1.0.0"},
                "do": steps,
            },
            "class": {"impact": "action-taking", "data": ["internal"]},
            "environments": ["sandbox", "production"],
            "defaultEnvironment": "sandbox",
            "functions": functions,
            "bindings": bindings,
        }),
    )
}

/// A Worker that only waits.
pub(crate) fn waiter(name: &str, seconds: u64) -> Value {
    worker(name, json!([{"pause": {"wait": {"seconds": seconds}}}]), &[], json!({}))
}

pub(crate) fn role(name: &str, subject: &str, role: &str, on: Value) -> Value {
    manifest("RoleBinding", name, json!({"subjects": [subject], "role": role, "on": on}))
}

/// A function over HTTP: `GET` reads, everything else acts once for each key.
pub(crate) fn function(name: &str, connection: &str, method: &str, model: &str, scopes: &[&str]) -> Value {
    let read = method == "GET";
    let query: &[&str] = if read { &["quarter"] } else { &[] };
    manifest(
        "Function",
        &format!("finance/{name}"),
        json!({
            "effect": if read { "read" } else { "idempotent" },
            "model": model,
            "legacy": model == "service-account",
            "class": {"impact": if read { "read-only" } else { "action-taking" }, "data": ["internal"]},
            "scopes": scopes,
            "arguments": {"quarter": {"type": "string", "maxLength": 7}},
            "returns": {"confidentiality": "internal", "integrity": "authoritative"},
            "target": {"http": {"connection": connection, "method": method, "path": "/thing", "query": query}},
        }),
    )
}

pub(crate) fn entitlement(url: &str, scopes: &[&str]) -> Value {
    let quarter = json!({"/quarter": {"prefix": "20"}});
    manifest(
        "Entitlement",
        "finance/mine-leads",
        json!({
            "subjects": ["group:finance-leads"], "environments": ["sandbox"], "scopes": scopes, "audiences": [url],
            "functions": {"mine.read": quarter, "mine.publish": quarter},
        }),
    )
}

/// A call of a function for a quarter.
pub(crate) fn call(step: &str, function: &str, quarter: &str) -> Value {
    json!({step: {"call": function, "with": {"quarter": quarter}}})
}

/// `mine`: a receiver of hop tokens, entitled to finance leads; `legacy`: the same behind a static key
/// that the director owns. The finance lead may run everything of Finance.
pub(crate) fn furnish(house: &House, receiver: &Receiver) {
    let url = receiver.url();
    apply(
        house,
        "admin",
        vec![
            manifest("Connection", "finance/mine", json!({"environments": {"sandbox": {"url": url, "audience": url}}})),
            manifest(
                "Connection",
                "finance/legacy",
                json!({"environments": {"sandbox": {"url": url}}, "slot": {"header": "x-api-key"}}),
            ),
            manifest(
                "Credential",
                "finance/legacy-key",
                json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": [url]}),
            ),
            function("mine.read", "mine", "GET", "delegated", &["mine.read"]),
            function("mine.publish", "mine", "POST", "workflow-bound", &["mine.publish"]),
            function("legacy.read", "legacy", "GET", "service-account", &[]),
            entitlement(url, &["mine.read", "mine.publish"]),
            role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"})),
            role(
                "finance/legacy-key-owners",
                "user:finance-director",
                "credential-owner",
                json!({"resource": "finance/legacy-key"}),
            ),
        ],
    );
}

/// Applies manifests; they must be good.
pub(crate) fn apply(house: &House, account: &str, manifests: Vec<Value>) -> Value {
    let reply = try_apply(house, account, manifests);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()
}

pub(crate) fn try_apply(house: &House, account: &str, manifests: Vec<Value>) -> Reply {
    house.http("POST", "/v1/apply", Some(&house.token(account)), Some(&json!({"manifests": manifests})))
}

/// Starts a Worker of Finance and waits for it, by the command line.
pub(crate) fn run(house: &House, account: &str, name: &str) -> Ran {
    run_with(house, account, name, &[])
}

pub(crate) fn run_with(house: &House, account: &str, name: &str, more: &[&str]) -> Ran {
    let worker = format!("finance/{name}");
    let mut args =
        vec!["run", &worker, "--purpose", "quarterly review", "--input", r#"{"quarter":"2026-Q3"}"#, "-o", "json"];
    args.extend(more);
    let ran = house.cli_as(account, &args);
    if ran.code != 4 || more.contains(&"--detach") || ran.json()["waiting_for"] != "approval" {
        return ran;
    }
    // The sample's mail waits for a yes.
    let run = ran.json()["run"].as_str().unwrap().to_owned();
    house.approve(&run);
    house.cli_as(account, &["runs", "watch", &run, "-o", "json"])
}

/// The refused run: exit 3, state `refused`, this problem, and its decision in the ledger.
pub(crate) fn refused_by(house: &House, ran: Ran, code: &str) -> Value {
    let view = ran.exits(3).json();
    assert_eq!(view["state"], "refused", "{view}");
    assert_eq!(view["problem"]["type"], format!("https://mandate.dev/problems/{code}"), "{view}");
    recorded(house, view["problem"]["decision"].as_str().unwrap());
    view
}

/// Waits until the decision is in the tenant's ledger; gives the entry.
pub(crate) fn recorded(house: &House, decision: &str) -> Value {
    let begun = Instant::now();
    loop {
        let entries = search(house, "auditor", "limit=500");
        if let Some(found) = entries.into_iter().find(|entry| entry["details"]["decision"] == decision) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{decision} is not in the ledger");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ledger entries, newest first.
pub(crate) fn search(house: &House, account: &str, query: &str) -> Vec<Value> {
    let reply = house.http("GET", &format!("/v1/audit/search?{query}"), Some(&house.token(account)), None);
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["items"].as_array().unwrap().clone()
}

/// Every run there is, as the administrator lists them.
pub(crate) fn runs(house: &House) -> Vec<Value> {
    house.cli_as("admin", &["runs", "list", "--limit", "500", "-o", "json"]).exits(0).json()["items"]
        .as_array()
        .unwrap()
        .clone()
}

/// Waits until the run is in one of these states.
pub(crate) fn until(house: &House, run: &str, states: &[&str]) -> Value {
    let begun = Instant::now();
    let token = house.token("admin");
    loop {
        let view = house.http("GET", &format!("/v1/runs/{run}"), Some(&token), None).json();
        if view["waiting_for"] == "approval" && !states.contains(&"waiting") {
            house.approve(run);
        }
        if states.iter().any(|state| view["state"] == *state) {
            return view;
        }
        assert!(begun.elapsed() < PATIENCE, "{run} is not {states:?}: {view}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until the run has ended.
pub(crate) fn ended(house: &House, run: &str) -> Value {
    until(house, run, &["completed", "refused", "faulted", "cancelled"])
}

/// Starts a Worker of Finance as the lead without waiting for it.
pub(crate) fn detached(house: &House, name: &str) -> String {
    let view = run_with(house, "finance-lead", name, &["--detach"]).exits(0).json();
    view["run"].as_str().unwrap().to_owned()
}

/// Writes a file beside the house's data.
pub(crate) fn file(house: &House, name: &str, content: &str) -> PathBuf {
    let path = house.beside(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

/// A path as an argument.
pub(crate) fn arg(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}
