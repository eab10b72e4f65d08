//! A system outside, as a connection's target: it keeps what it gets and says yes to everything.

use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Captured {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The token of its `Authorization` header.
    pub(crate) fn token(&self) -> &str {
        self.header("authorization").and_then(|value| value.strip_prefix("DPoP ")).unwrap()
    }
}

/// The system. It listens until the tests end.
pub(crate) struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Captured>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Captured>>> = Arc::default();
        let keep = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                std::thread::spawn(move || answer(stream, &keep));
            }
        });
        Self { url, got }
    }

    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What has arrived, in order.
    pub(crate) fn got(&self) -> Vec<Captured> {
        self.got.lock().unwrap().clone()
    }

    /// What has arrived by this method.
    pub(crate) fn by(&self, method: &str) -> Vec<Captured> {
        self.got().into_iter().filter(|request| request.method == method).collect()
    }
}

fn answer(mut stream: TcpStream, keep: &Mutex<Vec<Captured>>) {
    let Some(request) = read(&mut stream) else { return };
    keep.lock().unwrap().push(request);
    let body = json!({"rows": [{"region": "north", "amount_cents": 1}], "id": "r1"}).to_string();
    // The sender may be gone.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

pub(crate) fn read(stream: &mut TcpStream) -> Option<Captured> {
    let mut bytes = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let mut lines = head.split("\r\n");
            let mut first = lines.next()?.split(' ');
            let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
            let headers: Vec<(String, String)> = lines
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
                .collect();
            let length =
                headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                let body = bytes[end + 4..end + 4 + length].to_vec();
                return Some(Captured { method, target, headers, body });
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
