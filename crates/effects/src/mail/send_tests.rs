//! The wire, against real servers on the loopback that misbehave.

use super::send::{Mailer, Outgoing};
use super::server::{Act, Security, Server, server, server_with};
use mandate_gate::{EffectFailure, Reply, Request};
use mandate_journal::Doubt;
use mandate_kernel::{Secret, Timestamp};
use std::time::{Duration, Instant};

const SECRET: &str = "mandate:canary-7f3a9c";

fn request(server: &str, body: &str) -> Request {
    Request::Mail {
        server: server.to_owned(),
        from: "mandate@finance.example".to_owned(),
        to: "board@finance.example".to_owned(),
        subject: "Quärter".to_owned(),
        body: body.to_owned(),
        message_id: "run_1.3@finance.example".to_owned(),
        date: Timestamp::from_millis(0),
    }
}

async fn send_with(mailer: &Mailer, server: &str, secret: &str, timeout: Duration) -> Result<Reply, EffectFailure> {
    let (function, request) = ("mail.send".parse().unwrap(), request(server, "Dear all,\n.\n..two\nmattér\n.\n"));
    let secret = Some(Secret::new(secret.to_owned()));
    let result = mailer.send(Outgoing { function: &function, request: &request, secret, timeout }).await;
    let text = format!("{result:?}");
    assert!(!text.contains("canary") && !text.contains("matt"), "{text}");
    result
}

async fn send(server: &Server) -> Result<Reply, EffectFailure> {
    send_with(&Mailer::default(), &server.url, SECRET, Duration::from_secs(5)).await
}

/// T(ransient), D(efinite), U(nknown) or K.
fn kind(result: &Result<Reply, EffectFailure>) -> char {
    match result {
        Ok(_) => 'K',
        Err(EffectFailure::Transient(_) | EffectFailure::Later { .. }) => 'T',
        Err(EffectFailure::Definite { .. }) => 'D',
        Err(EffectFailure::Unknown { why: Doubt::Connection, .. }) => 'U',
        Err(EffectFailure::Unknown { .. }) => '?',
    }
}

#[tokio::test]
async fn a_mail_arrives_once_as_it_was_judged() {
    let server = server(None).await;
    let reply = send(&server).await.unwrap();
    assert_eq!(reply.value["message_id"], "run_1.3@finance.example");
    assert_eq!(reply.claimed.by_remote["reply"], "2.0.0 queued as 42");
    let seen = server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.mails.len()), (1, 1));
    assert!(seen.lines.contains(&"MAIL FROM:<mandate@finance.example>\r\n".to_owned()), "{:?}", seen.lines);
    assert_eq!(seen.lines.iter().filter(|line| line.starts_with("RCPT")).count(), 1);
    let mail = String::from_utf8(seen.mails[0].clone()).unwrap();
    assert!(mail.contains("Message-ID: <run_1.3@finance.example>\r\n"), "{mail}");
    assert!(mail.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"), "{mail}");
    // Dots at the beginning of lines were doubled, so that none of them ends the message early.
    assert_eq!(mail.matches("\r\n.\r\n").count(), 1);
    let undotted = mail.strip_suffix(".\r\n").unwrap().replace("\r\n..", "\r\n.");
    let read = mail_parser::MessageParser::default().parse(undotted.as_bytes()).unwrap();
    assert_eq!(read.subject(), Some("Quärter"));
    assert_eq!(read.body_text(0).unwrap().replace("\r\n", "\n"), "Dear all,\n.\n..two\nmattér\n.\n");
}

#[tokio::test]
async fn each_failure_says_what_may_happen_next() {
    let cases: [(&str, Act, char); 29] = [
        ("greeting", Act::Close, 'T'),
        ("greeting", Act::Say(b"554 go away\r\n"), 'D'),
        ("greeting", Act::Say(b"HTTP/1.1 200 OK\r\n\r\n"), 'T'),
        ("greeting", Act::Say(b"\xff\xfe\r\n"), 'T'),
        ("greeting", Act::Flood, 'T'),
        ("EHLO", Act::Say(b"421 busy\r\n"), 'T'),
        ("EHLO", Act::Say(b"250 test\r\n"), 'D'),
        ("EHLO", Act::Flood, 'T'),
        ("EHLO", Act::Close, 'T'),
        ("AUTH", Act::Say(b"454 later\r\n"), 'T'),
        ("AUTH", Act::Say(b"535 no\r\n"), 'D'),
        ("AUTH", Act::Say(b"334 Y2FuYXJ5LTdmM2E5Yw==\r\n"), 'D'),
        ("MAIL", Act::Say(b"451 later\r\n"), 'T'),
        ("MAIL", Act::Say(b"550 no\r\n"), 'D'),
        ("MAIL", Act::Close, 'T'),
        ("RCPT", Act::Say(b"450 later\r\n"), 'T'),
        ("RCPT", Act::Say(b"550 canary-7f3a9c\r\n"), 'D'),
        ("RCPT", Act::Flood, 'T'),
        ("DATA", Act::Say(b"554 no\r\n"), 'D'),
        ("DATA", Act::Say(b"250 what\r\n"), 'T'),
        ("DATA", Act::Close, 'T'),
        // The system had taken the whole message already; nobody can tell how much of it arrived.
        ("middle", Act::Close, 'U'),
        (".", Act::Say(b"451 later\r\n"), 'T'),
        (".", Act::Say(b"554 no\r\n"), 'D'),
        (".", Act::TakeAndSay(b"354 more\r\n"), 'U'),
        (".", Act::TakeAndSay(b"garbage\r\n"), 'U'),
        (".", Act::TakeAndSay(b"250"), 'U'),
        (".", Act::TakeAndClose, 'U'),
        (".", Act::Flood, 'U'),
    ];
    for (at, act, expected) in cases {
        let server = server(Some((at, act))).await;
        let timeout = Duration::from_secs(if matches!(act, Act::TakeAndSay(b"250")) || at == "AUTH" { 1 } else { 5 });
        let result = send_with(&Mailer::default(), &server.url, SECRET, timeout).await;
        assert_eq!(kind(&result), expected, "{at} {act:?}: {result:?}");
        let seen = server.seen.lock().unwrap();
        assert_eq!(seen.connections, 1, "{at} {act:?}");
        // Where a mail arrived, nobody may think that it certainly did not.
        assert!(seen.mails.is_empty() || matches!(expected, 'U' | 'K'), "{at} {act:?}");
    }
}

#[tokio::test]
async fn slowness_is_bounded_and_its_meaning_depends_on_the_dot() {
    for (at, expected) in [("greeting", 'T'), ("AUTH", 'T'), ("DATA", 'T'), (".", 'U')] {
        let (server, begun) = (server(Some((at, Act::Hang))).await, Instant::now());
        let result = send_with(&Mailer::default(), &server.url, SECRET, Duration::from_millis(300)).await;
        assert_eq!(kind(&result), expected, "{at}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{at}");
    }
    // A goodbye that never comes does not take back what was taken.
    let server = server(Some(("QUIT", Act::Hang))).await;
    assert_eq!(kind(&send(&server).await), 'K');
}

#[tokio::test]
async fn no_connection_and_no_credential_send_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("smtp://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(kind(&send_with(&Mailer::default(), &closed, SECRET, Duration::from_secs(5)).await), 'T');
    let server = server(None).await;
    for secret in ["", "canary-without-colon", ":canary"] {
        let result = send_with(&Mailer::default(), &server.url, secret, Duration::from_secs(5)).await;
        assert!(matches!(result, Err(EffectFailure::Definite { status: 401, .. })), "{secret}: {result:?}");
    }
    assert_eq!(server.seen.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn elsewhere_nothing_is_said_before_encryption() {
    for security in [Security::StartTls, Security::Implicit] {
        let server = server_with(None, security, b"").await;
        let mailer = Mailer::strict_with(server.trust.clone());
        assert_eq!(kind(&send_with(&mailer, &server.url, SECRET, Duration::from_secs(5)).await), 'K', "{security:?}");
        assert!(server.seen.lock().unwrap().encrypted);
        // A certificate that nobody vouches for.
        let other = server_with(None, security, b"").await;
        let stranger = Mailer::strict_with(other.trust.clone());
        let result = send_with(&stranger, &server.url, SECRET, Duration::from_secs(5)).await;
        assert_eq!(kind(&result), 'T', "{security:?} {result:?}");
        assert_eq!(server.seen.lock().unwrap().mails.len(), 1);
    }
    let tricks = [
        Some(("EHLO", Act::Say(b"250-test\r\n250 AUTH PLAIN\r\n"))),
        Some(("STARTTLS", Act::Say(b"454 not now\r\n"))),
        Some(("STARTTLS", Act::Say(b"502 what\r\n"))),
        Some(("STARTTLS", Act::Close)),
        Some(("EHLO", Act::Flood)),
        Some(("greeting", Act::Flood)),
    ];
    for trick in tricks {
        let server = server_with(trick, Security::StartTls, b"").await;
        let mailer = Mailer::strict_with(server.trust.clone());
        assert_eq!(kind(&send_with(&mailer, &server.url, SECRET, Duration::from_secs(5)).await), 'T', "{trick:?}");
        let seen = server.seen.lock().unwrap();
        assert!(!seen.lines.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{trick:?}");
    }
}

#[tokio::test]
async fn words_put_in_before_the_handshake_are_not_believed() {
    // Whoever sits on the way answers everything in advance; none of it may count as the server's answer.
    let injected = b"250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n";
    let server = server_with(None, Security::StartTls, injected).await;
    let mailer = Mailer::strict_with(server.trust.clone());
    assert_eq!(kind(&send_with(&mailer, &server.url, SECRET, Duration::from_secs(5)).await), 'T');
    assert!(server.seen.lock().unwrap().mails.is_empty());
}
