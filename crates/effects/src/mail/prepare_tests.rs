//! What becomes of a call: one mail, or nothing.

use crate::Effects;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_gate::{Call, Effect, PrepareError, Prepared, Request, Slot};
use mandate_kernel::{Attempt, Environment, Limits, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

const BEGAN: i64 = 1_795_364_809_123;

fn effect(url: &str) -> Arc<dyn Effect> {
    let function: FunctionSpec = serde_json::from_value(json!({
        "effect": "once", "model": "service-account", "class": {"impact": "action-taking"},
        "arguments": {"subject": {"type": "string", "maxLength": 120}},
        "target": {"mail": {"connection": "smtp", "from": "mandate@finance.example"}},
    }))
    .unwrap();
    let connection: ConnectionSpec =
        serde_json::from_value(json!({"environments": {"sandbox": {"url": url}}, "slot": {"smtp": "auth"}})).unwrap();
    Effects::new(Limits::DEFAULT).unwrap().effect_for(&function, Some(&connection))
}

fn call(run: &RunId, attempt: u32, arguments: Value) -> Call {
    Call {
        step: StepKey { run: run.clone(), seq: StepSeq(3), attempt: Attempt(attempt) },
        function: "mail.send".parse().unwrap(),
        environment: Environment::new("sandbox").unwrap(),
        arguments,
    }
}

fn run() -> RunId {
    RunId::generate(Timestamp::from_millis(BEGAN), &SystemEntropy).unwrap()
}

fn prepare(arguments: Value) -> Result<Prepared, PrepareError> {
    effect("smtp://127.0.0.1:2525").prepare(&call(&run(), 1, arguments))
}

fn mail(to: &str, subject: &str, body: &str) -> Value {
    json!({"to": to, "subject": subject, "body": body})
}

#[test]
fn a_call_becomes_one_mail_the_same_at_each_attempt() {
    let (run, effect) = (run(), effect("smtp://127.0.0.1:2525"));
    let arguments = mail("board@finance.example", "Quarter", "One\nTwo\n");
    let first = effect.prepare(&call(&run, 1, arguments.clone())).unwrap();
    assert_eq!(first.destination, "mailto:board@finance.example");
    assert_eq!((&first.audience, &first.slot), (&None, &Some(Slot::SmtpAuth)));
    let Request::Mail { server, from, to, subject, body, message_id, date } = &first.request else { panic!() };
    assert_eq!(
        [server, from, to].map(String::as_str),
        ["smtp://127.0.0.1:2525", "mandate@finance.example", "board@finance.example"]
    );
    assert_eq!([subject, body].map(String::as_str), ["Quarter", "One\nTwo\n"]);
    assert_eq!(message_id, &format!("{run}.3@finance.example"));
    assert_eq!(date.as_millis(), BEGAN);
    assert_eq!(effect.prepare(&call(&run, 2, arguments)).unwrap(), first);
    let other = effect.prepare(&call(&run, 1, mail("board@finance.example", "Quarter", "One\nTwo"))).unwrap();
    assert_ne!(other.digest(), first.digest());
}

#[test]
fn arguments_that_make_no_single_plain_mail_are_refused_without_being_repeated() {
    let good = "board@finance.example";
    let long_subject = "x".repeat(121);
    let long_body = "secret-canary".repeat(6_000);
    for arguments in [
        mail("secret-canary@evil.example, board@finance.example", "a", "b"),
        mail("Secret-Canary <board@finance.example>", "a", "b"),
        mail("board@finance.example\r\nBcc: secret-canary@evil.example", "a", "b"),
        mail("secret-canary", "a", "b"),
        mail(good, "secret-canary\r\nBcc: x@evil.example", "b"),
        mail(good, "secret-canary\n", "b"),
        mail(good, "secret-canary\u{202e}", "b"),
        mail(good, "secret-canary\u{0}", "b"),
        mail(good, "", "b"),
        mail(good, " secret-canary", "b"),
        mail(good, "secret-canary  twice", "b"),
        mail(good, &long_subject, "b"),
        mail(good, "a", "secret-canary\u{0}"),
        mail(good, "a", "secret-canary\r.\r"),
        mail(good, "a", &long_body),
        json!({"to": [good], "subject": "a", "body": "b"}),
        json!({"to": good, "subject": "a", "body": {"secret-canary": 1}}),
        json!({"to": good, "subject": "a"}),
        json!({"to": good, "subject": "a", "body": "b", "cc": "secret-canary@evil.example"}),
        json!(["secret-canary"]),
    ] {
        let error = prepare(arguments.clone()).unwrap_err();
        assert!(matches!(error, PrepareError::Arguments { .. }), "{arguments}: {error}");
        assert!(!error.to_string().to_lowercase().contains("canary"), "{error}");
    }
    assert!(prepare(mail(good, "ok", "")).is_ok());
}

#[test]
fn without_a_mail_server_there_is_no_mail() {
    let arguments = mail("board@finance.example", "a", "b");
    let elsewhere = Call { environment: Environment::new("production").unwrap(), ..call(&run(), 1, arguments.clone()) };
    let refused = effect("smtp://127.0.0.1:1").prepare(&elsewhere).unwrap_err();
    assert!(matches!(refused, PrepareError::NoDestination { .. }));
    let refused = effect("https://api.example").prepare(&call(&run(), 1, arguments)).unwrap_err();
    assert!(matches!(refused, PrepareError::Definition { .. }));
}

fn rendered(subject: &str, body: &str) -> Vec<u8> {
    super::message::render(&super::message::Fields {
        from: "mandate@finance.example",
        to: "board@finance.example",
        subject,
        body,
        message_id: "run_1.3@finance.example",
        date: Timestamp::from_millis(BEGAN),
    })
    .unwrap()
}

proptest! {
    #[test]
    fn whatever_is_accepted_reads_back_as_it_was_judged(
        subject in "(\\PC|=\\?|é|日|\u{1f600}| ){1,60}",
        body in "(\\PC|\n|\t|\\.|é|日| ){0,400}",
    ) {
        let arguments = mail("board@finance.example", &subject, &body);
        if super::message::arguments(&arguments).is_ok() {
            let bytes = rendered(&subject, &body);
            prop_assert!(bytes.is_ascii());
            prop_assert_eq!(&bytes, &rendered(&subject, &body));
            prop_assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 998));
            let read = mail_parser::MessageParser::default().parse(&bytes).unwrap();
            let headers: Vec<&str> = read.headers().iter().map(|h| h.name()).collect();
            prop_assert_eq!(headers.len(), 8, "{:?}", headers);
            prop_assert_eq!(read.to().unwrap().as_list().unwrap().len(), 1);
            prop_assert_eq!(read.subject().unwrap_or_default(), &subject);
            let text = read.body_text(0).unwrap_or_default().replace("\r\n", "\n");
            prop_assert_eq!(text.trim_end(), body.trim_end());
        }
    }
}
