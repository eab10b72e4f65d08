//! Embedded grants and secrets, given and taken back by the credential's owner.

use super::receiver::Receiver;
use super::world::{apply, arg, call, file, furnish, recorded, refused_by, run, try_apply, worker};
use crate::house::{House, WORKER};
use serde_json::json;

const GRANT: [&str; 5] = ["finance/ledgerbook-key", "--worker", WORKER, "--function", "ledgerbook.costs"];

fn grants(house: &House, account: &str, what: &str) -> crate::house::Ran {
    house.cli_as(account, &[&["grants", what][..], &GRANT, &["-o", "json"]].concat())
}

/// The one of [`GRANT`] in a list.
fn the_grant(listed: &serde_json::Value) -> &serde_json::Value {
    let mut items = listed["items"].as_array().unwrap().iter();
    items.find(|grant| grant["function"] == "ledgerbook.costs" && grant["worker"] == WORKER).unwrap()
}

fn sample(house: &House) -> crate::house::Ran {
    run(house, "finance-lead", "quarterly-summary")
}

#[test]
fn a_revoked_grant_stops_the_next_run_and_can_be_given_again() {
    let mut house = House::start();
    let listed = house.cli_as("finance-director", &["grants", "list", "-o", "json"]).exits(0).json();
    let held = the_grant(&listed);
    assert_eq!((&held["stale"], &held["given_by"]), (&json!(null), &json!("user:finance-director")));
    sample(&house).exits(0);
    for account in ["finance-lead", "admin", "auditor", "finance-analyst", "other-admin"] {
        grants(&house, account, "revoke").exits(3);
        grants(&house, account, "give").exits(3);
    }
    grants(&house, "finance-director", "revoke").exits(0);
    let view = refused_by(&house, sample(&house), "grant-missing");
    assert!(view["problem"]["detail"].as_str().unwrap().contains("its owner can give one"), "{view}");
    assert_eq!(house.reports_of(view["run"].as_str().unwrap()).len(), 0);
    // A restart does not bring it back.
    house.restart();
    refused_by(&house, sample(&house), "grant-missing");
    grants(&house, "finance-director", "give").exits(0);
    sample(&house).exits(0);
    // One with an end.
    let past =
        house.cli_as("finance-director", &[&["grants", "give"][..], &GRANT, &["--not-after", "2020-01-01"]].concat());
    if past.code == 0 {
        refused_by(&house, sample(&house), "grant-stale");
    } else {
        assert_eq!(past.code, 2, "{past:?}");
    }
}

/// An edit of the Worker or of the function needs the grant again; whoever edits is told whom to ask.
#[test]
fn an_edit_invalidates_the_grant_and_says_who_gives_it_again() {
    let house = House::start();
    let folder = house.data_dir().join("workers/finance/quarterly-summary");
    for (path, why) in
        [("manifest.yaml", "the Worker was edited"), ("functions/ledgerbook.costs.yaml", "the function was edited")]
    {
        let path = folder.join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("description: ", "description: Edited. ")).unwrap();
        let target = if why.contains("Worker") { folder.clone() } else { path.clone() };
        let applied = house.cli_as("admin", &["apply", "-f", arg(&target), "-o", "json"]).exits(0).json();
        let mut lost = applied["invalidated_grants"].as_array().unwrap().clone();
        lost.retain(|lost| lost["worker"] == WORKER);
        // Each of the Worker's grants goes with an edit of the Worker, one with that of its function.
        assert_eq!(lost.len(), if why.contains("Worker") { 3 } else { 1 }, "{applied}");
        for lost in lost {
            assert_eq!((&lost["why"], &lost["owner"]), (&json!(why), &json!("user:finance-director")));
        }
        let told = house.cli_as("admin", &["apply", "-f", arg(&target)]).exits(0);
        assert!(!told.stdout.is_empty());
        let view = refused_by(&house, sample(&house), "grant-stale");
        assert!(view["problem"]["detail"].as_str().unwrap().contains("user:finance-director can give it again"));
        let listed = house.cli_as("finance-director", &["grants", "list", "-o", "json"]).exits(0).json();
        assert!(the_grant(&listed)["stale"].is_string(), "{listed}");
        for (credential, function) in
            [("ledgerbook-key", "ledgerbook.costs"), ("model-key", "infer"), ("smtp-login", "mail.send")]
        {
            let credential = format!("finance/{credential}");
            let args = ["grants", "give", &credential, "--worker", WORKER, "--function", function];
            house.cli_as("finance-director", &args).exits(0);
        }
        sample(&house).exits(0);
    }
}

/// A rotated secret is what the next run uses; the value goes in by a file, never as an argument.
#[test]
fn a_rotated_secret_reaches_the_receiver_at_the_next_run() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let steps = json!([call("read", "legacy.read", "2026-Q3")]);
    apply(
        &house,
        "admin",
        vec![worker("reads", steps, &["legacy.read"], json!({"legacy.read": "finance/legacy-key"}))],
    );
    let grant = ["finance/legacy-key", "--worker", "finance/reads", "--function", "legacy.read"];
    house.cli_as("finance-director", &[&["grants", "give"][..], &grant].concat()).exits(0);
    // Without a value there is nothing to lease.
    assert_ne!(run(&house, "finance-lead", "reads").code, 0);
    assert_eq!(receiver.got().len(), 0);
    for (n, value) in ["first-value-of-the-key", "second-value-of-the-key"].into_iter().enumerate() {
        let path = file(&house, "value.txt", &format!("{value}\n"));
        house.cli_as("admin", &["secrets", "put", "finance/legacy-key", "--from-file", arg(&path)]).exits(3);
        let put = house.cli_as(
            "finance-director",
            &["secrets", "put", "finance/legacy-key", "--from-file", arg(&path), "-o", "json"],
        );
        assert_eq!(put.exits(0).json()["version"], n + 1);
        run(&house, "finance-lead", "reads").exits(0);
        let got = receiver.got();
        assert_eq!(got.len(), n + 1);
        assert_eq!(got[n].header("x-api-key"), Some(value));
        assert_eq!(got[n].header("authorization"), None);
    }
}

/// The destinations of a credential are its owner's to set, whatever role another has on it; and the
/// attempt is in the ledger.
#[test]
fn only_the_owner_moves_a_credential() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let credential = |owner: &str, destination: &str| {
        let spec = json!({"owner": owner, "environment": "sandbox", "destinations": [destination]});
        super::world::manifest("Credential", "finance/legacy-key", spec)
    };
    // A second holder of the role is still not the owner.
    apply(
        &house,
        "admin",
        vec![super::world::role(
            "finance/lead-helps",
            "user:finance-lead",
            "credential-owner",
            json!({"resource": "finance/legacy-key"}),
        )],
    );
    for account in ["admin", "finance-lead"] {
        for changed in [
            credential("user:finance-director", "http://127.0.0.1:9"),
            credential(&format!("user:{account}"), receiver.url()),
        ] {
            let reply = try_apply(&house, account, vec![changed]);
            assert_eq!(
                (reply.status, reply.json()["type"].clone()),
                (403, json!("https://mandate.dev/problems/not-the-owner"))
            );
            let entry = recorded(&house, reply.json()["decision"].as_str().unwrap());
            assert_eq!((&entry["kind"], &entry["actor"]), (&json!("access-denied"), &json!(format!("user:{account}"))));
        }
    }
    let token = house.token("finance-lead");
    for (method, path, body) in [
        ("PUT", "/v1/secrets/finance/legacy-key", json!({"value": "stolen"})),
        (
            "POST",
            "/v1/grants",
            json!({"credential": "finance/legacy-key", "worker": WORKER, "function": "ledgerbook.costs"}),
        ),
    ] {
        let reply = house.http(method, path, Some(&token), Some(&body));
        assert_eq!(reply.json()["type"], "https://mandate.dev/problems/not-the-owner");
        recorded(&house, reply.json()["decision"].as_str().unwrap());
    }
}
