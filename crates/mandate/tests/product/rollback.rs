//! Undoing what a run did: by declared inverses, newest first, as a run of its own that is judged like any.

use super::receiver::{Captured, Receiver};
use super::world::{apply, call, detached, ended, furnish, manifest, role, search, worker};
use crate::house::House;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A function that acts at the receiver below a path; with an inverse, if it has one.
fn acting(name: &str, path: &str, arguments: &[&str], inverse: Option<Value>) -> Value {
    let text = json!({"type": "string", "maxLength": 20});
    let arguments: serde_json::Map<String, Value> =
        arguments.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    let mut spec = json!({
        "effect": "idempotent", "model": "workflow-bound", "scopes": ["mine.publish"], "arguments": arguments,
        "class": {"impact": "action-taking", "data": ["internal"]},
        "returns": {"confidentiality": "internal", "integrity": "authoritative"},
        "target": {"http": {"connection": "mine", "method": "POST", "path": path, "query": []}},
    });
    if let Some(inverse) = inverse {
        spec["compensate"] = inverse;
    }
    manifest("Function", &format!("finance/{name}"), spec)
}

/// A Worker that makes, marks and makes; what is made can be undone.
fn prepare(house: &House, receiver: &Receiver) {
    furnish(house, receiver);
    let undo = json!({"function": "mine.undo", "with": {"quarter": {"argument": "/quarter"}, "id": {"result": "/id"}}});
    let quarter = json!({"/quarter": {"prefix": "20"}});
    let all = ["mine.make", "mine.mark", "mine.undo"];
    apply(
        house,
        "admin",
        vec![
            acting("mine.undo", "/undo", &["quarter", "id"], None),
            acting("mine.make", "/make", &["quarter"], Some(undo)),
            acting("mine.mark", "/mark", &["quarter"], None),
            manifest(
                "Entitlement",
                "finance/mine-makers",
                json!({
                    "subjects": ["group:finance-leads"], "environments": ["sandbox"], "scopes": ["mine.publish"],
                    "audiences": [receiver.url()],
                    "functions": {"mine.make": quarter, "mine.mark": quarter, "mine.undo": quarter},
                }),
            ),
            worker(
                "makes",
                json!([
                    call("first", "mine.make", "2026-Q1"),
                    call("second", "mine.mark", "2026-Q2"),
                    call("third", "mine.make", "2026-Q3")
                ]),
                &all,
                json!({}),
            ),
            worker("makes-only", json!([call("first", "mine.make", "2026-Q1")]), &["mine.make"], json!({})),
            role("finance/lead-owns-all", "user:finance-lead", "owner", json!({"project": "finance"})),
        ],
    );
}

fn made(house: &House, name: &str) -> String {
    let run = detached(house, name);
    assert_eq!(ended(house, &run)["state"], "completed");
    run
}

fn undone(receiver: &Receiver) -> Vec<Captured> {
    receiver.got().into_iter().filter(|request| request.target == "/undo").collect()
}

fn fates(plan: &Value) -> Vec<(u64, String)> {
    let of = |step: &Value| (step["step"].as_u64().unwrap(), step["fate"].as_str().unwrap().to_owned());
    plan["steps"].as_array().unwrap().iter().map(of).collect()
}

fn fate(step: u64, fate: &str) -> (u64, String) {
    (step, fate.to_owned())
}

#[test]
fn what_can_be_undone_is_undone_once_and_the_rest_is_told() {
    let (house, receiver) = (House::start(), Receiver::start());
    prepare(&house, &receiver);
    let run = made(&house, "makes");
    let plan = || house.cli_as("finance-lead", &["runs", "rollback", &run, "-o", "json"]).exits(0).json();
    assert_eq!(fates(&plan()), [fate(3, "undo"), fate(2, "no-inverse"), fate(1, "undo")]);
    assert!(undone(&receiver).is_empty(), "a plan does nothing");

    // It needs a right of its own, and a reason.
    let order = ["runs", "rollback", &run, "--yes", "--reason", "published by mistake", "-o", "json"];
    for nobody in ["finance-analyst", "admin", "product-lead", "auditor", "other-admin"] {
        house.cli_as(nobody, &order).exits(3);
        house.cli_as(nobody, &["runs", "rollback", &run]).exits(3);
    }
    house.cli_as("finance-lead", &["runs", "rollback", &run, "--yes"]).exits(2);
    house.cli_as("finance-lead", &["runs", "rollback", &run, "--yes", "--reason", " "]).exits(2);
    assert!(undone(&receiver).is_empty());

    let begun = house.cli_as("finance-lead", &order).exits(0).json();
    let rollback = begun["rollback"].as_str().unwrap().to_owned();
    let view = ended(&house, &rollback);
    assert_eq!(view["state"], "completed", "{view}");
    assert!(view["purpose"].as_str().unwrap().contains(&run), "{view}");
    // Newest first, each with what its own call was sent and got.
    let sent: Vec<Value> = undone(&receiver).iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect();
    assert_eq!(sent, [json!({"quarter": "2026-Q3", "id": "r1"}), json!({"quarter": "2026-Q1", "id": "r1"})]);
    assert!(undone(&receiver).iter().all(|one| one.header("authorization").is_some()));

    // A part that was undone is not undone again.
    assert_eq!(fates(&plan()), [fate(3, "undone"), fate(2, "no-inverse"), fate(1, "undone")]);
    let again = house.cli_as("finance-lead", &order).exits(2);
    assert!(again.stderr.contains("nothing of"), "{again:?}");
    assert_eq!(undone(&receiver).len(), 2);

    // The ledger names both runs, who did it, why, and what was not undone; each step was decided.
    let started = search(&house, "auditor", "limit=500").into_iter().find(|e| e["kind"] == "rollback-started").unwrap();
    let details = &started["details"];
    assert_eq!((&details["resource"], &details["rollback"]), (&json!(run), &json!(rollback)));
    assert_eq!((&started["actor"], &details["reason"]), (&json!("user:finance-lead"), &json!("published by mistake")));
    assert_eq!(details["plan"].as_array().unwrap().len(), 3);
    let entries = house.entries(&rollback);
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "step-decided").count(), 2);
    assert_eq!(entries[0]["details"]["rollback"]["of"], json!(run));
    assert!(!started.to_string().contains("2026-Q3"), "no data of the run is told");
    let passport = house.beside("rollback.json");
    let path = passport.to_str().unwrap();
    house.cli_as("finance-lead", &["passport", "export", &rollback, "-f", path]).exits(0);
    house.cli(&["passport", "verify", path, "--trust", &house.trust()]).exits(0);

    // An inverse that the Worker does not list can't be called for it.
    let only = made(&house, "makes-only");
    let plan = house.cli_as("finance-lead", &["runs", "rollback", &only, "-o", "json"]).exits(0).json();
    assert_eq!(fates(&plan), [fate(1, "not-listed")]);
    house.cli_as("finance-lead", &["runs", "rollback", &only, "--yes", "--reason", "x"]).exits(2);
}

#[test]
fn a_rollback_survives_the_end_of_the_process() {
    let (mut house, receiver) = (House::start(), Receiver::start());
    prepare(&house, &receiver);
    let run = made(&house, "makes");
    let order = ["runs", "rollback", &run, "--yes", "--reason", "again", "-o", "json"];
    let begun = house.cli_as("finance-lead", &order).exits(0).json();
    house.restart();
    let rollback = begun["rollback"].as_str().unwrap();
    let view = ended(&house, rollback);
    assert_eq!(view["state"], "completed", "{view}");
    let keys: BTreeSet<String> =
        undone(&receiver).iter().map(|one| one.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 2, "one effect for each step, whatever was repeated");
    house.cli_as("finance-lead", &order).exits(2);
}

#[test]
fn forged_rows_undo_nothing() {
    let (house, receiver) = (House::start(), Receiver::start());
    prepare(&house, &receiver);
    let (run, other) = (made(&house, "makes"), made(&house, "makes"));
    let forge = |change: &dyn Fn(&mut Value)| {
        let database = Connection::open(house.data_dir().join("mandate.db")).unwrap();
        let read = "SELECT seq, event FROM journal WHERE tenant = 'demo' AND run = ?1 ORDER BY seq";
        let mut rows = database.prepare(read).unwrap();
        let rows: Vec<(i64, Vec<u8>)> =
            rows.query_map([&run], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
        for (seq, bytes) in &rows {
            let mut event: Value = serde_json::from_slice(bytes).unwrap();
            change(&mut event);
            let write = "UPDATE journal SET event = ?3 WHERE tenant = 'demo' AND run = ?1 AND seq = ?2";
            database.execute(write, params![run, seq, serde_json::to_vec(&event).unwrap()]).unwrap();
        }
        let refused = house.cli_as("finance-lead", &["runs", "rollback", &run, "--yes", "--reason", "x"]);
        assert!(refused.code != 0 && refused.stderr.contains("not as the server wrote it"), "{refused:?}");
        for (seq, bytes) in rows {
            let write = "UPDATE journal SET event = ?3 WHERE tenant = 'demo' AND run = ?1 AND seq = ?2";
            database.execute(write, params![run, seq, bytes]).unwrap();
        }
    };
    // Arguments, result or function of another call; an effect that is hidden, or comes from nowhere.
    let theirs: Vec<Value> = {
        let database = Connection::open(house.data_dir().join("mandate.db")).unwrap();
        let mut rows = database.prepare("SELECT event FROM journal WHERE run = ?1 ORDER BY seq").unwrap();
        let rows = rows.query_map([&other], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|bytes| serde_json::from_slice(&bytes.unwrap()).unwrap()).collect()
    };
    let of = |kind: &str| theirs.iter().find(|event| event["body"]["type"] == kind).unwrap()["body"].clone();
    let (admitted, returned) = (of("admitted"), of("returned"));
    forge(&|event| {
        if event["body"]["type"] == "admitted" {
            event["body"]["arguments"] = admitted["arguments"].clone();
        }
    });
    forge(&|event| {
        if event["body"]["type"] == "returned" {
            event["body"]["outcome"] = returned["outcome"].clone();
        }
    });
    forge(&|event| {
        if event["body"]["type"] == "admitted" && event["body"]["function"] == "mine.mark" {
            event["body"]["function"] = json!("mine.make");
        }
    });
    forge(&|event| {
        if event["body"]["type"] == "admitted" {
            event["body"]["step"] = json!(event["body"]["step"].as_u64().unwrap() + 7);
        }
    });
    assert!(undone(&receiver).is_empty());
    // As it was written it can be undone.
    house.cli_as("finance-lead", &["runs", "rollback", &run, "--yes", "--reason", "x"]).exits(0);
}
