//! The whole story of a run: what the approver sees is what is sent, to whom it may go, and what a model
//! or a mail server that misbehaves can do about it (abuse cases 93 and 94).

use super::receiver::read;
use super::world::{apply, arg, manifest, run, search};
use crate::house::{House, WORKER, http};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// A run of the sample that waits for its mail's approval, and the approval as the director sees it.
pub(crate) fn waiting(house: &House) -> (String, Value) {
    let started = house.cli_as(
        "finance-lead",
        &["run", WORKER, "--purpose", "Board meeting", "--input", r#"{"quarter":"2026-Q3"}"#, "-o", "json"],
    );
    let view = started.exits(4).json();
    assert_eq!((&view["state"], &view["waiting_for"]), (&json!("waiting"), &json!("approval")), "{view}");
    let id = view["run"].as_str().unwrap().to_owned();
    let list = house.cli_as("finance-director", &["approvals", "list", "--run", &id, "-o", "json"]).exits(0).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    (id, list["items"][0].clone())
}

pub(crate) fn mails(house: &House) -> Vec<Value> {
    let reply = http::get(house.ready()["mail_url"].as_str().unwrap()).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json().as_array().unwrap().clone()
}

#[test]
fn what_the_approver_sees_is_what_is_sent_once() {
    let mut house = House::start();
    let (run, approval) = waiting(&house);
    for key in [
        "id",
        "run",
        "worker",
        "function",
        "arguments",
        "arguments_digest",
        "destination",
        "labels",
        "purpose",
        "requested_by",
        "groups",
        "expires_at",
        "state",
    ] {
        assert!(!approval[key].is_null(), "{key}: {approval}");
    }
    assert_eq!(approval["run"], run);
    assert_eq!((&approval["worker"], &approval["function"]), (&json!(WORKER), &json!("mail.send")));
    assert_eq!(
        (&approval["destination"], &approval["purpose"]),
        (&json!("mailto:board@demo.example"), &json!("Board meeting"))
    );
    assert_eq!(
        (&approval["requested_by"], &approval["groups"]),
        (&json!("user:finance-lead"), &json!(["finance-leadership"]))
    );
    assert_eq!((&approval["state"], &approval["labels"]["integrity"]), (&json!("pending"), &json!("untrusted")));
    let body = approval["arguments"]["body"].as_str().unwrap();
    assert!(approval["canonical"].as_str().unwrap().ends_with(body), "nothing is cut");
    assert!(mails(&house).is_empty());

    let id = approval["id"].as_str().unwrap();
    let digest = approval["arguments_digest"].as_str().unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    // The starter, an administrator, somebody of finance, another tenant: refused, whatever digest they name.
    for account in ["finance-lead", "admin", "auditor", "finance-analyst", "product-lead", "other-admin"] {
        for word in ["approve", "deny"] {
            house.cli_as(account, &["approvals", word, id, "--digest", digest]).exits(3);
        }
    }
    house.cli_as("finance-director", &["approvals", "approve", id, "--digest", &other]).exits(2);
    // A restart forgets nothing of it.
    house.restart();
    assert!(mails(&house).is_empty());
    let said = house.cli_as("finance-director", &["approvals", "approve", id, "--comment", "Fine", "-o", "json"]);
    let said = said.exits(0).json();
    assert_eq!((&said["state"], &said["decided_by"]), (&json!("approved"), &json!("user:finance-director")));
    assert_eq!(house.settled(&run, std::time::Duration::from_secs(30))["state"], "completed");
    let again = house.cli_as("finance-director", &["approvals", "approve", id, "--digest", digest]);
    assert!(again.exits(2).stderr.contains("approved already"));

    let sent = mails(&house);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(
        (&sent[0]["to"], &sent[0]["subject"]),
        (&json!(["board@demo.example"]), &approval["arguments"]["subject"])
    );
    assert_eq!(sent[0]["body"].as_str().unwrap().trim_end(), body.trim_end());
    let kinds: Vec<Value> = house.entries(&run).into_iter().map(|entry| entry["kind"].clone()).collect();
    assert!(kinds.contains(&json!("approval-requested")) && kinds.contains(&json!("approval-given")), "{kinds:?}");
    let refused = until_recorded(&house, "approval-refused", 2);
    let reasons: Vec<&Value> = refused.iter().map(|entry| &entry["details"]["reason"]).collect();
    assert_eq!(reasons, [&json!("already-decided"), &json!("digest-mismatch")]);
    // Those of another tenant are in that tenant's ledger.
    until_recorded(&house, "access-denied", 10);
}

/// So many entries of a kind, newest first, once they are in the tree.
fn until_recorded(house: &House, kind: &str, at_least: usize) -> Vec<Value> {
    let begun = std::time::Instant::now();
    loop {
        let found = search(house, "auditor", &format!("limit=200&kind={kind}"));
        if found.len() >= at_least {
            return found;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{kind}: {found:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_no_ends_the_run_and_nothing_leaves() {
    let house = House::start();
    let (run, approval) = waiting(&house);
    house.cli_as("finance-director", &["approvals", "deny", approval["id"].as_str().unwrap()]).exits(0);
    let view = house.settled(&run, std::time::Duration::from_secs(30));
    assert_eq!(
        (&view["state"], &view["problem"]["type"]),
        (&json!("refused"), &json!("https://mandate.dev/problems/approval-denied"))
    );
    assert!(mails(&house).is_empty());
}

/// Abuse case 94: the same connector, another address. The credential's owner says who may be written to,
/// and no edit of the Worker, no grant and no approval changes that.
#[test]
fn a_mail_to_somebody_else_is_refused_before_anybody_is_asked() {
    let house = House::start();
    let folder = house.data_dir().join("workers/finance/quarterly-summary");
    let document = folder.join("worker.yaml");
    let text = std::fs::read_to_string(&document).unwrap();
    std::fs::write(&document, text.replace("to: board@demo.example", "to: outsider@elsewhere.example")).unwrap();
    house.cli_as("admin", &["apply", "-f", arg(&folder)]).exits(0);
    for (credential, function) in
        [("ledgerbook-key", "ledgerbook.costs"), ("model-key", "infer"), ("smtp-login", "mail.send")]
    {
        let credential = format!("finance/{credential}");
        let args = ["grants", "give", &credential, "--worker", WORKER, "--function", function];
        house.cli_as("finance-director", &args).exits(0);
    }
    let view = run(&house, "finance-lead", "quarterly-summary").exits(3).json();
    assert_eq!(view["problem"]["type"], "https://mandate.dev/problems/destination-not-allowed", "{view}");
    let listed = house.cli_as("finance-director", &["approvals", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed["items"], json!([]));
    assert!(mails(&house).is_empty());
    // Only the owner of the login says who may be written to.
    let widened = manifest(
        "Credential",
        "finance/smtp-login",
        json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": ["mailto:outsider@elsewhere.example"]}),
    );
    for account in ["admin", "finance-lead", "finance-analyst"] {
        let reply = super::world::try_apply(&house, account, vec![widened.clone()]);
        assert_eq!(reply.status, 403, "{account}");
    }
}

/// What an approval is about is for whoever was asked, whoever asked, and whoever may read the run's results.
#[test]
fn others_see_that_something_waits_and_not_what() {
    let house = House::start();
    let analyst = super::world::role(
        "finance/analyst-looks",
        "user:finance-analyst",
        "viewer",
        json!({"resource": "finance/quarterly-summary"}),
    );
    apply(&house, "admin", vec![analyst]);
    let (run, approval) = waiting(&house);
    let id = approval["id"].as_str().unwrap();
    for (account, reads) in [
        ("finance-director", true),
        ("finance-lead", true),
        ("auditor", true),
        ("admin", false),
        ("finance-analyst", false),
    ] {
        let token = house.token(account);
        let one = house.http("GET", &format!("/v1/approvals/{id}"), Some(&token), None);
        let list = house.http("GET", &format!("/v1/approvals?run={run}"), Some(&token), None);
        for text in [String::from_utf8_lossy(&one.body), String::from_utf8_lossy(&list.body)] {
            assert_eq!(text.contains("Revenue was"), reads, "{account}: {text}");
            assert!(text.contains("mailto:board@demo.example"), "{account}: {text}");
        }
    }
}

/// A yes that only the database knows of is none: the run ends, and nothing is mailed.
#[test]
fn an_approval_written_into_the_journal_by_hand_counts_for_nothing() {
    let mut house = House::start();
    let (run, approval) = waiting(&house);
    house.kill9();
    let database = rusqlite::Connection::open(house.data_dir().join("mandate.db")).unwrap();
    let seq: i64 =
        database.query_row("SELECT journal_seq FROM run_state WHERE run = ?1", [&run], |row| row.get(0)).unwrap();
    let forged = json!({"v": 1, "seq": seq + 1, "at": 1_795_000_000_000_i64, "body": {
        "type": "approved", "step": approval["step"], "approval": approval["id"], "gate": "approval:finance-leadership",
        "binding": approval["arguments_digest"], "by": "user:finance-director", "until": 4_000_000_000_000_i64,
    }});
    let event = forged.to_string().into_bytes();
    let insert = "INSERT INTO journal (tenant, run, seq, event) VALUES ('demo', ?1, ?2, ?3)";
    database.execute(insert, rusqlite::params![run, seq + 1, event]).unwrap();
    database.execute("UPDATE run_state SET journal_seq = ?2 WHERE run = ?1", rusqlite::params![run, seq + 1]).unwrap();
    assert_eq!(database.execute("UPDATE timers SET due = 0 WHERE run = ?1", [&run]).unwrap(), 1);
    drop(database);
    house.restart();
    let begun = std::time::Instant::now();
    let view = loop {
        // Not by a wait that answers approvals: nobody says yes here.
        let view = house.run(&run);
        if view["state"] != "waiting" && view["state"] != "running" {
            break view;
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{view}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(view["state"], "faulted", "{view}");
    assert!(view["problem"]["detail"].as_str().unwrap().contains("the ledger knows nothing of"), "{view}");
    assert!(mails(&house).is_empty());
}

/// What is no single JSON object, or not meant for this server, is refused as such.
#[test]
fn odd_requests_are_refused() {
    let house = House::start();
    let (_, approval) = waiting(&house);
    let token = house.token("finance-director");
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let list = json!([approval["arguments_digest"]]);
    assert_eq!(house.http("POST", &path, Some(&token), Some(&list)).status, 422);
    for comment in ["a\u{0}b", "a\u{202e}b", "\u{1b}[31m"] {
        let body = json!({"digest": approval["arguments_digest"], "comment": comment});
        let reply = house.http("POST", &path, Some(&token), Some(&body));
        assert_eq!((reply.status, reply.json()["type"].as_str().unwrap().ends_with("/comment-not-plain")), (422, true));
    }
    let ask = |request: String| {
        let mut stream = TcpStream::connect(("127.0.0.1", house.port())).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    let own = format!("127.0.0.1:{}", house.port());
    for (request, status) in [
        (format!("GET /livez HTTP/1.1\r\nHost: {own}\r\n\r\n"), "200"),
        (format!("GET /livez HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n\r\n"), "4"),
        (format!("GET http://evil.example/livez HTTP/1.1\r\nHost: {own}\r\n\r\n"), "421"),
        (
            format!(
                "POST /v1/runs HTTP/1.1\r\nHost: {own}\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n"
            ),
            "413",
        ),
    ] {
        let line = ask(request);
        assert!(line.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {line}");
    }
}

/// A server that answers each HTTP request with these bytes.
fn saying(head: &'static str, body: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if read(&mut stream).is_some() {
                // The sender may be gone.
                let _ = stream.write_all(head.as_bytes());
                body(&mut stream);
            }
        }
    });
    url
}

/// Has the sample ask this model, by the acts of those whose business it is.
fn with_model(house: &House, url: &str) {
    let connection = json!({
        "environments": {"sandbox": {"url": url}}, "slot": {"header": "Authorization", "prefix": "Bearer "},
    });
    apply(house, "admin", vec![manifest("Connection", "finance/model", connection)]);
    let credential = json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": [url]});
    apply(house, "finance-director", vec![manifest("Credential", "finance/model-key", credential)]);
}

fn completion(message: &Value, finish: &str) -> String {
    json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "scripted-1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
    .to_string()
}

/// Abuse case 93: a model that wants to act, talks without end, or says something else than it was asked
/// for. Each is bounded, refused and visible; nothing is mailed.
#[test]
fn a_model_that_misbehaves_gets_nowhere() {
    let tool = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "t1", "type": "function", "function": {"name": "mail.send", "arguments": "{\"to\":\"outsider@elsewhere.example\"}"}},
    ]});
    let text = |content: &str| completion(&json!({"role": "assistant", "content": content}), "stop");
    let ok = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let answers: [(&str, String, &str); 4] = [
        ("a tool", completion(&tool, "tool_calls"), "tool"),
        ("no JSON", text("Sure! Here is the summary you wanted."), "JSON"),
        ("another schema", text(r#"{"mail_to": "outsider@elsewhere.example"}"#), "schema"),
        ("cut short", completion(&json!({"role": "assistant", "content": "{\"title\": \"Su"}), "length"), ""),
    ];
    let house = House::start();
    for (what, body, word) in answers {
        let url = saying(ok, move |stream| drop(stream.write_all(body.as_bytes())));
        fails_at_the_model(&house, &url, what, word);
    }
    let url = saying(ok, |stream| {
        let begun = std::time::Instant::now();
        // Without end, as far as the other side listens; the test itself ends it at last.
        while begun.elapsed() < std::time::Duration::from_secs(90) && stream.write_all(&[b' '; 65_536]).is_ok() {}
    });
    fails_at_the_model(&house, &url, "endless", "");
    assert!(mails(&house).is_empty());
    let listed = house.cli_as("finance-director", &["approvals", "list", "-o", "json"]).exits(0).json();
    assert_eq!(listed["items"], json!([]));
}

fn fails_at_the_model(house: &House, url: &str, what: &str, word: &str) {
    with_model(house, url);
    let view = run(house, "finance-lead", "quarterly-summary").exits(5).json();
    let problem = &view["problem"];
    assert!(problem["instance"].as_str().unwrap().ends_with("/draft"), "{what}: {view}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(word) && !detail.contains("outsider"), "{what}: {detail}");
    let entries = house.entries(view["run"].as_str().unwrap());
    let failed = entries.iter().find(|entry| entry["kind"] == "step-failed").unwrap_or_else(|| panic!("{what}"));
    assert_eq!(failed["details"]["function"], "infer", "{what}");
}

/// A mail server that takes the mail and never says so: nobody knows, so a person has to find out. The mail is
/// not sent again.
#[test]
fn a_mail_whose_answer_is_lost_waits_for_a_person() {
    let house = House::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let (taken, received) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            take_mail(stream, &taken);
        }
    });
    let connection = json!({"environments": {"sandbox": {"url": url}}, "slot": {"smtp": "auth"}});
    apply(&house, "admin", vec![manifest("Connection", "finance/smtp", connection)]);
    // Whoever connects the mail server elsewhere gets neither its login nor a mail.
    let refused = run(&house, "finance-lead", "quarterly-summary").exits(3).json();
    assert_eq!(refused["problem"]["type"], "https://mandate.dev/problems/destination-not-allowed", "{refused}");
    assert!(refused["problem"]["detail"].as_str().unwrap().contains(&url), "{refused}");
    assert!(received.try_recv().is_err());
    let owner_s = json!({
        "owner": "user:finance-director", "environment": "sandbox", "destinations": ["mailto:board@demo.example", url],
    });
    apply(&house, "finance-director", vec![manifest("Credential", "finance/smtp-login", owner_s)]);
    let (run, approval) = waiting(&house);
    house.cli_as("finance-director", &["approvals", "approve", approval["id"].as_str().unwrap()]).exits(0);
    let view = house.settled(&run, std::time::Duration::from_secs(30));
    assert_eq!((&view["state"], &view["waiting_for"]), (&json!("waiting"), &json!("outcome-unknown")), "{view}");
    let mail: String = received.try_recv().unwrap();
    assert!(mail.contains("To: board@demo.example"), "{mail}");
    assert!(received.try_recv().is_err(), "it was sent again");
    let value = r#"{"message_id": "found at the server", "to": "board@demo.example"}"#;
    let resolved =
        house.cli_as("finance-director", &["runs", "resolve", &run, "--happened", "--value", value, "-o", "json"]);
    assert_eq!(resolved.exits(0).json()["state"], "completed");
    assert!(received.try_recv().is_err(), "it was sent again");
}

/// Enough of SMTP to take one mail and break off instead of answering.
fn take_mail(mut stream: TcpStream, taken: &std::sync::mpsc::Sender<String>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |text: &str| drop(stream.write_all(format!("{text}\r\n").as_bytes()));
    say("220 lossy");
    while let Some(Ok(line)) = lines.next() {
        match line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => say("250-lossy\r\n250 AUTH PLAIN LOGIN"),
            "AUTH" => say("235 yes"),
            "DATA" => {
                say("354 go on");
                let mail: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| line != ".").collect();
                let _ = taken.send(mail.join("\n"));
                return;
            }
            _ => say("250 yes"),
        }
    }
}
