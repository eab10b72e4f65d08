//! Rows edited in the database of a running server: those that decisions rest on count for nothing then.

use super::browser::Browser;
use super::story::{mails, waiting};
use super::world::{search, until};
use crate::house::House;
use mandate_kernel::{Digest, Timestamp};
use mandate_ledger::{EventKind, RunLink};
use rusqlite::{Connection, params};
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

/// An answer that was given is spent, also when its row is brought back as it was: what has ended stays ended.
#[test]
fn a_row_from_before_the_answer_opens_nothing_again() {
    let house = House::start();
    for (first, state) in [("deny", "refused"), ("approve", "completed"), ("kill", "cancelled")] {
        let (run, approval) = waiting(&house);
        let id = approval["id"].as_str().unwrap();
        let base = database(&house);
        base.execute_batch("DROP TABLE IF EXISTS temp.kept").unwrap();
        base.execute(&format!("CREATE TEMP TABLE kept AS SELECT * FROM approvals WHERE approval = '{id}'"), [])
            .unwrap();
        match first {
            "kill" => house.cli_as("admin", &["runs", "kill", &run]).exits(0),
            _ => house.cli_as("finance-director", &["approvals", first, id]).exits(0),
        };
        let view = until(&house, &run, &["refused", "completed", "cancelled"]);
        assert_eq!(view["state"], state, "{view}");
        assert_eq!(base.execute("REPLACE INTO approvals SELECT * FROM temp.kept", []).unwrap(), 1);
        let token = house.token("finance-director");
        for word in ["approve", "deny"] {
            let body = json!({"digest": approval["arguments_digest"]});
            let said = house.http("POST", &format!("/v1/approvals/{id}/{word}"), Some(&token), Some(&body));
            assert_eq!(said.status, 409, "{first}, then {word}: {}", String::from_utf8_lossy(&said.body));
        }
        assert_eq!(house.run(&run)["state"], state);
        house.cli_as("auditor", &["passport", "export", &run, "-f", "/dev/null"]).exits(0);
    }
    assert_eq!(mails(&house).len(), 1);
    house
        .cli(&["audit", "verify", "--data-dir", house.data_dir().to_str().unwrap(), "--trust", &house.trust()])
        .exits(0);
}

/// A yes with a journal row and an entry of its own, put in before the tree takes it: nobody is known to have said it.
#[test]
fn an_approval_forged_with_its_entry_counts_for_nothing() {
    let house = House::start();
    let (run, approval) = waiting(&house);
    let base = database(&house);
    let (journal, chain, last): (i64, u32, Vec<u8>) = base
        .query_row("SELECT journal_seq, chain_next, chain_last FROM run_state WHERE run = ?1", [&run], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    let (by, gate) = ("user:finance-director", "approval:finance-leadership");
    let entry = mandate_ledger::Event {
        time: Timestamp::from_secs(1_795_000_000),
        tenant: "demo".parse().unwrap(),
        kind: EventKind::ApprovalGiven,
        actor: by.to_owned(),
        run: Some(RunLink {
            run: run.parse().unwrap(),
            seq: chain,
            prev: Some(Digest::from_bytes(last.try_into().unwrap())),
        }),
        details: json!({
            "approval": approval["id"], "kind": "gate", "step": approval["step"], "function": "mail.send",
            "groups": ["finance-leadership"], "digest": approval["arguments_digest"], "by": by,
        }),
    };
    let entry = entry.encode().unwrap();
    let event = json!({"v": 1, "seq": journal + 1, "at": 1_795_000_000_000_i64, "body": {
        "type": "approved", "step": approval["step"], "approval": approval["id"], "gate": gate,
        "binding": approval["arguments_digest"], "by": by, "until": 4_000_000_000_000_i64,
    }});
    base.execute_batch("BEGIN IMMEDIATE").unwrap();
    base.execute(
        "INSERT INTO ledger_pending (tenant, run, chain_seq, bytes) VALUES ('demo', ?1, ?2, ?3)",
        params![run, chain, entry.bytes()],
    )
    .unwrap();
    base.execute(
        "INSERT INTO journal (tenant, run, seq, event) VALUES ('demo', ?1, ?2, ?3)",
        params![run, journal + 1, event.to_string().into_bytes()],
    )
    .unwrap();
    let leaf = entry.leaf_hash();
    base.execute(
        "UPDATE run_state SET journal_seq = ?2, chain_next = ?3, chain_last = ?4 WHERE run = ?1",
        params![run, journal + 1, chain + 1, leaf.as_bytes()],
    )
    .unwrap();
    base.execute("UPDATE timers SET due = 0 WHERE run = ?1", [&run]).unwrap();
    base.execute_batch("COMMIT").unwrap();
    let began = std::time::Instant::now();
    let view = loop {
        let view = house.run(&run);
        if !matches!(view["state"].as_str(), Some("waiting" | "running")) || began.elapsed().as_secs() > 6 {
            break view;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_ne!(view["state"], "completed", "{view}");
    assert!(mails(&house).is_empty());
}

/// Nothing in the database runs in our name: what was answered is in the ledger, and a schema that isn't ours keeps
/// the house from starting, and from verifying.
#[test]
fn a_trigger_silences_nothing_and_keeps_the_house_from_starting() {
    let mut house = House::start();
    let run = house.start_run();
    let token = house.token("finance-analyst");
    let quiet = "CREATE TRIGGER quiet BEFORE INSERT ON ledger_pending BEGIN SELECT RAISE(IGNORE); END";
    database(&house).execute_batch(quiet).unwrap();
    // A connection that is opened only now refuses the schema, and says so.
    let mut refused = 0;
    for _ in 0..5 {
        let reply = house.http("GET", &format!("/v1/runs/{run}"), Some(&token), None);
        match reply.status {
            404 => refused += 1,
            status => assert_eq!(status, 500, "{}", String::from_utf8_lossy(&reply.body)),
        }
    }
    house.kill9();
    let (folder, port) = (house.data_dir().to_path_buf(), house.port());
    let why = House::start_with(&folder, port, &[]).map(|_| ()).map_err(|e| e.why).unwrap_err();
    assert!(why.contains("trigger quiet"), "{why}");
    let verified = house.cli(&["audit", "verify", "--data-dir", folder.to_str().unwrap(), "--trust", &house.trust()]);
    assert_ne!(verified.code, 0);
    database(&house).execute_batch("DROP TRIGGER quiet").unwrap();
    house.restart();
    let begun = std::time::Instant::now();
    while search(&house, "auditor", "kind=access-denied&limit=500").len() < refused {
        assert!(begun.elapsed().as_secs() < 30, "of {refused} refusals some are not in the ledger");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
