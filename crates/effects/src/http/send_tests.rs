//! The wire, against real servers on the loopback.

use super::reply::Answer;
use super::transport::{Outgoing, Transport};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::{Router, extract::State, routing::any};
use mandate_gate::{Credentials, EffectFailure, HopCredential, Reply, Slot};
use mandate_identity::CanonicalRequest;
use mandate_journal::Doubt;
use mandate_kernel::{Digest, EffectClass, FunctionName, Limits, Secret};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const CANARY: &str = "canary-7f3a9c";
const CLASSES: [EffectClass; 3] = [EffectClass::Read, EffectClass::Idempotent, EffectClass::Once];

/// The last request that a server saw.
type Seen = Arc<Mutex<Option<(HeaderMap, Bytes)>>>;

/// What a test wants back: T(ransient), D(efinite), U(nknown) for read, idempotent, once.
fn kind(result: &Result<Reply, EffectFailure>) -> char {
    match result {
        Ok(_) => 'K',
        Err(EffectFailure::Transient(_) | EffectFailure::Later { .. }) => 'T',
        Err(EffectFailure::Definite { .. }) => 'D',
        Err(EffectFailure::Unknown { why: Doubt::Connection, .. }) => 'U',
        Err(EffectFailure::Unknown { .. }) => '?',
    }
}

fn limits() -> Limits {
    Limits { reply_body: 64 << 10, ..Limits::DEFAULT }
}

fn credentials() -> Credentials {
    Credentials {
        hop: Some(HopCredential { token: secret("token"), proof: secret("proof") }),
        leased: Some(secret("leased")),
        envelope: Some(secret("envelope")),
    }
}

fn secret(what: &str) -> Secret<String> {
    Secret::new(format!("{CANARY}-{what}"))
}

async fn send_with(
    url: &str,
    effect: EffectClass,
    credentials: Credentials,
    takes_envelope: bool,
    timeout: Duration,
) -> Result<Reply, EffectFailure> {
    let transport = Arc::new(Transport::new(limits()).unwrap());
    let function: FunctionName = "crm.note".parse().unwrap();
    let key = (effect != EffectClass::Read).then(|| "run_1.1".to_owned());
    let body = b"{\"note\":\"hello\"}".to_vec();
    let request = CanonicalRequest::new("POST", url, Some("application/json".to_owned()), body, key).unwrap();
    let slot = credentials.leased.is_some().then(|| Slot::Header { name: "x-api-key".into(), prefix: "Key ".into() });
    let result = transport
        .send(Outgoing {
            function: &function,
            effect,
            request: &request,
            slot: slot.as_ref(),
            takes_envelope,
            timeout,
            credentials,
            exchange: None,
            listens: None,
            answer: Answer::Json,
            takes_redirects: false,
        })
        .await;
    if let Err(error) = &result {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(CANARY), "{text}");
        assert!(!text.contains("hello"), "{text}");
    }
    result
}

async fn send(url: &str, effect: EffectClass) -> Result<Reply, EffectFailure> {
    send_with(url, effect, credentials(), true, Duration::from_secs(5)).await
}

async fn kinds(url: &str, timeout: Duration) -> String {
    let mut out = String::new();
    for effect in CLASSES {
        out.push(kind(&send_with(url, effect, credentials(), true, timeout).await));
    }
    out
}

/// An axum server that answers every request alike, and its URL.
async fn answering(answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> String {
    let app = Router::new().fallback(any(move || {
        let answer = answer.clone();
        async move { answer() }
    }));
    serve(app).await
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// A server that reads a request and writes these bytes, then closes. Counts connections.
async fn raw(answer: &'static [u8]) -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            let mut buffer = vec![0; 16 << 10];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(answer).await;
        }
    });
    (url, count)
}

fn json_answer(status: u16, body: &'static str) -> Response<Body> {
    Response::builder().status(status).header("content-type", "application/json").body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn sends_what_was_judged_and_what_was_made_for_it() {
    let seen: Seen = Arc::default();
    let app = Router::new()
        .fallback(any(|State(seen): State<Seen>, headers: HeaderMap, body: Bytes| async move {
            *seen.lock().unwrap() = Some((headers, body));
            Response::builder()
                .header("content-type", "application/problem+json; charset=utf-8")
                .header("x-request-id", "abc")
                .header("set-cookie", "a=b")
                .body(Body::from("{\"a\": 1}"))
                .unwrap()
        }))
        .with_state(Arc::clone(&seen));
    let url = serve(app).await;
    let reply = send(&url, EffectClass::Idempotent).await.unwrap();
    assert_eq!(reply.value, json!({"a": 1}));
    assert_eq!(reply.observed, Digest::of(b"{\"a\": 1}"));
    assert_eq!(reply.claimed.by_remote["status"], 200);
    assert_eq!(reply.claimed.by_remote["x-request-id"], "abc");
    assert!(!reply.claimed.by_remote.contains_key("set-cookie"));
    let (headers, body) = seen.lock().unwrap().take().unwrap();
    assert_eq!(&body[..], b"{\"note\":\"hello\"}");
    for (name, value) in [
        ("authorization", "DPoP canary-7f3a9c-token"),
        ("dpop", "canary-7f3a9c-proof"),
        ("x-api-key", "Key canary-7f3a9c-leased"),
        ("txn-token", "canary-7f3a9c-envelope"),
        ("idempotency-key", "run_1.1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
    }
    assert!(!headers.contains_key("cookie"));
    send_with(&url, EffectClass::Read, credentials(), false, Duration::from_secs(5)).await.unwrap();
    let (headers, _) = seen.lock().unwrap().take().unwrap();
    assert!(!headers.contains_key("txn-token") && !headers.contains_key("idempotency-key"));
}

#[tokio::test]
async fn each_status_means_what_the_table_says() {
    for (status, expected) in [
        (200, "KKK"),
        (201, "KKK"),
        (204, "KKK"),
        (301, "DDD"),
        (302, "DDD"),
        (303, "DUU"),
        (307, "DDD"),
        (304, "DDD"),
        (400, "DDD"),
        (401, "DDD"),
        (403, "DDD"),
        (404, "DDD"),
        (409, "DDD"),
        (422, "DDD"),
        (408, "TTU"),
        (425, "TTT"),
        (429, "TTT"),
        (500, "DTU"),
        (501, "DDD"),
        (502, "TTU"),
        (503, "TTU"),
        (504, "TTU"),
        (505, "DDD"),
        (507, "DTU"),
    ] {
        let body = if matches!(status, 204 | 304) { "" } else { "{}" };
        let url = answering(move || json_answer(status, body)).await;
        assert_eq!(kinds(&url, Duration::from_secs(5)).await, expected, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let (other, count) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let target = format!("{other}?secret=hello");
    let url =
        answering(move || Response::builder().status(307).header("location", &target).body(Body::empty()).unwrap())
            .await;
    let Err(EffectFailure::Definite { status: 307, detail }) = send(&url, EffectClass::Read).await else { panic!() };
    let origin = other.strip_suffix("/v1").unwrap();
    assert!(detail.contains("redirect") && detail.contains(origin), "{detail}");
    assert_eq!(*count.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_refusal_names_the_code_of_the_challenge_and_nothing_else() {
    for (header, expected) in [
        ("DPoP error=\"insufficient_scope\", scope=\"a\"", "(insufficient_scope)"),
        ("Bearer realm=\"x\", error=\"invalid_token\"", "(invalid_token)"),
        ("DPoP error=\"canary-7f3a9c-token\"", ": 401"),
        ("DPoP error=\"", ": 401"),
    ] {
        let url = answering(move || {
            Response::builder().status(401).header("www-authenticate", header).body(Body::from(CANARY)).unwrap()
        })
        .await;
        let Err(EffectFailure::Definite { status: 401, detail }) = send(&url, EffectClass::Once).await else {
            panic!()
        };
        assert!(detail.ends_with(expected), "{detail}");
    }
}

#[tokio::test]
async fn what_was_never_sent_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(kinds(&url, Duration::from_secs(5)).await, "TTT");
    let unknown_host = "https://no-such-host.invalid/v1";
    assert_eq!(kinds(unknown_host, Duration::from_secs(8)).await, "TTT");
    // TLS against a server that speaks none: the request itself is never written.
    let (plain, _) = raw(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert_eq!(kinds(&plain.replace("http://", "https://"), Duration::from_secs(5)).await, "TTT");
}

#[tokio::test]
async fn a_broken_connection_is_in_doubt_where_it_matters_and_is_not_tried_again() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-ty",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"a\":",
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"a\":",
        b"nonsense\r\n\r\n",
    ] {
        let (url, count) = raw(answer).await;
        assert_eq!(kinds(&url, Duration::from_secs(5)).await, "TTU", "{answer:?}");
        assert_eq!(*count.lock().unwrap(), 3, "{answer:?}");
    }
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    let (url, count) = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").await;
    let transport = Arc::new(Transport::new(limits()).unwrap());
    let function: FunctionName = "crm.note".parse().unwrap();
    let request = CanonicalRequest::new("GET", url, None, Vec::new(), None).unwrap();
    for _ in 0..3 {
        let outgoing = Outgoing {
            function: &function,
            effect: EffectClass::Once,
            request: &request,
            slot: None,
            takes_envelope: false,
            timeout: Duration::from_secs(5),
            credentials: Credentials::default(),
            exchange: None,
            listens: None,
            answer: Answer::Json,
            takes_redirects: false,
        };
        transport.send(outgoing).await.unwrap();
    }
    assert_eq!(*count.lock().unwrap(), 3);
}

#[tokio::test]
async fn slow_answers_end_in_time() {
    let app = Router::new().fallback(any(|| async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        StatusCode::OK
    }));
    let url = serve(app).await;
    assert_eq!(kinds(&url, Duration::from_millis(150)).await, "TTU");
    // Headers at once, then a body that never ends.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n";
                let _ = stream.write_all(head).await;
                while stream.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
    });
    assert_eq!(kinds(&url, Duration::from_millis(200)).await, "TTU");
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_after_success_is_in_doubt_for_actions() {
    let big = || {
        Response::builder().header("content-type", "application/json").body(Body::from(vec![b' '; 65 << 10])).unwrap()
    };
    assert_eq!(kinds(&answering(big).await, Duration::from_secs(5)).await, "DUU");
    for (content_type, encoding, body) in [
        ("text/html", None, "<html>"),
        ("text/plain", None, "{}"),
        ("application/json", None, "{\"a\":"),
        ("application/json", None, "{} {}"),
        ("application/json", Some("gzip"), "{}"),
        ("application/jsonx", None, "{}"),
    ] {
        let url = answering(move || {
            let mut answer = Response::builder().header("content-type", content_type);
            if let Some(encoding) = encoding {
                answer = answer.header("content-encoding", encoding);
            }
            answer.body(Body::from(body)).unwrap()
        })
        .await;
        assert_eq!(kinds(&url, Duration::from_secs(5)).await, "DUU", "{content_type} {body}");
    }
    let deep = || json_answer(200, Box::leak(format!("{}{}", "[".repeat(65), "]".repeat(65)).into_boxed_str()));
    assert_eq!(kinds(&answering(deep).await, Duration::from_secs(5)).await, "DUU");
    let empty = || Response::builder().status(202).body(Body::empty()).unwrap();
    let reply = send(&answering(empty).await, EffectClass::Once).await.unwrap();
    assert_eq!((reply.value, reply.observed), (Value::Null, Digest::of(b"")));
}

#[tokio::test]
async fn no_header_can_be_smuggled_and_no_credential_goes_astray() {
    let (url, count) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let inject = |text: &str| Secret::new(format!("{CANARY}\r\nx-evil: 1{text}"));
    let hop = |token, proof| Some(HopCredential { token, proof });
    for bad in [
        Credentials { leased: Some(inject("")), ..Credentials::default() },
        Credentials { leased: Some(Secret::new(format!("{CANARY}\0"))), ..Credentials::default() },
        Credentials { hop: hop(inject(""), secret("proof")), ..credentials() },
        Credentials { hop: hop(secret("token"), inject("")), ..credentials() },
        Credentials { envelope: Some(inject("")), ..credentials() },
    ] {
        let result = send_with(&url, EffectClass::Once, bad, true, Duration::from_secs(5)).await;
        assert!(matches!(result, Err(EffectFailure::Definite { .. })), "{result:?}");
    }
    assert_eq!(*count.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_slot_and_a_lease_come_together_or_not_at_all() {
    let transport = Arc::new(Transport::new(limits()).unwrap());
    let function: FunctionName = "crm.note".parse().unwrap();
    let (url, count) = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let request = CanonicalRequest::new("GET", url, None, Vec::new(), None).unwrap();
    let key = Slot::Header { name: "x-api-key".into(), prefix: String::new() };
    let authorization = Slot::Header { name: "authorization".into(), prefix: String::new() };
    for (slot, credentials) in [
        (Some(&key), Credentials::default()),
        (None, credentials()),
        (Some(&authorization), credentials()), // where the token goes already
    ] {
        let outgoing = Outgoing {
            function: &function,
            effect: EffectClass::Read,
            request: &request,
            slot,
            takes_envelope: true,
            timeout: Duration::from_secs(5),
            credentials,
            exchange: None,
            listens: None,
            answer: Answer::Json,
            takes_redirects: false,
        };
        assert_eq!(kind(&transport.send(outgoing).await), 'D');
    }
    assert_eq!(*count.lock().unwrap(), 0);
}

/// A receiver that sends back what was injected for it gets nothing into the run, in whatever spelling.
#[tokio::test]
async fn an_answer_that_holds_a_credential_is_not_kept() {
    for echoed in [
        r#"{"you sent": "Key canary-7f3a9c-leased"}"#,
        r#"{"deep": [{"x": "DPoP canary-7f3a9c-\u0074oken"}]}"#,
        r#"{"canary-7f3a9c-envelope": 1}"#,
    ] {
        let app = Router::new().fallback(any(move || async move {
            Response::builder().header("content-type", "application/json").body(Body::from(echoed)).unwrap()
        }));
        let url = serve(app).await;
        let error = send(&url, EffectClass::Read).await.unwrap_err();
        assert!(matches!(error, EffectFailure::Definite { .. }), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let app = Router::new().fallback(any(|| async {
        Response::builder().header("content-type", "application/json").body(Body::from(r#"{"a":1,"a":2}"#)).unwrap()
    }));
    assert!(send(&serve(app).await, EffectClass::Read).await.is_err());
}
