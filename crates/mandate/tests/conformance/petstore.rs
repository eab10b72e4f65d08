//! Services on the loopback, for those that scenarios call by the internet: the kit's pet store and its echo, and
//! a few of our own that fail first, are slow, or ask for a credential.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// It listens until the tests end.
pub(crate) struct Petstore {
    url: String,
}

/// How often each thing that fails first was asked.
type Asked = Arc<Mutex<BTreeMap<String, u32>>>;

/// A request, read.
struct Request {
    method: String,
    target: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

impl Petstore {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let asked = Arc::clone(&asked);
                std::thread::spawn(move || answer(stream, &asked));
            }
        });
        Self { url }
    }

    /// Its origin, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What the kit's pet store says of itself, as far as it is called (Swagger 2.0).
    pub(crate) fn described(&self) -> Value {
        let host = self.url.strip_prefix("http://").unwrap();
        let ok = json!({"200": {"description": "found"}});
        json!({
            "swagger": "2.0", "info": {"title": "Pet store", "version": "1.0.0"}, "host": host, "basePath": "/v2",
            "schemes": ["https", "http"],
            "paths": {
                "/pet/findByStatus": {"get": {
                    "operationId": "findPetsByStatus", "responses": ok, "produces": ["application/json"],
                    "parameters": [{
                        "name": "status", "in": "query", "required": true, "type": "array",
                        "items": {"type": "string"}, "collectionFormat": "multi",
                    }],
                }},
                "/pet/{petId}": {"get": {
                    "operationId": "getPetById", "responses": ok,
                    "parameters": [{"name": "petId", "in": "path", "required": true, "type": "integer"}],
                }},
            },
        })
    }

    /// A shop that takes orders (OpenAPI 3.1).
    pub(crate) fn shop(&self) -> Value {
        let order = json!({"required": true, "content": {"application/json": {"schema": {"type": "object"}}}});
        json!({
            "openapi": "3.1.0", "info": {"title": "Shop", "version": "1.0.0"}, "servers": [{"url": "/shop"}],
            "components": {"parameters": {"shelf": {
                "name": "shelf", "in": "path", "required": true, "schema": {"type": "string"},
            }}},
            "paths": {"/shelves/{shelf}/orders": {
                "parameters": [{"$ref": "#/components/parameters/shelf"}],
                "post": {
                    "operationId": "placeOrder", "requestBody": order, "responses": {"201": {"description": "taken"}},
                    "parameters": [{
                        "name": "tags", "in": "query", "explode": false, "schema": {"type": "array"},
                    }],
                },
            }},
        })
    }
}

fn read(stream: &TcpStream) -> Request {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|read| *read > 0).map(|_| text.trim_end().to_owned())
    };
    let first = line().unwrap_or_default();
    let mut headers = BTreeMap::new();
    while let Some(header) = line().filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    // A body that was cut off is an empty one here.
    let _ = reader.read_exact(&mut body);
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    Request { method, target, authorization: headers.remove("authorization"), body }
}

fn answer(mut stream: TcpStream, asked: &Asked) {
    let (status, body) = reply(&read(&stream), asked);
    let text = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", text.len());
    // Whoever asked may have gone.
    let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{text}").as_bytes());
}

fn reply(request: &Request, asked: &Asked) -> (&'static str, Value) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let pet = |id: u32| json!({"id": id, "name": format!("pet {id}"), "status": "available"});
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["v2", "pet", "findByStatus"] if query == "status=available" => ("200 OK", json!([pet(1), pet(2)])),
        ["v2", "pet", id] => match id.parse() {
            Ok(id) => ("200 OK", pet(id)),
            Err(_) => ("404 Not Found", json!({"message": "no such pet"})),
        },
        ["basic-auth", user, password] => {
            let wanted = mandate_kernel::base64_encode(format!("{user}:{password}").as_bytes());
            match &request.authorization {
                Some(given) if *given == format!("Basic {wanted}") => {
                    ("200 OK", json!({"authenticated": true, "user": user}))
                }
                _ => ("401 Unauthorized", json!({"message": "no, or another credential"})),
            }
        }
        // The first so many requests of a name fail.
        ["flaky", name, times] => {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry((*name).to_owned()).or_default();
            *count += 1;
            if *count <= times.parse().unwrap() {
                ("503 Service Unavailable", json!({"message": "not now"}))
            } else {
                ("200 OK", json!({"answered": *count}))
            }
        }
        ["slow", millis] => {
            std::thread::sleep(Duration::from_millis(millis.parse().unwrap()));
            ("200 OK", json!({"late": true}))
        }
        ["shop", "shelves", shelf, "orders"] if request.method == "POST" => {
            let order: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            ("201 Created", json!({"shelf": shelf, "query": query, "order": order}))
        }
        _ => ("404 Not Found", json!({"message": "nothing here"})),
    }
}
