//! Nodes, their database and their witness: everything a process of its own.

use super::receiver::Receiver;
use crate::house::http::{self, Reply};
use crate::house::process::{Ran, mandate, run, unused_port};
use crate::server::Database;
use mandate_identity::{Jwks, jws};
use mandate_kernel::{Clock, Ed25519Signer, Signer, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const ISSUER: &str = "https://sso.example/demo";
/// How long a process may take to begin or to end on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its test.
pub(crate) struct Process(Child, Value);

impl Process {
    fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut process = Self(child, Value::Null);
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        process.1 =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("not a ready line ({e}): {line}\n{}", said()));
        process
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(signal).arg(self.0.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nodes on one database. Those that were stopped are absent.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    signer: Ed25519Signer,
    witness: Process,
    ports: Vec<u16>,
    nodes: Vec<Option<Process>>,
}

/// What the cluster's Workers may do, and with whom.
pub(crate) fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

pub(crate) fn worker(name: &str, steps: Value, functions: &[&str]) -> Value {
    let document = json!({
        "document": {"dsl": "1.0.3", "namespace": "finance", "name": name, "version": "1.0.0"}, "do": steps,
    });
    manifest(
        "Worker",
        &format!("finance/{name}"),
        json!({
            "document": document, "class": {"impact": "action-taking", "data": ["internal"]},
            "environments": ["sandbox"], "defaultEnvironment": "sandbox", "functions": functions,
        }),
    )
}

pub(crate) fn publish(step: &str) -> Value {
    json!({step: {"call": "mine.publish", "with": {"what": step}}})
}

impl Cluster {
    /// One node, over SQLite.
    pub(crate) fn alone() -> Self {
        Self::over(None, 1, 10)
    }

    /// So many nodes, whose claims last so many seconds.
    pub(crate) fn start(database: Database, nodes: usize, lease: u64) -> Self {
        Self::over(Some(&database), nodes, lease)
    }

    fn over(database: Option<&Database>, nodes: usize, lease: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (signer, _) = Ed25519Signer::generate(&SystemEntropy).unwrap();
        std::fs::write(at("jwks.json"), Jwks::new([signer.public()]).to_json().to_string()).unwrap();
        let mut witness = mandate();
        witness.args(["witness", "--data-dir"]).arg(at("witness")).arg("--trust-logs").arg(at("data-0/trust.json"));
        let witness = Process::start(&mut witness, &at("witness.log"));
        let urls = database.map(|database| [("store.url", &database.url), ("owner.url", &database.owner_url)]);
        for (name, url) in urls.into_iter().flatten() {
            std::fs::write(at(name), format!("{url}\n")).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let ports: Vec<u16> = (0..nodes).map(|_| unused_port()).collect();
        let mut cluster = Self { folder, signer, witness, ports, nodes: Vec::new() };
        for node in 0..nodes {
            cluster.configure(node, lease, database.is_some());
            let process = cluster.process(node);
            cluster.nodes.push(Some(process));
        }
        cluster
    }

    fn configure(&self, node: usize, lease: u64, shared: bool) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let postgres = json!({"url": {"file": at("store.url")}, "ownerUrl": {"file": at("owner.url")}});
        let store = if shared { json!({"postgres": postgres}) } else { json!({"sqlite": {}}) };
        let config = json!({
            "listen": format!("127.0.0.1:{}", self.ports[node]),
            "publicUrl": format!("http://127.0.0.1:{}", self.ports[0]),
            "dataDir": at(&format!("data-{node}")),
            "logName": "mandate.example",
            "rootKey": {"file": at("root.key")},
            "witness": {"url": self.witness.1["url"], "vkey": self.witness.1["vkey"]},
            "store": store,
            "node": {"name": format!("n{node}"), "leaseSeconds": lease, "drainSeconds": 30},
            "throttle": {"startsByPersonPerMinute": 0, "startsInTenantPerMinute": 0},
            "tenants": [{
                "name": "demo",
                "provider": {"issuer": ISSUER, "audience": "https://api.example", "jwksFile": at("jwks.json")},
                "firstAdministrators": ["user:alice"],
            }],
        });
        std::fs::write(self.config(node), config.to_string()).unwrap();
    }

    fn config(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("serve-{node}.yaml"))
    }

    fn process(&self, node: usize) -> Process {
        let mut serve = mandate();
        serve.args(["serve", "--config"]).arg(self.config(node));
        Process::start(&mut serve, &self.log(node))
    }

    fn log(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("serve-{node}.log"))
    }

    /// What the node has written, for a test that fails.
    pub(crate) fn said(&self, node: usize) -> String {
        std::fs::read_to_string(self.log(node)).unwrap_or_default()
    }

    /// How many nodes there are, stopped ones included.
    pub(crate) fn len(&self) -> usize {
        self.ports.len()
    }

    /// Starts a node that was stopped.
    pub(crate) fn serve(&mut self, node: usize) {
        let process = self.process(node);
        self.nodes[node] = Some(process);
    }

    /// As a power cut.
    pub(crate) fn kill9(&mut self, node: usize) {
        let mut process = self.nodes[node].take().unwrap();
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    }

    /// Tells it to end, and waits until it has; gives how it ended.
    pub(crate) fn stop(&mut self, node: usize) -> ExitStatus {
        let mut process = self.nodes[node].take().unwrap();
        process.signal("-TERM");
        process.ended()
    }

    /// Tells it to end.
    pub(crate) fn terminate(&self, node: usize) {
        self.nodes[node].as_ref().unwrap().signal("-TERM");
    }

    /// Stops its processor time, as a machine that hangs.
    pub(crate) fn freeze(&self, node: usize) {
        self.nodes[node].as_ref().unwrap().signal("-STOP");
    }

    /// It goes on.
    pub(crate) fn thaw(&self, node: usize) {
        self.nodes[node].as_ref().unwrap().signal("-CONT");
    }

    pub(crate) fn url(&self, node: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[node])
    }

    pub(crate) fn trust(&self) -> String {
        self.folder.path().join("data-0/trust.json").display().to_string()
    }

    /// An access token of somebody in a group.
    pub(crate) fn token(&self, subject: &str, group: &str) -> String {
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": "https://api.example", "client_id": "console", "jti": "t1",
            "iat": now, "exp": now + 3600, "groups": [group],
        });
        jws::sign(&self.signer, "at+jwt", &claims).unwrap()
    }

    /// The command line, at a node.
    pub(crate) fn cli(&self, node: usize, subject: &str, args: &[&str]) -> Ran {
        let token = self.token(subject, "staff");
        run(mandate().env("MANDATE_URL", self.url(node)).env("MANDATE_TOKEN", token).args(args))
    }

    /// A request of a member of the staff, at a node.
    pub(crate) fn ask(
        &self,
        node: usize,
        subject: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Reply> {
        self.ask_in(node, (subject, "staff"), method, path, body)
    }

    pub(crate) fn ask_in(
        &self,
        node: usize,
        (subject, group): (&str, &str),
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> std::io::Result<Reply> {
        let authorization = format!("Bearer {}", self.token(subject, group));
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = body.map(Value::to_string);
        http::send(method, &format!("{}{path}", self.url(node)), &headers, body.as_deref().map(str::as_bytes))
    }

    /// Applies manifests at a node.
    pub(crate) fn apply(&self, node: usize, manifests: &Value) {
        let reply = self.ask(node, "alice", "POST", "/v1/apply", Some(&json!({"manifests": manifests}))).unwrap();
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    }

    /// A receiver, the function that publishes to it, and who may run what.
    pub(crate) fn furnish(&self, receiver: &Receiver) {
        let url = receiver.url();
        let role = |name: &str, subject: &str, role: &str, on: Value| {
            manifest("RoleBinding", name, json!({"subjects": [subject], "role": role, "on": on}))
        };
        let function = json!({
            "effect": "idempotent", "model": "workflow-bound", "scopes": ["mine.publish"],
            "class": {"impact": "action-taking", "data": ["internal"]},
            "arguments": {"what": {"type": "string", "maxLength": 20}},
            "returns": {"confidentiality": "internal", "integrity": "authoritative"},
            "retry": {"attempts": 5, "firstDelayMs": 200, "maxDelayMs": 2_000}, "timeoutMs": 20_000,
            "target": {"http": {"connection": "mine", "method": "POST", "path": "/thing"}},
        });
        let review = json!({
            "effect": "read", "model": "workflow-bound", "returns": {"integrity": "derived"},
            "target": {"review": {"groups": ["reviewers"], "expires": "PT30M"}},
        });
        self.apply(
            0,
            &json!([
                manifest(
                    "Connection",
                    "finance/mine",
                    json!({"environments": {"sandbox": {"url": url, "audience": url}}})
                ),
                manifest("Function", "finance/mine.publish", function),
                manifest("Function", "finance/approval", review),
                manifest(
                    "Entitlement",
                    "finance/staff",
                    json!({
                        "subjects": ["group:staff"], "environments": ["sandbox"], "scopes": ["mine.publish"],
                        "audiences": [url, "urn:mandate:review"], "functions": {"mine.publish": {}, "approval": {}},
                    })
                ),
                role("finance/runners", "user:bob", "runner", json!({"project": "finance"})),
                role("all/auditors", "user:carol", "auditor", json!("tenant")),
            ]),
        );
    }

    /// Starts a Worker at a node, as Bob; gives the run.
    pub(crate) fn start_run(&self, node: usize, worker: &str) -> String {
        let body = json!({"worker": format!("finance/{worker}"), "purpose": "a test", "input": {}});
        let reply = self.ask(node, "bob", "POST", "/v1/runs", Some(&body)).unwrap();
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()["run"].as_str().unwrap().to_owned()
    }

    /// The run as a node sees it.
    pub(crate) fn run(&self, node: usize, run: &str) -> Value {
        self.ask(node, "bob", "GET", &format!("/v1/runs/{run}"), None).unwrap().json()
    }

    /// The run, once a node says that it is as it should be.
    pub(crate) fn until(&self, node: usize, run: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let view = self.run(node, run);
            if holds(&view) {
                return view;
            }
            assert!(begun.elapsed() < PATIENCE, "{view}\n{}", self.said(node));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn ended(&self, node: usize, run: &str) -> Value {
        self.until(node, run, |view| !["running", "waiting"].contains(&view["state"].as_str().unwrap_or_default()))
    }

    /// The run's ledger entries of a kind.
    pub(crate) fn entries(&self, node: usize, run: &str, kind: &str) -> Vec<Value> {
        let reply = self.ask(node, "carol", "GET", &format!("/v1/runs/{run}/entries"), None).unwrap();
        let mut entries = reply.json()["items"].as_array().unwrap().clone();
        entries.retain(|entry| entry["kind"] == kind);
        entries
    }

    /// The newest entries of a kind, in the whole ledger.
    pub(crate) fn search(&self, node: usize, kind: &str) -> Vec<Value> {
        let reply = self.ask(node, "carol", "GET", &format!("/v1/audit/search?kind={kind}&limit=500"), None).unwrap();
        reply.json()["items"].as_array().unwrap().clone()
    }

    /// Every run that Bob sees.
    pub(crate) fn all_runs(&self, node: usize) -> BTreeMap<String, Value> {
        let (mut runs, mut before) = (BTreeMap::new(), String::new());
        loop {
            let page = self.ask(node, "bob", "GET", &format!("/v1/runs?limit=200{before}"), None).unwrap().json();
            for run in page["items"].as_array().unwrap_or_else(|| panic!("{page}")) {
                runs.insert(run["run"].as_str().unwrap().to_owned(), run.clone());
            }
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return runs,
            }
        }
    }

    /// Every run, once none runs any more.
    pub(crate) fn all_ended(&self, node: usize) -> BTreeMap<String, Value> {
        let begun = Instant::now();
        loop {
            let runs = self.all_runs(node);
            let open: Vec<_> =
                runs.values().filter(|run| run["state"] == "running" || run["state"] == "waiting").collect();
            if open.is_empty() {
                return runs;
            }
            let said: Vec<String> = (0..self.len()).map(|node| self.said(node)).collect();
            assert!(
                begun.elapsed() < PATIENCE * 2,
                "{} runs still run: {:#?}\n{}",
                open.len(),
                open[0],
                said.join("\n----\n")
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// How many entries the ledger has, all verified against the trust anchor.
    pub(crate) fn audit(&self, node: usize) -> u64 {
        let url = self.url(node);
        let verified =
            self.cli(node, "carol", &["audit", "verify", "--url", &url, "--trust", &self.trust(), "-o", "json"]);
        let verified = verified.exits(0).json();
        verified["items"][0]["size"].as_u64().unwrap_or_else(|| panic!("{verified}"))
    }
}
