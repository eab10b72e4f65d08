//! The pipeline sample (`workers/cicd/pipeline`): a token and a lease of its own for each stage, on one node over SQLite
//! and on two over PostgreSQL, where the stages go on at whichever node is there.

use super::cluster::Cluster;
use super::system::{Captured, read};
use crate::server::Server;
use mandate_identity::{Audience, Jwks, Scope};
use mandate_kernel::{Duration as Span, Environment, FunctionName, SystemClock, Tenant};
use mandate_verifier::{BoundedReplayCache, Demand, HopRefusal, HopVerifier, ReceivedRequest, VerifierConfig};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KEY: &str = "CANARY-RUNNER-KEY-77";
const DEVELOPER: (&str, &str) = ("developer", "developers");
const MANAGER: (&str, &str) = ("release-manager", "release-managers");

/// A CI system: it says yes to everything and keeps what it got, to be verified.
struct Ci {
    url: String,
    got: Arc<Mutex<Vec<Captured>>>,
}

impl Ci {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got: Arc<Mutex<Vec<Captured>>> = Arc::default();
        let keep = Arc::clone(&got);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some(request) = read(&mut stream) else { continue };
                let answer = match request.target.as_str() {
                    "/v1/builds" => json!({"artifact": "sha256:5d41402abc4b2a76"}),
                    "/v1/tests" => json!({"passed": 12, "failed": 0}),
                    _ => json!({"release": "r-1"}),
                };
                keep.lock().unwrap().push(request);
                let answer = answer.to_string();
                // The sender may be gone.
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
                    answer.len()
                );
            }
        });
        Self { url, got }
    }

    /// Verifies a request with public keys alone; gives the claims of its token.
    fn verified(&self, cluster: &Cluster, node: usize, request: &Captured, stage: &str) -> Result<Value, HopRefusal> {
        let keys = crate::house::http::get(&format!("{}/t/demo/.well-known/jwks.json", cluster.url(node))).unwrap();
        let verifier = HopVerifier::new(VerifierConfig {
            issuer: format!("{}/t/demo", cluster.url(0)),
            audience: Audience::new(self.url.as_str()).unwrap(),
            tenant: Some(Tenant::new("demo").unwrap()),
            environment: Environment::new("sandbox").unwrap(),
            keys: Jwks::from_json(&keys.body).unwrap(),
            leeway: Span::from_secs(5),
            clock: Arc::new(SystemClock),
            replay: Arc::new(BoundedReplayCache::new(100)),
        });
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let url = format!("{}{}", self.url, request.target);
        let received = ReceivedRequest::from_headers(&request.method, &url, headers, &request.body)?;
        let (scope, function) = (Scope::new(stage).unwrap(), FunctionName::new(stage).unwrap());
        let verified = verifier.verify(&received, &Demand { scope: &scope, function: &function, arguments: None })?;
        Ok(serde_json::to_value(verified.claims()).unwrap())
    }
}

/// The sample's files, with this CI system in the place of the example's.
fn sample(into: &Path, url: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workers/cicd/pipeline");
    let mut folders = vec![from.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let to = into.join(path.strip_prefix(&from).unwrap());
            if path.is_dir() {
                folders.push(path);
            } else {
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                let text = std::fs::read_to_string(path).unwrap();
                std::fs::write(to, text.replace("https://ci.example.com", url)).unwrap();
            }
        }
    }
}

/// Sets the sample up; starts a pipeline at the first node, which waits for release managers when this returns.
fn waiting(cluster: &Cluster, ci: &Ci) -> String {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("pipeline");
    sample(&files, &ci.url);
    cluster.cli(0, "alice", &["apply", "-f", files.to_str().unwrap()]).exits(0);
    let key = folder.path().join("key");
    std::fs::write(&key, KEY).unwrap();
    cluster.cli(0, "platform", &["secrets", "put", "cicd/runner-key", "--from-file", key.to_str().unwrap()]).exits(0);
    for function in ["ci.build", "ci.test", "ci.deploy"] {
        let give = ["grants", "give", "cicd/runner-key", "--worker", "cicd/pipeline", "--function", function];
        cluster.cli(0, "platform", &give).exits(0);
    }
    let body = json!({"worker": "cicd/pipeline", "purpose": "Release 1.2", "input": {"commit": "0a1b2c3d"}});
    let started = cluster.ask_in(0, DEVELOPER, "POST", "/v1/runs?wait=30", Some(&body)).unwrap();
    assert_eq!(started.status, 201, "{}", String::from_utf8_lossy(&started.body));
    let view = started.json();
    assert_eq!(view["waiting_for"], "approval", "{view}\n{}", cluster.said(0));
    view["run"].as_str().unwrap().to_owned()
}

/// Release managers say yes at a node; gives the run once it has ended.
fn approved(cluster: &Cluster, node: usize, run: &str) -> Value {
    let begun = Instant::now();
    let approval = loop {
        let list = cluster.ask_in(node, MANAGER, "GET", &format!("/v1/approvals?state=pending&run={run}"), None);
        if let Some(approval) = list.unwrap().json()["items"].as_array().and_then(|items| items.first().cloned()) {
            break approval;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody is asked");
        std::thread::sleep(Duration::from_millis(20));
    };
    let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
    let body = json!({"digest": approval["arguments_digest"]});
    // Nobody approves a deployment of their own.
    let own = cluster.ask_in(node, DEVELOPER, "POST", &path, Some(&body)).unwrap();
    assert!([403, 404].contains(&own.status), "{own:?}");
    let said = cluster.ask_in(node, MANAGER, "POST", &path, Some(&body)).unwrap();
    assert_eq!(said.status, 200, "{}", String::from_utf8_lossy(&said.body));
    cluster.ask_in(node, DEVELOPER, "GET", &format!("/v1/runs/{run}?wait=30"), None).unwrap().json()
}

/// Each stage came with a token of its own, good for it alone, and a key of its own lease, which has ended.
fn each_stage_has_its_own(cluster: &Cluster, node: usize, ci: &Ci, run: &str) {
    let got = ci.got.lock().unwrap().clone();
    let targets: Vec<&str> = got.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/v1/builds", "/v1/tests", "/v1/deployments"]);
    let (stages, mut tokens) = (["ci.build", "ci.test", "ci.deploy"], BTreeSet::new());
    for (request, stage) in got.iter().zip(stages) {
        let claims = ci.verified(cluster, node, request, stage).unwrap();
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 300, "{claims}");
        assert_eq!(claims["scope"], stage, "{claims}");
        assert!(tokens.insert(claims["jti"].to_string()));
        assert_eq!(request.header("x-runner-key"), Some(KEY));
        // It is good for no other stage.
        for other in stages.iter().filter(|other| **other != stage) {
            assert!(ci.verified(cluster, node, request, other).is_err(), "{stage} as {other}");
        }
    }
    let reply = cluster.ask(node, "alice", "GET", &format!("/v1/runs/{run}/entries"), None).unwrap();
    let entries = String::from_utf8(reply.body.clone()).unwrap();
    assert!(!entries.contains(KEY), "the ledger holds the key");
    let leases = |kind: &str| -> Vec<String> {
        let entries = reply.json()["items"].as_array().unwrap().clone();
        let of = entries.iter().filter(|entry| entry["kind"] == kind);
        of.filter_map(|entry| entry["details"]["lease"].as_str().map(str::to_owned)).collect()
    };
    let given: BTreeSet<String> = leases("step-decided").into_iter().collect();
    assert_eq!(given.len(), 3, "a lease for each stage");
    assert_eq!(given, leases("lease-ended").into_iter().collect());
}

#[test]
fn a_pipeline_has_a_token_and_a_lease_for_each_stage_on_one_node() {
    let (cluster, ci) = (Cluster::alone(), Ci::start());
    let run = waiting(&cluster, &ci);
    assert_eq!(ci.got.lock().unwrap().len(), 2, "nothing is deployed before somebody approved");
    let view = approved(&cluster, 0, &run);
    assert_eq!(view["state"], "completed", "{view}");
    each_stage_has_its_own(&cluster, 0, &ci, &run);
}

#[test]
fn a_pipeline_goes_on_at_another_node() {
    let (mut cluster, ci) = (Cluster::start(Server::shared().database(), 2, 10), Ci::start());
    let run = waiting(&cluster, &ci);
    // The node that built and tested is gone when release managers approve.
    assert!(cluster.stop(0).success());
    let view = approved(&cluster, 1, &run);
    assert_eq!(view["state"], "completed", "{view}\n{}", cluster.said(1));
    each_stage_has_its_own(&cluster, 1, &ci, &run);
}
