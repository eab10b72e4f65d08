//! Abuse case 96: lateral movement. A credential, a token or an environment is good where it belongs
//! and nowhere else.

use super::receiver::Receiver;
use super::world::{apply, arg, call, file, furnish, manifest, refused_by, run, run_with, worker};
use crate::house::House;
use serde_json::{Value, json};

const PRODUCTION: &[&str] = &["--env", "production"];

fn put(house: &House, credential: &str, value: &str) {
    let path = file(house, "value.txt", value);
    house.cli_as("finance-director", &["secrets", "put", credential, "--from-file", arg(&path)]).exits(0);
}

fn give(house: &House, credential: &str, worker: &str, function: &str) {
    let worker = format!("finance/{worker}");
    house
        .cli_as("finance-director", &["grants", "give", credential, "--worker", &worker, "--function", function])
        .exits(0);
}

#[test]
fn nothing_of_the_sandbox_works_in_production() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let legacy = json!({"legacy.read": "finance/legacy-key"});
    apply(
        &house,
        "admin",
        vec![
            worker("keyed", json!([call("read", "legacy.read", "2026-Q3")]), &["legacy.read"], legacy),
            worker("lent", json!([call("read", "mine.read", "2026-Q3")]), &["mine.read"], json!({})),
        ],
    );
    put(&house, "finance/legacy-key", "sandbox-only");
    give(&house, "finance/legacy-key", "keyed", "legacy.read");
    // An environment that nobody connected: there is nowhere to send anything.
    for name in ["keyed", "lent", "quarterly-summary"] {
        let view = refused_by(&house, run_with(&house, "finance-lead", name, PRODUCTION), "no-destination");
        assert!(view["problem"]["detail"].as_str().unwrap().contains("production"), "{view}");
    }
    // Connected: the credential belongs to the sandbox, and so does the initiator's entitlement.
    let url = receiver.url();
    let both = |extra: Value| {
        let mut spec = json!({"environments": {
            "sandbox": {"url": url, "audience": url}, "production": {"url": url, "audience": url},
        }});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        spec
    };
    apply(
        &house,
        "admin",
        vec![
            manifest("Connection", "finance/mine", both(json!({}))),
            manifest(
                "Connection",
                "finance/legacy",
                json!({"environments": {"sandbox": {"url": url}, "production": {"url": url}}, "slot": {"header": "x-api-key"}}),
            ),
        ],
    );
    refused_by(&house, run_with(&house, "finance-lead", "keyed", PRODUCTION), "wrong-environment");
    refused_by(&house, run_with(&house, "finance-lead", "lent", PRODUCTION), "outside-authority");
    assert_eq!(receiver.got().len(), 0);
    run(&house, "finance-lead", "keyed").exits(0);
    run(&house, "finance-lead", "lent").exits(0);
    assert_eq!(receiver.got().len(), 2);
    // An environment that the Worker does not run in.
    run_with(&house, "finance-lead", "lent", &["--env", "staging"]).exits(2);
}

/// The key to ledgerbook goes to ledgerbook: not to another function's destination, and not along when
/// somebody moves the connection.
#[test]
fn a_key_goes_where_its_owner_lets_it_go() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let key = "finance/ledgerbook-key";
    apply(
        &house,
        "admin",
        vec![worker(
            "thief",
            json!([call("read", "legacy.read", "2026-Q3")]),
            &["legacy.read"],
            json!({"legacy.read": key}),
        )],
    );
    refused_by(&house, run(&house, "finance-lead", "thief"), "destination-not-allowed");
    give(&house, key, "thief", "legacy.read");
    refused_by(&house, run(&house, "finance-lead", "thief"), "destination-not-allowed");

    let moved = json!({"environments": {"sandbox": {"url": receiver.url()}}, "slot": {"header": "x-api-key"}});
    apply(&house, "admin", vec![manifest("Connection", "finance/ledgerbook", moved)]);
    refused_by(&house, run(&house, "finance-lead", "quarterly-summary"), "destination-not-allowed");
    assert_eq!(receiver.got().len(), 0);
    assert_eq!(house.reports(), Vec::<Value>::new());
}

/// A grant is for one Worker: another one that binds the same credential has none.
#[test]
fn a_grant_is_not_shared_between_workers() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    put(&house, "finance/legacy-key", "one-value");
    let legacy = || json!({"legacy.read": "finance/legacy-key"});
    let steps = || json!([call("read", "legacy.read", "2026-Q3")]);
    apply(
        &house,
        "admin",
        vec![
            worker("first", steps(), &["legacy.read"], legacy()),
            worker("second", steps(), &["legacy.read"], legacy()),
        ],
    );
    give(&house, "finance/legacy-key", "first", "legacy.read");
    run(&house, "finance-lead", "first").exits(0);
    refused_by(&house, run(&house, "finance-lead", "second"), "grant-missing");
    assert_eq!(receiver.got().len(), 1);
}
