//! Notes over HTTP, server-sent events and WebSockets, and a greeter over gRPC: for scenarios about these. It checks
//! who asks itself.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::net::TcpListener as StdListener;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// What the notes are kept behind.
pub(crate) const KEY: &str = "canary-live-key-93ad";

/// By which name documents know what the functions pin.
const NOTES: &str = "https://notes.example/asyncapi.json";
const GREETER: &str = "https://greeter.example/greet.proto";
const PROTO: &str = "syntax = \"proto3\"; package greet; message Hello { string text = 1; } service Greeter { rpc Greet (Hello) returns (Hello); rpc Count (Hello) returns (stream Hello); }";

/// It listens until the tests end.
pub(crate) struct Live {
    notes: String,
    greeter: String,
}

impl Live {
    pub(crate) fn start() -> Self {
        let bind = || {
            let listener = StdListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            (format!("http://{}", listener.local_addr().unwrap()), listener)
        };
        let ((notes, web), (greeter, rpc)) = (bind(), bind());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let (web, rpc) = (TcpListener::from_std(web).unwrap(), TcpListener::from_std(rpc).unwrap());
                let kept: Arc<Mutex<Vec<String>>> = Arc::default();
                loop {
                    tokio::select! {
                        Ok((stream, _)) = web.accept() => drop(tokio::spawn(note(stream, Arc::clone(&kept)))),
                        Ok((stream, _)) = rpc.accept() => drop(tokio::spawn(greet(stream))),
                    }
                }
            });
        });
        Self { notes, greeter }
    }

    /// The port of the greeter, as documents name it.
    pub(crate) fn greeter_port(&self) -> &str {
        self.greeter.rsplit(':').next().unwrap()
    }

    /// What of these a document calls: the functions, which of them are bound to the key, and what stands for it.
    pub(crate) fn wanted(document: &Value) -> (&'static [&'static str], bool) {
        let text = document.to_string();
        match (text.contains("\"call\":\"asyncapi\""), text.contains("\"call\":\"grpc\"")) {
            (true, _) => (&["notes-send", "notes-watch"], true),
            (false, true) => (&["greeter"], false),
            (false, false) => (&[], false),
        }
    }

    /// Two functions over one pinned document, one that acts and one that reads, and the greeter.
    pub(crate) fn manifests(&self) -> Vec<Value> {
        let (owner, greeter) = ("user:finance-director", &self.greeter);
        let document = json!({"uri": NOTES, "content": {
            "asyncapi": "2.6.0",
            "servers": {"events": {"url": "https://elsewhere.example", "protocol": "https"}},
            "channels": {"/notes": {"publish": {"operationId": "sendNote"}, "subscribe": {"operationId": "watchNotes"}}},
        }});
        let mut all = vec![
            manifest(
                "Connection",
                "finance/notes",
                json!({"environments": {"sandbox": {"url": self.notes}}, "slot": {"header": "authorization", "prefix": "Bearer "}}),
            ),
            manifest(
                "Credential",
                "finance/notes-key",
                json!({"owner": owner, "environment": "sandbox", "destinations": [self.notes]}),
            ),
            manifest(
                "RoleBinding",
                "finance/notes-key-owner",
                json!({"subjects": [owner], "role": "credential-owner", "on": {"resource": "finance/notes-key"}}),
            ),
            manifest(
                "Connection",
                "finance/greeter",
                json!({"environments": {"sandbox": {"url": greeter, "audience": greeter}}}),
            ),
            manifest(
                "Function",
                "finance/greeter",
                json!({
                    "effect": "read", "model": "workflow-bound", "class": {"impact": "read-only", "data": ["internal"]},
                    "returns": {"confidentiality": "internal", "integrity": "authoritative"}, "retry": {"attempts": 1},
                    "target": {"call": {"protocol": "grpc", "connection": "greeter", "document": {"uri": GREETER, "content": PROTO}}},
                }),
            ),
            manifest(
                "Entitlement",
                "finance/greeter",
                json!({
                    "subjects": ["group:finance-leads"], "environments": ["sandbox"], "scopes": [], "audiences": [greeter],
                    "functions": {"greeter": {}},
                }),
            ),
        ];
        for (name, effect, operation) in [("notes-send", "once", "sendNote"), ("notes-watch", "read", "watchNotes")] {
            let impact = if effect == "read" { "read-only" } else { "action-taking" };
            all.push(manifest(
                "Function",
                &format!("finance/{name}"),
                json!({
                    "effect": effect, "model": "service-account", "legacy": true, "retry": {"attempts": 1},
                    "class": {"impact": impact, "data": ["internal"]},
                    "returns": {"confidentiality": "internal"},
                    "target": {"call": {"protocol": "asyncapi", "connection": "notes", "document": document, "operations": [operation]}},
                }),
            ));
        }
        all
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Publishing adds a note; listening gives all there are, and then goes on without any.
async fn note(mut stream: TcpStream, kept: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut bytes = vec![0; 8192];
    let head = loop {
        let length = stream.peek(&mut bytes).await.ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            break head.to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let lower = head.to_ascii_lowercase();
    if !head.contains(&format!("Bearer {KEY}")) {
        let refused = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(refused).await.ok();
    }
    if lower.contains("upgrade: websocket") {
        let mut socket = tokio_tungstenite::accept_async(stream).await.ok()?;
        let notes = kept.lock().unwrap().clone();
        for note in notes {
            socket.send(Message::text(note)).await.ok()?;
        }
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                kept.lock().unwrap().push(text.to_string());
            }
        }
        return Some(());
    }
    let mut rest = vec![0; head.len() + 4];
    stream.read_exact(&mut rest).await.ok()?;
    if head.starts_with("POST /notes ") {
        let length = lower.split("content-length: ").nth(1)?.split("\r\n").next()?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        kept.lock().unwrap().push(String::from_utf8(body).ok()?);
        let taken = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return stream.write_all(taken).await.ok();
    }
    let notes = kept.lock().unwrap().clone();
    let events: String =
        notes.iter().enumerate().map(|(at, note)| format!("id: {at}\nevent: note\ndata: {note}\n\n")).collect();
    let begun = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{begun}: welcome\n\n{events}").as_bytes()).await.ok()?;
    stream.read(&mut bytes).await.ok().map(drop)
}

/// Greets whoever shows a token with its proof of possession; nobody is called nobody.
async fn greet(stream: TcpStream) -> Option<()> {
    let mut server = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, mut respond))) = server.accept().await {
        tokio::spawn(async move {
            let (head, mut body) = request.into_parts();
            let mut bytes = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                let _ = body.flow_control().release_capacity(chunk.len());
                bytes.extend_from_slice(&chunk);
            }
            // After the prefix of five bytes: field 1, its length, its text.
            let name = String::from_utf8_lossy(bytes.get(7..).unwrap_or_default()).into_owned();
            let token = head.headers.get("authorization").is_some_and(|v| v.as_bytes().starts_with(b"DPoP "));
            let (status, texts) = match (token && head.headers.contains_key("dpop"), head.uri.path()) {
                (false, _) => (16, vec![]),
                (true, _) if name == "nobody" => (5, vec![]),
                (true, "/greet.Greeter/Greet") => (0, vec![format!("Hello, {name}")]),
                (true, _) => (0, vec!["one".to_owned(), "two".to_owned()]),
            };
            let answer = http::Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut sent = respond.send_response(answer, false).unwrap();
            for text in texts {
                let length = u8::try_from(text.len()).unwrap();
                let framed = [&[0, 0, 0, 0, length + 2, 0x0a, length], text.as_bytes()].concat();
                sent.send_data(framed.into(), false).unwrap();
            }
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", status.into());
            sent.send_trailers(trailers).unwrap();
        });
    }
    Some(())
}
