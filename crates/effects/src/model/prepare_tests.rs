//! What becomes of a call: one question, or nothing.

use crate::Effects;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_gate::{Call, Effect, PrepareError, Prepared, Request, Slot};
use mandate_kernel::{Attempt, Environment, Limits, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn function() -> FunctionSpec {
    serde_json::from_value(json!({
        "effect": "read", "model": "service-account", "timeoutMs": 3000,
        "target": {"model": {"connection": "model", "model": "scripted-1-high", "temperature": 0.2, "maxTokens": 900,
            "clearance": {"confidentiality": "confidential", "data": ["financial"]}}},
    }))
    .unwrap()
}

fn effect(url: &str) -> Arc<dyn Effect> {
    let connection: ConnectionSpec = serde_json::from_value(
        json!({"environments": {"sandbox": {"url": url}}, "slot": {"header": "Authorization", "prefix": "Bearer "}}),
    )
    .unwrap();
    Effects::new(Limits::DEFAULT).unwrap().effect_for(&function(), Some(&connection))
}

pub(super) fn arguments() -> Value {
    json!({
        "instructions": "Summarise; ümläuts and \"quotes\" \\ stay.",
        "input": {"quarter": "2026-Q3"},
        "schema": {"type": "object", "required": ["title"], "additionalProperties": false,
            "properties": {"title": {"type": "string", "maxLength": 40}}},
        "shown": [{"source": "revenue", "function": "warehouse.revenue", "value": {"rows": [{"amount_cents": 12}]},
            "withheld": ["/rows/0/account_manager"], "digest": "sha256:x"}],
    })
}

pub(super) fn prepared(url: &str, arguments: Value) -> Result<Prepared, PrepareError> {
    let run = RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap();
    effect(url).prepare(&Call {
        step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
        function: "infer".parse().unwrap(),
        environment: Environment::new("sandbox").unwrap(),
        arguments,
    })
}

#[test]
fn a_call_becomes_one_question_and_data_stays_data() {
    let found = prepared("https://models.example/v1", arguments()).unwrap();
    assert_eq!(found.destination, "https://models.example");
    assert_eq!(found.slot, Some(Slot::Header { name: "authorization".into(), prefix: "Bearer ".into() }));
    let Request::Model { url, model, body } = &found.request else { panic!() };
    assert_eq!((url.as_str(), model.as_str()), ("https://models.example/v1/chat/completions", "scripted-1-high"));
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(
        (&body["model"], &body["temperature"], &body["max_tokens"]),
        (&json!("scripted-1-high"), &json!(0.2), &json!(900))
    );
    assert_eq!((&body["stream"], body.get("tools")), (&json!(false), None));
    assert_eq!(body["response_format"]["json_schema"]["schema"], arguments()["schema"]);
    assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    let messages = body["messages"].as_array().unwrap();
    assert_eq!(messages.iter().map(|m| m["role"].as_str().unwrap()).collect::<Vec<_>>(), ["system", "user", "user"]);
    let content = |i: usize| serde_json::from_str::<Value>(messages[i]["content"].as_str().unwrap()).unwrap();
    assert_eq!(content(1), json!({"instructions": arguments()["instructions"], "schema": arguments()["schema"]}));
    assert_eq!(content(2), json!({"input": arguments()["input"], "shown": arguments()["shown"]}));
    // Nothing that is shown can leave its message or become an instruction by its form.
    assert!(!messages[0]["content"].as_str().unwrap().contains("amount_cents"));
}

#[test]
fn every_part_of_a_question_counts() {
    let digest = |change: fn(&mut Value)| {
        let mut changed = arguments();
        change(&mut changed);
        prepared("https://models.example/v1", changed).unwrap().digest()
    };
    let digests = std::collections::BTreeSet::from([
        digest(|_| {}),
        digest(|a| a["instructions"] = json!("Other.")),
        digest(|a| a["input"]["quarter"] = json!("2026-Q4")),
        digest(|a| a["schema"]["properties"]["title"]["maxLength"] = json!(41)),
        digest(|a| a["shown"][0]["value"]["rows"][0]["amount_cents"] = json!(13)),
        digest(|a| a["shown"][0]["source"] = json!("costs")),
        prepared("https://models.example/v2", arguments()).unwrap().digest(),
    ]);
    assert_eq!(digests.len(), 7);
    assert_eq!(digest(|_| {}), digest(|_| {}));
}

#[test]
fn what_can_not_be_asked_is_refused_without_being_repeated() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 15] = [
        (|a| a["instructions"] = json!(""), "`instructions`"),
        (|a| a["instructions"] = json!("canary".repeat(10_000)), "`instructions`"),
        (|a| a["tools"] = json!(["canary"]), "no argument `tools`"),
        (|a| a["sources"] = json!(["canary"]), "no argument `sources`"),
        (|a| a["schema"] = json!(null), "`schema`"),
        (|a| a["schema"] = json!({"type": "string"}), "type: object"),
        (|a| a["schema"]["$ref"] = json!("https://evil.example/canary"), "$ref"),
        (|a| a["schema"]["properties"]["title"]["$ref"] = json!("file:///etc/canary"), "$ref"),
        (|a| a["schema"]["allOf"] = json!([]), "allOf"),
        (|a| a["schema"]["description"] = json!("canary".repeat(10_000)), "`schema` is longer"),
        (|a| a["shown"] = json!("canary"), "`shown`"),
        (|a| a["shown"] = json!([{"value": "canary"}]), "`shown`"),
        (|a| a["input"] = json!(1u64 << 60), "2^53"),
        (|a| a["shown"][0]["value"] = json!("canary".repeat(200_000)), "longer than 1048576"),
        (|a| *a = json!(["canary"]), "must be an object"),
    ];
    for (change, expected) in cases {
        let mut changed = arguments();
        change(&mut changed);
        let error = prepared("https://models.example/v1", changed).unwrap_err();
        assert!(matches!(error, PrepareError::Arguments { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error} has not: {expected}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    for url in ["smtp://127.0.0.1:1", "http://8.8.8.8", "https://a/?q"] {
        assert!(matches!(prepared(url, arguments()), Err(PrepareError::Definition { .. })), "{url}");
    }
}
