//! What an operation and its parameters become, and what they can't become.
use super::super::tests::{prepared, request};
use super::super::*;
use mandate_kernel::Limits;
use serde_json::json;

const URI: &str = "https://shop.example/v1/openapi.json";

fn shop(description: Value, methods: &[&str], connection: Value) -> CallEffect {
    let function = json!({
        "effect": "once", "model": "service-account",
        "target": {"call": {
            "protocol": "openapi", "connection": "shop", "methods": methods,
            "document": {"uri": URI, "content": description},
        }},
    });
    let function: FunctionSpec = serde_json::from_value(function).unwrap();
    function.check().unwrap();
    let mandate_directory::Target::Call(target) = function.target.clone() else { panic!("no call") };
    let connection = serde_json::from_value(connection).unwrap();
    CallEffect::new(function, target, Some(connection), Arc::new(Transport::new(Limits::DEFAULT).unwrap()))
}

fn description() -> Value {
    let (path, query) =
        (|name: &str| json!({"name": name, "in": "path"}), |name: &str| json!({"name": name, "in": "query"}));
    let body = json!({"content": {"application/json": {}}});
    let form = json!({"content": {"application/x-www-form-urlencoded": {}}});
    json!({
        "openapi": "3.0.3",
        "servers": [{"url": "https://elsewhere.example/v1"}, {"url": "https://shop.example/v1"}],
        "paths": {
            "/pets/{id}": {
                "get": {"operationId": "get", "parameters": [path("id"), query("q"), {"name": "X-Trace", "in": "header"}]},
                "post": {"operationId": "post", "parameters": [path("id")], "requestBody": body},
                "put": {"operationId": "put", "parameters": [path("id")], "requestBody": form},
            },
            "/find": {"get": {"operationId": "find", "parameters": [
                query("many"), {"name": "few", "in": "query", "explode": false},
                {"name": "deep", "in": "query", "style": "deepObject", "required": true},
            ]}},
            "/away": {"get": {"operationId": "away", "servers": [{"url": "https://elsewhere.example"}]}},
        },
    })
}

fn good() -> CallEffect {
    let connection = json!({"environments": {"sandbox": {"url": "https://shop.example/v1"}}});
    shop(description(), &["GET", "POST", "PUT"], connection)
}

fn call(operation: &str, parameters: Value) -> Value {
    json!({
        "document": {"endpoint": {"uri": URI}}, "operationId": operation, "parameters": parameters,
        "output": "content", "redirect": false,
    })
}

#[test]
fn parameters_go_where_the_description_says() {
    let effect = good();
    let url = |call| request(&effect, call).url().as_str().to_owned();
    let get = request(&effect, call("get", json!({"id": "a/b?c", "q": "x&y", "X-Trace": "7"})));
    assert_eq!((get.method(), get.url().as_str()), ("GET", "https://shop.example/v1/pets/a%2Fb%3Fc?q=x%26y"));
    assert_eq!(get.headers().get("x-trace").map(String::as_str), Some("7"));
    assert_eq!(url(call("get", json!({"id": 7, "q": null}))), "https://shop.example/v1/pets/7");
    assert_eq!(
        url(call("find", json!({"many": [1, "b c"], "few": ["x,y", true], "deep": {"a": 1}}))),
        "https://shop.example/v1/find?many=1&many=b%20c&few=x%2Cy,true&deep%5Ba%5D=1"
    );
    let post = request(&effect, call("post", json!({"id": 1, "body": {"b": 1, "a": 2}})));
    assert_eq!((post.content_type(), post.body()), (Some("application/json"), &br#"{"a":2,"b":1}"#[..]));
    let put = request(&effect, call("put", json!({"id": 1, "body": {"name": "a b", "n": 2}})));
    assert_eq!(put.content_type(), Some("application/x-www-form-urlencoded"));
    assert_eq!(put.body(), b"name=a%20b&n=2");
}

#[test]
fn nothing_leads_elsewhere() {
    let effect = good();
    for (operation, parameters) in [
        ("get", json!({"id": ".."})),
        ("get", json!({"id": "."})),
        ("get", json!({"id": ""})),
        ("away", json!({})),
        ("other", json!({})),
        ("get", json!({})),
        ("get", json!({"id": 1, "unknown": 2})),
        ("get", json!({"id": {"a": 1}})),
        ("get", json!({"id": 1, "X-Trace": "a\r\nX-B: c"})),
        ("find", json!({"deep": 1})),
        ("find", json!({})),
        ("put", json!({"id": 1, "body": [1]})),
        ("get", json!([])),
    ] {
        let refused = prepared(&effect, call(operation, parameters.clone()));
        if let Ok(Prepared { request: Request::Http(request), .. }) = &refused {
            panic!("{operation} {parameters}: {}", request.url().as_str());
        }
        assert!(matches!(refused, Err(PrepareError::Arguments { .. })), "{operation} {parameters}: {refused:?}");
    }
    let mut other = call("get", json!({"id": 1}));
    other["document"]["endpoint"]["uri"] = json!("https://evil.example/openapi.json");
    assert!(prepared(&effect, other).is_err());
    // The connection, not the description, says where a call may go; and a function has its methods.
    let narrow = json!({"environments": {"sandbox": {"url": "https://shop.example/v1/find"}}});
    assert!(prepared(&shop(description(), &["GET"], narrow), call("get", json!({"id": 1}))).is_err());
    let reads = shop(description(), &["GET"], json!({"environments": {"sandbox": {"url": "https://shop.example/v1"}}}));
    assert!(prepared(&reads, call("post", json!({"id": 1}))).is_err());
}

/// What is said goes into the ledger: it repeats nothing of the arguments.
#[test]
fn a_refusal_repeats_nothing_that_may_be_data() {
    let effect = good();
    for given in [
        call("get", json!({"id": 1, "canary-7": 1})),
        call("get", json!({"id": {"canary-7": 1}})),
        call("canary-7", json!({})),
        call("get", json!({"id": 1, "X-Trace": "canary-7\u{e9}"})),
        call("find", json!({"deep": {"canary-7": []}})),
    ] {
        let why = prepared(&effect, given).unwrap_err().to_string();
        assert!(!why.contains("canary-7"), "{why}");
    }
}

proptest::proptest! {
    #[test]
    fn no_value_changes_path_shape_or_destination(id in "\\PC{1,12}", q in "\\PC{0,12}") {
        let made = prepared(&good(), call("get", json!({"id": id, "q": q})));
        if let Ok(Prepared { request: Request::Http(request), destination, .. }) = made {
            proptest::prop_assert_eq!(destination.as_str(), "https://shop.example");
            let path = request.url().as_str().split('?').next().unwrap_or_default();
            proptest::prop_assert!(path.starts_with("https://shop.example/v1/pets/"));
            proptest::prop_assert_eq!(path.matches('/').count(), 5);
        }
    }
}
