//! Publications and subscriptions against real servers, and what is not sent.

use super::*;
use futures_util::{SinkExt as _, StreamExt as _};
use mandate_identity::CanonicalUrl;
use mandate_kernel::{Attempt, Environment, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request as Handshake, Response};

const CANARY: &str = "canary-6c2e";

fn effect(class: &str, slot: Value) -> MessagesEffect {
    let function = json!({
        "effect": class, "model": "service-account", "timeoutMs": 5_000,
        "target": {"call": {
            "protocol": "asyncapi", "connection": "notes",
            "document": {"uri": "https://notes.example/asyncapi.json", "content": {
                "asyncapi": "2.6.0",
                "servers": {"live": {"url": "wss://evil.example", "protocol": "ws"}},
                "channels": {"/notes": {"publish": {"operationId": "send"}, "subscribe": {"operationId": "watch"}}},
            }},
        }},
    });
    let function: FunctionSpec = serde_json::from_value(function).unwrap();
    function.check().unwrap();
    let mandate_directory::Target::Call(target) = function.target.clone() else { panic!("no call") };
    let connection =
        serde_json::from_value(json!({"environments": {"sandbox": {"url": "https://notes.example/v1"}}, "slot": slot}));
    MessagesEffect {
        function,
        target,
        connection: Some(connection.unwrap()),
        transport: Arc::new(Transport::new(Limits::DEFAULT).unwrap()),
        dialer: Arc::default(),
        limits: Limits::DEFAULT,
    }
}

fn prepared(effect: &MessagesEffect, arguments: Value) -> Result<CanonicalRequest, PrepareError> {
    let run = RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap();
    let prepared = effect.prepare(&Call {
        step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
        function: "notes".parse().unwrap(),
        environment: Environment::new("sandbox").unwrap(),
        arguments,
    })?;
    match prepared.request {
        Request::Http(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn given(more: Value) -> Value {
    let mut all = json!({"document": {"endpoint": {"uri": "https://notes.example/asyncapi.json"}}});
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

#[test]
fn a_call_goes_where_its_connection_says_and_nowhere_else() {
    let acts = effect("once", Value::Null);
    let message = json!({"payload": {"b": 1, "a": 2}, "headers": {"X-Room": "7"}});
    let http = prepared(&acts, given(json!({"operation": "send", "protocol": "http", "message": message}))).unwrap();
    assert_eq!((http.method(), http.url().as_str()), ("POST", "https://notes.example/v1/notes"));
    assert_eq!((http.body(), http.headers()["x-room"].as_str()), (&br#"{"a":2,"b":1}"#[..], "7"));
    assert!(http.idempotency_key().is_some());
    let socket = prepared(&acts, given(json!({"operation": "send", "message": {"payload": 1}}))).unwrap();
    assert_eq!((socket.method(), socket.url().origin()), (WEBSOCKET, "https://notes.example"));
    let reads = effect("read", Value::Null);
    let amount = json!({"consume": {"amount": 2}});
    let events =
        prepared(&reads, given(json!({"channel": "/notes", "protocol": "http", "subscription": amount}))).unwrap();
    assert_eq!((events.method(), events.headers()["accept"].as_str()), ("GET", "text/event-stream"));
}

#[test]
fn what_can_not_be_done_is_refused_and_not_repeated() {
    let send = |more: Value| {
        let mut all = json!({"operation": "send", "message": {"payload": CANARY}});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        given(all)
    };
    let x_key = json!({"header": "x-api-key"});
    let digest = json!({"schemes": ["digest"]});
    let by_digest = json!({"authentication": {"scheme": "digest", "secret": "s", "username": "ann"}});
    for (class, slot, arguments) in [
        ("read", Value::Null, send(json!({}))),
        ("idempotent", Value::Null, send(json!({}))),
        ("once", Value::Null, send(json!({"operation": "watch"}))),
        ("once", Value::Null, send(json!({"operation": CANARY}))),
        ("once", Value::Null, send(json!({"server": {"name": CANARY}}))),
        ("once", Value::Null, send(json!({"message": {"payload": 1, "headers": {CANARY: "x"}}}))),
        ("once", Value::Null, send(json!({"protocol": "http", "message": {"headers": {"authorization": CANARY}}}))),
        ("once", Value::Null, send(json!({"protocol": "http", "message": {"headers": {CANARY: [1]}}}))),
        ("once", x_key, send(json!({}))),
        ("once", digest, send(by_digest)),
        (
            "read",
            Value::Null,
            given(
                json!({"operation": "watch", "subscription": {"consume": {"amount": 1, "for": {"milliseconds": 5_000}}}}),
            ),
        ),
        ("read", Value::Null, given(json!({"operation": "watch", "subscription": {"consume": {}}}))),
    ] {
        let why = prepared(&effect(class, slot), arguments.clone()).err().unwrap_or_else(|| panic!("{arguments}"));
        assert!(!why.to_string().contains(CANARY), "{why}");
    }
}

/// A WebSocket server: it says these, keeps what it hears, and wants this credential.
async fn server(says: &'static [&'static str], ends: bool) -> (CanonicalUrl, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = CanonicalUrl::new(format!("http://{}/notes", listener.local_addr().unwrap())).unwrap();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let keep = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let keep = Arc::clone(&keep);
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "the library's own form")]
                let check = |request: &Handshake, response: Response| -> Result<Response, ErrorResponse> {
                    let known = request
                        .headers()
                        .get("authorization")
                        .is_some_and(|v| v == format!("Bearer {CANARY}").as_str());
                    let mut refused = ErrorResponse::new(None);
                    *refused.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::UNAUTHORIZED;
                    if known { Ok(response) } else { Err(refused) }
                };
                let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(stream, check).await else { return };
                for text in says {
                    let _ = socket.send(Message::text(*text)).await;
                }
                if ends {
                    return;
                }
                while let Some(Ok(message)) = socket.next().await {
                    if let Message::Text(text) = message {
                        keep.lock().unwrap().push(text.to_string());
                    }
                }
            });
        }
    });
    (url, heard)
}

fn socket<'a>(dialer: &'a Dialer, url: &'a CanonicalUrl, authorization: &'a str) -> Socket<'a> {
    let limits = Limits { reply_body: 100, ..Limits::DEFAULT };
    Socket { dialer, url, authorization: Some(authorization), effect: EffectClass::Once, limits }
}

#[tokio::test]
async fn messages_go_and_come_over_a_web_socket() {
    let (dialer, bearer) = (Dialer::default(), format!("Bearer {CANARY}"));
    let (url, heard) = server(&["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"], false).await;
    socket(&dialer, &url, &bearer).publish(b"{\"hello\":1}").await.unwrap();
    assert_eq!(heard.lock().unwrap().as_slice(), ["{\"hello\":1}"]);
    let two = Subscription::read(&json!({"consume": {"amount": 2}})).unwrap();
    let (found, _) = socket(&dialer, &url, &bearer).subscribe(&two).await.unwrap();
    assert_eq!(found[1]["payload"], json!({"n": 2}));
    // Time ends it, too, and what came so far is the answer.
    let short = Subscription::read(&json!({"consume": {"amount": 9, "for": {"milliseconds": 300}}})).unwrap();
    let (found, _) = socket(&dialer, &url, &bearer).subscribe(&short).await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_web_socket_that_misbehaves_gets_nowhere() {
    let (dialer, bearer) = (Dialer::default(), format!("Bearer {CANARY}"));
    let many = Subscription::read(&json!({"consume": {"amount": 9}})).unwrap();
    let (closed, _) = server(&["1"], true).await;
    let ended = socket(&dialer, &closed, &bearer).subscribe(&many).await;
    assert!(matches!(ended, Err(EffectFailure::Unknown { .. })), "{ended:?}");
    let sent = socket(&dialer, &closed, &bearer).publish(b"1").await;
    assert!(matches!(sent, Err(EffectFailure::Unknown { .. })), "{sent:?}");
    let (long, _) = server(
        &[
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ],
        false,
    )
    .await;
    assert!(socket(&dialer, &long, &bearer).subscribe(&many).await.is_err());
    let refused = socket(&dialer, &long, "Bearer other").publish(b"1").await;
    assert!(matches!(refused, Err(EffectFailure::Definite { status: 401, .. })), "{refused:?}");
    let nobody = CanonicalUrl::new("http://127.0.0.1:9/notes").unwrap();
    let lost = socket(&dialer, &nobody, &bearer).publish(b"1").await;
    assert!(matches!(lost, Err(EffectFailure::Transient(_))), "{lost:?}");
}
