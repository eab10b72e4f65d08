//! Calls against a server over real HTTP/2, and what can't be called.

use super::*;
use crate::http::Transport;
use mandate_kernel::{Attempt, Environment, RunId, StepKey, StepSeq, SystemEntropy, Timestamp};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const GREETER: &str = "syntax = \"proto3\"; package greet; message Hello { string text = 1; } service Greeter { rpc Greet (Hello) returns (Hello); rpc Count (Hello) returns (stream Hello); }";
const CANARY: &str = "canary-41f0";

/// What the server does with a call.
#[derive(Clone, Copy)]
enum Act {
    /// Sends these messages, then this status.
    Say(&'static [&'static str], u32),
    /// A status without a body.
    Only(u32),
    Http(u16),
    Break,
    NoStatus,
    Garbage,
    Long,
}

fn message(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x0a, u8::try_from(text.len()).unwrap()];
    bytes.extend_from_slice(text.as_bytes());
    wire::framed(&bytes).unwrap()
}

async fn hold(io: impl AsyncRead + AsyncWrite + Unpin, act: Act) {
    let mut server = h2::server::handshake(io).await.unwrap();
    while let Some(Ok((request, mut respond))) = server.accept().await {
        assert!(request.uri().path().starts_with("/greet.Greeter/"));
        assert_eq!(request.headers()["te"], "trailers");
        let head = |status: u16| http::Response::builder().status(status).header("content-type", "application/grpc");
        let trailers = |status: u32| {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.to_string().parse().unwrap());
            trailers.insert("grpc-message", CANARY.parse().unwrap());
            trailers
        };
        match act {
            Act::Only(status) => {
                let head = head(200).header("grpc-status", status.to_string()).header("grpc-message", CANARY);
                respond.send_response(head.body(()).unwrap(), true).unwrap();
            }
            Act::Http(status) => drop(respond.send_response(head(status).body(()).unwrap(), true).unwrap()),
            Act::Break => return,
            Act::Say(texts, status) => {
                let mut body = respond.send_response(head(200).body(()).unwrap(), false).unwrap();
                for text in texts {
                    body.send_data(message(text).into(), false).unwrap();
                }
                body.send_trailers(trailers(status)).unwrap();
            }
            Act::NoStatus | Act::Garbage | Act::Long => {
                let mut body = respond.send_response(head(200).body(()).unwrap(), false).unwrap();
                let bytes = match act {
                    Act::Garbage => wire::framed(b"\xff\xff").unwrap(),
                    Act::Long => vec![0; 300],
                    _ => message("hi"),
                };
                body.send_data(bytes.into(), matches!(act, Act::NoStatus)).unwrap();
                if !matches!(act, Act::NoStatus) {
                    body.send_trailers(trailers(0)).unwrap();
                }
            }
        }
    }
}

async fn serve(act: Act) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(hold(stream, act));
        }
    });
    url
}

fn effect(class: &str, url: &str, operations: &[&str]) -> GrpcEffect {
    let function = json!({
        "effect": class, "model": "service-account",
        "target": {"call": {
            "protocol": "grpc", "connection": "greeter", "document": {"uri": "file://greet.proto", "content": GREETER},
            "operations": operations,
        }},
    });
    let function: FunctionSpec = serde_json::from_value(function).unwrap();
    function.check().unwrap();
    let mandate_directory::Target::Call(target) = function.target.clone() else { panic!("no call") };
    let connection = serde_json::from_value(json!({"environments": {"sandbox": {"url": url}}})).unwrap();
    let transport = Arc::new(Transport::new(Limits::DEFAULT).unwrap());
    GrpcEffect::new(function, target, Some(connection), transport, Arc::default(), Limits::DEFAULT)
}

fn arguments(method: &str, given: Value) -> Value {
    json!({
        "proto": {"endpoint": {"uri": "file://greet.proto"}}, "method": method, "arguments": given,
        "service": {"name": "greet.Greeter", "host": "127.0.0.1", "port": 1},
    })
}

fn prepared(effect: &GrpcEffect, arguments: Value) -> Result<CanonicalRequest, PrepareError> {
    let run = RunId::generate(Timestamp::from_secs(1), &SystemEntropy).unwrap();
    let prepared = effect.prepare(&Call {
        step: StepKey { run, seq: StepSeq(1), attempt: Attempt(1) },
        function: "greeter".parse().unwrap(),
        environment: Environment::new("sandbox").unwrap(),
        arguments,
    })?;
    match prepared.request {
        Request::Http(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

async fn call(url: &str, dialer: &Dialer, class: EffectClass, limits: Limits) -> Result<Vec<u8>, EffectFailure> {
    let request =
        CanonicalRequest::new("POST", format!("{url}/greet.Greeter/Greet"), None, message("ann"), None).unwrap();
    let metadata = vec![("authorization".to_owned(), format!("Bearer {CANARY}"))];
    let timeout = Duration::from_secs(5);
    let done = GrpcCall { dialer, request: &request, metadata, effect: class, timeout, limits }.send().await;
    if let Err(error) = &done {
        assert!(!format!("{error:?}").contains(CANARY), "{error:?}");
    }
    done
}

#[test]
fn a_call_becomes_the_bytes_it_sends() {
    let reads = effect("read", "https://greeter.example/base", &[]);
    let request = prepared(&reads, arguments("Greet", json!({"text": "ann"}))).unwrap();
    assert_eq!(request.url().as_str(), "https://greeter.example/base/greet.Greeter/Greet");
    assert_eq!((request.body(), request.idempotency_key()), (&message("ann")[..], None));
    let again = prepared(&reads, arguments("Greet", json!({"text": "ann"}))).unwrap();
    assert_eq!(request.digest(), again.digest());
    assert!(
        prepared(&effect("once", "https://g.example", &[]), arguments("Greet", json!({})))
            .unwrap()
            .idempotency_key()
            .is_some()
    );
    let listed = effect("read", "https://g.example", &["greet.Greeter/Count"]);
    assert!(prepared(&listed, arguments("Greet", json!({}))).is_err());
    for bad in [
        arguments("Nothing", json!({})),
        arguments("Greet", json!({"canary": 1})),
        arguments("Greet", json!({"text": ["canary"]})),
        json!({"service": {}, "method": "Greet"}),
        json!([]),
    ] {
        let why = prepared(&reads, bad).unwrap_err().to_string();
        assert!(!why.contains("canary"), "{why}");
    }
}

#[tokio::test]
async fn answers_and_statuses() {
    let dialer = Dialer::default();
    let url = serve(Act::Say(&["a", "b"], 0)).await;
    let bytes = call(&url, &dialer, EffectClass::Read, Limits::DEFAULT).await.unwrap();
    let reads = effect("read", &url, &[]);
    let (_, count) = reads.method(&arguments("Count", json!({}))).unwrap();
    assert_eq!(reads.read(&bytes, &count).unwrap(), json!([{"text": "a"}, {"text": "b"}]));
    let (_, greet) = reads.method(&arguments("Greet", json!({}))).unwrap();
    assert!(reads.read(&bytes, &greet).is_err());
    // T(ransient), D(efinite), U(nknown) for read, idempotent, once.
    for (act, wanted) in [
        (Act::Only(5), "DDD"),
        (Act::Say(&["half"], 16), "DDD"),
        (Act::Only(14), "TTU"),
        (Act::Only(8), "TTT"),
        (Act::Only(13), "DTU"),
        (Act::Only(12), "DDD"),
        (Act::Http(404), "DDD"),
        (Act::Http(503), "TTU"),
        (Act::Break, "TTU"),
        (Act::NoStatus, "TTU"),
        (Act::Long, "DUU"),
    ] {
        let url = serve(act).await;
        let limits = Limits { reply_body: 200, ..Limits::DEFAULT };
        let mut found = String::new();
        for class in [EffectClass::Read, EffectClass::Idempotent, EffectClass::Once] {
            found.push(match call(&url, &dialer, class, limits).await {
                Ok(_) => 'K',
                Err(EffectFailure::Transient(_) | EffectFailure::Later { .. }) => 'T',
                Err(EffectFailure::Definite { .. }) => 'D',
                Err(EffectFailure::Unknown { .. }) => 'U',
            });
        }
        assert_eq!(found, wanted);
    }
    let garbage = serve(Act::Garbage).await;
    let bytes = call(&garbage, &dialer, EffectClass::Read, Limits::DEFAULT).await.unwrap();
    assert!(reads.read(&bytes, &greet).is_err());
    let nobody = call("http://127.0.0.1:9", &dialer, EffectClass::Once, Limits::DEFAULT).await;
    assert!(matches!(nobody, Err(EffectFailure::Transient(_))));
}

#[tokio::test]
async fn encryption_is_by_the_trust_of_the_client() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    hold(stream, Act::Say(&["hi"], 0)).await;
                }
            });
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let config = |roots| {
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    };
    let trusting = Dialer::trusting(config(roots));
    assert_eq!(call(&url, &trusting, EffectClass::Read, Limits::DEFAULT).await.unwrap(), message("hi"));
    let strict = Dialer::trusting(config(RootCertStore::empty()));
    let refused = call(&url, &strict, EffectClass::Once, Limits::DEFAULT).await;
    assert!(matches!(refused, Err(EffectFailure::Transient(_))), "{refused:?}");
}
