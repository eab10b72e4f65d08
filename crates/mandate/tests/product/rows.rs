//! Rows edited in the database of a running server: those that decisions rest on count for nothing then.

use super::browser::Browser;
use super::story::{mails, waiting};
use crate::house::House;
use rusqlite::Connection;
use serde_json::{Value, json};

fn database(house: &House) -> Connection {
    Connection::open(house.data_dir().join("mandate.db")).unwrap()
}

/// Whoever can write to the database and is signed in doesn't become somebody else, nor stays for longer.
#[test]
fn an_edited_session_is_over() {
    let house = House::start();
    let me = format!("{}/v1/me", house.url());
    let edits = [
        "UPDATE sessions SET who = CAST(replace(CAST(who AS TEXT), 'auditor', 'admin') AS BLOB), subject = 'user:admin'",
        "UPDATE sessions SET who = CAST(json_set(CAST(who AS TEXT), '$.groups', json_array('admins')) AS BLOB)",
        "UPDATE sessions SET subject = 'user:admin'",
        "UPDATE sessions SET expires_at = expires_at + 1",
        "UPDATE sessions SET created_at = created_at + 1",
        "UPDATE sessions SET proof = NULL",
        "UPDATE sessions SET proof = zeroblob(32)",
        "UPDATE sessions SET proof = x'00'",
    ];
    for edit in edits {
        let mut browser = Browser::default();
        browser.sign_in(&house, "demo", "auditor");
        assert_eq!(browser.get(&me).json()["subject"], "user:auditor");
        let base = database(&house);
        assert!(base.execute(edit, []).unwrap() > 0, "{edit}");
        let reply = browser.get(&me);
        assert!(matches!(reply.status, 401 | 503), "{edit}: {}", reply.status);
        base.execute("DELETE FROM sessions", []).unwrap();
    }
    // Its place is its key's: it can't be copied to a secret of somebody else.
    let (mut one, mut other) = (Browser::default(), Browser::default());
    one.sign_in(&house, "demo", "admin");
    other.sign_in(&house, "demo", "auditor");
    let copy = "UPDATE sessions SET (who, subject, proof, created_at, used_at, expires_at) =
        (SELECT who, subject, proof, created_at, used_at, expires_at FROM sessions WHERE subject = 'user:admin')
        WHERE subject = 'user:auditor'";
    assert_eq!(database(&house).execute(copy, []).unwrap(), 1);
    assert_eq!((one.get(&me).status, other.get(&me).status), (200, 401));
    // A revoked person's session can't be brought back by the number it began under.
    let revoked = "UPDATE sessions SET revocations = revocations + 1; INSERT INTO epochs (tenant, kind, name, epoch)
        VALUES ('demo', 'user', 'user:admin', 1)";
    database(&house).execute_batch(revoked).unwrap();
    assert_eq!(one.get(&me).status, 401);
}

/// A question is answered by whom it was asked of, and an answer is one that somebody gave.
#[test]
fn an_edited_approval_is_refused_and_the_others_go_on() {
    let house = House::start();
    let edits = [
        "UPDATE approvals SET asked = CAST(replace(CAST(asked AS TEXT), 'finance-leadership', 'finance') AS BLOB) WHERE approval = ?1",
        "UPDATE approvals SET state = 'approved', decided_by = 'user:finance-director', decided_at = 1 WHERE approval = ?1",
        "UPDATE approvals SET proof = NULL WHERE approval = ?1",
    ];
    for edit in edits {
        let (run, approval) = waiting(&house);
        let id = approval["id"].as_str().unwrap();
        assert_eq!(database(&house).execute(edit, [id]).unwrap(), 1);
        for account in ["finance-director", "finance-analyst", "admin"] {
            let token = house.token(account);
            let got = house.http("GET", &format!("/v1/approvals/{id}"), Some(&token), None);
            assert_eq!((got.status, code(&got.json())), (500, "row-forged".to_owned()), "{edit}: {account}");
            let body = json!({"digest": approval["arguments_digest"]});
            let said = house.http("POST", &format!("/v1/approvals/{id}/approve"), Some(&token), Some(&body));
            assert_eq!(said.status, 500, "{edit}: {account}");
        }
        let listed = house.cli_as("finance-director", &["approvals", "list", "-o", "json"]).exits(0).json();
        let listed = listed["items"].as_array().unwrap();
        assert!(listed.iter().all(|item| item["id"] != id), "{edit}");
        assert_eq!(house.run(&run)["state"], "waiting", "{edit}");
    }
    assert!(mails(&house).is_empty());
    let (run, approval) = waiting(&house);
    house.cli_as("finance-director", &["approvals", "approve", approval["id"].as_str().unwrap()]).exits(0);
    assert_eq!(house.settled(&run, std::time::Duration::from_secs(30))["state"], "completed");
}

fn code(problem: &Value) -> String {
    problem["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
}
