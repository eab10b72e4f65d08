//! What a document's `call: http` becomes, and what it can't become.
use super::*;
use mandate_kernel::{Attempt, Environment, Limits, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use serde_json::json;

fn effect(effect: &str, methods: &[&str], connection: Value) -> CallEffect {
    let function = json!({
        "effect": effect, "model": "service-account",
        "target": {"call": {"protocol": "http", "connection": "shop", "methods": methods}},
    });
    let function: FunctionSpec = serde_json::from_value(function).unwrap();
    function.check().unwrap();
    let mandate_directory::Target::Call(target) = function.target.clone() else { panic!("no call") };
    let connection = serde_json::from_value(connection).unwrap();
    CallEffect::new(function, target, Some(connection), Arc::new(Transport::new(Limits::DEFAULT).unwrap()))
}

fn shop() -> Value {
    json!({"environments": {"sandbox": {"url": "https://shop.example/v2"}}})
}

pub(super) fn prepared(effect: &CallEffect, arguments: Value) -> Result<Prepared, PrepareError> {
    let run = RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap();
    effect.prepare(&Call {
        step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
        function: "shop".parse().unwrap(),
        environment: Environment::new("sandbox").unwrap(),
        arguments,
    })
}

pub(super) fn request(effect: &CallEffect, arguments: Value) -> CanonicalRequest {
    match prepared(effect, arguments).unwrap().request {
        Request::Http(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_becomes_the_request_it_spells_out() {
    let reads = effect("read", &["GET"], shop());
    let request_of = |arguments| request(&reads, arguments);
    let plain = request_of(json!({"method": "get", "endpoint": "https://shop.example/v2/pet/1"}));
    assert_eq!((plain.method(), plain.url().as_str()), ("GET", "https://shop.example/v2/pet/1"));
    assert_eq!((plain.idempotency_key(), plain.content_type(), plain.body()), (None, None, &b""[..]));
    let with_query = request_of(json!({
        "method": "GET", "endpoint": {"uri": "https://shop.example/v2/pets?status=open"},
        "query": {"q": "a b&c", "n": 2}, "headers": {"Accept": "text/plain", "X-Trace": "1"},
    }));
    assert_eq!(with_query.url().as_str(), "https://shop.example/v2/pets?status=open&n=2&q=a%20b%26c");
    assert_eq!(with_query.headers().keys().collect::<Vec<_>>(), ["accept", "x-trace"]);
    // Headers count: an answer about one is none about the other.
    let bare =
        request_of(json!({"method": "GET", "endpoint": "https://shop.example/v2/pets?status=open&n=2&q=a%20b%26c"}));
    assert_ne!(bare.digest(), with_query.digest());

    let acts = effect("once", &["POST"], shop());
    let json_body = request(
        &acts,
        json!({"method": "post", "endpoint": "https://shop.example/v2/pet", "body": {"b": 1, "a": [true]}}),
    );
    assert_eq!((json_body.content_type(), json_body.body()), (Some("application/json"), &br#"{"a":[true],"b":1}"#[..]));
    assert!(json_body.idempotency_key().is_some());
    let text = request(
        &acts,
        json!({
            "method": "post", "endpoint": "https://shop.example/v2/pet", "body": "hello", "headers": {"Content-Type": "text/plain"},
        }),
    );
    assert_eq!((text.content_type(), text.body()), (Some("text/plain"), &b"hello"[..]));
}

#[test]
fn nothing_leads_elsewhere() {
    let reads = effect("read", &["GET"], shop());
    for uri in [
        "https://shop.example/v2evil",
        "https://shop.example/",
        "https://shop.example.evil/v2/x",
        "http://shop.example/v2/x",
        "https://shop.example:443/v2/x",
        "https://shop.example@evil.example/v2/x",
        "https://evil.example/?https://shop.example/v2/x",
        "https://shop.example/v2/../admin",
        "https://shop.example/v2/%2E%2E/admin",
        "https://shop.example/v2//x",
        "HTTPS://shop.example/v2/x",
        "https://shop.example/v2/x#y",
        "https://shop.example/v2\\..\\admin",
        "/v2/x",
        "",
        "https://shop.example/v2/ x",
        "https://shop.example/v2/\u{e9}",
    ] {
        let refused = prepared(&reads, json!({"method": "get", "endpoint": uri}));
        assert!(matches!(refused, Err(PrepareError::Arguments { .. })), "{uri}: {refused:?}");
    }
    for (name, value) in [
        ("Authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("Host", "evil.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("DPoP", "x"),
        ("Txn-Token", "x"),
        ("Idempotency-Key", "x"),
        ("X-A", "a\r\nX-B: c"),
        ("X A", "b"),
        ("X-A", ""),
        ("", "x"),
        ("X-A", "\u{e9}"),
    ] {
        let given = json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {name: value}});
        assert!(prepared(&reads, given).is_err(), "{name}: {value:?}");
    }
    for wrong in [
        json!({"method": "post", "endpoint": "https://shop.example/v2/x"}),
        json!({"method": "TRACE", "endpoint": "https://shop.example/v2/x"}),
        json!({"endpoint": "https://shop.example/v2/x"}),
        json!({"method": "get"}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "output": "all"}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "redirect": "yes"}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "query": {"a": {"b": 1}}}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {"A": "1", "a": "2"}}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "proxy": "http://evil.example"}),
        json!([]),
    ] {
        assert!(prepared(&reads, wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn a_credential_is_the_bindings_and_goes_into_the_slot() {
    let wants =
        json!({"method": "get", "endpoint": {"uri": "https://shop.example/v2/x", "authentication": {"use": "shop"}}});
    let open = effect("read", &["GET"], shop());
    assert!(matches!(prepared(&open, wants.clone()), Err(PrepareError::Definition { .. })));
    let mut with_slot = shop();
    with_slot["slot"] = json!({"header": "x-api-key"});
    let closed = effect("read", &["GET"], with_slot);
    let slot = prepared(&closed, wants).unwrap().slot;
    assert_eq!(slot, Some(Slot::Header { name: "x-api-key".to_owned(), prefix: String::new() }));
    let own = json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {"X-Api-Key": "mine"}});
    assert!(prepared(&closed, own).is_err());
}

#[test]
fn a_receiver_of_tokens_takes_no_headers_of_the_document() {
    let mut tokens = shop();
    tokens["environments"]["sandbox"]["audience"] = json!("https://shop.example");
    let reads = effect("read", &["GET"], tokens);
    let with = json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {"x-a": "1"}});
    assert!(prepared(&reads, with).is_err());
    assert!(prepared(&reads, json!({"method": "get", "endpoint": "https://shop.example/v2/x"})).is_ok());
}

/// What is said goes into the ledger: it repeats nothing of the arguments.
#[test]
fn a_refusal_repeats_nothing_that_may_be_data() {
    let reads = effect("read", &["GET"], shop());
    for given in [
        json!({"method": "get", "endpoint": "https://evil.example/canary-7"}),
        json!({"method": "canary-7", "endpoint": "https://shop.example/v2/x"}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x y/canary-7"}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {"Canary-7 ": "1"}}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "headers": {"x-a": "canary-7\u{e9}"}}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "query": {"canary-7": [1]}}),
        json!({"method": "get", "endpoint": "https://shop.example/v2/x", "output": "canary-7"}),
    ] {
        let why = prepared(&reads, given).unwrap_err().to_string();
        assert!(!why.to_ascii_lowercase().contains("canary-7"), "{why}");
    }
}

/// A credential of the run's data goes by functions made for it, into its header at the edge alone.
#[test]
fn a_supplied_credential_goes_by_its_own_functions_and_stays_out_of_the_request() {
    let mut connection = shop();
    connection["environments"]["sandbox"]["audience"] = json!("https://shop.example");
    let supplied = |scheme: &str, supplied: Value| {
        let authentication = json!({"scheme": scheme, "supplied": supplied});
        json!({"method": "get", "endpoint": {"uri": "https://shop.example/v2/x", "authentication": authentication}})
    };
    let basic = supplied("basic", json!({"username": "ann", "password": "canary-8812"}));
    let other = effect("read", &["GET"], shop());
    assert!(prepared(&other, basic.clone()).is_err());
    let function = json!({
        "effect": "read", "model": "user-passthrough",
        "target": {"call": {"protocol": "http", "connection": "shop", "methods": ["GET"]}},
    });
    let function: FunctionSpec = serde_json::from_value(function).unwrap();
    function.check().unwrap();
    let mandate_directory::Target::Call(target) = function.target.clone() else { panic!("no call") };
    let transport = Arc::new(Transport::new(Limits::DEFAULT).unwrap());
    let passes_on = CallEffect::new(function, target, Some(serde_json::from_value(connection).unwrap()), transport);
    let made = prepared(&passes_on, basic.clone()).unwrap();
    // No lease is made for it, and nothing of it is in what is judged and shown.
    assert_eq!(made.slot, None);
    assert!(!made.request.text().contains("canary-8812"));
    let taken = passes_on.supplied(basic.pointer("/endpoint/authentication")).unwrap().unwrap();
    let policy = mandate_identity::Authentication::Basic { username: Some("ann".to_owned()) };
    assert_eq!(taken.slot, Slot::Authorization { policy, md5: false });
    assert_eq!(taken.secret.expose(), "canary-8812");
    for wrong in [
        json!({"method": "get", "endpoint": "https://shop.example/v2/x"}),
        supplied("basic", json!({"username": "canary-8812"})),
        supplied("bearer", json!({"token": "canary-8812\r\nX: y"})),
        supplied("oauth2", json!({"username": "a", "password": "canary-8812"})),
    ] {
        let why = prepared(&passes_on, wrong).unwrap_err().to_string();
        assert!(!why.contains("canary-8812"), "{why}");
    }
}
