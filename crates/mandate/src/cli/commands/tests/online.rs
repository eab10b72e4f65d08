//! Commands against a server: shapes, exit codes, and what is sent.

use super::{Fake, mandate, mandate_with};
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
            assert!(done.err.contains("quarterly-summary.environment") && done.err.contains("dec_01J9ZK3Y4T6W8Q2N5R7VX0AB11"), "{}", done.err);
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
    let told = fake.people(&["runs", "explain", RUN]).await;
    assert_eq!(told.exit, Exit::Done);
    for part in [
        "step 1 was judged: allow", "worker:finance/q", "user:finance-lead", "service-account (legacy)",
        "given by user:finance-director", "GET http://127.0.0.1:9", "builtin.step (builtin)", "allowed by builtin.step",
        "internal; authoritative; readers: finance; from: input", "entry 5 of the ledger",
    ] {
        assert!(told.out.contains(part), "{part}\n{}", told.out);
    }
    let told = fake.admin(&["runs", "explain", RUN]).await.json();
    assert_eq!((told["run"]["run"].as_str(), told["entries"].as_array().map(Vec::len)), (Some(RUN), Some(1)));
}

#[tokio::test]
async fn apply_sends_everything_and_shows_problems_where_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let binding = "apiVersion: mandate.dev/v1\nkind: RoleBinding\nmetadata:\n  name: finance/runners\nspec:\n  subjects: ['user:a']\n  role: runner\n  on: {project: finance}\n";
    std::fs::write(folder.path().join("b.yaml"), binding).unwrap();
    std::fs::write(folder.path().join("limits.cedar"), "forbid (principal, action, resource);").unwrap();
    let fake = Fake::start().await;
    let applied = json!({"items": [{"kind": "RoleBinding", "name": "finance/runners", "version": 2, "digest": "sha256:00", "changed": true}],
        "invalidated_grants": [{"grant": "g", "credential": "finance/key", "worker": "finance/q", "function": "a.b",
                                "why": "the Worker was edited", "owner": "user:finance-director"}]});
    fake.on_json("POST /v1/apply", 200, &applied);
    let done = fake.people(&["apply", "-f", path]).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert!(done.out.contains("user:finance-director can give it again: mandate grants give finance/key --worker finance/q --function a.b"), "{}", done.out);
    let sent = fake.seen()[0].body["manifests"].as_array().unwrap().clone();
    let kinds: Vec<&str> = sent.iter().map(|m| m["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["RoleBinding", "Policy"]);
    assert_eq!(fake.admin(&["apply", "-f", path]).await.json(), applied);

    let fake = Fake::start().await;
    fake.on_json("POST /v1/apply", 422, &json!({"title": "The request is not valid", "status": 422,
        "errors": [{"pointer": "/manifests/0/spec/role", "message": "no such role"}, {"pointer": "/manifests/1/spec/text", "message": "not Cedar"}]}));
    let done = fake.admin(&["apply", "-f", path]).await;
    assert_eq!(done.exit, Exit::Usage);
    assert!(done.err.contains("b.yaml:7:9: no such role") && done.err.contains("limits.cedar: not Cedar"), "{}", done.err);
}

#[tokio::test]
async fn diff_tells_new_from_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (name, text) in [("a", "forbid (principal, action, resource);"), ("b", "permit (principal, action, resource);")] {
        std::fs::write(folder.path().join(format!("{name}.cedar")), text).unwrap();
    }
    let fake = Fake::start().await;
    fake.on_json("GET /v1/resources/Policy/finance/a", 200, &json!({"kind": "Policy", "spec": {"file": "a.cedar", "text": "old"}}));
    let done = fake.admin(&["diff", "-f", path, "--project", "finance"]).await;
    let items = done.json()["items"].clone();
    assert_eq!((items[0]["change"].as_str(), items[1]["change"].as_str()), (Some("changed"), Some("new")));
    assert!(items[0]["diff"].as_str().unwrap().contains("- text: old"), "{items}");
}

#[tokio::test]
async fn resources_are_listed_and_described() {
    let fake = Fake::start().await;
    let worker = json!({"apiVersion": "mandate.dev/v1", "kind": "Worker", "metadata": {"name": "finance/q", "version": 3,
        "digest": "sha256:00", "writtenBy": "user:a", "writtenAt": "2026-11-22T10:00:00.000Z"}, "spec": {"description": "x"}});
    let list = json!({"items": [worker], "next": null});
    fake.on_json("GET /v1/resources/Worker", 200, &list);
    fake.on_json("GET /v1/resources/Worker/finance/q", 200, &worker);
    let grants = json!({"items": [{"worker": "finance/q", "credential": "c"}, {"worker": "finance/z"}], "next": null});
    fake.on_json("GET /v1/grants", 200, &grants);
    assert_eq!(fake.admin(&["get", "workers"]).await.json(), list);
    assert_eq!(fake.admin(&["get", "worker", "finance/q"]).await.json(), worker);
    assert_eq!(fake.admin(&["describe", "Worker", "finance/q"]).await.json()["grants"].as_array().map(Vec::len), Some(1));
    assert_eq!(fake.admin(&["get", "worker", "finance/other"]).await.exit, Exit::Refused);
    assert_eq!(fake.people(&["grants", "list"]).await.exit, Exit::Done);
}

#[tokio::test]
async fn grants_are_given_and_revoked() {
    let fake = Fake::start().await;
    let grant = json!({"credential": "finance/key", "worker": "finance/q", "function": "a.b", "environment": "sandbox"});
    fake.on_json("POST /v1/grants", 201, &grant).on_json("POST /v1/grants/revoke", 200, &grant);
    let named = ["finance/key", "--worker", "finance/q", "--function", "a.b"];
    let give = [&["grants", "give"][..], &named, &["--not-after", "2026-12-31"]].concat();
    assert_eq!(fake.admin(&give).await.exit, Exit::Done);
    assert_eq!(fake.admin(&[&["grants", "revoke"][..], &named].concat()).await.exit, Exit::Done);
    let late = [&["grants", "give"][..], &named, &["--not-after", "soon"]].concat();
    assert_eq!(fake.admin(&late).await.exit, Exit::Usage);
    let bodies: Vec<Value> = fake.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!((bodies.len(), bodies[0]["not_after"].as_i64()), (2, Some(1_798_675_200_000)));
    assert_eq!(bodies[1], json!({"credential": "finance/key", "worker": "finance/q", "function": "a.b"}));
}

#[tokio::test]
async fn secrets_go_in_by_stdin_and_are_never_shown() {
    let fake = Fake::start().await;
    fake.on_json("PUT /v1/secrets/finance/key", 200, &json!({"name": "finance/key", "version": 2}));
    let put = ["--url", &fake.url, "--as", "admin", "secrets", "put", "finance/key"];
    let done = mandate_with(b"hunter2\n", &put).await;
    assert_eq!(done.exit, Exit::Done, "{}", done.err);
    assert_eq!(fake.seen()[0].body, json!({"value": "hunter2"}));
    assert!(!done.out.contains("hunter2") && !done.err.contains("hunter2"));
    assert_eq!(mandate_with(b"", &put).await.exit, Exit::Usage);
}

#[tokio::test]
async fn keys_rotate_by_role() {
    let fake = Fake::start().await;
    fake.on_json("POST /v1/keys/evidence/rotate", 200, &json!({"role": "evidence", "key": "k"}));
    assert_eq!(fake.admin(&["keys", "rotate", "evidence"]).await.json()["role"], "evidence");
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

#[tokio::test]
async fn doctor_says_what_is_wrong() {
    let fake = Fake::start().await;
    fake.on_json("GET /readyz", 200, &json!({"status": "ok"}));
    fake.on_json("GET /v1/me", 200, &json!({"subject": "user:admin", "tenant": "demo", "groups": ["admins"]}));
    fake.on_json("GET /v1/audit/checkpoint", 403, &json!({"title": "Refused", "status": 403}));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mandate.db"), "").unwrap();
    let done = fake.admin(&["doctor", "--data-dir", folder.path().to_str().unwrap()]).await;
    let items = done.json()["items"].clone();
    let of = |name: &str| items.as_array().unwrap().iter().find(|c| c["check"] == name).unwrap().clone();
    assert_eq!((&of("server")["ok"], &of("token")["ok"], &of("witness")["ok"]), (&json!(true), &json!(true), &Value::Null));
    assert_eq!(of("clock")["ok"], json!(true), "{items}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let done = fake.admin(&["doctor", "--data-dir", folder.path().to_str().unwrap()]).await;
        assert_eq!(done.exit, Exit::Failed);
        assert!(done.out.contains("chmod"), "{}", done.out);
    }
    assert_eq!(mandate(&["--url", "http://127.0.0.1:1", "--as", "admin", "doctor"]).await.exit, Exit::Unreachable);
}

#[tokio::test]
async fn completions_are_written() {
    let done = mandate(&["completions", "bash"]).await;
    assert_eq!(done.exit, Exit::Done);
    assert!(done.out.contains("quarterly") || done.out.contains("_mandate"), "{}", done.out);
}
