//! A ledger that lost or changed an entry: whoever reads it is told so, and what to do.

use super::world::arg;
use crate::house::{House, Ran};
use rusqlite::{Connection, params};
use std::time::Duration;

/// A house with some history, all of it witnessed.
fn house() -> House {
    let mut house = House::start();
    house.settled(&house.start_run(), Duration::from_secs(30));
    // A restart has everything cosigned, and adds no entry.
    house.restart();
    house
}

fn auditor(house: &House, args: &[&str]) -> Ran {
    house.cli_as("auditor", args)
}

fn sql(house: &House, statement: &str, index: i64) {
    let database = Connection::open(house.data_dir().join("mandate.db")).unwrap();
    database.busy_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(database.execute(statement, params![index]).unwrap(), 1, "{statement}");
}

fn told(ran: Ran, place: &str) {
    let ran = ran.exits(6);
    assert!(ran.stderr.contains(place), "no {place}: {}", ran.stderr);
    assert!(!ran.stderr.contains("internal"), "{}", ran.stderr);
}

const DELETE: &str = "DELETE FROM ledger_entries WHERE tenant = 'demo' AND idx = ?1";
const CHANGE: &str =
    "UPDATE ledger_entries SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"time\":', '\"time\":1') AS BLOB)
    WHERE tenant = 'demo' AND idx = ?1";

#[test]
fn an_entry_that_is_gone_is_told_wherever_the_ledger_is_read() {
    let house = house();
    let trust = house.trust();
    auditor(&house, &["audit", "verify", "--trust", &trust]).exits(0);
    sql(&house, DELETE, 4);
    told(auditor(&house, &["audit", "search", "--limit", "500"]), "entry");
    told(auditor(&house, &["audit", "export", "--dir", arg(&house.beside("export"))]), "ledger");
    told(auditor(&house, &["audit", "verify", "--trust", &trust]), "ledger");
    told(auditor(&house, &["audit", "proof", "4"]), "entry 4");
    let reply = house.http("GET", "/v1/audit/search?limit=500", Some(&house.token("auditor")), None);
    assert_eq!(
        (reply.status, reply.json()["type"].clone()),
        (500, "https://mandate.dev/problems/ledger-damaged".into())
    );
}

#[test]
fn an_entry_that_was_changed_is_told_wherever_the_ledger_is_read() {
    let house = house();
    sql(&house, CHANGE, 4);
    told(auditor(&house, &["audit", "search", "--limit", "500"]), "entry 4");
    told(auditor(&house, &["audit", "verify", "--trust", &house.trust()]), "verification failed");
    told(auditor(&house, &["audit", "verify", "--trust", &house.trust(), "--data-dir", arg(house.data_dir())]), "demo");
}

#[test]
fn the_doctor_looks_at_the_ledger() {
    let house = house();
    let folder = house.data_dir().to_owned();
    // The tests make the folder before the house does.
    #[cfg(unix)]
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let doctor = || auditor(&house, &["doctor", "--data-dir", arg(&folder), "-o", "json"]);
    let found = doctor().exits(0).json();
    for check in ["ledger", "stored ledger"] {
        let items = found["items"].as_array().unwrap();
        let item = items.iter().find(|item| item["check"] == check).unwrap_or_else(|| panic!("no {check}: {found}"));
        assert_eq!(item["ok"], true, "{item}");
        assert!(item["told"].as_str().unwrap().contains("audit verify"), "{item}");
    }
    sql(
        &house,
        "DELETE FROM ledger_entries WHERE tenant = 'demo' AND ?1 = 0 AND idx = (SELECT MAX(idx) FROM ledger_entries WHERE tenant = 'demo')",
        0,
    );
    let found = doctor().exits(6).json();
    let bad: Vec<_> = found["items"].as_array().unwrap().iter().filter(|item| item["ok"] == false).collect();
    assert!(bad.iter().any(|item| item["check"] == "ledger"), "{found}");
    assert!(bad.iter().any(|item| item["check"] == "stored ledger"), "{found}");
}
