//! Runs watched as they happen: order, resumption, and who may.

use super::world::{apply, detached, role, search, until, waiter};
use crate::house::{House, http};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a stream may be silent: it sends something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(25);

/// An event as it came over the wire.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    id: Option<u64>,
    name: String,
    data: Value,
}

/// A stream that is read line by line.
struct Stream {
    lines: BufReader<TcpStream>,
    status: u16,
    raw: String,
}

impl Stream {
    fn open(house: &House, run: &str, token: &str, query: &str, last: Option<u64>) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", house.port())).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "GET /v1/runs/{run}/events{query} HTTP/1.0\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {token}\r\n{last}\r\n",
            house.port()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let mut raw = String::new();
        while lines.read_line(&mut raw).unwrap() > 2 {}
        Self { lines, status, raw }
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Seen> {
        let mut seen = Seen { id: None, name: String::new(), data: Value::Null };
        loop {
            let mut line = String::new();
            // A server that was killed breaks the connection.
            if self.lines.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            self.raw.push_str(&line);
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => seen.id = Some(id.parse().unwrap()),
                Some(("event", name)) => seen.name = name.to_owned(),
                Some(("data", data)) => seen.data = serde_json::from_str(data).unwrap(),
                _ if line.trim_end().is_empty() && !seen.name.is_empty() => return Some(seen),
                _ => {}
            }
        }
    }

    fn rest(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// A Worker that waits, which the finance lead may run.
fn furnished(house: &House, seconds: u64, more: Vec<Value>) {
    let lead = role("finance/lead-runs-all", "user:finance-lead", "runner", json!({"project": "finance"}));
    apply(house, "admin", [vec![waiter("waiter", seconds), lead], more].concat());
}

fn ids(seen: &[Seen]) -> Vec<u64> {
    seen.iter().filter(|event| event.name == "journal").map(|event| event.id.unwrap()).collect()
}

#[test]
fn a_run_is_told_as_it_happens_to_its_end() {
    let house = House::start();
    furnished(&house, 2, vec![]);
    let run = detached(&house, "waiter");
    let begun = Instant::now();
    let mut stream = Stream::open(&house, &run, &house.token("finance-lead"), "", None);
    assert_eq!(stream.status, 200);
    assert!(stream.raw.to_ascii_lowercase().contains("content-type: text/event-stream"), "{}", stream.raw);
    let first = stream.next().unwrap();
    assert_eq!((first.id, &first.data["type"]), (Some(1), &json!("started")));
    let second = stream.next().unwrap();
    assert_eq!((&second.data["type"], &second.data["waiting_for"]), (&json!("timer-set"), &json!("timer")));
    assert!(begun.elapsed() < Duration::from_millis(1_900), "it was told late: {:?}", begun.elapsed());
    let rest = stream.rest();
    let (end, journal) = rest.split_last().unwrap();
    assert_eq!((end.name.as_str(), &end.data), ("end", &json!({"run": run, "state": "completed"})));
    assert_eq!(ids(journal), (3..=end.id.unwrap()).collect::<Vec<_>>());
    let last = &journal.last().unwrap().data;
    assert_eq!((&last["type"], &last["state"]), (&json!("ended"), &json!("completed")));
    assert!(begun.elapsed() >= Duration::from_millis(1_500), "it was told before it happened");
    // Nothing of a value is in it.
    for forbidden in ["sha256:", "commitment", "2026-Q3", "labels"] {
        assert!(!stream.raw.contains(forbidden), "{forbidden}: {}", stream.raw);
    }
}

#[test]
fn a_watcher_who_comes_back_misses_and_repeats_nothing() {
    let mut house = House::start();
    furnished(&house, 4, vec![]);
    let run = detached(&house, "waiter");
    let token = house.token("finance-lead");
    let mut stream = Stream::open(&house, &run, &token, "", None);
    let before = vec![stream.next().unwrap(), stream.next().unwrap()];
    let last = before.last().unwrap().id;
    house.restart();
    assert_eq!(stream.next(), None, "the old stream ends with its server");
    let token = house.token("finance-lead");
    let after = Stream::open(&house, &run, &token, "", last).rest();
    let all: Vec<u64> = ids(&before).into_iter().chain(ids(&after)).collect();
    assert_eq!(all, (1..=after.last().unwrap().id.unwrap()).collect::<Vec<_>>());
    assert_eq!(after.last().unwrap().name, "end");
    // The same by query, and once all is seen there is the end alone.
    let again = Stream::open(&house, &run, &token, "?after=1", None).rest();
    assert_eq!(ids(&again), all[1..]);
    let only_end = Stream::open(&house, &run, &token, "?after=1", all.last().copied()).rest();
    assert_eq!(only_end.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["end"]);
}

#[test]
fn what_is_no_place_in_the_journal_is_refused() {
    let house = House::start();
    furnished(&house, 600, vec![]);
    let run = detached(&house, "waiter");
    let token = house.token("finance-lead");
    let path = format!("/v1/runs/{run}/events");
    for last in ["99", "-1", "x", "1e3", "18446744073709551616", "99999999999999999999999"] {
        let reply = house.http_with("GET", &path, Some(&token), &[("last-event-id", last)], None);
        assert_eq!((reply.status, &reply.json()["type"]), (422, &json!("https://mandate.dev/problems/invalid-cursor")));
    }
    assert_eq!(house.http("GET", &format!("{path}?after=99"), Some(&token), None).status, 422);
    assert_eq!(house.http("GET", &format!("{path}?from=1"), Some(&token), None).status, 422);
    // Who may not see the run may not watch it, and learns nothing.
    for (account, status) in [("finance-analyst", 404), ("other-admin", 404)] {
        assert_eq!(house.http("GET", &path, Some(&house.token(account)), None).status, status, "{account}");
    }
    assert_eq!(house.http("GET", &path, None, None).status, 401);
    // One caller takes so many places, and no more.
    let held: Vec<_> = (0..16).map(|_| Stream::open(&house, &run, &token, "", None)).collect();
    assert!(held.iter().all(|stream| stream.status == 200));
    let refused = house.http("GET", &path, Some(&token), None);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
    assert_eq!(Stream::open(&house, &run, &house.token("admin"), "", None).status, 200);
    let metrics = http::get(&format!("{}/metrics", house.url())).unwrap();
    assert!(String::from_utf8_lossy(&metrics.body).contains("\nmandate_event_streams 1"), "{metrics:?}");
}

/// A stream is asked for again while it lives.
#[test]
fn whoever_loses_the_right_to_see_a_run_loses_its_stream() {
    let house = House::start();
    let may = |who: &str| role("finance/watchers", who, "viewer", json!({"resource": "finance/waiter"}));
    furnished(&house, 600, vec![may("user:finance-analyst")]);
    let run = detached(&house, "waiter");
    let mut stream = Stream::open(&house, &run, &house.token("finance-analyst"), "", None);
    assert_eq!(stream.next().unwrap().data["type"], "started");
    apply(&house, "admin", vec![may("user:auditor")]);
    let begun = Instant::now();
    stream.lines.get_ref().set_read_timeout(Some(Duration::from_secs(32))).unwrap();
    let rest = stream.rest();
    assert!(begun.elapsed() < Duration::from_secs(31), "{:?}", begun.elapsed());
    assert!(rest.iter().all(|event| event.name == "journal"), "{rest:?}");
    assert!(stream.raw.contains(": nothing new"), "{}", stream.raw);
    // The refusal is in the ledger, once the sequencer has taken it.
    let told = Instant::now();
    loop {
        let denied = search(&house, "auditor", "kind=access-denied&person=finance-analyst");
        if denied.iter().any(|entry| entry["details"]["resource"] == run) {
            return;
        }
        assert!(told.elapsed() < Duration::from_secs(10), "{denied:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A server that is told to end does not wait for those who only watch.
#[test]
fn watchers_keep_no_server_alive() {
    let mut house = House::start();
    furnished(&house, 600, vec![]);
    let run = detached(&house, "waiter");
    until(&house, &run, &["waiting"]);
    let mut stream = Stream::open(&house, &run, &house.token("finance-lead"), "", None);
    stream.next().unwrap();
    let told = std::process::Command::new("kill").args(["-TERM", &house.pid().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(house.ended_within(Duration::from_secs(10)), "it still runs: {}", house.log());
    let mut left = Vec::new();
    stream.lines.read_to_end(&mut left).unwrap();
    assert!(!String::from_utf8_lossy(&left).contains("event: end"));
}
