//! A system outside that honours idempotency keys: it counts what arrives, and works once for each key.

use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// Its idempotency key, `RUN.STEP`.
    pub(crate) key: String,
    pub(crate) at: Instant,
    /// Whether the work was done before for this key.
    pub(crate) repeated: bool,
}

#[derive(Default)]
struct Seen {
    arrivals: Vec<Arrival>,
    delay: Duration,
}

/// The system. It listens until the tests end.
pub(crate) struct Receiver {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Receiver {
    /// It answers each request after a while.
    pub(crate) fn start(delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen { arrivals: Vec::new(), delay }));
        let keep = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                std::thread::spawn(move || answer(stream, &keep));
            }
        });
        Self { url, seen }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on it takes so long.
    pub(crate) fn takes(&self, delay: Duration) {
        self.seen.lock().unwrap().delay = delay;
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.seen.lock().unwrap().arrivals.clone()
    }

    /// How often each key arrived.
    pub(crate) fn by_key(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for arrival in self.arrivals() {
            *counts.entry(arrival.key).or_default() += 1;
        }
        counts
    }

    /// Arrivals of one run.
    pub(crate) fn of(&self, run: &str) -> Vec<Arrival> {
        let begins = format!("{run}.");
        self.arrivals().into_iter().filter(|arrival| arrival.key.starts_with(&begins)).collect()
    }

    /// Waits until something of the run has arrived.
    pub(crate) fn has_met(&self, run: &str) {
        let begun = Instant::now();
        while self.of(run).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing of {run} arrived");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Seen>) {
    let Some(key) = key_of(&mut stream) else { return };
    let delay = {
        let mut seen = seen.lock().unwrap();
        let repeated = seen.arrivals.iter().any(|before| before.key == key);
        seen.arrivals.push(Arrival { key, at: Instant::now(), repeated });
        seen.delay
    };
    std::thread::sleep(delay);
    let body = json!({"done": true}).to_string();
    // The sender may be gone.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
}

/// Reads a whole request; gives its idempotency key.
fn key_of(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut chunk) = (Vec::new(), [0u8; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
            let of = |name: &str| {
                let mut headers = head.split("\r\n").filter_map(|line| line.split_once(':'));
                headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
            };
            let length: usize = of("content-length").map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return of("idempotency-key").map(|key| key.trim_matches('"').to_owned());
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
