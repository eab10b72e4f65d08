//! Abuse case 97: what was true when a run began is asked again at the boundary of each action. A
//! change between the read and the act stops the act; what was read stays read.

use super::receiver::Receiver;
use super::world::{apply, arg, call, detached, ended, entitlement, file, furnish, manifest, recorded, until, worker};
use crate::house::House;
use serde_json::{Value, json};

/// How long the run waits between its two steps.
const PAUSE: u64 = 3;

/// A Worker that reads, waits, and acts.
fn careful(act: &str, bindings: Value) -> Value {
    let steps = json!([
        call("read", "mine.read", "2026-Q3"),
        {"pause": {"wait": {"seconds": PAUSE}}},
        call("act", act, "2026-Q3"),
    ]);
    worker("careful", steps, &["mine.read", act], bindings)
}

/// Runs it, makes a change while it waits, and gives what became of it.
fn changed(house: &House, change: impl FnOnce()) -> Value {
    let run = detached(house, "careful");
    assert_eq!(until(house, &run, &["waiting", "refused", "faulted", "completed"])["state"], "waiting");
    change();
    assert_eq!(until(house, &run, &["waiting", "refused", "faulted", "completed"])["state"], "waiting", "too slow");
    ended(house, &run)
}

fn is_refused(house: &House, receiver: &Receiver, view: &Value, code: &str, reads: usize) {
    assert_eq!(view["state"], "refused", "{view}");
    assert_eq!(view["problem"]["type"], format!("https://mandate.dev/problems/{code}"), "{view}");
    recorded(house, view["problem"]["decision"].as_str().unwrap());
    assert_eq!((receiver.by("GET").len(), receiver.by("POST").len()), (reads, 0));
    let kinds: Vec<Value> =
        house.entries(view["run"].as_str().unwrap()).into_iter().map(|e| e["kind"].clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "step-succeeded").count(), 1, "{kinds:?}");
}

#[test]
fn a_change_during_the_wait_stops_the_act() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    apply(&house, "admin", vec![careful("mine.publish", json!({}))]);
    // The entitlement loses the scope of the act, then the function, then its arguments.
    let whole = || entitlement(receiver.url(), &["mine.read", "mine.publish"]);
    let mut without_function = whole();
    without_function["spec"]["functions"].as_object_mut().unwrap().remove("mine.publish");
    let mut other_quarter = whole();
    other_quarter["spec"]["functions"]["mine.publish"] = json!({"/quarter": {"equals": "2026-Q2"}});
    let mut other_people = whole();
    other_people["spec"]["subjects"] = json!(["group:nobody"]);
    let narrowed = [entitlement(receiver.url(), &["mine.read"]), without_function, other_quarter, other_people];
    for (n, narrower) in narrowed.into_iter().enumerate() {
        let view = changed(&house, || drop(apply(&house, "admin", vec![narrower])));
        is_refused(&house, &receiver, &view, "outside-authority", n + 1);
        apply(&house, "admin", vec![whole()]);
    }
    // A policy, by a file and the command line.
    let forbid = "@id(\"freeze\")\nforbid (principal, action == Action::\"function.call\", resource == Function::\"finance/mine.publish\");\n";
    let path = file(&house, "freeze.cedar", forbid);
    let view = changed(&house, || {
        house.cli_as("admin", &["apply", "-f", arg(&path), "--project", "finance"]).exits(0);
    });
    is_refused(&house, &receiver, &view, "policy-denied", 5);
    // Lifted again, the same Worker acts: it was the change, not the Worker.
    let path = file(&house, "freeze.cedar", &forbid.replace("mine.publish", "mine.nothing"));
    house.cli_as("admin", &["apply", "-f", arg(&path), "--project", "finance"]).exits(0);
    let view = changed(&house, || {});
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!(receiver.by("POST").len(), 1);
}

#[test]
fn a_grant_or_credential_taken_back_during_the_wait_stops_the_act() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let key = json!({"legacy.read": "finance/legacy-key"});
    apply(&house, "admin", vec![careful("legacy.read", key)]);
    let path = file(&house, "value.txt", "a-value");
    house.cli_as("finance-director", &["secrets", "put", "finance/legacy-key", "--from-file", arg(&path)]).exits(0);
    let grant = |what: &str| {
        let args = ["grants", what, "finance/legacy-key", "--worker", "finance/careful", "--function", "legacy.read"];
        house.cli_as("finance-director", &args).exits(0);
    };
    grant("give");
    assert_eq!(changed(&house, || {})["state"], "completed");
    assert_eq!(receiver.by("GET").len(), 2);

    let view = changed(&house, || grant("revoke"));
    assert_eq!(view["state"], "refused", "{view}");
    let code = view["problem"]["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    is_refused(&house, &receiver, &view, &code, 3);
    assert!(["grant-missing", "authority-revoked"].contains(&code.as_str()), "{view}");
    grant("give");

    let elsewhere =
        json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": ["http://127.0.0.1:9"]});
    let view = changed(&house, || {
        apply(&house, "finance-director", vec![manifest("Credential", "finance/legacy-key", elsewhere)]);
    });
    is_refused(&house, &receiver, &view, "destination-not-allowed", 4);
}

/// The Worker is edited while a run of its earlier version waits: the run keeps to what it began with,
/// and does not borrow the new version's steps.
#[test]
fn a_run_keeps_to_the_version_it_began_with() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    apply(&house, "admin", vec![careful("mine.publish", json!({}))]);
    let before = detached(&house, "careful");
    until(&house, &before, &["waiting"]);
    let nothing = worker("careful", json!([{"idle": {"set": {"a": 1}}}]), &[], json!({}));
    apply(&house, "admin", vec![nothing]);
    let view = ended(&house, &before);
    assert_eq!(view["state"], "completed", "{view}");
    assert_eq!((receiver.by("GET").len(), receiver.by("POST").len()), (1, 1));
    let after = ended(&house, &detached(&house, "careful"));
    assert_ne!(after["worker_version"], view["worker_version"]);
    assert_eq!(receiver.got().len(), 2);
}
