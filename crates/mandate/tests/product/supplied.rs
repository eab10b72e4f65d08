//! The operator's switches by way of the one that the kit needs: a credential in a run's input.

use super::canaries::{Seen, answers};
use super::receiver::Receiver;
use super::world::{apply, arg, manifest, role, try_apply, worker};
use crate::house::http::Reply;
use crate::house::{House, process};
use mandate_kernel::base64_encode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SWITCH: &str = "caller-supplied-credentials";
const ALLOW: [(&str, &str); 2] = [("MANDATE_DEV_ALLOW", SWITCH), ("MANDATE_LOG", "trace")];
const PASSWORD: &str = "canary-supplied-41d0b7aa9e";

fn passes_on() -> Value {
    let spec = json!({
        "effect": "read", "model": "user-passthrough", "class": {"impact": "read-only", "data": ["internal"]},
        "returns": {"confidentiality": "internal", "integrity": "authoritative"}, "retry": {"attempts": 1},
        "target": {"call": {"protocol": "http", "connection": "mine", "methods": ["GET"]}},
    });
    manifest("Function", "finance/passes-on", spec)
}

/// A Worker that signs in with what is in its input, after a pause of so many milliseconds.
fn signs_in(name: &str, url: &str, pause: u64) -> Value {
    let basic = json!({"username": "${ .username }", "password": "${ .password }"});
    let endpoint = json!({"uri": format!("{url}/login"), "authentication": {"basic": basic}});
    let login = json!({"call": "http", "with": {"method": "get", "endpoint": endpoint}, "output": {"as": "${ .id }"}});
    let mut steps = vec![json!({"login": login})];
    if pause > 0 {
        steps.insert(0, json!({"pause": {"wait": {"milliseconds": pause}}}));
    }
    let mut worker = worker(name, Value::Array(steps), &["passes-on"], json!({}));
    worker["spec"]["artifact"] = json!({"name": "all", "mediaType": "application/json"});
    worker
}

fn furnish(house: &House, url: &str) {
    let entitled = json!({
        "subjects": ["group:finance-leads"], "environments": ["sandbox"], "scopes": [], "audiences": [url],
        "functions": {"passes-on": {}},
    });
    apply(
        house,
        "admin",
        vec![
            manifest("Connection", "finance/mine", json!({"environments": {"sandbox": {"url": url, "audience": url}}})),
            manifest("Entitlement", "finance/mine-leads", entitled),
            role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"})),
            role("finance/lead-audits-all", "user:finance-lead", "auditor", json!({"project": "finance"})),
        ],
    );
}

fn start(house: &House, name: &str) -> Reply {
    let input = json!({"username": "ann", "password": PASSWORD});
    let body = json!({"worker": format!("finance/{name}"), "purpose": "conformance", "input": input});
    house.http("POST", "/v1/runs?wait=20", Some(&house.token("finance-lead")), Some(&body))
}

/// Off, `apply` refuses by the switch's name; on, the ledger knows; off again, neither starts nor waiting runs go on.
#[test]
fn a_switch_is_looked_at_when_it_is_applied_started_and_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut house = House::start_in(&data, process::unused_port());
    assert_eq!(house.ready()["allow"], json!([]));
    let receiver = Receiver::start();
    furnish(&house, receiver.url());
    for refused in [vec![passes_on()], vec![signs_in("signs-in", receiver.url(), 0)]] {
        let reply = try_apply(&house, "admin", refused);
        let said = String::from_utf8_lossy(&reply.body).into_owned();
        assert!((400..500).contains(&reply.status) && said.contains(SWITCH), "{said}");
    }
    house.restart_with(&ALLOW);
    assert_eq!(house.ready()["allow"], json!([SWITCH]));
    let found = house.cli_as("auditor", &["audit", "search", "--kind", "resource-applied", "-o", "json"]).exits(0);
    assert!(found.stdout.contains("OperatorSwitches") && found.stdout.contains(SWITCH), "{}", found.stdout);
    let workers = vec![passes_on(), signs_in("signs-in", receiver.url(), 0), signs_in("later", receiver.url(), 6_000)];
    apply(&house, "admin", workers);
    let done = start(&house, "signs-in").json();
    assert_eq!(done["state"], "completed", "{done}");
    let waiting = start(&house, "later").json();
    assert_eq!(waiting["waiting_for"], "timer", "{waiting}");

    house.restart_with(&[]);
    let refused = start(&house, "signs-in");
    assert!(refused.status >= 400 && String::from_utf8_lossy(&refused.body).contains(SWITCH), "{refused:?}");
    // The one that waits is woken by its timer, and says why it can't go on.
    let (run, token) = (waiting["run"].as_str().unwrap(), house.token("finance-lead"));
    let begun = Instant::now();
    let ended = loop {
        let view = house.http("GET", &format!("/v1/runs/{run}?wait=20"), Some(&token), None).json();
        if view["state"] != "waiting" && view["state"] != "running" {
            break view;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{view}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(ended["state"], "faulted", "{ended}");
    assert!(ended["problem"]["detail"].as_str().unwrap().contains(SWITCH), "{ended}");
    assert_eq!(receiver.got().len(), 1, "one login, by the run that was allowed");
}

/// The receiver gets it; nothing else that can be looked at does.
#[test]
fn a_supplied_credential_is_nowhere_but_at_its_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let started = House::start_with(&folder.path().join("data"), process::unused_port(), &ALLOW);
    let house = started.unwrap_or_else(|e| panic!("{}", e.why));
    let receiver = Receiver::start();
    furnish(&house, receiver.url());
    apply(&house, "admin", vec![passes_on(), signs_in("signs-in", receiver.url(), 0)]);
    let begun = start(&house, "signs-in");
    assert_eq!(begun.json()["state"], "completed", "{begun:?}");
    let got = receiver.got();
    let basic = format!("Basic {}", base64_encode(format!("ann:{PASSWORD}").as_bytes()));
    assert_eq!(got[0].header("authorization"), Some(basic.as_str()));
    assert_eq!((got[0].header("dpop"), got[0].header("txn-token")), (None, None));

    let run = begun.json()["run"].as_str().unwrap().to_owned();
    let mut seen = Seen::default();
    seen.add("run", begun.body);
    answers(&house, &run, &mut seen);
    for what in ["explain", "tasks", "get"] {
        let told = house.cli_as("finance-lead", &["runs", what, &run]);
        seen.add(what, [told.stdout, told.stderr].concat());
    }
    let export = folder.path().join("export");
    house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    seen.add_folder(folder.path());
    for canary in [PASSWORD, basic.strip_prefix("Basic ").unwrap()] {
        let holding = seen.holding(canary);
        assert!(holding.is_empty(), "{canary} is in {holding:?}");
    }
}
