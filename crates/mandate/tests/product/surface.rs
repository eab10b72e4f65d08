//! The interface over HTTP: its description against real answers, Workers' own endpoints, conditional
//! requests, cursors, problems, and search in the ledger.

use super::receiver::Receiver;
use super::world::{apply, call, furnish, role, run, search, waiter, worker};
use crate::house::House;
use crate::house::http::{self, Reply};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The interface's description, as a server hands it out.
struct Description(Value);

impl Description {
    fn of(house: &House) -> Self {
        Self(house.http("GET", "/v1/openapi.json", None, None).json())
    }

    /// Panics when an answer is not what its operation says: also when it holds a member that no schema
    /// names.
    fn check(&self, method: &str, path: &str, reply: &Reply) {
        let place = format!("{method} {path}: {}", reply.status);
        let operation = &self.0["paths"][path][method.to_ascii_lowercase()];
        let mut answer = &operation["responses"][reply.status.to_string()];
        assert!(answer.is_object(), "{place} is not described");
        if let Some(to) = answer.get("$ref").and_then(Value::as_str) {
            answer = self.0.pointer(to.trim_start_matches('#')).unwrap();
        }
        let (media, content) = answer["content"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(reply.header("content-type"), Some(media.as_str()), "{place}");
        assert!(reply.header("x-request-id").unwrap().starts_with("req_"), "{place}");
        let mut schema = content["schema"].clone();
        let mut components = self.0["components"].clone();
        closed(&mut components);
        schema["components"] = components;
        let found = reply.json();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let wrong: Vec<String> =
            validator.iter_errors(&found).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert!(wrong.is_empty(), "{place}: {wrong:#?}\n{found:#}");
    }

    fn ask(&self, house: &House, account: &str, method: &str, path: &str, at: &str) -> Reply {
        let reply = house.http(method, at, Some(&house.token(account)), None);
        self.check(method, path, &reply);
        reply
    }
}

/// No member that is not named: the description is for readers, this is for us.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && map.contains_key("type") {
                map.entry("additionalProperties").or_insert(json!(false));
            }
            map.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

#[test]
fn real_answers_are_what_the_description_says() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let says = Description::of(&house);
    apply(
        &house,
        "admin",
        vec![
            worker("reads", json!([call("read", "mine.read", "2026-Q3")]), &["mine.read"], json!({})),
            worker(
                "fails",
                json!([{"bad": {"raise": {"error": {"type": "https://example.org/odd", "status": 418}}}}]),
                &[],
                json!({}),
            ),
            waiter("waiter", 600),
        ],
    );
    let done = run(&house, "finance-lead", "reads").exits(0).json()["run"].as_str().unwrap().to_owned();
    run(&house, "finance-lead", "fails");
    let waits = run(&house, "finance-lead", "waiter").exits(4).json()["run"].as_str().unwrap().to_owned();
    // The sample asks for an approval on its way, unless its parts say no before.
    run(&house, "finance-lead", "quarterly-summary");
    for (account, path, at) in [
        ("finance-lead", "/v1/me", "/v1/me".to_owned()),
        ("finance-lead", "/v1/workers", "/v1/workers".to_owned()),
        ("finance-lead", "/v1/workers/{project}/{name}", "/v1/workers/finance/quarterly-summary".to_owned()),
        ("finance-lead", "/v1/runs", "/v1/runs".to_owned()),
        ("finance-lead", "/v1/runs/{run}", format!("/v1/runs/{done}")),
        ("finance-lead", "/v1/runs/{run}/entries", format!("/v1/runs/{done}/entries")),
        ("finance-lead", "/v1/runs/{run}/forensics", format!("/v1/runs/{done}/forensics")),
        ("finance-lead", "/v1/runs/{run}/passport", format!("/v1/runs/{done}/passport")),
        ("finance-director", "/v1/approvals", "/v1/approvals".to_owned()),
        ("admin", "/v1/resources/{kind}", "/v1/resources/Worker?limit=2".to_owned()),
        ("admin", "/v1/resources/{kind}/{project}/{name}", "/v1/resources/Worker/finance/reads".to_owned()),
        ("finance-director", "/v1/grants", "/v1/grants".to_owned()),
        ("finance-director", "/v1/secrets", "/v1/secrets".to_owned()),
        ("auditor", "/v1/audit/search", "/v1/audit/search?limit=500".to_owned()),
        ("auditor", "/v1/audit/proof/{index}", "/v1/audit/proof/3".to_owned()),
    ] {
        let reply = says.ask(&house, account, "GET", path, &at);
        assert_eq!(reply.status, 200, "{at}");
    }
    for path in ["/livez", "/readyz", "/auth/tenants", "/v1/openapi.json"] {
        says.check("GET", path, &house.http("GET", path, None, None));
    }
    says.check(
        "GET",
        "/t/{tenant}/.well-known/jwks.json",
        &house.http("GET", "/t/demo/.well-known/jwks.json", None, None),
    );
    says.ask(&house, "auditor", "POST", "/v1/audit/exports", "/v1/audit/exports");
    says.ask(&house, "finance-lead", "POST", "/v1/runs/{run}/kill", &format!("/v1/runs/{waits}/kill"));
    // Refusals too.
    says.check("GET", "/v1/me", &house.http("GET", "/v1/me", None, None));
    let refused = says.ask(&house, "finance-lead", "GET", "/v1/audit/search", "/v1/audit/search");
    assert_eq!(refused.status, 403);
    says.ask(&house, "other-admin", "GET", "/v1/runs/{run}", &format!("/v1/runs/{done}"));
    says.ask(&house, "auditor", "GET", "/v1/audit/search", "/v1/audit/search?since=soon");
    let manifests = json!({"manifests": [waiter("waiter", 601)]});
    let applied = house.http("POST", "/v1/apply", Some(&house.token("admin")), Some(&manifests));
    says.check("POST", "/v1/apply", &applied);
}

#[test]
fn a_worker_has_an_endpoint_of_its_own() {
    let house = House::start();
    let mut echo = waiter("echo", 600);
    echo["spec"]["document"]["input"] = json!({"schema": {"format": "json", "document": {
        "type": "object", "required": ["rows"], "additionalProperties": false,
        "properties": {"rows": {"type": "array", "items": {"type": "integer"}}},
    }}});
    apply(&house, "admin", vec![echo]);
    let token = house.token("finance-director");
    let shown = house.http("GET", "/v1/workers/finance/echo", Some(&token), None).json();
    assert_eq!(shown["input_schema"]["required"], json!(["rows"]));
    assert_eq!((&shown["output_schema"], &shown["runs"]), (&Value::Null, &json!("/v1/workers/finance/echo/runs")));
    let start = |input: Value, key: &str| {
        let body = json!({"purpose": "to see it", "input": input});
        house.http_with("POST", "/v1/workers/finance/echo/runs", Some(&token), &[("idempotency-key", key)], Some(&body))
    };
    // What does not fit begins nothing.
    for (input, pointer) in [(json!({"rows": [1, "x"]}), "/input/rows/1"), (json!({}), "/input"), (json!([]), "/input")]
    {
        let reply = start(input, "bad");
        let problem = reply.json();
        assert_eq!((reply.status, &problem["type"]), (422, &json!("https://mandate.dev/problems/input-mismatch")));
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let runs = || {
        house.http("GET", "/v1/runs?worker=finance/echo", Some(&token), None).json()["items"].as_array().unwrap().len()
    };
    assert_eq!(runs(), 0);
    // The same key: one run, also by the other way in.
    let first = start(json!({"rows": [1]}), "k");
    assert_eq!(first.status, 201, "{first:?}");
    let again = start(json!({"rows": [1]}), "k");
    assert_eq!(again.json()["run"], first.json()["run"]);
    assert_eq!(start(json!({"rows": [2]}), "k").status, 409);
    let body = json!({"worker": "finance/echo", "purpose": "to see it", "input": {"rows": [1]}});
    let other = house.http_with("POST", "/v1/runs", Some(&token), &[("idempotency-key", "k")], Some(&body));
    assert_eq!((other.status, &other.json()["run"]), (201, &first.json()["run"]));
    assert_eq!(runs(), 1);
    // Whoever may not see it meets nothing, with or without good input.
    for account in ["finance-analyst", "other-admin"] {
        let token = house.token(account);
        let listed = house.http("GET", "/v1/workers", Some(&token), None).json();
        assert!(!listed.to_string().contains("finance/echo"), "{listed}");
        assert_eq!(house.http("GET", "/v1/workers/finance/echo", Some(&token), None).status, 404);
        for input in [json!({"rows": []}), json!({})] {
            let body = json!({"purpose": "to see it", "input": input});
            let reply = house.http("POST", "/v1/workers/finance/echo/runs", Some(&token), Some(&body));
            assert_eq!(reply.status, 404, "{reply:?}");
        }
    }
}

#[test]
fn what_is_held_is_not_sent_again_and_what_was_not_seen_is_not_changed() {
    let house = House::start();
    apply(&house, "admin", vec![waiter("waiter", 600)]);
    let admin = house.token("admin");
    let run = run(&house, "finance-director", "waiter").json()["run"].as_str().unwrap().to_owned();
    for path in [
        "/v1/resources/Worker/finance/waiter",
        "/v1/workers/finance/waiter",
        "/v1/openapi.json",
        &format!("/v1/runs/{run}"),
    ] {
        let first = house.http("GET", path, Some(&admin), None);
        let tag = first.header("etag").unwrap();
        let again = house.http_with("GET", path, Some(&admin), &[("if-none-match", tag)], None);
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag)), "{path}");
        let other = house.http_with("GET", path, Some(&admin), &[("if-none-match", "\"other\"")], None);
        assert_eq!((other.status, &other.body), (200, &first.body), "{path}");
    }
    let put = |seconds: u64, version: Option<u64>, headers: &[(&str, &str)]| {
        let mut manifest = waiter("waiter", seconds);
        if let Some(version) = version {
            manifest["metadata"]["version"] = json!(version);
        }
        house.http_with("POST", "/v1/apply", Some(&admin), headers, Some(&json!({"manifests": [manifest]})))
    };
    let mismatch = |reply: &Reply| {
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (412, &json!("https://mandate.dev/problems/version-mismatch"))
        );
        assert_eq!(reply.json()["errors"][0]["pointer"], "/manifests/0/metadata/version");
    };
    mismatch(&put(1, Some(2), &[]));
    mismatch(&put(1, Some(0), &[]));
    mismatch(&put(1, None, &[("if-match", "\"7\"")]));
    mismatch(&put(1, None, &[("if-none-match", "*")]));
    assert_eq!(put(1, None, &[("if-match", "1")]).status, 422);
    assert_eq!(put(1, Some(2), &[("if-match", "\"1\"")]).status, 422);
    assert_eq!(put(601, Some(1), &[]).json()["items"][0]["version"], 2);
    assert_eq!(put(602, None, &[("if-match", "\"2\"")]).json()["items"][0]["version"], 3);
    let two = json!({"manifests": [waiter("waiter", 1), waiter("other", 1)]});
    assert_eq!(house.http_with("POST", "/v1/apply", Some(&admin), &[("if-match", "\"3\"")], Some(&two)).status, 422);
    // Who may not change it is refused before they learn its version.
    let manifest = json!({"manifests": [{"apiVersion": "mandate.dev/v1", "kind": "Policy", "metadata": {"name": "finance/x", "version": 4}, "spec": {"file": "x.cedar", "text": ""}}]});
    let stranger = house.http("POST", "/v1/apply", Some(&house.token("finance-lead")), Some(&manifest));
    assert_eq!(stranger.status, 403, "{stranger:?}");
}

#[test]
fn cursors_go_through_a_list_once_and_fit_nowhere_else() {
    let house = House::start();
    apply(&house, "admin", (0..5).map(|n| waiter(&format!("w{n}"), 600)).collect());
    for n in 0..5 {
        run(&house, "finance-director", &format!("w{n}"));
    }
    let admin = house.token("auditor");
    let get = |path: &str| house.http("GET", path, Some(&admin), None);
    // Until the sequencer has taken what was just written.
    let begun = std::time::Instant::now();
    while get("/v1/audit/search?kind=run-started").json()["items"].as_array().unwrap().len() < 5 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let walk = |path: &str, key: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&format!("{path}{}limit=2{cursor}", if path.contains('?') { '&' } else { '?' })).json();
            assert!(page["items"].as_array().unwrap().len() <= 2);
            found.extend(page["items"].as_array().unwrap().iter().map(|item| item.pointer(key).unwrap().clone()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    for (path, key) in [
        ("/v1/runs", "/run"),
        ("/v1/resources/Worker", "/metadata/name"),
        ("/v1/workers", "/name"),
        ("/v1/audit/search?kind=run-started", "/index"),
    ] {
        let found = walk(path, key);
        let joiner = if path.contains('?') { '&' } else { '?' };
        let whole = get(&format!("{path}{joiner}limit=500")).json();
        let whole: Vec<Value> =
            whole["items"].as_array().unwrap().iter().map(|i| i.pointer(key).unwrap().clone()).collect();
        assert_eq!(found, whole, "{path}");
        assert_eq!(found.iter().map(Value::to_string).collect::<BTreeSet<_>>().len(), found.len(), "{path}");
        assert!(found.len() >= 5, "{path}");
    }
    let cursor = get("/v1/runs?limit=2").json()["next"].as_str().unwrap().to_owned();
    let mut altered = cursor.clone().into_bytes();
    altered[20] = if altered[20] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for path in [
        format!("/v1/runs?cursor={altered}"),
        format!("/v1/runs?cursor={}", &cursor[..cursor.len() - 4]),
        format!("/v1/runs?worker=finance/w1&cursor={cursor}"),
        format!("/v1/audit/search?cursor={cursor}"),
        format!("/v1/resources/Worker?cursor={cursor}"),
        format!("/v1/approvals?cursor={cursor}"),
    ] {
        let reply = get(&path);
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (422, &json!("https://mandate.dev/problems/invalid-cursor")),
            "{path}"
        );
    }
    let foreign = house.http("GET", &format!("/v1/runs?cursor={cursor}"), Some(&house.token("other-admin")), None);
    assert_eq!(foreign.status, 422);
}

#[test]
fn every_failure_is_a_whole_problem() {
    let house = House::start();
    let token = house.token("finance-lead");
    let large = "x".repeat(3 << 20);
    let json_of = |body: &str| {
        let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {token}")[..])]
            .map(|(k, v)| (k, v.to_owned()));
        let headers: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (*k, v.as_str())).collect();
        http::send("POST", &format!("{}/v1/runs", house.url()), &headers, Some(body.as_bytes())).unwrap()
    };
    let mut seen = BTreeSet::new();
    for (reply, status, code) in [
        (house.http("GET", "/v1/nothing", Some(&token), None), 404, "not-found"),
        (house.http("DELETE", "/v1/runs", Some(&token), None), 405, "no-such-method"),
        (house.http("BREW", "/v1/runs", Some(&token), None), 405, "no-such-method"),
        (house.http("GET", "/v1/runs?limit=many", Some(&token), None), 422, "invalid-query"),
        (house.http("GET", "/v1/runs", None, None), 401, "unauthenticated"),
        (house.http_with("POST", "/v1/runs", Some(&token), &[("content-type", "text/plain")], None), 415, "not-json"),
        (json_of("{"), 422, "invalid-body"),
        (json_of(&format!("{{\"purpose\": \"{large}\"}}")), 413, "too-large"),
        (house.http("GET", "/v1/audit/search", Some(&token), None), 403, "policy-denied"),
    ] {
        let problem = reply.json();
        assert_eq!(
            (reply.status, &problem["type"]),
            (status, &json!(format!("https://mandate.dev/problems/{code}"))),
            "{problem}"
        );
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        for part in ["title", "detail"] {
            assert!(problem[part].as_str().is_some_and(|text| text.len() > 3), "{part}: {problem}");
        }
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(problem["instance"], format!("urn:mandate:request:{id}"));
        assert!(seen.insert(id.to_owned()), "{id} twice");
    }
    // What a client says about its own request is not taken for ours.
    let own = house.http_with("GET", "/livez", None, &[("x-request-id", "req_mine")], None);
    assert_ne!(own.header("x-request-id"), Some("req_mine"));
}

#[test]
fn the_ledger_is_searched_by_person_function_and_time() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    apply(
        &house,
        "admin",
        vec![
            worker("reads", json!([call("read", "mine.read", "2026-Q3")]), &["mine.read"], json!({})),
            role("finance/director-runs-all", "user:finance-director", "runner", json!({"project": "finance"})),
        ],
    );
    let mine = run(&house, "finance-lead", "reads").exits(0).json()["run"].as_str().unwrap().to_owned();
    let theirs = run(&house, "finance-director", "reads").json()["run"].as_str().unwrap().to_owned();
    let find = |args: &[&str]| {
        let mut all = vec!["audit", "search", "-o", "json", "--limit", "500"];
        all.extend(args);
        house.cli_as("auditor", &all).exits(0).json()["items"].as_array().unwrap().clone()
    };
    // Everything in the chain of one's own run is found by one's name, though the Worker acted.
    for run in [&mine, &theirs] {
        sequenced(&house, run);
    }
    let found = find(&["--person", "finance-lead", "--function", "mine.read"]);
    let kinds: BTreeSet<&str> = found.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["step-decided", "step-succeeded"]), "{found:#?}");
    assert!(found.iter().all(|entry| entry["run"] == mine), "{found:#?}");
    let whole = find(&["--person", "user:finance-lead", "--run", &mine]);
    let chain = house.entries(&mine);
    assert_eq!(whole.len(), chain.len(), "{whole:#?}");
    assert!(find(&["--person", "finance-director", "--run", &mine]).is_empty());
    assert!(!find(&["--person", "finance-director", "--run", &theirs]).is_empty());
    // Each hit can be proven.
    let index = found[0]["index"].as_u64().unwrap().to_string();
    house.cli_as("auditor", &["audit", "proof", &index]).exits(0);
    // Time.
    let at = found[0]["time"].as_str().unwrap().to_owned();
    assert!(find(&["--since", &at]).iter().all(|entry| entry["time"].as_str().unwrap() >= at.as_str()));
    assert!(find(&["--until", &at]).iter().all(|entry| entry["time"].as_str().unwrap() < at.as_str()));
    assert_eq!(find(&["--since", &at]).len() + find(&["--until", &at]).len(), find(&[]).len());
    assert!(find(&["--since", "2100-01-01"]).is_empty() && find(&["--until", "2000-01-01"]).is_empty());
    for bad in [["--since", "yesterday"], ["--kind", "nothing"], ["--until", "2026-13-01"]] {
        let ran = house.cli_as("auditor", &["audit", "search", bad[0], bad[1]]);
        assert_ne!(ran.code, 0, "{bad:?}");
    }
    // A part of the chain, from a place in it.
    let token = house.token("finance-lead");
    let tail = house.http("GET", &format!("/v1/runs/{mine}/entries?from=2"), Some(&token), None).json();
    assert_eq!(tail["items"].as_array().unwrap()[..], chain[2..]);
}

/// Waits until every entry of the ended run is in the tenant's ledger.
fn sequenced(house: &House, run: &str) {
    let (count, begun) = (house.entries(run).len(), Instant::now());
    while search(house, "auditor", &format!("run={run}&limit=500")).len() < count {
        assert!(begun.elapsed() < PATIENCE, "{run} is not wholly in the ledger");
        std::thread::sleep(Duration::from_millis(50));
    }
}
