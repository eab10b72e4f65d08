//! What an error says of a run's data is for those who may read that (I7).

use super::receiver::Receiver;
use super::world::{apply, furnish, manifest, role, until};
use crate::house::House;
use serde_json::{Value, json};

const CANARY: &str = "policyholder-of-CT-2001";

#[test]
fn an_error_made_of_data_is_shown_to_whom_the_data_may_be_shown() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let error = |member: &str| {
        let mut error =
            json!({"type": "https://x.example/e", "status": 400, "title": "Stopped", "detail": "for a reason"});
        error[member] = json!("${ .name }");
        json!([{"stop": {"raise": {"error": error}}}])
    };
    let cases = [
        error("type"),
        error("title"),
        error("detail"),
        error("instance"),
        json!([{"stop": {"set": {"x": "${ error(.name) }"}}}]),
        json!([{"stop": {"set": {"x": "${ .name + 1 }"}}}]),
        json!([{"stop": {"set": {"x": "${ {(.name): 1} | .a.b.c | keys }"}}}]),
        json!([{"stop": {"wait": "${ .name }"}}]),
        json!([{"stop": {"set": {"x": "${ .name }"}, "output": {"schema": {"document": {"type": "object", "properties": {"x": {"enum": ["a"]}}}}}}}]),
        json!([{"stop": {"try": [{"stop": {"set": {"x": "${ error(.name) }"}}}], "catch": {"do": [{"again": {"raise": {"error": "${ $error }"}}}]}}}]),
        json!([{"stop": {"try": [{"stop": {"set": {"x": "${ error(.name) }"}}}],
            "catch": {"do": [{"again": {"raise": {"error": {"type": "https://x.example/e", "status": 400, "detail": "${ $error.detail }"}}}}]}}}]),
    ];
    let mut names = Vec::new();
    for (at, steps) in cases.into_iter().enumerate() {
        let name = format!("withheld-{at}");
        let worker = super::world::worker(&name, steps, &[], json!({}));
        // A document that can't even be applied tells nothing.
        let reply = super::world::try_apply(&house, "admin", vec![worker]);
        if reply.status == 200 {
            names.push(name);
        }
    }
    assert!(names.len() >= 9, "{names:?}");
    apply(
        &house,
        "admin",
        vec![role("finance/lead-runs", "user:finance-lead", "runner", json!({"project": "finance"}))],
    );
    for name in names {
        let start = json!({"worker": format!("finance/{name}"), "purpose": "test", "input": {"name": CANARY}});
        let started = house.http("POST", "/v1/runs", Some(&house.token("finance-lead")), Some(&start));
        assert_eq!(started.status, 201, "{}", String::from_utf8_lossy(&started.body));
        let run = started.json()["run"].as_str().unwrap().to_owned();
        assert_eq!(until(&house, &run, &["faulted", "completed"])["state"], "faulted", "{name}");
        let view = |account: &str| {
            house.http("GET", &format!("/v1/runs/{run}"), Some(&house.token(account)), None).json()["problem"].clone()
        };
        assert!(!view("admin").to_string().contains(CANARY), "{name}: {}", view("admin"));
        assert!(view("finance-lead").is_object());
        for path in [
            format!("/v1/runs/{run}/entries"),
            format!("/v1/runs/{run}/forensics"),
            format!("/v1/audit/search?run={run}&limit=500"),
        ] {
            let reply = house.http("GET", &path, Some(&house.token("auditor")), None);
            assert!(!String::from_utf8_lossy(&reply.body).contains(CANARY), "{name}: {path}");
        }
        let file = house.beside(&format!("{name}.passport"));
        house.cli_as("auditor", &["passport", "export", &run, "-f", file.to_str().unwrap()]).exits(0);
        let passport = std::fs::read(&file).unwrap();
        assert!(!contains(&passport, CANARY) && !decoded(&passport).contains(CANARY), "{name}: the passport tells");
    }
    assert!(!house.log().contains(CANARY));
    for file in ["mandate.db", "mandate.db-wal"] {
        let bytes = std::fs::read(house.data_dir().join(file)).unwrap_or_default();
        assert!(!contains(&bytes, CANARY), "{file} holds it in the clear");
    }
}

/// What the document says itself is shown to everybody who sees the run; whoever started it sees all.
#[test]
fn an_error_in_the_document_s_own_words_is_shown() {
    let house = House::start();
    let error = json!({"type": "https://x.example/e", "status": 418, "title": "Stopped", "detail": "${ .name }"});
    let steps = json!([{"stop": {"raise": {"error": error}}}]);
    apply(
        &house,
        "admin",
        vec![
            super::world::worker("says", steps, &[], json!({})),
            manifest(
                "RoleBinding",
                "finance/lead-runs-says",
                json!({"subjects": ["user:finance-lead"], "role": "runner", "on": {"project": "finance"}}),
            ),
        ],
    );
    let start = json!({"worker": "finance/says", "purpose": "test", "input": {"name": CANARY}});
    let started = house.http("POST", "/v1/runs", Some(&house.token("finance-lead")), Some(&start));
    let run = started.json()["run"].as_str().unwrap().to_owned();
    until(&house, &run, &["faulted"]);
    let view = |account: &str| {
        house.http("GET", &format!("/v1/runs/{run}"), Some(&house.token(account)), None).json()["problem"].clone()
    };
    let (admin, lead) = (view("admin"), view("finance-lead"));
    for problem in [&admin, &lead] {
        assert_eq!((&problem["type"], &problem["status"]), (&json!("https://x.example/e"), &json!(418)), "{problem}");
        assert_eq!((&problem["title"], &problem["instance"]), (&json!("Stopped"), &json!("/do/0/stop")), "{problem}");
    }
    assert!(admin["detail"].as_str().unwrap().contains("may read"), "{admin}");
    assert_eq!(lead["detail"], CANARY);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Every text of a passport that is base64, decoded.
fn decoded(passport: &[u8]) -> String {
    fn texts(value: &Value, into: &mut String) {
        match value {
            Value::String(text) => {
                let bytes = mandate_kernel::base64_decode(text).unwrap_or_default();
                into.push_str(&String::from_utf8_lossy(&bytes));
            }
            Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Object(map) => map.values().for_each(|item| texts(item, into)),
            _ => {}
        }
    }
    let mut all = String::new();
    texts(&serde_json::from_slice(passport).unwrap(), &mut all);
    all
}
