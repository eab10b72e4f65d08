//! What those see who watch the system: metrics that move with what happens, and traces that say who did
//! what without a secret in them.

use super::receiver::Receiver;
use super::world::{apply, call, furnish, run, try_apply, waiter, worker};
use crate::house::{House, http, process};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Field;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Series as a scraper reads them.
fn scrape(house: &House) -> BTreeMap<String, f64> {
    let reply = http::get(&format!("{}/metrics", house.url())).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("content-type").unwrap().starts_with("text/plain"));
    series(&String::from_utf8(reply.body).unwrap())
}

fn series(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn metrics_move_with_what_happens() {
    let (house, receiver) = (House::start(), Receiver::start());
    furnish(&house, &receiver);
    let reads = worker("reads", json!([call("read", "mine.read", "2026-Q3")]), &["mine.read"], json!({}));
    let unlisted = worker("sneaks", json!([call("read", "mine.read", "1999-Q3")]), &["mine.read"], json!({}));
    apply(&house, "admin", vec![reads, unlisted, waiter("waiter", 600)]);
    let before = scrape(&house);
    let done = run(&house, "finance-lead", "reads").exits(0).json();
    run(&house, "finance-lead", "sneaks").exits(3);
    run(&house, "finance-lead", "waiter").exits(4);
    let after = scrape(&house);
    let moved = |name: &str| after.get(name).copied().unwrap_or(0.0) - before.get(name).copied().unwrap_or(0.0);
    for (name, by) in [
        ("mandate_runs_started_total{tenant=\"demo\"}", 3.0),
        ("mandate_runs_ended_total{tenant=\"demo\",state=\"completed\"}", 1.0),
        ("mandate_runs_ended_total{tenant=\"demo\",state=\"refused\"}", 1.0),
        ("mandate_decisions_total{tenant=\"demo\",verdict=\"allow\"}", 1.0),
        ("mandate_decisions_total{tenant=\"demo\",verdict=\"deny\"}", 1.0),
        ("mandate_steps_total{tenant=\"demo\",outcome=\"succeeded\",effect=\"read\"}", 1.0),
        ("mandate_runs_open{tenant=\"demo\",state=\"waiting\"}", 1.0),
        ("mandate_http_requests_total{method=\"POST\",route=\"/v1/runs\",status=\"201\"}", 3.0),
        ("mandate_runs_started_total{tenant=\"other\"}", 0.0),
    ] {
        assert!((moved(name) - by).abs() < 0.5, "{name} moved by {}, not {by}: {after:#?}", moved(name));
    }
    assert!(moved("mandate_commit_seconds_count{tenant=\"demo\"}") >= 4.0);
    let entries =
        after["mandate_ledger_entries{tenant=\"demo\"}"] + after["mandate_ledger_unsequenced_entries{tenant=\"demo\"}"];
    assert!(entries > before["mandate_ledger_entries{tenant=\"demo\"}"] + 5.0);
    assert!(after["mandate_ledger_cosigned_age_seconds{tenant=\"demo\"}"] < 60.0);
    assert!(after["mandate_ledger_cosigned_entries{tenant=\"demo\"}"] > 0.0);
    for gauge in ["mandate_leases_open", "mandate_approvals_pending"] {
        assert!(after[&format!("{gauge}{{tenant=\"demo\"}}")].abs() < 0.5, "{gauge}");
    }
    // Labels come from closed sets: no person, no run, no name that a caller made up.
    let forbidden = [done["run"].as_str().unwrap(), "user:", "finance", "BREW", "made-up"];
    house.http("BREW", "/v1/made-up", None, None);
    for name in scrape(&house).keys() {
        assert!(!forbidden.iter().any(|text| name.contains(text)), "{name}");
    }
}

#[test]
fn metrics_are_for_the_machine_and_for_readers_of_the_ledger() {
    let house = House::start();
    let url = format!("{}/metrics", house.url());
    // A proxy on the same machine is not who asks.
    for header in ["x-forwarded-for", "forwarded", "x-real-ip", "via"] {
        assert_eq!(http::send("GET", &url, &[(header, "192.0.2.7")], None).unwrap().status, 401, "{header}");
    }
    assert_eq!(house.http("GET", "/metrics", Some("not-a-token"), None).status, 401);
    assert_eq!(house.http("GET", "/metrics", Some(&house.token("finance-lead")), None).status, 403);
    let own = house.http("GET", "/metrics", Some(&house.token("auditor")), None);
    let names: BTreeSet<String> = series(&String::from_utf8(own.body).unwrap()).into_keys().collect();
    assert!(names.contains("mandate_ledger_entries{tenant=\"demo\"}"), "{names:?}");
    assert!(names.iter().all(|name| name.contains("tenant=\"demo\"")), "{names:?}");
}

/// Requests: head and body.
type Got = Vec<(String, Vec<u8>)>;

/// Something that takes traces as a collector does.
struct Collector {
    url: String,
    got: Arc<Mutex<Got>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || {
                    let mut stream = stream;
                    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                    while let Some((head, body)) = request(&mut stream) {
                        kept.lock().unwrap().push((head, body));
                        let answer =
                            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, got }
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().unwrap();
        let requests = got.iter().map(|(_, body)| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
        requests.flat_map(|r| r.resource_spans).flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
    }
}

fn request(stream: &mut std::net::TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut head, mut byte) = (Vec::new(), [0u8]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn fields(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Field| match value {
        Field::StringValue(text) => text.clone(),
        Field::IntValue(number) => number.to_string(),
        Field::BoolValue(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    let one = |kv: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        (kv.key.clone(), kv.value.as_ref().and_then(|v| v.value.as_ref()).map(text).unwrap_or_default())
    };
    span.attributes.iter().map(one).collect()
}

#[test]
fn traces_say_who_did_what_and_hold_no_secret() {
    let (collector, receiver) = (Collector::start(), Receiver::start());
    let folder = tempfile::tempdir().unwrap();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut house = House::start_with(&folder.path().join("data"), process::unused_port(), &env)
        .unwrap_or_else(|e| panic!("{}", e.why));
    furnish(&house, &receiver);
    let reads = worker("reads", json!([call("read", "mine.read", "2026-Q3")]), &["mine.read"], json!({}));
    apply(&house, "admin", vec![reads]);
    let token = house.token("finance-lead");
    assert_eq!(try_apply(&house, "finance-lead", vec![waiter("no", 1)]).status, 403);
    let id = run(&house, "finance-lead", "reads").exits(0).json()["run"].as_str().unwrap().to_owned();
    let begun = Instant::now();
    let step = loop {
        let found =
            collector.spans().into_iter().find(|span| span.name == "step" && fields(span).get("run") == Some(&id));
        if let Some(step) = found {
            break step;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no span: {}", house.log());
        std::thread::sleep(Duration::from_millis(50));
    };
    let told = fields(&step);
    for (name, value) in [
        ("tenant", "demo"),
        ("step", "1"),
        ("attempt", "1"),
        ("function", "mine.read"),
        ("actor", "user:finance-lead"),
        ("worker", "finance/reads"),
        ("class", "action-taking"),
        ("scopes", "mine.read"),
        ("outcome", "allow"),
        ("result", "succeeded"),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name}: {told:#?}");
    }
    // The last of it arrives when the house is told to end.
    std::process::Command::new("kill").args(["-TERM", &house.pid().to_string()]).status().unwrap();
    assert!(house.ended_within(Duration::from_secs(10)));
    let spans = collector.spans();
    let of_run = spans.iter().find(|span| span.name == "run" && span.span_id == step.parent_span_id).unwrap();
    assert_eq!(fields(of_run).get("run"), Some(&id));
    assert!(spans.iter().any(|span| fields(span).get("route").map(String::as_str) == Some("/v1/runs")));
    // Fields are a closed set, and nothing that opens a door is among their values.
    let known = [
        "actor", "attempt", "busy_ns", "class", "function", "idle_ns", "level", "method", "outcome", "request",
        "result", "route", "run", "scopes", "status", "step", "target", "tenant", "worker",
    ];
    let names: BTreeSet<String> = spans.iter().flat_map(|span| fields(span).into_keys()).collect();
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
    assert!(spans.iter().all(|span| span.events.is_empty()));
    let hop = receiver.got().into_iter().map(|seen| seen.token().to_owned()).next().unwrap();
    let got = collector.got.lock().unwrap();
    assert!(
        got.iter().all(|(head, _)| head.starts_with("post /v1/traces ") && head.contains("application/x-protobuf"))
    );
    for (_, body) in got.iter() {
        for secret in [token.as_str(), hop.as_str(), "Bearer", "eyJ", "2026-Q3", "quarterly review"] {
            assert!(!body.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}
