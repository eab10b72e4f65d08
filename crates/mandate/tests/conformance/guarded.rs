//! A service that takes no call without a credential, and the provider whose tokens it takes: for scenarios
//! about authentication. It checks everything itself.

use mandate_kernel::{Digest, base64_encode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the vault holds, and nothing else of the house may.
pub(crate) const PASSWORD: &str = "canary-password-71c0";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret-0d2f";

/// It listens until the tests end.
pub(crate) struct Guarded {
    url: String,
}

/// Tokens that were issued and not ended, and nonces that were not used.
#[derive(Default)]
struct State {
    tokens: Vec<String>,
    nonces: Vec<String>,
    count: usize,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || answer(stream, &state));
            }
        });
        Self { url }
    }

    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Two functions at one address, each bound to a credential of its own: the secret that a document names
    /// decides which of them it goes through.
    pub(crate) fn manifests(&self) -> Vec<Value> {
        let url = self.url();
        let owner = "user:finance-director";
        let mut all = vec![manifest(
            "Connection",
            "finance/guarded",
            json!({
                "environments": {"sandbox": {"url": url}},
                "slot": {"schemes": ["basic", "bearer", "digest", "oauth2", "oidc"]},
            }),
        )];
        for (name, exchange) in [
            ("guarded-login", None),
            (
                "guarded-client",
                Some(
                    json!({"tokenEndpoint": format!("{url}/oauth2/token"), "issuer": url, "revocationEndpoint": format!("{url}/oauth2/revoke")}),
                ),
            ),
        ] {
            let mut credential = json!({"owner": owner, "environment": "sandbox", "destinations": [url]});
            if let Some(exchange) = exchange {
                credential["exchange"] = exchange;
            }
            all.extend([
                manifest("Credential", &format!("finance/{name}"), credential),
                manifest(
                    "RoleBinding",
                    &format!("finance/{name}-owner"),
                    json!({"subjects": [owner], "role": "credential-owner", "on": {"resource": format!("finance/{name}")}}),
                ),
                manifest(
                    "Function",
                    &format!("finance/{name}"),
                    json!({
                        "effect": "read", "model": "service-account", "legacy": true, "retry": {"attempts": 1},
                        "class": {"impact": "read-only", "data": ["internal"]},
                        "returns": {"confidentiality": "internal", "integrity": "authoritative"},
                        "target": {"call": {"protocol": "http", "connection": "guarded", "methods": ["GET"]}},
                    }),
                ),
            ]);
        }
        all
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

struct Request {
    method: String,
    target: String,
    authorization: String,
    body: String,
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut first = line.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (mut authorization, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                value.trim().clone_into(&mut authorization)
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, authorization, body: String::from_utf8(body).ok()? })
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(request) = read(&mut stream) else { return };
    let mut state = state.lock().unwrap();
    let (status, extra, body) = state.reply(&request);
    let text = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{extra}", text.len());
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{text}").as_bytes());
}

impl State {
    fn reply(&mut self, request: &Request) -> (&'static str, String, Value) {
        let ok = |who: &str| ("200 OK", String::new(), json!({"user": who}));
        let closed = |challenge: String| {
            ("401 Unauthorized", format!("www-authenticate: {challenge}\r\n"), json!({"message": "who are you?"}))
        };
        match (request.method.as_str(), request.target.as_str()) {
            ("GET", "/basic") => {
                let right = format!("Basic {}", base64_encode(format!("ann:{PASSWORD}").as_bytes()));
                if request.authorization == right { ok("ann") } else { closed("Basic realm=\"guarded\"".to_owned()) }
            }
            ("GET", "/digest?page=1") if self.is_answered(request) => ok("ann"),
            ("GET", "/digest?page=1") => {
                self.count += 1;
                let nonce = format!("nonce-{}", self.count);
                self.nonces.push(nonce.clone());
                let rest = format!("realm=\"guarded\", qop=\"auth\", nonce=\"{nonce}\"");
                closed(format!("Digest {rest}, algorithm=MD5, Digest {rest}, algorithm=SHA-256"))
            }
            ("GET", "/token") => {
                let token = request.authorization.strip_prefix("Bearer ").unwrap_or_default();
                if self.tokens.iter().any(|live| live == token) { ok("worker") } else { closed("Bearer".to_owned()) }
            }
            ("GET", "/live-tokens") => ("200 OK", String::new(), json!({"count": self.tokens.len()})),
            ("POST", "/oauth2/token") => {
                let right =
                    format!("grant_type=client_credentials&scope=read&client_id=worker&client_secret={CLIENT_SECRET}");
                if request.body != right {
                    return ("400 Bad Request", String::new(), json!({"error": "invalid_client"}));
                }
                self.count += 1;
                let token = format!("canary-token-{}", self.count);
                self.tokens.push(token.clone());
                ("200 OK", String::new(), json!({"access_token": token, "token_type": "Bearer", "expires_in": 60}))
            }
            ("POST", "/oauth2/revoke") => {
                let ended = |token: &String| request.body.starts_with(&format!("token={token}&"));
                self.tokens.retain(|token| !ended(token));
                ("200 OK", String::new(), json!({}))
            }
            _ => ("404 Not Found", String::new(), json!({"message": "nothing here"})),
        }
    }

    /// Whether the request answers an open challenge by SHA-256 (RFC 7616 §3.4.1). Each nonce is good once.
    fn is_answered(&mut self, request: &Request) -> bool {
        let value = |name: &str| {
            let parts = request.authorization.strip_prefix("Digest ")?.split(", ");
            let found = parts.filter_map(|part| part.split_once('=')).find(|(found, _)| *found == name)?;
            Some(found.1.trim_matches('"').to_owned())
        };
        let hash = |text: String| Digest::of(text.as_bytes()).to_hex();
        let (Some(nonce), Some(cnonce)) = (value("nonce"), value("cnonce")) else { return false };
        let known = self.nonces.iter().position(|open| *open == nonce).map(|at| self.nonces.remove(at));
        let (secret, what) = (hash(format!("ann:guarded:{PASSWORD}")), hash(format!("GET:{}", request.target)));
        let right = hash(format!("{secret}:{nonce}:00000001:{cnonce}:auth:{what}"));
        known.is_some() && value("response") == Some(right) && value("uri").as_deref() == Some(&request.target)
    }
}
