//! Preparation: what becomes of arguments, and what never becomes a request.

use crate::Effects;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_gate::{Call, PrepareError, Prepared, Request};
use mandate_identity::CanonicalRequest;
use mandate_kernel::{Attempt, Environment, Limits, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

static EFFECTS: LazyLock<Effects> = LazyLock::new(|| Effects::new(Limits::DEFAULT).unwrap());
static RUN: LazyLock<RunId> =
    LazyLock::new(|| RunId::generate(Timestamp::from_secs(1_800_000_000), &SystemEntropy).unwrap());

fn call(environment: &str, arguments: Value, attempt: u32) -> Call {
    Call {
        step: StepKey { run: RUN.clone(), seq: StepSeq(3), attempt: Attempt(attempt) },
        function: "crm.note".parse().unwrap(),
        environment: Environment::new(environment).unwrap(),
        arguments,
    }
}

fn function(effect: &str, method: &str, path: &str, query: Value) -> FunctionSpec {
    serde_json::from_value(json!({
        "effect": effect,
        "model": "delegated",
        "arguments": {
            "id": {"type": "string", "optional": true},
            "n": {"type": "number", "optional": true},
            "list": {"type": "array", "optional": true},
        },
        "target": {"http": {"connection": "crm", "method": method, "path": path, "query": query}},
    }))
    .unwrap()
}

fn connection(url: &str, slot: Option<&str>) -> ConnectionSpec {
    serde_json::from_value(json!({
        "environments": {"sandbox": {"url": url, "audience": "https://crm.example"}},
        "slot": slot.map(|header| json!({"header": header, "prefix": "Key "})),
    }))
    .unwrap()
}

fn prepare(function: &FunctionSpec, url: &str, arguments: Value) -> Result<Prepared, PrepareError> {
    EFFECTS.effect_for(function, Some(&connection(url, None))).prepare(&call("sandbox", arguments, 1))
}

fn http(prepared: &Prepared) -> &CanonicalRequest {
    match &prepared.request {
        Request::Http(request) => request,
        Request::Local { .. } | Request::Mail { .. } | Request::Model { .. } => panic!("not http"),
    }
}

#[test]
fn path_query_and_body_share_out_the_arguments() {
    let post = function("idempotent", "POST", "/v1/notes/{id}", json!(["n"]));
    let prepared =
        prepare(&post, "https://crm.example:8443/api/", json!({"list": [1.0, "é"], "id": "a b/c", "n": 2.50})).unwrap();
    let request = http(&prepared);
    assert_eq!(request.method(), "POST");
    assert_eq!(request.url().as_str(), "https://crm.example:8443/api/v1/notes/a%20b%2Fc?n=2.5");
    assert_eq!(request.content_type(), Some("application/json"));
    assert_eq!(request.body(), "{\"list\":[1,\"é\"]}".as_bytes());
    assert_eq!(request.idempotency_key(), Some(format!("{}.3", *RUN).as_str()));
    assert_eq!(prepared.destination, "https://crm.example:8443");
    assert_eq!(prepared.audience.unwrap().as_str(), "https://crm.example");
}

#[test]
fn a_read_has_no_key_and_a_repeated_attempt_is_the_same_request() {
    let get = function("read", "GET", "/v1/{id}", json!(["n", "list"]));
    let request = prepare(&get, "https://crm.example", json!({"id": "x"})).unwrap();
    assert_eq!(http(&request).idempotency_key(), None);
    assert_eq!((http(&request).content_type(), http(&request).body()), (None, &b""[..]));
    let post = function("once", "POST", "/v1", json!([]));
    let effect = EFFECTS.effect_for(&post, Some(&connection("https://crm.example", None)));
    let [first, second] = [1, 2].map(|attempt| effect.prepare(&call("sandbox", json!({"id": "x"}), attempt)).unwrap());
    assert_eq!(first, second);
    assert_eq!(http(&effect.prepare(&call("sandbox", json!({}), 1)).unwrap()).body(), b"{}");
}

#[test]
fn a_value_stays_inside_its_place() {
    let get = function("read", "GET", "/v1/{id}", json!(["n", "list"]));
    for bad in ["", ".", ".."] {
        let refused = prepare(&get, "https://crm.example", json!({"id": bad}));
        assert!(matches!(refused, Err(PrepareError::Arguments { .. })), "{bad}: {refused:?}");
    }
    for (value, path) in [
        ("../admin", "/v1/..%2Fadmin"),
        ("a?b=c", "/v1/a%3Fb%3Dc"),
        ("a#b", "/v1/a%23b"),
        ("a\\b", "/v1/a%5Cb"),
        ("%2e%2e", "/v1/%252e%252e"),
        ("a\r\nx: y", "/v1/a%0D%0Ax%3A%20y"),
    ] {
        let prepared = prepare(&get, "https://crm.example", json!({"id": value})).unwrap();
        assert_eq!((http(&prepared).url().path(), prepared.destination.as_str()), (path, "https://crm.example"));
    }
}

proptest! {
    #[test]
    fn no_value_changes_path_shape_query_or_destination(id in "\\PC{1,40}", query in "\\PC{0,40}") {
        let get: FunctionSpec = serde_json::from_value(json!({
            "effect": "read", "model": "delegated",
            "arguments": {"id": {"type": "string"}, "q": {"type": "string"}},
            "target": {"http": {"connection": "crm", "method": "GET", "path": "/a/{id}/b", "query": ["q"]}},
        })).unwrap();
        let Ok(prepared) = prepare(&get, "https://crm.example", json!({"id": id, "q": query})) else {
            prop_assert!(id == "." || id == "..");
            return Ok(());
        };
        let url = http(&prepared).url();
        let segments: Vec<&str> = url.path().split('/').collect();
        prop_assert_eq!((segments.len(), segments[1], segments[3]), (4, "a", "b"));
        prop_assert_eq!(url.as_str().matches(['?', '=']).count(), 2);
        prop_assert_eq!(&prepared.destination, "https://crm.example");
    }
}

#[test]
fn bad_calls_and_bad_definitions_are_told_apart() {
    let ok = |arguments: &Value| arguments.clone();
    let get = |path: &str| function("read", "GET", path, json!(["n", "list"]));
    let given = json!({"id": "x"});
    for (spec, url, arguments, is_definition) in [
        (get("/v1/{id}"), "https://crm.example", json!({}), false),
        (get("/v1/{id}"), "https://crm.example", json!({"id": "x", "list": [1]}), false),
        (get("/v1/{id}"), "https://crm.example", json!({"id": "x", "other": 1}), false),
        (get("/v1/{id}"), "https://crm.example", json!({"id": 5}), false),
        (get("/v1/{id}"), "https://crm.example", json!({"id": "x".repeat(9000)}), false),
        (get("v1/{id}"), "https://crm.example", ok(&given), true),
        (get("/v1/{id"), "https://crm.example", ok(&given), true),
        (get("/v1/id}"), "https://crm.example", ok(&given), true),
        (get("/v1/{none}"), "https://crm.example", ok(&given), true),
        (get("/v1/../{id}"), "https://crm.example", ok(&given), true),
        (get("/v1//{id}"), "https://crm.example", ok(&given), true),
        (get("/v1/{id}?a=b#c"), "https://crm.example", ok(&given), true),
        (function("read", "GET", "/v1/{id}", json!([])), "https://crm.example", ok(&given), true),
        (function("read", "GET", "/v1/{id}", json!(["none"])), "https://crm.example", ok(&given), true),
        (get("/v1/{id}"), "http://crm.example", ok(&given), true),
        (get("/v1/{id}"), "http://127.0.0.1.crm.example", ok(&given), true),
        (get("/v1/{id}"), "http://[2001:db8::1]", ok(&given), true),
        (get("/v1/{id}"), "https://user@crm.example", ok(&given), true),
        (get("/v1/{id}"), "https://crm.example/?x", ok(&given), true),
        (get("/v1/{id}"), "https://crm.example:443", ok(&given), true),
        (get("/v1/{id}"), "ftp://crm.example", ok(&given), true),
    ] {
        match prepare(&spec, url, arguments.clone()) {
            Err(PrepareError::Arguments { .. }) => assert!(!is_definition, "{spec:?} {url} {arguments}"),
            Err(PrepareError::Definition { .. }) => assert!(is_definition, "{spec:?} {url} {arguments}"),
            other => panic!("{spec:?} {url}: {other:?}"),
        }
    }
    for url in ["http://127.0.0.1:4000", "http://[::1]:4000", "http://localhost:1/x"] {
        assert!(prepare(&get("/v1/{id}"), url, given.clone()).is_ok(), "{url}");
    }
}

#[test]
fn no_connection_or_other_environment_is_no_destination() {
    let get = function("read", "GET", "/v1/{id}", json!(["n", "list"]));
    let absent = EFFECTS.effect_for(&get, None).prepare(&call("sandbox", json!({"id": "x"}), 1));
    let there = EFFECTS.effect_for(&get, Some(&connection("https://crm.example", None)));
    for result in [absent, there.prepare(&call("production", json!({"id": "x"}), 1))] {
        assert!(matches!(result, Err(PrepareError::NoDestination { .. })), "{result:?}");
    }
}

#[test]
fn a_slot_is_a_header_that_nothing_else_sets() {
    let get = function("read", "GET", "/v1/{id}", json!(["n", "list"]));
    for (header, good) in [
        ("X-Api-Key", true),
        ("cookie", true),
        ("Authorization", false), // the connection has an audience: its token goes there
        ("host", false),
        ("Content-Length", false),
        ("transfer-encoding", false),
        ("dpop", false),
        ("x y", false),
        ("x\r\ny", false),
        ("", false),
    ] {
        let effect = EFFECTS.effect_for(&get, Some(&connection("https://crm.example", Some(header))));
        let prepared = effect.prepare(&call("sandbox", json!({"id": "x"}), 1));
        assert_eq!(prepared.is_ok(), good, "{header:?}: {prepared:?}");
    }
}
