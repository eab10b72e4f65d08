//! A pet store and an echo service on the loopback, for those that the kit's scenarios call by the internet.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

/// It listens until the tests end.
pub(crate) struct Petstore {
    url: String,
}

impl Petstore {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        Self { url }
    }

    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let request = lines.next().and_then(Result::ok).unwrap_or_default();
    // The head is read to its end; these requests have no body.
    while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
    let (status, body) = reply(request.split(' ').nth(1).unwrap_or_default());
    let text = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", text.len());
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{text}").as_bytes());
}

fn reply(target: &str) -> (&'static str, Value) {
    let path = target.split('?').next().unwrap_or_default();
    let pet = |id: u32| json!({"id": id, "name": format!("pet {id}"), "status": "available"});
    match path.strip_prefix("/v2/pet/") {
        Some("findByStatus") if target.ends_with("?status=available") => ("200 OK", json!([pet(1), pet(2)])),
        Some(id) => match id.parse() {
            Ok(id) => ("200 OK", pet(id)),
            Err(_) => ("404 Not Found", json!({"message": "no such pet"})),
        },
        None => ("404 Not Found", json!({"message": "nothing here"})),
    }
}
