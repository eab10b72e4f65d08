//! Small things that were let through, or told badly.

use super::world::{apply, function, manifest, role, try_apply, worker};
use crate::house::House;
use serde_json::{Value, json};

#[test]
fn a_binding_is_named_in_a_project_of_its_giver_s() {
    let house = House::start();
    let mut shared = worker("w", json!([{"a": {"set": {"x": 1}}}]), &[], json!({}));
    shared["metadata"]["name"] = json!("product/w");
    apply(&house, "product-lead", vec![shared]);
    let share = |name: &str| {
        let binding = role(name, "user:finance-analyst", "viewer", json!({"resource": "product/w"}));
        try_apply(&house, "product-lead", vec![binding])
    };
    for foreign in ["finance/of-product", "platform/of-product"] {
        let reply = share(foreign);
        assert_eq!(reply.status, 403, "{foreign}: {}", String::from_utf8_lossy(&reply.body));
        assert!(reply.json()["decision"].is_string(), "{foreign}");
    }
    assert_eq!(share("product/readers").status, 200);
    let readers = role("finance/of-product", "user:finance-analyst", "viewer", json!({"resource": "product/w"}));
    apply(&house, "admin", vec![readers]);
}

#[test]
fn a_function_that_never_or_always_tries_is_refused() {
    let house = House::start();
    let connection =
        json!({"environments": {"sandbox": {"url": "http://127.0.0.1:9", "audience": "http://127.0.0.1:9"}}});
    apply(&house, "admin", vec![manifest("Connection", "finance/mine", connection)]);
    let tried = |key: &str, value: Value| {
        let mut read = function("mine.read", "mine", "GET", "delegated", &[]);
        read["spec"][key] = value;
        try_apply(&house, "admin", vec![read])
    };
    for (key, value, told) in [
        ("timeoutMs", json!(0), "/spec/timeoutMs"),
        ("timeoutMs", json!(600_001), "/spec/timeoutMs"),
        ("retry", json!({"attempts": 0}), "/spec/retry/attempts"),
        ("retry", json!({"attempts": 1_000_000}), "/spec/retry/attempts"),
        ("retry", json!({"maxDelayMs": 86_400_001}), "/spec/retry/maxDelayMs"),
    ] {
        let reply = tried(key, value.clone());
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert_eq!(reply.status, 422, "{key} {value}: {body}");
        assert!(body.contains(told), "{key} {value}: {body}");
    }
    assert_eq!(tried("timeoutMs", json!(600_000)).status, 200);
}

#[test]
fn a_repeated_start_is_no_error_and_the_files_are_their_owner_s() {
    let house = House::start();
    let token = house.token("finance-lead");
    let body = json!({"worker": "finance/quarterly-summary", "purpose": "close", "input": {"quarter": "2026-Q3"}});
    let runs: Vec<Value> = (0..3)
        .map(|_| {
            let headers = [("idempotency-key", "K1")];
            house.http_with("POST", "/v1/runs?wait=20", Some(&token), &headers, Some(&body)).json()["run"].clone()
        })
        .collect();
    assert!(runs[0].is_string() && runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    assert!(!house.log().contains("ERROR"), "{}", house.log());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mut folders = vec![house.data_dir().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.to_string_lossy().contains(".db") {
                    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
                }
            }
        }
    }
}

/// What the system said stands there once.
#[test]
fn a_missing_root_key_is_told_once() {
    let mut house = House::start();
    house.kill9();
    std::fs::remove_file(house.data_dir().join("root.key")).unwrap();
    let refused = House::start_with(house.data_dir(), house.port(), &[]).err().unwrap().why;
    assert_eq!(refused.matches("No such file or directory").count(), 1, "{refused}");
}
