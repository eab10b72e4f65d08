//! The commands as people call them: against a server that plays its part, and offline.

mod configuration;
mod offline;
mod online;
mod world;

use crate::cli::args::{Cli, Command};
use crate::cli::{Exit, Io, Session, execute};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use clap::Parser as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// What a command did.
pub(super) struct Outcome {
    pub(super) exit: Exit,
    pub(super) out: String,
    pub(super) err: String,
}

impl Outcome {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}\n{}\n{}", self.out, self.err))
    }
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Calls the client with a command line and an input.
pub(super) async fn mandate_with(input: &'static [u8], args: &[&str]) -> Outcome {
    let cli = Cli::try_parse_from([&["mandate"], args].concat()).unwrap_or_else(|e| panic!("{e}"));
    let Command::Client(command) = cli.command else { panic!("not a client command") };
    let (out, err) = (Kept::default(), Kept::default());
    let io = Io::of(input, out.clone(), err.clone());
    let session = Session::new(cli.global, None, &io);
    let exit = match execute(&session, command).await {
        Ok(exit) => exit,
        Err(error) => {
            io.report(&error);
            error.exit()
        }
    };
    Outcome { exit, out: out.text(), err: err.text() }
}

pub(super) async fn mandate(args: &[&str]) -> Outcome {
    mandate_with(b"", args).await
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) key: Option<String>,
    pub(super) body: Value,
}

type Replies = HashMap<String, Vec<(u16, Bytes)>>;

/// A server that answers what it is told to, one answer after the other, the last one for good. Only
/// whoever shows the development provider's newest token is served.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) url: String,
    replies: Arc<Mutex<Replies>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    granted: Arc<Mutex<u32>>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { url, replies: Arc::default(), seen: Arc::default(), granted: Arc::default() };
        let server = fake.clone();
        let router = Router::new().fallback(move |request: Request| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    /// Adds an answer to `METHOD /path`.
    pub(super) fn on(&self, line: &str, status: u16, body: impl AsRef<[u8]>) -> &Self {
        let body = Bytes::copy_from_slice(body.as_ref());
        self.replies.lock().unwrap().entry(line.to_owned()).or_default().push((status, body));
        self
    }

    pub(super) fn on_json(&self, line: &str, status: u16, body: &Value) -> &Self {
        self.on(line, status, body.to_string())
    }

    /// What was asked, without the provider's part.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Makes the token given last expire.
    pub(super) fn expire(&self) {
        *self.granted.lock().unwrap() += 1;
    }

    async fn answer(&self, request: Request) -> axum::response::Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        match parts.uri.path() {
            "/dev/provider" if !self.replies.lock().unwrap().contains_key("GET /dev/provider") => {
                let endpoint = format!("{}/token", self.url);
                let tenant = json!({"issuer": self.url, "token_endpoint": endpoint, "accounts": ["admin", "auditor"]});
                return axum::Json(json!({"tenants": {"demo": tenant}})).into_response();
            }
            "/token" => {
                assert_eq!(body, "grant_type=urn%3Amandate%3Aparams%3Aoauth%3Agrant-type%3Adev-account&account=admin");
                let mut granted = self.granted.lock().unwrap();
                *granted += 1;
                let token = format!("token-{granted}");
                return axum::Json(json!({"access_token": token, "token_type": "Bearer"})).into_response();
            }
            _ => {}
        }
        let bearer = parts.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        let fresh = format!("Bearer token-{}", self.granted.lock().unwrap());
        if bearer.is_some_and(|bearer| bearer != fresh) {
            return (StatusCode::UNAUTHORIZED, json!({"title": "Sign in first", "status": 401}).to_string())
                .into_response();
        }
        let key = parts.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
        let line = format!("{} {}", parts.method, parts.uri);
        let body = serde_json::from_slice(&body).unwrap_or_default();
        self.seen.lock().unwrap().push(Seen { line, key, body });
        let mut replies = self.replies.lock().unwrap();
        let Some(queue) = replies.get_mut(&format!("{} {}", parts.method, parts.uri.path())) else {
            return (StatusCode::NOT_FOUND, json!({"title": "Not here", "status": 404}).to_string()).into_response();
        };
        let (status, body) = if queue.len() > 1 { queue.remove(0) } else { queue[0].clone() };
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    }

    /// Calls the client as `admin` of this server, with results in JSON.
    pub(super) async fn admin(&self, args: &[&str]) -> Outcome {
        mandate(&[&["--url", &self.url, "--as", "admin", "-o", "json"], args].concat()).await
    }

    /// The same with results for people.
    pub(super) async fn people(&self, args: &[&str]) -> Outcome {
        mandate(&[&["--url", &self.url, "--as", "admin"], args].concat()).await
    }
}
