//! Tenants are apart: every endpoint, asked by the administrator of another tenant with the ids of this
//! one; and every endpoint, asked by nobody.

use super::world::run;
use crate::house::{House, WORKER};
use serde_json::{Value, json};

/// Every endpoint of the API's own table: method, path, whether it is public.
fn endpoints() -> Vec<(String, String, bool)> {
    mandate_api::endpoint_table()
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            (method.to_owned(), path.to_owned(), words.next() == Some("public"))
        })
        .collect()
}

/// The path with the ids of tenant `demo` in it.
fn named(path: &str, run: &str) -> String {
    path.replace("{run}", run)
        .replace("{kind}", "worker")
        .replace("{project}", "finance")
        .replace("{name}", if path.contains("secrets") { "ledgerbook-key" } else { "quarterly-summary" })
        .replace("{role}", "evidence")
        .replace("{*path}", "0/000.p/1")
        .replace("{index}", "3")
        .replace("{tenant}", "demo")
}

fn body(method: &str, path: &str) -> Option<Value> {
    let key = json!({"credential": "finance/ledgerbook-key", "worker": WORKER, "function": "ledgerbook.costs"});
    match (method, path) {
        ("GET", _) => None,
        (_, "/v1/runs") => Some(json!({"worker": WORKER, "purpose": "elsewhere", "input": {"quarter": "2026-Q3"}})),
        (_, path) if path.ends_with("/{name}/runs") => {
            Some(json!({"purpose": "elsewhere", "input": {"quarter": "2026-Q3"}}))
        }
        (_, path) if path.contains("/approvals/") => Some(json!({"digest": format!("sha256:{}", "0".repeat(64))})),
        (_, path) if path.contains("grants") => Some(key),
        (_, path) if path.contains("secrets") => Some(json!({"value": "planted"})),
        (_, path) if path.ends_with("/resolve") => Some(json!({"happened": true, "value": {"forged": true}})),
        (_, path) if path.ends_with("/rollback") => Some(json!({"reason": "elsewhere"})),
        (_, path) if path.ends_with("/schedules/grant") => Some(json!({"worker": WORKER, "purpose": "elsewhere"})),
        (_, path) if path.ends_with("/schedules/revoke") => Some(json!({"worker": WORKER})),
        (_, path) if path.ends_with("/apply") => Some(json!({"manifests": []})),
        _ => Some(json!({})),
    }
}

#[test]
fn another_tenant_gets_nothing_of_this_one() {
    let house = House::start();
    let view = run(&house, "finance-lead", "quarterly-summary").exits(0).json();
    let id = view["run"].as_str().unwrap();
    let token = house.token("other-admin");
    let before = house.cli_as("admin", &["get", "worker", WORKER, "-o", "json"]).exits(0).stdout;
    let secrets = house.cli_as("admin", &["secrets", "list", "-o", "json"]).exits(0).stdout;
    let mut asked = 0;
    for (method, pattern, public) in endpoints() {
        // Their own keys are theirs to rotate; what they name is not.
        if public || pattern.contains("{role}") {
            continue;
        }
        let path = named(&pattern, id);
        let reply = house.http(&method, &path, Some(&token), body(&method, &pattern).as_ref());
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let own = [
            "/v1/me",
            "/v1/resources/{kind}",
            "/v1/grants",
            "/v1/secrets",
            "/v1/runs",
            "/v1/schedules",
            "/v1/workers",
            "/v1/approvals",
            "/metrics",
        ];
        let ledger = pattern.starts_with("/v1/audit/");
        let fine = match (method.as_str(), pattern.as_str()) {
            ("GET", pattern) if own.contains(&pattern) || ledger => [200, 403, 404].contains(&reply.status),
            ("POST", "/v1/apply") => reply.status == 422,
            // It names nothing, and this is no event.
            ("POST", "/v1/events") => [415, 422].contains(&reply.status),
            // A token is no session.
            (_, "/v1/session" | "/auth/logout") => reply.status == 401,
            _ => [403, 404].contains(&reply.status),
        };
        assert!(fine, "{method} {path}: {} {text}", reply.status);
        // Their own words come back, and nothing else of ours does.
        let rest = text.replace(id, "").replace(WORKER, "").replace("finance/ledgerbook-key", "");
        for ours in ["finance", "quarterly", "ledgerbook", "warehouse", "t/demo", "user:admin", "2026-Q3"] {
            assert!(!rest.contains(ours), "{method} {path} tells `{ours}`: {text}");
        }
        asked += 1;
    }
    assert!(asked >= 20, "{asked}");
    // A Worker of the same name made there is theirs alone.
    assert_eq!(house.cli_as("admin", &["get", "worker", WORKER, "-o", "json"]).exits(0).stdout, before);
    assert_eq!(house.cli_as("admin", &["secrets", "list", "-o", "json"]).exits(0).stdout, secrets);
    assert_eq!(house.run(id)["state"], "completed");
    assert_eq!(house.reports().len(), 1);
    // The two ledgers have not met: ours verifies, theirs verifies, neither holds the other's entries.
    let trust = house.trust();
    for (account, tenant) in [("auditor", "demo"), ("other-admin", "other")] {
        house.cli_as(account, &["audit", "verify", "--trust", &trust, "--tenant", tenant]).exits(0);
    }
    let theirs = house.cli_as("other-admin", &["audit", "search", "--limit", "500", "-o", "json"]).exits(0).stdout;
    assert!(!theirs.contains("user:finance-lead") && !theirs.contains("2026-Q3"), "{theirs}");
}

#[test]
fn nobody_gets_anything_that_is_not_public() {
    let house = House::start();
    let id = run(&house, "finance-lead", "quarterly-summary").exits(0).json()["run"].as_str().unwrap().to_owned();
    let (mut closed, mut open) = (0, 0);
    for (method, pattern, public) in endpoints() {
        if pattern == "/metrics" {
            // A scraper on this machine needs no name: see `telemetry`.
            continue;
        }
        let path = named(&pattern, &id);
        let reply = house.http(&method, &path, None, body(&method, &pattern).as_ref());
        if public {
            // Sign-in says what is missing.
            let status = match pattern.as_str() {
                "/auth/login" => 422,
                "/auth/callback" => 400,
                _ => 200,
            };
            assert_eq!(reply.status, status, "{method} {path}");
            open += 1;
            continue;
        }
        assert_eq!(reply.status, 401, "{method} {path}");
        assert_eq!(reply.json()["type"], "https://mandate.dev/problems/unauthenticated", "{method} {path}");
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        // A broken query tells a stranger no more.
        assert_eq!(house.http(&method, &format!("{path}?limit=x&wait=x"), None, None).status, 401, "{method} {path}");
        closed += 1;
    }
    assert!(closed >= 20 && open >= 3, "{closed} {open}");
    let keys = house.http("GET", "/t/demo/.well-known/jwks.json", None, None).json();
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()), "{keys}");
    assert_eq!(house.http("GET", "/t/nobody/.well-known/jwks.json", None, None).status, 404);
}
