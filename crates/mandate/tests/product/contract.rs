//! What checks rely on: the ready line, states, exit codes, lists, and who sees what.

use super::world::{apply, detached, ended, recorded, run, run_with, runs, search, until, waiter, worker};
use crate::house::{House, INPUT, WORKER, http, process};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn the_ready_line_says_where_everything_is() {
    let house = House::start();
    let ready = house.ready();
    assert!(std::path::Path::new(ready["trust"].as_str().unwrap()).is_file());
    assert_eq!(ready["url"], format!("http://127.0.0.1:{}", house.port()));
    let names: BTreeSet<&str> =
        ready["accounts"].as_array().unwrap().iter().map(|a| a["name"].as_str().unwrap()).collect();
    let wanted = [
        "admin",
        "finance-lead",
        "finance-director",
        "finance-analyst",
        "product-lead",
        "claims-clerk",
        "claims-handler",
        "claims-lead",
        "auditor",
        "other-admin",
    ];
    assert!(names.is_superset(&BTreeSet::from(wanted)), "{names:?}");
    for account in wanted {
        let me = house.http("GET", "/v1/me", Some(&house.token(account)), None).json();
        assert_eq!(me["subject"], format!("user:{account}"));
        assert_eq!(me["tenant"], if account == "other-admin" { "other" } else { "demo" });
    }
    assert_eq!(house.reports(), Vec::<Value>::new());
    assert_eq!(http::get(ready["mail_url"].as_str().unwrap()).unwrap().json(), json!([]));
    assert_eq!(http::get(&format!("{}/readyz", house.url())).unwrap().status, 200);
    assert_eq!(http::get(&format!("{}/livez", house.url())).unwrap().status, 200);
}

/// The development house gives a token to whoever asks: it may be reached from this machine only.
#[test]
fn the_house_listens_on_the_loopback_only() {
    let house = House::start();
    let mut seen = 0;
    for (pid, line) in process::processes_of(house.data_dir()) {
        let sockets: BTreeSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .filter_map(|fd| std::fs::read_link(fd.path()).ok())
            .filter_map(|link| {
                link.to_str()?.strip_prefix("socket:[").map(|inode| inode.trim_end_matches(']').to_owned())
            })
            .collect();
        for (table, loopback) in [("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")] {
            let rows = std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            for row in rows.lines().skip(1) {
                let fields: Vec<&str> = row.split_whitespace().collect();
                if fields[3] == "0A" && sockets.contains(fields[9]) {
                    assert!(fields[1].starts_with(loopback), "{line} listens on {}", fields[1]);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 6, "{seen}");
    for bad in ["--listen", "--host", "--bind"] {
        house.cli(&["dev", bad, "0.0.0.0"]).exits(2);
    }
    // A page of another site can't reach it through a name of its own.
    let rebound = house.http_with("GET", "/readyz", None, &[("host", "evil.example")], None);
    assert_eq!(rebound.status, 421);
}

#[test]
fn every_exit_code_can_be_had() {
    let house = House::start();
    let raise =
        json!([{"bad": {"raise": {"error": {"type": "https://example.org/odd", "status": 418, "title": "Odd"}}}}]);
    apply(&house, "admin", vec![waiter("waiter", 600), worker("odd", raise, &[], json!({}))]);

    // 0, and the sample's whole way.
    let done = run(&house, "finance-lead", "quarterly-summary").exits(0).json();
    assert_eq!((&done["state"], &done["waiting_for"]), (&json!("completed"), &Value::Null));
    assert_eq!(house.reports_of(done["run"].as_str().unwrap()).len(), 1);
    // 2
    house.cli_as("finance-lead", &["run", WORKER, "--input", INPUT]).exits(2);
    house.cli_as("nobody-known", &["runs", "list"]).exits(2);
    house.cli(&["runs", "list"]).exits(2);
    // 3: see the tests below. 4
    let waits = run(&house, "finance-director", "waiter").exits(4).json();
    assert_eq!((&waits["state"], &waits["waiting_for"]), (&json!("waiting"), &json!("timer")));
    // 5
    let odd = run(&house, "finance-director", "odd").exits(5).json();
    assert_eq!((&odd["state"], &odd["problem"]["type"]), (&json!("faulted"), &json!("https://example.org/odd")));
    // 6: see `evidence`. 7
    let nowhere = format!("http://127.0.0.1:{}", process::unused_port());
    house.cli_as("admin", &["runs", "list", "--url", &nowhere]).exits(7);
    // 8
    let id = waits["run"].as_str().unwrap();
    let killed = house.cli_as("finance-director", &["runs", "kill", id, "-o", "json"]).exits(0).json();
    assert_eq!(killed["state"], "cancelled", "{killed}");
    assert_eq!((&killed["already_ended"], &killed["in_flight"]), (&json!(false), &json!([])));
    let watched = house.cli_as("finance-director", &["runs", "watch", id, "-o", "json"]).exits(8).json();
    assert_eq!(watched["state"], "cancelled");
    house.cli_as("finance-director", &["runs", "kill", id]).exits(0);
}

/// One shape wherever a run is shown.
#[test]
fn runs_are_flat_objects_everywhere() {
    let house = House::start();
    let run = run(&house, "finance-lead", "quarterly-summary").exits(0).json();
    let id = run["run"].as_str().unwrap();
    for key in ["run", "state", "waiting_for"] {
        assert!(run.get(key).is_some_and(|value| value.is_string() || value.is_null()), "{key}: {run}");
    }
    let got = house.cli_as("finance-lead", &["runs", "get", id, "-o", "json"]).exits(0).json();
    assert_eq!(got, run);
    let listed = house.cli_as("finance-lead", &["runs", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed, json!({"items": [run], "next": null}));
}

#[test]
fn a_detached_start_returns_at_once() {
    let house = House::start();
    apply(&house, "admin", vec![waiter("waiter", 600)]);
    let begun = std::time::Instant::now();
    let view = run_with(&house, "finance-director", "waiter", &["--detach"]).exits(0).json();
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    assert!(["running", "waiting"].contains(&view["state"].as_str().unwrap()), "{view}");
    let run = view["run"].as_str().unwrap();
    until(&house, run, &["waiting"]);
    // Killed by others: a runner stops their own runs only, a stranger sees none.
    house.cli_as("finance-analyst", &["runs", "kill", run]).exits(3);
    house.cli_as("finance-lead", &["runs", "kill", run]).exits(3);
    house.cli_as("auditor", &["runs", "kill", run]).exits(3);
    house.cli_as("admin", &["runs", "kill", run]).exits(0);
    assert_eq!(ended(&house, run)["state"], "cancelled");
}

#[test]
fn lists_come_in_pages() {
    let house = House::start();
    apply(&house, "admin", vec![waiter("waiter", 600)]);
    let mut started: Vec<String> = (0..5).map(|_| detached(&house, "quarterly-summary")).collect();
    started.reverse();
    for run in &started {
        ended(&house, run);
    }
    let mut seen = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let mut args = vec!["runs", "list", "--limit", "2", "-o", "json"];
        if let Some(cursor) = &before {
            args.extend(["--before", cursor]);
        }
        let page = house.cli_as("admin", &args).exits(0).json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|run| run["run"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => before = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen, started);

    let token = house.token("admin");
    let (mut after, mut names) = (String::new(), Vec::new());
    loop {
        let page = house.http("GET", &format!("/v1/resources/function?limit=1{after}"), Some(&token), None).json();
        names.extend(page["items"].as_array().unwrap().iter().map(|f| f["metadata"]["name"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert!(names.iter().map(|name| name.as_str().unwrap()).is_sorted(), "{names:?}");
    let sample = ["ledgerbook.costs", "warehouse.revenue", "warehouse.desks", "report.publish", "infer", "mail.send"];
    for function in sample {
        let times = names.iter().filter(|name| **name == format!("finance/{function}")).count();
        assert_eq!(times, 1, "{function} in {names:?}");
    }

    let first = house.cli_as("auditor", &["audit", "search", "--limit", "3", "-o", "json"]).exits(0).json();
    let next = first["next"].as_str().unwrap();
    let second = house.cli_as("auditor", &["audit", "search", "--limit", "3", "--before", next, "-o", "json"]);
    let both =
        [first["items"].as_array().unwrap().clone(), second.exits(0).json()["items"].as_array().unwrap().clone()];
    let all = search(&house, "auditor", "limit=500");
    assert!(all.windows(6).any(|window| window == both.concat()));
}

/// Whoever may see the Worker, and not run it, gets a run of state `refused`.
#[test]
fn a_refused_start_is_a_run() {
    let house = House::start();
    for account in ["auditor", "admin"] {
        let view = run(&house, account, "quarterly-summary").exits(3).json();
        assert_eq!((&view["state"], &view["waiting_for"]), (&json!("refused"), &Value::Null), "{view}");
        assert_eq!(view["problem"]["type"], "https://mandate.dev/problems/policy-denied");
        let id = view["run"].as_str().unwrap();
        assert!(runs(&house).iter().any(|run| run["run"] == *id));
        let entry = recorded(&house, view["problem"]["decision"].as_str().unwrap());
        assert_eq!((&entry["kind"], &entry["run"]), (&json!("run-refused"), &json!(id)));
        // Its passport verifies like any other.
        let file = house.beside(&format!("{account}.json"));
        house.cli_as("auditor", &["passport", "export", id, "-f", super::world::arg(&file)]).exits(0);
        let report =
            house.cli(&["passport", "verify", super::world::arg(&file), "--trust", &house.trust(), "-o", "json"]);
        assert_eq!(report.exits(0).json()["state"], "refused");
    }
    assert_eq!(house.reports(), Vec::<Value>::new());
}

/// To anyone else the Worker is as absent as one that was never there; the attempt is recorded.
#[test]
fn an_invisible_worker_is_an_absent_one() {
    let house = House::start();
    for (account, reader) in
        [("finance-analyst", "auditor"), ("product-lead", "auditor"), ("other-admin", "other-admin")]
    {
        let token = house.token(account);
        let start = |worker: &str| {
            let body = json!({"worker": worker, "purpose": "curiosity", "input": {"quarter": "2026-Q3"}});
            let reply = house.http("POST", "/v1/runs?wait=1", Some(&token), Some(&body));
            let mut headers: Vec<String> = reply.headers.iter().map(|(name, _)| name.clone()).collect();
            headers.retain(|name| name != "date");
            let mut answer = reply.json();
            let decision = answer["decision"].take();
            // Each request has a name of its own.
            assert!(answer["instance"].take().is_string());
            let text = answer.to_string().replace(worker, "WORKER");
            (reply.status, headers, text, decision.is_string(), decision)
        };
        let there = start(WORKER);
        let absent = start("finance/never-there-at-all");
        assert_eq!(there.0, 404);
        assert_eq!((there.0, &there.1, &there.2, there.3), (absent.0, &absent.1, &absent.2, absent.3), "{account}");
        let ran = run(&house, account, "quarterly-summary").exits(3);
        assert_eq!(ran.stdout, "");
        house.cli_as(account, &["get", "worker", WORKER]).exits(3);
        assert_eq!(house.cli_as(account, &["runs", "list", "-o", "json"]).exits(0).json()["items"], json!([]));
        // Two starts over HTTP, one by the command line, one look: each is there, if not at once. In tenant
        // `other` it is the administrator who reads the ledger, and whose name leads nowhere.
        let looks = if account == "other-admin" { 3 } else { 4 };
        let begun = std::time::Instant::now();
        let denied = loop {
            let found = search(&house, reader, &format!("kind=access-denied&actor=user:{account}"));
            if found.len() >= looks {
                break found;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{account}: {found:?}");
        };
        let entry = denied.iter().find(|entry| entry["details"]["decision"] == there.4).unwrap();
        assert_eq!(
            (&entry["actor"], &entry["details"]["resource"]),
            (&json!(format!("user:{account}")), &json!(WORKER))
        );
    }
    assert_eq!(runs(&house), Vec::<Value>::new());
    assert_eq!(house.reports(), Vec::<Value>::new());
}

/// A run of somebody else looks like one that never was, with the same members in the answer.
#[test]
fn an_invisible_run_is_an_absent_one() {
    let house = House::start();
    let run = run(&house, "finance-lead", "quarterly-summary").exits(0).json()["run"].as_str().unwrap().to_owned();
    let absent = format!("{}ZZZZ", &run[..run.len() - 4]);
    for account in ["finance-analyst", "product-lead", "other-admin"] {
        let token = house.token(account);
        for (method, tail) in [
            ("GET", ""),
            ("GET", "/entries"),
            ("GET", "/passport"),
            ("GET", "/artifact"),
            ("POST", "/kill"),
            ("POST", "/resolve"),
        ] {
            let body = match tail {
                "/resolve" => Some(json!({"happened": false})),
                "/kill" => Some(json!({})),
                _ => None,
            };
            let ask = |run: &str| {
                let reply = house.http(method, &format!("/v1/runs/{run}{tail}"), Some(&token), body.as_ref());
                let mut answer = reply.json();
                let decided = answer["decision"].take().is_string();
                assert!(answer["instance"].take().is_string());
                (reply.status, answer.to_string().replace(run, "RUN"), decided)
            };
            let (theirs, nowhere) = (ask(&run), ask(&absent));
            assert_eq!(theirs.0, 404, "{account} {tail}");
            assert_eq!(theirs, nowhere, "{account} {tail}");
            assert!(theirs.2, "no decision: {account} {tail}");
        }
    }
    assert_eq!(house.run(&run)["state"], "completed");
}

#[test]
fn the_auditor_reads_everything_and_changes_nothing() {
    let house = House::start();
    let run = run(&house, "finance-lead", "quarterly-summary").exits(0).json()["run"].as_str().unwrap().to_owned();
    for kind in ["worker", "function", "connection", "credential", "policy", "rolebinding", "entitlement"] {
        let listed = house.cli_as("auditor", &["get", kind, "-o", "json"]).exits(0).json();
        assert!(!listed["items"].as_array().unwrap().is_empty(), "{kind}");
    }
    for args in [
        &["runs", "get", &run][..],
        &["runs", "explain", &run],
        &["grants", "list"],
        &["secrets", "list"],
        &["audit", "search"],
        &["describe", "worker", WORKER],
    ] {
        let ran = house.cli_as("auditor", args).exits(0);
        assert!(!ran.stdout.trim().is_empty(), "{args:?}");
    }
    let folder = house.data_dir().join("workers/finance/quarterly-summary");
    house.cli_as("auditor", &["apply", "-f", super::world::arg(&folder)]).exits(3);
    house.cli_as("auditor", &["keys", "rotate", "token"]).exits(3);
    let key = ["finance/ledgerbook-key", "--worker", WORKER, "--function", "ledgerbook.costs"];
    house.cli_as("auditor", &[&["grants", "revoke"][..], &key].concat()).exits(3);
    house.cli_as("admin", &[&["grants", "revoke"][..], &key].concat()).exits(3);
    house.cli_as("admin", &["passport", "export", &run, "-f", "-"]).exits(3);
}

#[test]
fn a_start_with_the_same_key_is_the_same_run() {
    let house = House::start();
    let start = || run_with(&house, "finance-lead", "quarterly-summary", &["--idempotency-key", "board-2026-Q3"]);
    let (first, second) = (start().exits(0).json(), start().exits(0).json());
    assert_eq!(first["run"], second["run"]);
    assert_eq!(runs(&house).len(), 1);
    assert_eq!(house.reports().len(), 1);
    // The same key for something else is a mistake, not the same run.
    let key = ("idempotency-key", "board-2026-Q3");
    for (field, value) in [("purpose", "another"), ("environment", "production")] {
        let mut body = json!({"worker": WORKER, "purpose": "quarterly review", "input": {"quarter": "2026-Q3"}});
        body[field] = json!(value);
        let reply = house.http_with("POST", "/v1/runs", Some(&house.token("finance-lead")), &[key], Some(&body));
        let type_ = reply.json()["type"].clone();
        assert_eq!((reply.status, type_), (409, json!("https://mandate.dev/problems/duplicate-start")), "{field}");
    }
    // A key is its user's own; and a refused start is found again, too.
    let refused = || run_with(&house, "auditor", "quarterly-summary", &["--idempotency-key", "board-2026-Q3"]);
    let (first, second) = (refused().exits(3).json(), refused().exits(3).json());
    assert_eq!((&first["state"], &first["run"]), (&json!("refused"), &second["run"]));
    assert_eq!(runs(&house).len(), 2);
}
