//! Calls by documents that functions pin: what is refused when it is applied, and that a document reaches nothing but
//! what the function's connection is.

use super::live::{KEY, Live};
use super::world::{apply, manifest, run, try_apply, worker};
use crate::house::House;
use serde_json::{Value, json};

fn furnish(house: &House, live: &Live) {
    let mut all = live.manifests();
    let lead = json!({"subjects": ["user:finance-lead"], "role": "runner", "on": {"project": "finance"}});
    all.push(manifest("RoleBinding", "finance/lead-runs-all", lead));
    apply(house, "admin", all);
    let director = house.token("finance-director");
    let put = house.http("PUT", "/v1/secrets/finance/notes-key", Some(&director), Some(&json!({"value": KEY})));
    assert_eq!(put.status, 200);
}

fn greet(proto: &str, host: &str, port: u64, method: &str, arguments: Value) -> Value {
    json!({"greet": {"call": "grpc", "with": {
        "proto": {"endpoint": proto}, "method": method, "arguments": arguments,
        "service": {"name": "greet.Greeter", "host": host, "port": port},
    }}})
}

#[test]
fn what_a_function_pins_is_read_when_it_is_applied() {
    let house = House::start();
    let live = Live::start();
    furnish(&house, &live);
    let spec = |name: &str| {
        let name = format!("finance/{name}");
        let found =
            live.manifests().into_iter().find(|m| m["kind"] == "Function" && m["metadata"]["name"] == name.as_str());
        found.unwrap()["spec"].clone()
    };
    let content = "/target/call/document/content";
    for (name, pinned, at) in [
        ("greeter", json!("service Greeter {"), content),
        ("greeter", json!("syntax = \"proto3\"; import \"/etc/passwd\";"), content),
        ("greeter", json!({"not": "text"}), content),
        ("greeter", json!("message A {".repeat(5_000)), content),
        ("notes-send", json!({"asyncapi": "1.2.0", "channels": {}}), content),
        ("notes-send", json!("asyncapi: 2.6.0"), content),
        ("notes-send", json!({"asyncapi": "2.6.0", "channels": {"x": "y".repeat(300_000)}}), content),
    ] {
        let mut bad = spec(name);
        bad["target"]["call"]["document"]["content"] = pinned;
        let reply = try_apply(&house, "admin", vec![manifest("Function", &format!("finance/{name}"), bad)]);
        assert_eq!(reply.status, 422, "{}", String::from_utf8_lossy(&reply.body));
        assert!(reply.json()["errors"].to_string().contains(at), "{}", reply.json());
    }
    for (key, value) in [("methods", json!(["GET"])), ("document", Value::Null)] {
        let mut bad = spec("greeter");
        bad["target"]["call"][key] = value;
        let reply = try_apply(&house, "admin", vec![manifest("Function", "finance/greeter", bad)]);
        assert_eq!(reply.status, 422, "{key}: {}", String::from_utf8_lossy(&reply.body));
    }
}

#[test]
fn a_document_reaches_nothing_but_the_functions_connection() {
    let house = House::start();
    let live = Live::start();
    furnish(&house, &live);
    let (proto, port) = ("https://greeter.example/greet.proto", live.greeter_port().parse().unwrap());
    let text = json!({"text": "Ann"});
    let good = greet(proto, "127.0.0.1", port, "Greet", text.clone());
    apply(&house, "admin", vec![worker("greets", json!([good]), &["greeter"], json!({}))]);
    run(&house, "finance-lead", "greets").exits(0);
    for (at, (step, why)) in [
        (greet("https://evil.example/greet.proto", "127.0.0.1", port, "Greet", text.clone()), "reaches"),
        (greet(proto, "evil.example", port, "Greet", text.clone()), "reaches"),
        (greet(proto, "127.0.0.1", port ^ 1, "Greet", text.clone()), "reaches"),
        (greet(proto, "127.0.0.1", port, "Steal", text), "no such method"),
        (greet(proto, "127.0.0.1", port, "Greet", json!({"canary-member": 1})), "does not fit"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("strays-{at}");
        apply(&house, "admin", vec![worker(&name, json!([step]), &["greeter"], json!({}))]);
        let view = run(&house, "finance-lead", &name).exits(5).json();
        let problem = view["problem"].to_string();
        assert!(problem.contains(why) && problem.contains("configuration"), "{problem}");
        assert!(!problem.contains("evil.example") && !problem.contains("canary-member"), "{problem}");
    }
}
