//! The wire, against models that misbehave.

use super::prepare_tests::{arguments, function, prepared};
use super::{ModelEffect, OpenAi};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, Uri};
use axum::{Router, extract::State, routing::any};
use mandate_directory::Target;
use mandate_gate::{EffectFailure, Reply, Request};
use mandate_kernel::{Digest, Limits, Secret};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const KEY: &str = "canary-key-7f3a9c";
const ANSWER: &str = "{\"title\": \"A quarter\"}";

type Seen = Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>;

fn limits() -> Limits {
    Limits { reply_body: 256 << 10, ..Limits::DEFAULT }
}

async fn ask_with(url: &str, timeout_ms: u64) -> (Request, Result<Reply, EffectFailure>) {
    let prepared = prepared(url, arguments()).unwrap();
    let mut function = function();
    function.timeout_ms = timeout_ms;
    let Target::Model(target) = function.target.clone() else { panic!() };
    let effect = ModelEffect::new(function, target, None, Arc::new(OpenAi::new(limits())), limits());
    let result = effect.run(&prepared.request, prepared.slot.as_ref(), Some(Secret::new(KEY.to_owned()))).await;
    if let Err(error) = &result {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("canary") && !text.contains("amount_cents") && !text.contains("quotes"), "{text}");
    }
    (prepared.request, result)
}

async fn ask(url: &str) -> Result<Reply, EffectFailure> {
    ask_with(url, 5_000).await.1
}

/// A model that gives every question this answer, and what it was asked.
async fn model(status: u16, content_type: &'static str, body: String) -> (String, Seen) {
    let seen: Seen = Arc::default();
    let app = Router::new()
        .fallback(any(move |State(seen): State<Seen>, uri: Uri, headers: HeaderMap, asked: Bytes| {
            let body = body.clone();
            async move {
                seen.lock().unwrap().push((uri, headers, asked));
                Response::builder().status(status).header("content-type", content_type).body(Body::from(body)).unwrap()
            }
        }))
        .with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, seen)
}

fn completion(change: impl FnOnce(&mut Value)) -> String {
    let mut completion = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted-1-2026", "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    });
    change(&mut completion);
    completion.to_string()
}

#[tokio::test]
async fn what_was_judged_is_what_is_sent_and_nothing_else() {
    let (url, seen) = model(200, "application/json", completion(|_| {})).await;
    let (request, result) = ask_with(&url, 5_000).await;
    let reply = result.unwrap();
    assert_eq!((reply.value, reply.observed), (json!({"title": "A quarter"}), Digest::of(ANSWER.as_bytes())));
    let claimed = Value::Object(reply.claimed.by_remote);
    assert_eq!(
        claimed,
        json!({"model": "scripted-1-2026", "id": "chatcmpl-1", "system_fingerprint": "fp_1", "finish_reason": "stop",
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})
    );
    let seen = seen.lock().unwrap();
    let [(uri, headers, body)] = &seen[..] else { panic!("{} requests", seen.len()) };
    assert_eq!(uri.path(), "/v1/chat/completions");
    let Request::Model { body: judged, .. } = request else { panic!() };
    // Equal as JSON, the whole body: model, messages, parameters, format, and no member besides.
    assert_eq!(serde_json::from_slice::<Value>(body).unwrap(), serde_json::from_slice::<Value>(&judged).unwrap());
    let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host", "user-agent"]
    );
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
}

#[tokio::test]
async fn an_answer_that_is_not_the_one_object_asked_for_is_refused() {
    type Change = fn(&mut Value);
    let tool = "the model asked for a tool; none is offered";
    let cases: [(Change, &str); 22] = [
        (
            |c| {
                c["choices"][0]["message"]["tool_calls"] =
                    json!([{"id": "1", "type": "function", "function": {"name": "canary", "arguments": "{}"}}])
            },
            tool,
        ),
        (|c| c["choices"][0]["message"]["tool_calls"] = json!([{"canary": 1}]), tool),
        (|c| c["choices"][0]["message"]["tool_calls"] = json!("canary"), tool),
        (|c| c["choices"][0]["message"]["function_call"] = json!({"name": "canary"}), tool),
        (|c| c["choices"][0]["finish_reason"] = json!("tool_calls"), tool),
        (|c| c["choices"][0]["finish_reason"] = json!("length"), "limit of tokens"),
        (|c| c["choices"][0]["finish_reason"] = json!("content_filter"), "filter"),
        (|c| c["choices"][0]["finish_reason"] = json!(null), "finished"),
        (|c| c["choices"][0]["message"]["refusal"] = json!("canary"), "refused"),
        (|c| c["choices"] = json!([]), "no answer"),
        (
            |c| {
                let one = c["choices"][0].clone();
                c["choices"].as_array_mut().unwrap().push(one);
            },
            "more than one",
        ),
        (|c| c["choices"][0]["message"]["content"] = json!(null), "not a text"),
        (|c| c["choices"][0]["message"]["content"] = json!("Sure! {\"title\": \"canary\"}"), "exactly one JSON object"),
        (
            |c| c["choices"][0]["message"]["content"] = json!("```json\n{\"title\": \"canary\"}\n```"),
            "exactly one JSON object",
        ),
        (
            |c| c["choices"][0]["message"]["content"] = json!("{\"title\": \"a\"} {\"title\": \"canary\"}"),
            "exactly one JSON object",
        ),
        (
            |c| c["choices"][0]["message"]["content"] = json!("{\"title\": \"a\", \"title\": \"canary\"}"),
            "exactly one JSON object",
        ),
        (|c| c["choices"][0]["message"]["content"] = json!("[\"canary\"]"), "exactly one JSON object"),
        (|c| c["choices"][0]["message"]["content"] = json!("[".repeat(2000)), "exactly one JSON object"),
        (|c| c["choices"][0]["message"]["content"] = json!("{\"title\": 3}"), "/title must be string"),
        (
            |c| c["choices"][0]["message"]["content"] = json!(format!("{{\"title\": \"{}\"}}", "canary".repeat(9))),
            "/title is longer",
        ),
        (
            |c| c["choices"][0]["message"]["content"] = json!("{\"title\": \"a\", \"canary is a name\": 1}"),
            "a member that the schema does not name",
        ),
        (
            |c| c["choices"][0]["message"]["content"] = json!("{\"title\": \"canary-key-7f3a9c\"}"),
            "sends a credential back",
        ),
    ];
    for (change, expected) in cases {
        let body = completion(change);
        let (url, seen) = model(200, "application/json", body.clone()).await;
        match ask(&url).await {
            Err(EffectFailure::Definite { status: 502, detail }) => {
                assert!(detail.contains(expected), "{detail} has not: {expected}");
            }
            other => panic!("{body}: {other:?}"),
        }
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn transport_answers_mean_what_they_mean_elsewhere() {
    for (status, content_type, body, transient) in [
        (200, "text/event-stream", "data: {\"canary\": 1}\n\ndata: [DONE]\n\n", false),
        (200, "text/html", "<p>canary", false),
        (200, "application/json", "{\"canary", false),
        (200, "application/json", "{}", false),
        (200, "application/json", "", false),
        (400, "application/json", "{\"error\": \"canary\"}", false),
        (401, "application/json", "{\"error\": \"canary\"}", false),
        (302, "application/json", "canary", false),
        (429, "application/json", "{\"error\": \"canary\"}", true),
        (503, "application/json", "{\"error\": \"canary\"}", true),
    ] {
        let (url, seen) = model(status, content_type, body.to_owned()).await;
        let result = ask(&url).await;
        let as_expected = match &result {
            Err(EffectFailure::Transient(_) | EffectFailure::Later { .. }) => transient,
            Err(EffectFailure::Definite { .. }) => !transient,
            _ => false,
        };
        assert!(as_expected, "{status} {body}: {result:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{status}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let result = ask(&closed).await;
    assert!(matches!(&result, Err(EffectFailure::Transient(why)) if why.contains("no connection")), "{result:?}");
}

/// A server that reads a question, says this, and then says `more` for ever. Counts what it got rid of.
async fn endless(head: &'static str, more: &'static [u8], pause: Duration) -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let said: Arc<Mutex<usize>> = Arc::default();
    let counted = Arc::clone(&said);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = vec![0; 64 << 10];
            let _ = stream.read(&mut buffer).await;
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(more).await.is_ok() {
                *counted.lock().unwrap() += more.len();
                tokio::time::sleep(pause).await;
            }
        }
    });
    (url, said)
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut() {
    static BLOCK: [u8; 8192] = [b' '; 8192];
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{",
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: ",
        "HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n",
    ] {
        let (url, said) = endless(head, &BLOCK, Duration::ZERO).await;
        let begun = Instant::now();
        match ask(&url).await {
            Err(EffectFailure::Definite { detail, .. }) => assert!(detail.contains("longer than 262144"), "{detail}"),
            other => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{head}");
        // What the bound lets through, and what the system's buffers hold besides.
        assert!(*said.lock().unwrap() < 32 << 20);
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_left() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let (url, _) = endless(head, b" ", Duration::from_millis(20)).await;
    let begun = Instant::now();
    let result = ask_with(&url, 400).await.1;
    assert!(matches!(result, Err(EffectFailure::Transient(_))), "{result:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn nothing_comes_from_the_environment() {
    // A key of the environment would be found under this name by the library's own ways.
    assert!(std::env::var_os("OPENAI_API_KEY").is_none());
    let (url, seen) = model(200, "application/json", completion(|_| {})).await;
    let prepared = prepared(&url, arguments()).unwrap();
    let function = function();
    let Target::Model(target) = function.target.clone() else { panic!() };
    let effect = ModelEffect::new(function, target, None, Arc::new(OpenAi::new(limits())), limits());
    effect.run(&prepared.request, None, None).await.unwrap();
    assert!(!seen.lock().unwrap()[0].1.contains_key("authorization"));
    assert!(effect.run(&prepared.request, prepared.slot.as_ref(), None).await.is_err());
    assert!(effect.run(&prepared.request, None, Some(Secret::new(KEY.to_owned()))).await.is_err());
}
