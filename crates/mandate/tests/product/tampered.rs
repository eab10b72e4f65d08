//! Somebody edits the database behind the server's back, and recomputes every plain digest on the way:
//! what is in force must be what the ledger records.

use super::world::{apply, role};
use crate::house::{House, Ran};
use mandate_kernel::{Digest, canonical_json};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::time::Duration;

const SPEC: &str = "SELECT v.spec FROM resources r JOIN resource_versions v USING (tenant, kind, name, version)
    WHERE r.tenant = 'demo' AND r.kind = ?1 AND r.name = ?2";
const EDIT: &str = "UPDATE resource_versions SET spec = ?3, digest = ?4 WHERE tenant = 'demo' AND kind = ?1
    AND name = ?2 AND version = (SELECT version FROM resources WHERE tenant = 'demo' AND kind = ?1 AND name = ?2)";

fn database(house: &House) -> Connection {
    let opened = Connection::open(house.data_dir().join("mandate.db")).unwrap();
    opened.pragma_update(None, "foreign_keys", "OFF").unwrap();
    opened
}

/// The digest that belongs to a text: what an attacker computes as easily as we do.
fn digest(spec: &[u8]) -> Vec<u8> {
    Digest::of(spec).as_bytes().to_vec()
}

/// Puts another spec where the current one stands, with its right digest.
fn edit(house: &House, kind: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let database = database(house);
    let spec: Vec<u8> = database.query_row(SPEC, params![kind, name], |row| row.get(0)).unwrap();
    let mut spec: Value = serde_json::from_slice(&spec).unwrap();
    change(&mut spec);
    let spec = canonical_json(&spec).unwrap();
    assert_eq!(database.execute(EDIT, params![kind, name, spec, digest(&spec)]).unwrap(), 1);
}

fn insert(house: &House, kind: &str, name: &str, spec: &Value) {
    let (database, spec) = (database(house), canonical_json(spec).unwrap());
    let head = "INSERT INTO resources (tenant, kind, name, version, deleted) VALUES ('demo', ?1, ?2, 1, 0)";
    database.execute(head, params![kind, name]).unwrap();
    let version = "INSERT INTO resource_versions (tenant, kind, name, version, digest, spec, written_by, written_at)
        VALUES ('demo', ?1, ?2, 1, ?3, ?4, 'user:admin', 1)";
    database.execute(version, params![kind, name, digest(&spec), spec]).unwrap();
}

fn sql(house: &House, statement: &str) {
    assert_eq!(database(house).execute(statement, []).unwrap(), 1, "{statement}");
}

fn verify(house: &House) -> Ran {
    let folder = house.data_dir().to_str().unwrap();
    house.cli(&["audit", "verify", "--data-dir", folder, "--trust", &house.trust(), "-o", "json"])
}

/// The first grant of tenant `demo`, by name.
fn grant(house: &House) -> String {
    let named = "SELECT name FROM resources WHERE tenant = 'demo' AND kind = 'Grant' AND deleted = 0
                 AND name LIKE 'finance/ledgerbook-key:finance/quarterly-summary:%'";
    database(house).query_row(named, [], |row| row.get(0)).unwrap()
}

/// What is tampered with, and how.
type Tampering<'a> = (&'a str, Box<dyn Fn(&House) + 'a>);

fn tamperings(grant: &str) -> Vec<Tampering<'_>> {
    let everything = json!({"subjects": ["user:finance-analyst"], "role": "tenant-admin", "on": "tenant"});
    let policy = json!({"file": "mine.cedar", "text": "@id(\"mine\") permit (principal, action, resource);"});
    vec![
        (
            "RoleBinding finance/helpers",
            Box::new(move |house| {
                edit(house, "RoleBinding", "finance/helpers", |spec| spec["role"] = json!("owner"));
            }),
        ),
        (
            "Credential finance/ledgerbook-key",
            Box::new(move |house| {
                edit(house, "Credential", "finance/ledgerbook-key", |spec| {
                    spec["destinations"] = json!(["https://evil.example"]);
                });
            }),
        ),
        (
            grant,
            Box::new(move |house| edit(house, "Grant", grant, |spec| spec["not_after"] = json!(9_999_999_999_999_u64))),
        ),
        (
            "RoleBinding finance/helpers",
            Box::new(move |house| {
                sql(
                    house,
                    "DELETE FROM resources WHERE tenant = 'demo' AND kind = 'RoleBinding' AND name = 'finance/helpers'",
                );
            }),
        ),
        (
            grant,
            Box::new(move |house| {
                sql(
                    house,
                    &format!(
                        "UPDATE resources SET deleted = 1 WHERE tenant = 'demo' AND kind = 'Grant' AND name = '{grant}'"
                    ),
                );
            }),
        ),
        (
            "RoleBinding finance/backdoor",
            Box::new(move |house| insert(house, "RoleBinding", "finance/backdoor", &everything)),
        ),
        ("Policy finance/mine", Box::new(move |house| insert(house, "Policy", "finance/mine", &policy))),
    ]
}

/// One tampering after the other on copies of one database: each stops the start and fails verification,
/// and each names what was tampered with.
#[test]
fn what_is_in_force_is_what_the_ledger_records() {
    let mut house = House::start();
    apply(&house, "admin", vec![role("finance/helpers", "user:auditor", "viewer", json!({"project": "finance"}))]);
    house.settled(&house.start_run(), Duration::from_secs(30));
    house.restart();
    house.kill9();
    let untouched = verify(&house).exits(0).json();
    assert_eq!(untouched["items"][0]["tenant"], "demo");
    assert!(untouched["items"][0]["configuration"].as_u64().unwrap() > 5, "{untouched}");

    let grant = grant(&house);
    let tamperings = tamperings(&grant);
    let path = house.data_dir().join("mandate.db");
    let kept = house.beside("kept.db");
    database(&house).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    std::fs::copy(&path, &kept).unwrap();
    for (named, tamper) in &tamperings {
        tamper(&house);
        let refused =
            House::start_with(house.data_dir(), house.port(), &[]).err().unwrap_or_else(|| panic!("{named} unnoticed"));
        assert!(refused.why.contains(named) && refused.why.contains("ledger"), "{named}: {}", refused.why);
        let found = verify(&house).exits(6);
        assert!(found.stderr.contains(named), "{named}: {}", found.stderr);
        drop(std::fs::remove_file(house.data_dir().join("mandate.db-wal")));
        drop(std::fs::remove_file(house.data_dir().join("mandate.db-shm")));
        std::fs::copy(&kept, &path).unwrap();
    }
    house.restart();
    verify(&house).exits(0);
}

/// The entry that records a resource is changed as well: the tree does not fit it any more.
#[test]
fn an_entry_changed_along_with_its_resource_is_noticed() {
    let mut house = House::start();
    house.settled(&house.start_run(), Duration::from_secs(30));
    house.restart();
    house.kill9();
    let name = "finance/ledgerbook-key";
    let before: Vec<u8> = database(&house).query_row(SPEC, params!["Credential", name], |row| row.get(0)).unwrap();
    edit(&house, "Credential", name, |spec| spec["destinations"] = json!(["https://evil.example"]));
    let after: Vec<u8> = database(&house).query_row(SPEC, params!["Credential", name], |row| row.get(0)).unwrap();
    let text = |spec: &[u8]| Digest::of(spec).to_string();
    let changed = database(&house).execute(
        "UPDATE ledger_entries SET bytes = CAST(replace(CAST(bytes AS TEXT), ?1, ?2) AS BLOB)
         WHERE tenant = 'demo' AND instr(CAST(bytes AS TEXT), ?1) > 0",
        params![text(&before), text(&after)],
    );
    assert!(changed.unwrap() > 0);
    let refused = House::start_with(house.data_dir(), house.port(), &[]).err().unwrap();
    assert!(refused.why.contains("ledger of tenant demo"), "{}", refused.why);
    verify(&house).exits(6);
}

/// Whatever is done through the house is recorded: it starts again, and verifies.
#[test]
fn what_was_done_in_order_starts_again() {
    let mut house = House::start();
    let grant = ["finance/ledgerbook-key", "--worker", "finance/quarterly-summary", "--function", "ledgerbook.costs"];
    for act in ["revoke", "give", "revoke", "give"] {
        house.cli_as("finance-director", &[&["grants", act], &grant[..]].concat()).exits(0);
    }
    for role in ["log", "token", "log"] {
        house.cli_as("admin", &["keys", "rotate", role]).exits(0);
    }
    let helpers = |who: &str| role("finance/helpers", who, "viewer", json!({"project": "finance"}));
    for who in ["user:auditor", "user:finance-analyst", "user:auditor"] {
        apply(&house, "admin", vec![helpers(who)]);
    }
    house.restart();
    house.restart();
    verify(&house).exits(0);
    let token = house.token("auditor");
    let found = house.http("GET", "/v1/audit/search?kind=grant-given&limit=50", Some(&token), None).json();
    let name = self::grant(&house);
    let of_it = |entry: &&Value| entry["details"]["resource"] == *name;
    let entry = &found["items"].as_array().unwrap().iter().find(of_it).unwrap()["details"];
    assert_eq!((&entry["kind"], &entry["resource"]), (&json!("Grant"), &json!(name)));
    assert_eq!(entry["version"], 5, "given, then twice revoked and given again: {entry}");
    let stored: Vec<u8> = database(&house)
        .query_row(&SPEC.replace("v.spec", "v.digest"), params!["Grant", name], |row| row.get(0))
        .unwrap();
    let hex: String = stored.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(entry["digest"], format!("sha256:{hex}"));
}
