//! Commands against a server: shapes, exit codes, and what is sent.

use super::{Fake, mandate};
use crate::cli::Exit;
use serde_json::{Value, json};

const RUN: &str = "run_01J9ZK3Y4T6W8Q2N5R7VX0AB00";
const START: [&str; 6] = ["run", "finance/q", "--purpose", "board", "--input", "{\"quarter\": \"2026-Q3\"}"];

fn run_in(state: &str, waiting_for: Option<&str>) -> Value {
    let problem = (!matches!(state, "running" | "completed")).then(|| {
        json!({"type": "https://mandate.dev/problems/policy-denied", "title": "Refused by policy", "status": 403,
               "detail": "policy quarterly-summary.environment forbids it", "decision": "dec_01J9ZK3Y4T6W8Q2N5R7VX0AB11"})
    });
    json!({"run": RUN, "state": state, "waiting_for": waiting_for, "worker": "finance/q", "worker_version": "sha256:00",
           "environment": "sandbox", "purpose": "board", "class": {"impact": "action-taking", "data": ["financial"]},
           "initiator": "user:admin", "started_at": "2026-11-22T10:00:00.000Z", "since": "2026-11-22T10:00:01.000Z",
           "problem": problem})
}

#[tokio::test]
async fn run_waits_until_the_end_and_tells_it_by_its_exit_code() {
    for (state, waiting_for, exit) in [
        ("completed", None, Exit::Done),
        ("refused", None, Exit::Refused),
        ("waiting", Some("outcome-unknown"), Exit::Waiting),
        ("paused", None, Exit::Waiting),
        ("faulted", None, Exit::Faulted),
        ("cancelled", None, Exit::Cancelled),
    ] {
        let fake = Fake::start().await;
        fake.on_json("POST /v1/runs", 201, &run_in("running", None));
        fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("running", None));
        fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in(state, waiting_for));
        let done = fake.admin(&START).await;
        assert_eq!(done.exit, exit, "{state}\n{}", done.err);
        let object = done.json();
        assert_eq!((object["run"].as_str(), object["state"].as_str()), (Some(RUN), Some(state)));
        assert_eq!(object["waiting_for"].as_str(), waiting_for);
        assert_eq!(done.err.is_empty(), state == "completed", "{}", done.err);
        if state == "refused" {
            assert!(
                done.err.contains("quarterly-summary.environment")
                    && done.err.contains("dec_01J9ZK3Y4T6W8Q2N5R7VX0AB11"),
                "{}",
                done.err
            );
        }
        let sent = &fake.seen()[0];
        assert_eq!(sent.line, "POST /v1/runs?wait=30");
        assert_eq!(sent.body, json!({"worker": "finance/q", "purpose": "board", "input": {"quarter": "2026-Q3"}}));
        assert!(sent.key.as_ref().is_some_and(|key| key.starts_with("cli-")), "{:?}", sent.key);
        assert_eq!(fake.seen()[1].line, format!("GET /v1/runs/{RUN}?wait=30"));
    }
}

#[tokio::test]
async fn detached_runs_are_not_waited_for() {
    let fake = Fake::start().await;
    fake.on_json("POST /v1/runs", 201, &run_in("running", None));
    let args = [&START[..], &["--detach", "--env", "sandbox", "--idempotency-key", "mine"]].concat();
    let done = fake.admin(&args).await;
    assert_eq!((done.exit, done.json()["state"].as_str()), (Exit::Done, Some("running")));
    let seen = fake.seen();
    assert_eq!((seen.len(), seen[0].line.as_str(), seen[0].key.as_deref()), (1, "POST /v1/runs", Some("mine")));
    assert_eq!(seen[0].body["environment"], "sandbox");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let fake = Fake::start().await;
    fake.on_json("POST /v1/runs", 201, &run_in("running", None));
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 503, &json!({"title": "Not now", "status": 503}));
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("completed", None));
    assert_eq!(fake.admin(&START).await.exit, Exit::Done);
}

#[tokio::test]
async fn errors_of_the_server_have_their_exit_codes() {
    for (status, exit) in [
        (401, Exit::Refused),
        (403, Exit::Refused),
        (404, Exit::Refused),
        (409, Exit::Usage),
        (422, Exit::Usage),
        (500, Exit::Failed),
        (503, Exit::Unreachable),
    ] {
        let fake = Fake::start().await;
        let problem = json!({"type": "https://mandate.dev/problems/some-code", "title": "Some title", "status": status,
                             "detail": "some \u{1b}[2Jdetail", "decision": "dec_01J9ZK3Y4T6W8Q2N5R7VX0AB11"});
        fake.on_json("POST /v1/runs", status, &problem);
        let done = fake.admin(&START).await;
        assert_eq!((done.exit, done.out.as_str()), (exit, ""), "{status}");
        for part in ["Some title", "detail", "dec_01J9ZK3Y4T6W8Q2N5R7VX0AB11", "some-code"] {
            assert!(done.err.contains(part), "{part}\n{}", done.err);
        }
        assert!(!done.err.contains('\u{1b}') && !done.err.contains("Problem {"), "{}", done.err);
    }
    let fake = Fake::start().await;
    fake.on("POST /v1/runs", 502, "<html>bad gateway</html>");
    assert_eq!(fake.admin(&START).await.exit, Exit::Unreachable);
    let fake = Fake::start().await;
    fake.on("POST /v1/runs", 200, "not json");
    assert_eq!(fake.admin(&START).await.exit, Exit::Failed);
}

#[tokio::test]
async fn no_server_no_identity_no_account() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    let done = mandate(&["--url", &url, "--as", "admin", "runs", "list"]).await;
    assert_eq!(done.exit, Exit::Unreachable);
    assert!(done.err.contains(&url) && done.err.contains("mandate dev"), "{}", done.err);

    let fake = Fake::start().await;
    let done = mandate(&["--url", &fake.url, "--as", "", "runs", "list"]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(done.err.contains("MANDATE_TOKEN"), "{}", done.err);
    let done = mandate(&["--url", &fake.url, "--as", "nobody", "runs", "list"]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(done.err.contains("auditor"), "{}", done.err);
    assert!(fake.seen().is_empty());

    fake.on_json("GET /dev/provider", 404, &json!({"title": "Not here", "status": 404}));
    let done = fake.admin(&["runs", "list"]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(done.err.contains("`mandate dev` only"), "{}", done.err);
}

#[tokio::test]
async fn an_expired_token_is_got_again_once() {
    let fake = Fake::start().await;
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("running", None));
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("completed", None));
    fake.on_json("POST /v1/runs", 201, &run_in("running", None));
    let expiring = fake.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        expiring.expire();
    });
    let done = fake.admin(&START).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    for text in [&done.out, &done.err] {
        assert!(!text.contains("token-"), "{text}");
    }
}

#[tokio::test]
async fn lists_and_single_runs_have_the_shapes_of_the_contract() {
    let fake = Fake::start().await;
    let list = json!({"items": [run_in("completed", None), run_in("waiting", Some("approval"))], "next": "run_x"});
    fake.on_json("GET /v1/runs", 200, &list);
    let done = fake.admin(&["runs", "list", "--limit", "2"]).await;
    assert_eq!((done.exit, done.json()), (Exit::Done, list));
    assert_eq!(fake.seen()[0].line, "GET /v1/runs?limit=2");
    let done = fake.people(&["runs", "list"]).await;
    for part in ["WAITING FOR", RUN, "approval", "user:admin", "board"] {
        assert!(done.out.contains(part), "{part}\n{}", done.out);
    }
    let one = run_in("faulted", None);
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &one);
    let done = fake.admin(&["runs", "get", RUN]).await;
    assert_eq!((done.exit, done.json()), (Exit::Done, one));
    let done = fake.people(&["runs", "watch", RUN]).await;
    assert_eq!(done.exit, Exit::Refused, "the entries are not visible");
    let yaml = mandate(&["--url", &fake.url, "--as", "admin", "-o", "yaml", "runs", "get", RUN]).await;
    assert!(yaml.out.contains("state: faulted\n"), "{}", yaml.out);
}

#[tokio::test]
async fn watching_ends_with_the_run() {
    let fake = Fake::start().await;
    let entries = json!({"items": [
        {"index": 3, "time": "2026-11-22T10:00:00.000Z", "kind": "run-started", "actor": "user:admin", "seq": 0, "details": {}},
        {"index": null, "time": "2026-11-22T10:00:01.000Z", "kind": "run-faulted", "actor": "system:engine", "seq": 1, "details": {}},
    ], "next": null});
    fake.on_json(&format!("GET /v1/runs/{RUN}/entries"), 200, &entries);
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("faulted", None));
    let done = fake.people(&["runs", "watch", RUN]).await;
    assert_eq!(done.exit, Exit::Faulted);
    assert!(done.out.contains("the run was started") && done.out.contains("the run faulted"), "{}", done.out);
    let done = fake.admin(&["runs", "watch", RUN]).await;
    assert_eq!((done.exit, done.json()["state"].as_str()), (Exit::Faulted, Some("faulted")));
}

#[tokio::test]
async fn stopping_says_what_was_in_flight() {
    let fake = Fake::start().await;
    let mut killed = run_in("cancelled", None);
    killed["stopped_at"] = json!("2026-11-22T10:00:02.000Z");
    killed["already_ended"] = json!(false);
    killed["in_flight"] = json!([{"step": {"run": RUN, "seq": 2, "attempt": 1}, "function": "report.publish",
        "destination": "http://127.0.0.1:1", "decision": "dec_x", "on_wire": true, "token_valid_until": 1_790_000_000_000i64}]);
    fake.on_json(&format!("POST /v1/runs/{RUN}/kill"), 200, &killed);
    let done = fake.people(&["runs", "kill", RUN]).await;
    assert_eq!(done.exit, Exit::Done);
    assert!(done.out.contains("in doubt") && done.out.contains("report.publish"), "{}", done.out);
    assert_eq!(fake.admin(&["runs", "kill", RUN]).await.json(), killed);
}

#[tokio::test]
async fn resolving_sends_what_was_found_out() {
    let fake = Fake::start().await;
    fake.on_json(&format!("POST /v1/runs/{RUN}/resolve"), 200, &run_in("running", None));
    let done = fake.admin(&["runs", "resolve", RUN, "--step", "3", "--happened", "--value", "{\"id\": 7}"]).await;
    assert_eq!(done.exit, Exit::Done);
    fake.admin(&["runs", "resolve", RUN, "--did-not-happen"]).await;
    let bodies: Vec<Value> = fake.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [json!({"step": 3, "happened": true, "value": {"id": 7}}), json!({"happened": false})]);
}

#[tokio::test]
async fn explaining_names_authority_policy_and_labels() {
    let fake = Fake::start().await;
    fake.on_json(&format!("GET /v1/runs/{RUN}"), 200, &run_in("completed", None));
    let decided = json!({"decision": "dec_x", "status": "allow", "step": 1, "attempt": 1, "function": "ledgerbook.costs",
        "model": "service-account", "legacy": true, "on_behalf_of": "user:finance-lead", "scopes": ["a.read"],
        "authority": {"root": "grant", "grant": "g", "owner": "user:finance-director"},
        "request": {"destination": "http://127.0.0.1:9", "method": "GET"},
        "policy": {"determining": [{"id": "builtin.step", "file": "builtin"}], "summary": "allowed by builtin.step"},
        "arguments": {"labels": {"confidentiality": "internal", "integrity": "authoritative", "readers": {"groups": ["finance"]},
                                 "sources": [{"origin": "input", "digest": "sha256:00"}]}}});
    let entries = json!({"items": [{"index": 5, "time": "2026-11-22T10:00:00.000Z", "kind": "step-decided",
                                    "actor": "worker:finance/q", "seq": 1, "details": decided}], "next": null});
    fake.on_json(&format!("GET /v1/runs/{RUN}/entries"), 200, &entries);
    let found = json!({"findings": [{"cause": "stale-data", "step": 1, "says": "it is old", "evidence": [{"seq": 1, "entry": 5}]}]});
    fake.on_json(&format!("GET /v1/runs/{RUN}/forensics"), 200, &found);
    let told = fake.people(&["runs", "explain", RUN]).await;
    assert_eq!(told.exit, Exit::Done);
    for part in [
        "step 1 was judged: allow",
        "worker:finance/q",
        "user:finance-lead",
        "service-account (legacy)",
        "given by user:finance-director",
        "GET http://127.0.0.1:9",
        "builtin.step (builtin)",
        "allowed by builtin.step",
        "internal; authoritative; readers: finance; from: input",
        "entry 5 of the ledger",
        "stale-data: it is old (ledger entries 5)",
    ] {
        assert!(told.out.contains(part), "{part}\n{}", told.out);
    }
    let told = fake.admin(&["runs", "explain", RUN]).await.json();
    assert_eq!((told["run"]["run"].as_str(), told["entries"].as_array().map(Vec::len)), (Some(RUN), Some(1)));
}

#[tokio::test]
async fn files_of_a_run_are_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.json");
    let fake = Fake::start().await;
    fake.on(&format!("GET /v1/runs/{RUN}/passport"), 200, b"\x00bytes");
    let done = fake.admin(&["passport", "export", RUN, "-f", path.to_str().unwrap()]).await;
    assert_eq!((done.exit, done.json()["bytes"].as_u64()), (Exit::Done, Some(6)));
    assert_eq!(std::fs::read(&path).unwrap(), b"\x00bytes");
    assert_eq!(fake.admin(&["passport", "export", RUN, "-f", "-"]).await.out, "\u{0}bytes");
    assert_eq!(fake.admin(&["artifact", "get", RUN, "-f", path.to_str().unwrap()]).await.exit, Exit::Refused);
    assert_eq!(std::fs::read(&path).unwrap(), b"\x00bytes");
}
