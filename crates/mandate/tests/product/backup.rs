//! Backup while serving, restore into quarantine, and release: through the binary, with a witness that remembers.

use super::receiver::{self, Captured};
use super::serve::Node;
use super::world::{arg, manifest, role, waiter, worker};
use crate::house::http;
use crate::house::process::{Ran, mandate, run};
use mandate_kernel::Digest;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CANARY: &str = "CANARY-9f3a77c1";

/// A system that takes what it gets and never answers.
struct Silent {
    url: String,
    got: Arc<Mutex<Vec<Captured>>>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Captured>>> = Arc::default();
        let keep = Arc::clone(&got);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let Some(request) = receiver::read(&mut stream) else { continue };
                keep.lock().unwrap().push(request);
                held.push(stream);
            }
        });
        Self { url, got }
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    fn reached(&self, count: usize) {
        within(|| self.count() >= count, "the receiver is reached");
    }
}

fn within(mut holds: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Workers of a node: `idle` does nothing, `later` waits an hour, `act` calls a system once.
fn furnish(node: &Node, system: &Silent) {
    let url = &system.url;
    let text = json!({"type": "string", "maxLength": 64});
    let files = [
        manifest("Connection", "finance/mine", json!({"environments": {"sandbox": {"url": url, "audience": url}}})),
        manifest(
            "Function",
            "finance/mine.act",
            json!({
                "effect": "once", "model": "workflow-bound", "scopes": ["mine.act"], "arguments": {"what": text},
                "class": {"impact": "action-taking", "data": ["internal"]},
                "returns": {"confidentiality": "internal", "integrity": "authoritative"},
                "timeoutMs": 120_000,
                "target": {"http": {"connection": "mine", "method": "POST", "path": "/thing", "query": []}},
            }),
        ),
        manifest(
            "Entitlement",
            "finance/mine",
            json!({
                "subjects": ["user:bob"], "environments": ["sandbox"], "scopes": ["mine.act"], "audiences": [url],
                "functions": {"mine.act": {"/what": {"prefix": ""}}},
            }),
        ),
        worker("idle", json!([{"one": {"set": {"a": "${ .text }"}}}]), &[], json!({})),
        waiter("later", 3_600),
        worker("act", json!([{"go": {"call": "mine.act", "with": {"what": "${ .text }"}}}]), &["mine.act"], json!({})),
        role("finance/runners", "user:bob", "runner", json!({"project": "finance"})),
        role("all/auditors", "user:carol", "auditor", json!("tenant")),
    ];
    let path = node.folder.path().join("manifests.json");
    for file in files {
        std::fs::write(&path, file.to_string()).unwrap();
        node.cli("alice", &["apply", "-f", arg(&path)]).exits(0);
    }
}

fn start(node: &Node, name: &str) -> String {
    let input = json!({"text": CANARY}).to_string();
    let worker = format!("finance/{name}");
    let args = ["run", &worker, "--purpose", "to see", "--input", &input, "--detach", "-o", "json"];
    node.cli("bob", &args).json()["run"].as_str().unwrap().to_owned()
}

fn state(node: &Node, run: &str) -> Value {
    node.cli("alice", &["runs", "get", run, "-o", "json"]).exits(0).json()
}

/// A configuration like the node's, of another data folder.
fn elsewhere(node: &Node, data: &str) -> PathBuf {
    let at = |name: &str| node.folder.path().join(name);
    let text = std::fs::read_to_string(&node.config).unwrap();
    let text = text.replace(&format!("dataDir: {}", at("data").display()), &format!("dataDir: {}", at(data).display()));
    let path = at(&format!("{data}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn backup(node: &Node, name: &str) -> (PathBuf, Ran) {
    let to = node.folder.path().join(name);
    let ran = run(mandate().args(["backup", "--config"]).arg(&node.config).arg("--to").arg(&to).args(["-o", "json"]));
    (to, ran)
}

fn restore(config: &Path, from: &Path) -> Ran {
    run(mandate().args(["restore", "--config"]).arg(config).arg("--from").arg(from).args(["-o", "json"]))
}

fn release(node: &Node, config: &Path, who: &str, more: &[&str]) -> Ran {
    let mut command = mandate();
    command.env("MANDATE_TOKEN", node.token(who)).args(["release", "--config"]).arg(config);
    run(command.args(["--reason", "the disk was lost", "-o", "json"]).args(more))
}

fn digest(path: &Path) -> Digest {
    Digest::of(&std::fs::read(path).unwrap())
}

fn verify(node: &Node, data: &str) -> Ran {
    let (folder, trust) = (node.folder.path().join(data), node.folder.path().join("data/trust.json"));
    run(mandate().args(["audit", "verify", "--data-dir"]).arg(folder).arg("--trust").arg(trust))
}

fn copy_of(folder: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// What is tried on a node in quarantine: each is refused, and nothing comes of it.
fn attack(node: &Node, run: &str) {
    let token = |who: &str| format!("Bearer {}", node.token(who));
    let start = json!({"worker": "finance/act", "purpose": "to see", "input": {"text": "x"}});
    let empty = json!({});
    let attempts: &[(&str, String, &str, &Value)] = &[
        ("POST", "/v1/runs".to_owned(), "bob", &start),
        ("POST", "/v1/workers/finance/act/runs".to_owned(), "bob", &start),
        ("POST", format!("/v1/runs/{run}/kill"), "alice", &empty),
        ("POST", format!("/v1/runs/{run}/resolve"), "alice", &json!({"happened": false})),
        ("POST", "/v1/apply".to_owned(), "alice", &json!({"manifests": []})),
        ("POST", "/v1/keys/token/rotate".to_owned(), "alice", &empty),
        ("PUT", "/v1/secrets/finance/x".to_owned(), "alice", &empty),
        ("POST", "/v1/grants".to_owned(), "alice", &empty),
        ("POST", "/v1/audit/exports".to_owned(), "carol", &empty),
        ("GET", format!("/v1/runs/{run}/passport"), "carol", &Value::Null),
        ("GET", format!("/v1/runs/{run}/artifact"), "carol", &Value::Null),
        ("GET", "/auth/login?tenant=demo".to_owned(), "bob", &Value::Null),
        ("GET", "/readyz".to_owned(), "bob", &Value::Null),
    ];
    for (method, path, who, body) in attempts {
        let body = (!body.is_null()).then(|| body.to_string());
        let token = token(who);
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        let url = format!("{}{path}", node.url());
        let reply = http::send(method, &url, &headers, body.as_deref().map(str::as_bytes)).unwrap();
        assert_eq!(reply.status, 503, "{method} {path}: {reply:?}");
        assert!(reply.json()["type"].as_str().unwrap().ends_with("/quarantined"), "{reply:?}");
    }
    // Looking is allowed; a look that is refused can't be recorded, so that it is not answered either.
    assert_eq!(node.cli("alice", &["runs", "get", run, "-o", "json"]).code, 0);
    assert_ne!(node.cli("mallory", &["runs", "get", run, "-o", "json"]).code, 0);
    assert_eq!(http::get(&format!("{}/livez", node.url())).unwrap().status, 200);
}

#[test]
fn a_backup_under_load_is_whole_and_what_it_lacks_is_told() {
    let mut node = Node::new();
    let system = Silent::start();
    let server = node.serve();
    furnish(&node, &system);
    let (later, act) = (start(&node, "later"), start(&node, "act"));
    system.reached(1);
    within(|| state(&node, &later)["state"] == "waiting", "the run waits");

    // Runs begin and end all the time while it is made.
    let (to, ran) = std::thread::scope(|scope| {
        let busy: Vec<_> = (0..2).map(|_| scope.spawn(|| (0..8).for_each(|_| drop(start(&node, "idle"))))).collect();
        let made = backup(&node, "backup");
        busy.into_iter().for_each(|one| one.join().unwrap());
        made
    });
    let made = ran.exits(0).json();
    assert_eq!(made["manifest"]["tenants"]["demo"]["running"].as_u64().map(|n| n >= 1), Some(true), "{made}");
    let root = std::fs::read(node.folder.path().join("root.key")).unwrap();
    for entry in std::fs::read_dir(&to).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in [CANARY.as_bytes(), root.trim_ascii()] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret), "a secret is in the backup");
        }
    }
    assert!(backup(&node, "backup").1.exits(2).stderr.contains("exists"));

    // More happens, which the backup lacks; then everything is lost.
    let lost = start(&node, "act");
    system.reached(2);
    node.cli("carol", &["audit", "verify", "--trust", server.ready("trust")]).exits(0);
    drop(server);

    let config = elsewhere(&node, "data2");
    tampered(&node, &to, &config);
    let restored = restore(&config, &to).exits(0).json();
    let told = restored["tenants"]["demo"]["witness"].as_str().unwrap();
    assert!(told.contains("more than are here"), "{told}");
    assert!(restore(&config, &to).exits(2).stderr.contains("not empty"));

    // The restored node shows what there is, and does nothing: its database stays as it is, byte by byte.
    node.config.clone_from(&config);
    let database = node.folder.path().join("data2/mandate.db");
    let before = digest(&database);
    let server = node.serve();
    attack(&node, &act);
    assert_eq!(node.cli("alice", &["runs", "get", &lost]).code, 7, "nobody knows it, and that can't be recorded");
    drop(server);
    assert_eq!(digest(&database), before);
    assert_eq!(system.count(), 2);

    // Only an administrator releases it, and only if the witness goes along and the loss is accepted.
    release(&node, &config, "bob", &[]).exits(3);
    let behind = release(&node, &config, "alice", &["--accept-loss"]).exits(2);
    assert!(behind.stderr.contains("the witness has seen"), "{behind:?}");
    node.witness_goes_back(&to.join("demo.checkpoint"));
    let loss = release(&node, &config, "alice", &[]).exits(2);
    assert!(loss.stderr.contains("--accept-loss"), "{loss:?}");
    release(&node, &config, "alice", &["--resume-runs"]).exits(2);
    let released = release(&node, &config, "alice", &["--accept-loss"]).exits(0).json();
    assert!(released["stopped"].as_u64().unwrap() >= 2 && released["lost"].as_u64().unwrap() > 0, "{released}");
    release(&node, &config, "alice", &[]).exits(2);

    node.config.clone_from(&config);
    let server = node.serve();
    assert_eq!(http::get(&format!("{}/readyz", node.url())).unwrap().status, 200);
    for run in [&act, &later] {
        assert_eq!(state(&node, run)["state"], "cancelled");
    }
    let idle = start(&node, "idle");
    within(|| state(&node, &idle)["state"] == "completed", "a run completes");
    let entries = node.cli("carol", &["audit", "search", "--limit", "200", "-o", "json"]).exits(0).json();
    let of = |kind: &str| entries["items"].as_array().unwrap().iter().find(|e| e["kind"] == kind).cloned().unwrap();
    assert_eq!(of("state-released")["actor"], "user:alice");
    assert_eq!(of("state-released")["details"]["reason"], "the disk was lost");
    assert!(of("state-quarantined")["details"]["restored"]["witnessed"].as_u64().is_some());
    within(|| verify(&node, "data2").code == 0, "the ledger verifies");
    drop(server);
    assert_eq!(system.count(), 2, "nothing was sent again");
}

/// What is done to a backup, the exit code of its restore, and how it is done.
type Tampering<'a> = (&'a str, i32, &'a dyn Fn(&Path));

/// Backups that are not as they were made.
fn tampered(node: &Node, good: &Path, config: &Path) {
    let edits: &[Tampering<'_>] = &[
        ("a byte of the database", 6, &|folder| {
            let path = folder.join("mandate.db");
            let mut bytes = std::fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            std::fs::write(path, bytes).unwrap();
        }),
        ("a missing file", 6, &|folder| std::fs::remove_file(folder.join("trust.json")).unwrap()),
        ("a number in the manifest", 6, &|folder| {
            let path = folder.join("manifest.json");
            let mut read: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            read["manifest"]["tenants"]["demo"]["witnessed"] = json!(1);
            std::fs::write(path, read.to_string()).unwrap();
        }),
        ("database and manifest, consistently", 6, &|folder| {
            let path = folder.join("mandate.db");
            let database = rusqlite::Connection::open(&path).unwrap();
            database.execute("DELETE FROM admissions", []).unwrap();
            drop(database);
            let manifest = folder.join("manifest.json");
            let mut read: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
            let bytes = std::fs::metadata(&path).unwrap().len();
            read["manifest"]["files"]["mandate.db"] = json!({"bytes": bytes, "digest": digest(&path)});
            std::fs::write(manifest, read.to_string()).unwrap();
        }),
        ("no manifest", 2, &|folder| std::fs::remove_file(folder.join("manifest.json")).unwrap()),
    ];
    for (n, (what, code, edit)) in edits.iter().enumerate() {
        let folder = node.folder.path().join(format!("tampered{n}"));
        copy_of(good, &folder);
        edit(&folder);
        let ran = restore(config, &folder);
        assert_eq!(ran.code, *code, "{what}: {ran:?}");
        assert!(!node.folder.path().join("data2").exists(), "{what}");
    }
    // Another installation's root key.
    let text = std::fs::read_to_string(config).unwrap();
    let other = node.folder.path().join("other.yaml");
    std::fs::write(&other, text.replace("root.key", "other.key")).unwrap();
    let key = mandate_kernel::base64_encode(&[9; 32]);
    let path = node.folder.path().join("other.key");
    std::fs::write(&path, key).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(restore(&other, good).exits(2).stderr.contains("root key"));
}

#[test]
fn a_move_to_another_machine_takes_its_runs_along() {
    let mut node = Node::new();
    let system = Silent::start();
    let mut server = node.serve();
    furnish(&node, &system);
    let (later, act) = (start(&node, "later"), start(&node, "act"));
    system.reached(1);
    within(|| state(&node, &later)["state"] == "waiting", "the run waits");
    // The process ends in the middle of the step; all that was acknowledged is there.
    let _ = server.0.kill();
    let _ = server.0.wait();
    drop(server);
    let (to, ran) = backup(&node, "backup");
    ran.exits(0);
    let config = elsewhere(&node, "data2");
    restore(&config, &to).exits(0);
    node.config.clone_from(&config);
    let server = node.serve();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(state(&node, &act)["state"], "running", "nothing is driven");
    let running = release(&node, &config, "alice", &["--resume-runs"]).exits(2);
    assert!(running.stderr.contains("another process uses"), "{running:?}");
    drop(server);
    let released = release(&node, &config, "alice", &["--resume-runs"]).exits(0).json();
    assert_eq!((&released["stopped"], &released["lost"]), (&json!(0), &json!(0)), "{released}");
    let server = node.serve();
    within(|| state(&node, &act)["waiting_for"] == "outcome-unknown", "the step is in doubt");
    assert_eq!(state(&node, &later)["state"], "waiting");
    node.cli("carol", &["audit", "verify", "--trust", server.ready("trust")]).exits(0);
    assert_eq!(system.count(), 1, "nothing was sent again");
}
