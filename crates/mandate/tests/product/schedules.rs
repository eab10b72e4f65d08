//! Workers that start by themselves: in whose name, when, how often, and when not.

use super::door::{event, send, source};
use super::world::{apply, ended, manifest, recorded, role, runs, search, waiter, worker};
use crate::house::House;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn scheduled(name: &str, schedule: Value) -> Value {
    let mut made = worker(name, json!([{"note": {"set": {"seen": "${ . }"}}}]), &[], json!({}));
    made["spec"]["document"]["schedule"] = schedule;
    made["spec"]["artifact"] = json!({"name": "output", "mediaType": "application/json"});
    made
}

fn lead() -> Value {
    role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"}))
}

fn grant(house: &House, account: &str, name: &str, more: &[&str]) -> crate::house::Ran {
    let worker = format!("finance/{name}");
    let args = ["schedules", "grant", &worker, "--purpose", "nightly figures", "-o", "json"];
    house.cli_as(account, &[&args[..], more].concat())
}

fn listed(house: &House, name: &str) -> Value {
    let found = house.cli_as("finance-lead", &["schedules", "list", "-o", "json"]).exits(0).json();
    let worker = format!("finance/{name}");
    found["items"].as_array().unwrap().iter().find(|item| item["worker"] == worker.as_str()).unwrap().clone()
}

fn runs_of(house: &House, name: &str) -> Vec<Value> {
    let worker = format!("finance/{name}");
    runs(house).into_iter().filter(|run| run["worker"] == worker.as_str()).collect()
}

/// Waits for as many runs of a Worker.
fn until_there_are(house: &House, name: &str, count: usize) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = runs_of(house, name);
        if found.len() >= count {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{} runs of {count}\n{}", found.len(), house.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn trigger_of(house: &House, run: &Value) -> Value {
    let entries = house.entries(run["run"].as_str().unwrap());
    entries[0]["details"]["trigger"].clone()
}

fn output_of(house: &House, run: &Value) -> Value {
    let path = format!("/v1/runs/{}/artifact", run["run"].as_str().unwrap());
    let reply = house.http("GET", &path, Some(&house.token("finance-lead")), None);
    let payload = mandate_kernel::base64_decode(reply.json()["payload"].as_str().unwrap()).unwrap();
    let signed: Value = serde_json::from_slice(&payload).unwrap();
    signed.pointer("/predicate/content").or_else(|| signed.get("content")).unwrap().clone()
}

#[test]
fn a_worker_starts_by_itself_under_a_standing_grant_and_not_without() {
    let house = House::start();
    let applied = apply(&house, "admin", vec![scheduled("ticks", json!({"every": {"seconds": 2}})), lead()]);
    assert_eq!(applied["unscheduled"][0]["worker"], "finance/ticks", "{applied}");
    assert_eq!(listed(&house, "ticks")["state"], "no-grant");
    std::thread::sleep(Duration::from_secs(3));
    assert!(runs_of(&house, "ticks").is_empty(), "nobody let it start");
    // Who may not run it can't lend it anything, nor for others.
    for (account, code) in [("finance-analyst", 3), ("admin", 3), ("other-admin", 3)] {
        assert_eq!(grant(&house, account, "ticks", &[]).code, code, "{account}");
    }
    let given = grant(&house, "finance-lead", "ticks", &[]).exits(0).json();
    assert_eq!((&given["holder"], &given["purpose"]), (&json!("user:finance-lead"), &json!("nightly figures")));
    let began = until_there_are(&house, "ticks", 2);
    for run in &began {
        assert_eq!((&run["initiator"], &run["purpose"]), (&json!("user:finance-lead"), &json!("nightly figures")));
        let trigger = trigger_of(&house, run);
        assert_eq!(
            (&trigger["by"], &trigger["grant"]),
            (&json!("time"), &json!("standing:finance/ticks")),
            "{trigger}"
        );
        assert!(trigger["occurrence"].is_string() || trigger["occurrence"].is_number(), "{trigger}");
    }
    assert_eq!(listed(&house, "ticks")["state"], "in-force");
    // Somebody else neither takes it over nor takes it back.
    house.cli_as("finance-analyst", &["schedules", "revoke", "finance/ticks"]).exits(3);
    house.cli_as("finance-lead", &["schedules", "revoke", "finance/ticks"]).exits(0);
    let left = runs_of(&house, "ticks").len();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(runs_of(&house, "ticks").len(), left, "it was taken back");
    assert_eq!(listed(&house, "ticks")["state"], "no-grant");
    // It leaves evidence: given and taken back.
    for kind in ["grant-given", "grant-revoked"] {
        let found = search(&house, "auditor", &format!("kind={kind}&limit=500"));
        assert!(found.iter().any(|entry| entry["details"]["name"] == "standing:finance/ticks"), "{kind}");
    }
}

/// What was missed while nothing ran is made up for by one run; no occurrence has two.
#[test]
fn after_a_restart_one_run_stands_for_all_that_was_missed() {
    let mut house = House::start();
    apply(&house, "admin", vec![scheduled("ticks", json!({"every": {"seconds": 2}})), lead()]);
    grant(&house, "finance-lead", "ticks", &[]).exits(0);
    until_there_are(&house, "ticks", 1);
    house.kill9();
    std::thread::sleep(Duration::from_secs(7));
    house.restart();
    let before = runs_of(&house, "ticks").len();
    let all = until_there_are(&house, "ticks", before + 2);
    let triggers: Vec<Value> = all.iter().map(|run| trigger_of(&house, run)).collect();
    let made_up = triggers.iter().filter(|trigger| trigger["missed"].as_u64().unwrap_or(0) >= 2).count();
    assert_eq!(made_up, 1, "{triggers:?}");
    let mut occurrences: Vec<String> = triggers.iter().map(|trigger| trigger["occurrence"].to_string()).collect();
    let count = occurrences.len();
    occurrences.sort();
    occurrences.dedup();
    assert_eq!(occurrences.len(), count, "{triggers:?}");
}

#[test]
fn an_edit_an_end_and_a_lost_right_stop_it_and_say_so() {
    let house = House::start();
    let ticks = || scheduled("ticks", json!({"every": {"seconds": 1}}));
    apply(&house, "admin", vec![ticks(), lead()]);
    grant(&house, "finance-lead", "ticks", &[]).exits(0);
    until_there_are(&house, "ticks", 1);
    // An edit: whoever edits could otherwise have the holder do anything.
    let mut edited = ticks();
    edited["spec"]["description"] = json!("edited");
    let applied = apply(&house, "admin", vec![edited]);
    assert!(applied["unscheduled"][0]["why"].as_str().unwrap().contains("edited"), "{applied}");
    let refused = |reason: &str| {
        let begun = Instant::now();
        loop {
            let found = search(&house, "auditor", "kind=schedule-refused&limit=500");
            if let Some(entry) = found.iter().find(|entry| entry["details"]["reason"] == reason) {
                return entry.clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{reason}: {found:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    refused("grant-lapsed");
    assert_eq!(listed(&house, "ticks")["state"], "lapsed");
    let left = runs_of(&house, "ticks").len();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(runs_of(&house, "ticks").len(), left);
    assert_eq!(search(&house, "auditor", "kind=schedule-refused&limit=500").len(), 1, "told once");
    // Given again, it goes on; then the holder loses the right to run it.
    grant(&house, "finance-lead", "ticks", &[]).exits(0);
    until_there_are(&house, "ticks", left + 1);
    let viewer = role("finance/lead-runs-all", "user:finance-lead", "viewer", json!({"project": "finance"}));
    apply(&house, "admin", vec![viewer]);
    let begun = Instant::now();
    let denied = loop {
        if let Some(run) = runs_of(&house, "ticks").into_iter().find(|run| run["state"] == "refused") {
            break run;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not refused");
        std::thread::sleep(Duration::from_millis(100));
    };
    recorded(&house, denied["problem"]["decision"].as_str().unwrap());
    std::thread::sleep(Duration::from_secs(3));
    let all = runs_of(&house, "ticks");
    assert_eq!(all.iter().filter(|run| run["state"] == "refused").count(), 1, "it is not refused every second");
    assert_eq!(listed(&house, "ticks")["state"], "in-trouble");
    assert_eq!(listed(&house, "ticks")["trouble"]["code"], "refused");
    // With the right back it goes on by itself.
    apply(&house, "admin", vec![lead()]);
    until_there_are(&house, "ticks", all.len() + 1);
}

#[test]
fn bad_grants_are_refused() {
    let house = House::start();
    apply(&house, "admin", vec![scheduled("ticks", json!({"every": {"hours": 1}})), waiter("plain", 1), lead()]);
    let code = |ran: crate::house::Ran| ran.code;
    assert_eq!(code(grant(&house, "finance-lead", "plain", &[])), 2);
    assert_eq!(code(grant(&house, "finance-lead", "absent", &[])), 3);
    assert_eq!(code(grant(&house, "finance-lead", "ticks", &["--not-after", "2020-01-01"])), 2);
    assert_eq!(code(grant(&house, "finance-lead", "ticks", &["--not-after", "2099-01-01"])), 2);
    assert_eq!(code(grant(&house, "finance-lead", "ticks", &["--env", "nowhere"])), 2);
    let empty = house.cli_as("finance-lead", &["schedules", "grant", "finance/ticks", "--purpose", " "]);
    assert_eq!(empty.code, 2);
    house.cli_as("finance-lead", &["schedules", "revoke", "finance/ticks"]).exits(3);
    // A date that never comes, and an interval of nothing, are refused when they are applied.
    for bad in [json!({"cron": "0 0 30 2 *"}), json!({"every": {"milliseconds": 10}}), json!({})] {
        let reply = super::world::try_apply(&house, "admin", vec![scheduled("bad", bad.clone())]);
        assert_eq!(reply.status, 422, "{bad}");
    }
    // A file can't grant.
    let spec = json!({"worker": "finance/ticks"});
    assert_eq!(
        super::world::try_apply(&house, "admin", vec![manifest("StandingGrant", "finance/ticks", spec)]).status,
        422
    );
}

#[test]
fn events_start_a_worker_with_their_data_and_their_labels() {
    let house = House::start();
    let on = json!({"on": {"one": {"with": {"type": "com.erp.paid", "subject": "big"}}}});
    let both =
        json!({"on": {"all": [{"with": {"type": "com.erp.a"}}, {"with": {"type": "com.erp.b"}}]}, "read": "envelope"});
    apply(&house, "admin", vec![source(&json!({})), scheduled("pays", on), scheduled("both", both), lead()]);
    let auditor = role("finance/lead-audits", "user:finance-lead", "auditor", json!({"project": "finance"}));
    apply(&house, "admin", vec![auditor]);
    let paid = |id: &str, subject: &str| {
        let mut one = event(id, "com.erp.paid", json!({"amount": 7}));
        one["subject"] = json!(subject);
        one
    };
    // Before anybody lets it start, an event starts nothing, and is not kept for later.
    assert_eq!(send(&house, "finance-analyst", &paid("0", "big")).status, 202);
    std::thread::sleep(Duration::from_millis(1_500));
    grant(&house, "finance-lead", "pays", &[]).exits(0);
    grant(&house, "finance-lead", "both", &[]).exits(0);
    assert_eq!(send(&house, "finance-analyst", &paid("1", "small")).status, 202);
    assert_eq!(send(&house, "finance-analyst", &paid("2", "big")).status, 202);
    assert_eq!(send(&house, "finance-analyst", &paid("2", "big")).status, 202);
    let began = until_there_are(&house, "pays", 1);
    ended(&house, began[0]["run"].as_str().unwrap());
    assert_eq!(output_of(&house, &began[0]), json!({"seen": [{"amount": 7}]}));
    let trigger = trigger_of(&house, &began[0]);
    assert_eq!((&trigger["by"], trigger["events"].as_array().unwrap().len()), (&json!("event"), 1), "{trigger}");
    // The event that started it is named by the same key where it was taken.
    let begun = Instant::now();
    loop {
        let accepted = search(&house, "auditor", "kind=event-accepted&limit=500");
        let names = |entry: &Value| entry["details"]["key"] == trigger["events"][0] && entry["details"]["id"] == "2";
        if accepted.iter().any(names) {
            break;
        }
        // An entry is in the ledger a moment after it is durable.
        assert!(begun.elapsed() < Duration::from_secs(20), "{accepted:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Both kinds, in any order, are one run; each event counts once.
    for (id, kind) in [("b1", "com.erp.b"), ("b2", "com.erp.b"), ("a1", "com.erp.a"), ("a2", "com.erp.a")] {
        assert_eq!(send(&house, "finance-analyst", &event(id, kind, json!(id))).status, 202);
    }
    let together = until_there_are(&house, "both", 1);
    ended(&house, together[0]["run"].as_str().unwrap());
    let seen = output_of(&house, &together[0]);
    assert_eq!((&seen["seen"][0]["id"], &seen["seen"][1]["id"]), (&json!("a1"), &json!("b1")), "{seen}");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!((runs_of(&house, "pays").len(), runs_of(&house, "both").len()), (1, 1));
    assert_eq!(send(&house, "finance-analyst", &event("b3", "com.erp.b", json!("b3"))).status, 202);
    assert_eq!(until_there_are(&house, "both", 2).len(), 2);
}
