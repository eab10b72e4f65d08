//! `mandate serve`: a node with a provider that we make, and a real witness process beside it.

use super::world::{arg, role, worker};
use crate::house::process::{Ran, mandate, run, unused_port};
use crate::house::{House, http};
use mandate_identity::{Jwks, jws};
use mandate_kernel::{Clock, Ed25519Signer, Signer, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const ISSUER: &str = "https://sso.example/demo";

/// A process that ends with its test.
pub(crate) struct Process(pub(crate) Child, Value);

impl Process {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line);
        let mut process = Self(child, Value::Null);
        process.1 = ready.unwrap_or_else(|e| panic!("not a ready line ({e}): {line}"));
        process
    }

    pub(crate) fn ready(&self, key: &str) -> &str {
        self.1[key].as_str().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) struct Node {
    pub(crate) folder: tempfile::TempDir,
    signer: Ed25519Signer,
    witness: Process,
    pub(crate) config: PathBuf,
    port: u16,
}

impl Node {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (signer, _) = Ed25519Signer::generate(&SystemEntropy).unwrap();
        std::fs::write(at("jwks.json"), Jwks::new([signer.public()]).to_json().to_string()).unwrap();
        let witness = Process::start(
            mandate().args(["witness", "--data-dir"]).arg(at("witness")).arg("--trust-logs").arg(at("data/trust.json")),
            &at("witness.log"),
        );
        let port = unused_port();
        let config = at("serve.yaml");
        let text = format!(
            "listen: 127.0.0.1:{port}\npublicUrl: http://127.0.0.1:{port}\ndataDir: {data}\nlogName: mandate.example\n\
             rootKey:\n  file: {root}\nwitness:\n  url: {url}\n  vkey: {vkey}\ntenants:\n  - name: demo\n    provider:\n      issuer: {ISSUER}\n      \
             audience: https://api.example\n      jwksFile: {jwks}\n    firstAdministrators: ['user:alice']\n",
            data = at("data").display(),
            root = at("root.key").display(),
            url = witness.ready("url"),
            vkey = witness.ready("vkey"),
            jwks = at("jwks.json").display(),
        );
        std::fs::write(&config, text).unwrap();
        Self { folder, signer, witness, config, port }
    }

    pub(crate) fn serve(&self) -> Process {
        Process::start(mandate().args(["serve", "--config"]).arg(&self.config), &self.folder.path().join("serve.log"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The witness agrees to have seen no more than this checkpoint, and serves again.
    pub(crate) fn witness_goes_back(&mut self, checkpoint: &Path) {
        let folder = self.folder.path().join("witness");
        let address = self.witness.ready("url").trim_start_matches("http://").to_owned();
        let of = || {
            let mut command = mandate();
            command.args(["witness", "--data-dir"]).arg(&folder);
            command.arg("--trust-logs").arg(self.folder.path().join("data/trust.json"));
            command
        };
        let _ = self.witness.0.kill();
        let _ = self.witness.0.wait();
        let mut back = of();
        back.arg("--go-back-to").arg(checkpoint).args(["--reason", "its disk was lost"]);
        let done = run(&mut back).exits(0).json();
        assert!(done["from"]["size"].as_u64() > done["to"]["size"].as_u64(), "{done}");
        // Once is enough; and only back, never on.
        assert_ne!(run(&mut back).code, 0);
        let mut again = of();
        again.args(["--listen", &address]);
        self.witness = Process::start(&mut again, &self.folder.path().join("witness2.log"));
    }

    pub(crate) fn token(&self, subject: &str) -> String {
        let now = SystemClock.now().as_secs();
        let claims = json!({
            "iss": ISSUER, "sub": subject, "aud": "https://api.example", "client_id": "console", "jti": "t1",
            "iat": now, "exp": now + 600, "groups": ["staff"],
        });
        jws::sign(&self.signer, "at+jwt", &claims).unwrap()
    }

    pub(crate) fn cli(&self, subject: &str, args: &[&str]) -> Ran {
        run(mandate().env("MANDATE_URL", self.url()).env("MANDATE_TOKEN", self.token(subject)).args(args))
    }
}

#[test]
fn a_node_believes_its_provider_and_a_witness_of_its_own() {
    let node = Node::new();
    let mut server = node.serve();
    let trust = server.ready("trust").to_owned();
    assert_eq!(http::get(&format!("{}/readyz", node.url())).unwrap().status, 200);
    // Accounts of the development provider do not exist here.
    let refused =
        run(mandate().env("MANDATE_URL", node.url()).env("MANDATE_AS", "admin").args(["runs", "list"])).exits(2);
    assert!(refused.stderr.contains("--as works with `mandate dev` only"), "{refused:?}");
    let refused = run(mandate().args(["runs", "list", "--as", "admin", "--url", &node.url()])).exits(2);
    assert_eq!(refused.stdout, "");
    assert_eq!(http::get(&format!("{}/dev/provider", node.url())).unwrap().status, 404);
    let house = House::start();
    assert_eq!(
        http::send(
            "GET",
            &format!("{}/v1/me", node.url()),
            &[("authorization", &format!("Bearer {}", house.token("admin")))],
            None
        )
        .unwrap()
        .status,
        401
    );

    let idle = worker("idle", json!([{"one": {"set": {"a": 1}}}]), &[], json!({}));
    let files = [
        idle,
        role("finance/runners", "user:bob", "runner", json!({"project": "finance"})),
        role("all/auditors", "user:carol", "auditor", json!("tenant")),
    ];
    for (n, manifest) in files.iter().enumerate() {
        let path = node.folder.path().join(format!("m{n}.json"));
        std::fs::write(&path, manifest.to_string()).unwrap();
        node.cli("bob", &["apply", "-f", arg(&path)]).exits(3);
        node.cli("alice", &["apply", "-f", arg(&path)]).exits(0);
    }
    let start = ["run", "finance/idle", "--purpose", "a first run", "--input", "{}", "-o", "json"];
    let done = node.cli("bob", &start).exits(0).json();
    assert_eq!((&done["state"], &done["initiator"]), (&json!("completed"), &json!("user:bob")));
    let refused = node.cli("alice", &start).exits(3).json();
    assert_eq!(refused["state"], "refused");
    node.cli("mallory", &start).exits(3);

    let id = done["run"].as_str().unwrap();
    let passport = node.folder.path().join("passport.json");
    node.cli("bob", &["passport", "export", id, "-f", arg(&passport)]).exits(0);
    let verify = ["passport", "verify", arg(&passport), "--trust", &trust];
    run(mandate().args(verify)).exits(0);
    node.cli("carol", &["audit", "verify", "--trust", &trust]).exits(0);

    // The same folder cannot be served twice, and the witness speaks to the loopback alone.
    let twice = run(mandate().args(["serve", "--config"]).arg(&node.config));
    assert_ne!(twice.code, 0);
    let open =
        run(mandate().args(["witness", "--listen", "0.0.0.0:0", "--data-dir"]).arg(node.folder.path().join("w2")));
    assert_ne!(open.code, 0);

    // Restarted, it goes on where it was, with the same anchor.
    let _ = server.0.kill();
    let _ = server.0.wait();
    drop(server);
    let again = node.serve();
    assert_eq!(again.ready("trust"), trust);
    node.cli("bob", &start).exits(0);
    run(mandate().args(verify)).exits(0);
    assert!(!node.witness.ready("vkey").is_empty());
}

#[test]
fn wild_expressions_can_be_turned_off() {
    let node = Node::new();
    let good = std::fs::read_to_string(&node.config).unwrap();
    let worker_file = node.folder.path().join("wild.json");
    let wild = worker("wild", json!([{"one": {"set": {"a": "${ [paths] }"}}}]), &[], json!({}));
    std::fs::write(&worker_file, wild.to_string()).unwrap();
    let runners = node.folder.path().join("runners.json");
    let role = role("finance/runners", "user:bob", "runner", json!({"project": "finance"}));
    std::fs::write(&runners, role.to_string()).unwrap();
    let start = ["run", "finance/wild", "--purpose", "a first run", "--input", r#"{"a": 1}"#, "-o", "json"];

    std::fs::write(&node.config, format!("expressions: tame-only\n{good}")).unwrap();
    let server = node.serve();
    let refused = node.cli("alice", &["apply", "-f", arg(&worker_file)]).exits(2);
    assert!(refused.stderr.contains("tame-only") && refused.stderr.contains("wild.json:1:209"), "{refused:?}");
    drop(server);

    std::fs::write(&node.config, format!("expressions: {{timeoutMilliseconds: 5000, concurrent: 2}}\n{good}")).unwrap();
    let server = node.serve();
    node.cli("alice", &["apply", "-f", arg(&worker_file)]).exits(0);
    node.cli("alice", &["apply", "-f", arg(&runners)]).exits(0);
    assert_eq!(node.cli("bob", &start).exits(0).json()["state"], "completed");
    drop(server);

    // What was taken before does not run any more either.
    std::fs::write(&node.config, format!("expressions: tame-only\n{good}")).unwrap();
    let _server = node.serve();
    let faulted = node.cli("bob", &start).exits(5).json();
    assert!(faulted["problem"]["detail"].as_str().unwrap().contains("tame-only"), "{faulted}");
}

#[test]
fn bad_configurations_are_refused_with_their_place() {
    let node = Node::new();
    let good = std::fs::read_to_string(&node.config).unwrap();
    for (from, to, said) in [
        ("listen: 127.0.0.1", "listen: 0.0.0.0", "loopback"),
        ("logName:", "logNane:", "logNane"),
        ("tenants:", "tenants:\n  - name: demo\ntenants:", "tenants"),
        ("name: demo", "name: 'no such name'", ""),
        ("jwks.json", "none.json", "none.json"),
        ("vkey: ", "vkey: x", "vkey"),
        ("listen:", "expressions: none\nlisten:", "tame-only"),
        ("listen:", "expressions: {memoryMebibytes: 1}\nlisten:", "MiB of memory"),
        ("listen:", "expressions: {concurrent: 0}\nlisten:", "at a time"),
        ("listen:", "allow: [run-everything]\nlisten:", "run-shell"),
        ("listen:", "allow: run-script\nlisten:", "sequence"),
    ] {
        std::fs::write(&node.config, good.replacen(from, to, 1)).unwrap();
        let ran = run(mandate().args(["serve", "--config"]).arg(&node.config));
        assert_ne!(ran.code, 0, "{to}");
        assert!(ran.stderr.contains(said), "{to}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    let ran = run(mandate().args(["serve", "--config", "/nowhere/serve.yaml"]));
    assert_ne!(ran.code, 0);
}
