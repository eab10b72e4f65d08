//! As many runs as the server drives: what is more is told to come again, and nothing that was taken is lost.

use super::receiver::{Captured, read};
use super::serve::{Node, Process};
use super::world::{call, function, manifest, role, waiter, worker};
use crate::house::http::{self, Reply};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before it counts as not happening.
const PATIENCE: Duration = Duration::from_secs(120);
const TOO_MANY: &str = "https://mandate.dev/problems/too-many-runs";

#[derive(Default)]
struct Door {
    open: bool,
    got: Vec<Captured>,
}

/// A system outside that answers only while its door is open.
struct Held {
    url: String,
    door: Arc<(Mutex<Door>, Condvar)>,
}

impl Held {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let door: Arc<(Mutex<Door>, Condvar)> = Arc::default();
        let shared = Arc::clone(&door);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let Some(request) = read(&mut stream) else { return };
                    let mut door = shared.0.lock().unwrap();
                    door.got.push(request);
                    drop(shared.1.wait_while(door, |door| !door.open).unwrap());
                    // The sender may be gone.
                    let _ = stream.write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
                    );
                });
            }
        });
        Self { url, door }
    }

    fn set(&self, open: bool) {
        self.door.0.lock().unwrap().open = open;
        self.door.1.notify_all();
    }

    /// The runs whose calls have arrived, each once.
    fn runs(&self) -> BTreeSet<String> {
        let door = self.door.0.lock().unwrap();
        let keys = door.got.iter().filter_map(|request| request.header("idempotency-key"));
        keys.map(|key| key.split_once('.').unwrap_or_else(|| panic!("{key}")).0.to_owned()).collect()
    }

    /// How many calls have arrived, repeated ones too.
    fn arrivals(&self) -> usize {
        self.door.0.lock().unwrap().got.len()
    }

    fn has_met(&self, runs: &[&String]) {
        eventually("every run's call has arrived", || runs.iter().all(|run| self.runs().contains(*run)));
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(node: &Node, who: &str, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Reply {
    let bearer = format!("Bearer {}", node.token(who));
    let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let body = body.map(Value::to_string);
    http::send(method, &format!("{}{path}", node.url()), &headers, body.as_deref().map(str::as_bytes)).unwrap()
}

fn start(node: &Node, who: &str, name: &str, key: &str) -> Reply {
    let input = json!({"quarter": "2026-Q3"});
    let body = json!({"worker": format!("finance/{name}"), "purpose": "quarterly review", "input": input});
    ask(node, who, "POST", "/v1/runs", Some(key), Some(&body))
}

fn taken(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.json()["run"].as_str().unwrap().to_owned()
}

/// Panics unless the start was told to come again; gives in how many seconds.
fn sent_away(reply: &Reply, why: &str) -> u64 {
    let problem = reply.json();
    assert_eq!((reply.status, problem["type"].as_str()), (429, Some(TOO_MANY)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
    let seconds = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    seconds
}

/// What a client does that is told to come again: the same start, by the same key, when it was told to.
fn insist(node: &Node, name: &str, key: &str) -> String {
    let begun = Instant::now();
    loop {
        let reply = start(node, "bob", name, key);
        if reply.status != 429 {
            return taken(&reply);
        }
        assert!(begun.elapsed() < PATIENCE, "{key} was never taken");
        std::thread::sleep(Duration::from_secs(sent_away(&reply, "start it again")));
    }
}

fn state(node: &Node, run: &str) -> Value {
    ask(node, "bob", "GET", &format!("/v1/runs/{run}"), None, None).json()["state"].clone()
}

fn completed(node: &Node, runs: &[&String]) {
    for run in runs {
        eventually(run, || {
            let state = state(node, run);
            assert!(state == "running" || state == "completed", "{run}: {state}");
            state == "completed"
        });
    }
}

fn all_runs(node: &Node) -> BTreeSet<String> {
    let page = ask(node, "bob", "GET", "/v1/runs?limit=100", None, None).json();
    page["items"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect()
}

/// How many starts the server says it has sent away.
fn refused(node: &Node) -> u64 {
    let text = String::from_utf8(http::get(&format!("{}/metrics", node.url())).unwrap().body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("mandate_starts_refused_total{tenant=\"demo\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

fn serve_with(node: &Node, plain: &str, shares: &str) -> Process {
    let throttle = "throttle: {startsByPersonPerMinute: 0, startsInTenantPerMinute: 0}";
    std::fs::write(&node.config, format!("shares: {shares}\n{throttle}\n{plain}")).unwrap();
    node.serve()
}

/// Two Workers that call the system once, one that waits, and Bob who may run them.
fn furnish(node: &Node, url: &str) {
    let mut publish = function("mine.publish", "mine", "POST", "workflow-bound", &["mine.publish"]);
    publish["spec"]["timeoutMs"] = json!(600_000);
    publish["spec"]["retry"] = json!({"attempts": 5, "firstDelayMs": 200, "maxDelayMs": 1_000});
    let calls = |name| worker(name, json!([call("tell", "mine.publish", "2026-Q3")]), &["mine.publish"], json!({}));
    let entitled = json!({
        "subjects": ["group:staff"], "environments": ["sandbox"], "scopes": ["mine.publish"], "audiences": [url],
        "functions": {"mine.publish": {}},
    });
    let manifests = vec![
        manifest("Connection", "finance/mine", json!({"environments": {"sandbox": {"url": url, "audience": url}}})),
        publish,
        manifest("Entitlement", "finance/staff", entitled),
        calls("first"),
        calls("second"),
        waiter("waiter", 600),
        role("finance/runners", "user:bob", "runner", json!({"project": "finance"})),
        role("all/auditors", "user:carol", "auditor", json!("tenant")),
    ];
    let reply = ask(node, "alice", "POST", "/v1/apply", None, Some(&json!({"manifests": manifests})));
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
}

#[test]
fn a_start_too_many_is_told_when_to_come_again_and_nothing_is_lost() {
    let (node, held) = (Node::new(), Held::start());
    let plain = std::fs::read_to_string(&node.config).unwrap();
    let server = serve_with(&node, &plain, "{runsPerTenant: 3, runsPerWorker: 2}");
    let trust = server.ready("trust").to_owned();
    furnish(&node, &held.url);

    // Both limits, while every call is out; and nothing of what is too many exists.
    let a1 = taken(&start(&node, "bob", "first", "a1"));
    let a2 = taken(&start(&node, "bob", "first", "a2"));
    held.has_met(&[&a1, &a2]);
    sent_away(&start(&node, "bob", "first", "a3"), "this Worker has 2 runs");
    let b1 = taken(&start(&node, "bob", "second", "b1"));
    held.has_met(&[&b1]);
    for (name, key) in [("second", "b2"), ("waiter", "w0")] {
        sent_away(&start(&node, "bob", name, key), "this tenant has 3 runs");
    }
    // One who may not see the Worker does not learn how busy it is.
    assert_eq!(start(&node, "mallory", "first", "m1").status, 404);
    // The same start again makes no second run, busy or not.
    sent_away(&start(&node, "bob", "first", "a1"), "start it again");
    assert_eq!(all_runs(&node), [&a1, &a2, &b1].map(Clone::clone).into());
    assert_eq!(refused(&node), 4);

    // When the calls are answered, who comes again is taken, by the key that was sent away.
    held.set(true);
    completed(&node, &[&a1, &a2, &b1]);
    assert_eq!(insist(&node, "first", "a1"), a1);
    let a3 = insist(&node, "first", "a3");
    completed(&node, &[&a3]);
    assert_eq!(all_runs(&node).len(), 4);

    // Many at once: each is taken in the end, and works once.
    let many: Vec<String> = std::thread::scope(|scope| {
        let node = &node;
        let threads: Vec<_> = (0..10)
            .map(|n| scope.spawn(move || insist(node, ["first", "second"][n % 2], &format!("many-{n}"))))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    completed(&node, &many.iter().collect::<Vec<_>>());
    assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), 10);

    // Runs that wait take no place.
    let waiting: Vec<String> = (0..5).map(|n| insist(&node, "waiter", &format!("w{n}"))).collect();
    for run in &waiting {
        eventually(run, || state(&node, run) == "waiting");
    }
    assert_eq!(all_runs(&node), held.runs().into_iter().chain(waiting).collect());

    let _server = crash_and_fewer_places(&node, &held, server, &plain);
    node.cli("carol", &["audit", "verify", "--trust", &trust]).exits(0);
}

/// What was taken is taken up after a crash, also where fewer places are left than it needs.
fn crash_and_fewer_places(node: &Node, held: &Held, server: Process, plain: &str) -> Process {
    held.set(false);
    let runs = [("first", "c1"), ("first", "c2"), ("second", "c3")].map(|(name, key)| insist(node, name, key));
    held.has_met(&runs.iter().collect::<Vec<_>>());
    let before = held.arrivals();
    drop(server);
    let server = serve_with(node, plain, "{turns: 1, runsPerTenant: 1}");
    // The same calls again, by the same keys: all three are driven.
    eventually("the calls of all three are made again", || held.arrivals() >= before + 3);
    sent_away(&start(node, "bob", "second", "c4"), "this tenant has 3 runs");
    held.set(true);
    completed(node, &runs.iter().collect::<Vec<_>>());
    assert_eq!(insist(node, "first", "c1"), runs[0]);
    let last = insist(node, "second", "c4");
    completed(node, &[&last]);
    server
}
