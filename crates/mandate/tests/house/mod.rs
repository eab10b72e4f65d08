//! The real binary, run as people run it: a development house in a folder of its own, the command line
//! against it, and bare HTTP for what the command line would never send.
//!
//! Nothing outlives a [`House`]: it is killed when it is dropped, and its witness ends with it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

pub(crate) mod crash;
pub(crate) mod evidence;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod process;

use http::Reply;
pub(crate) use process::Ran;
use process::{BINARY, ports_for, unused_port};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a house may take to be ready on a machine that is busy with other tests. What it must
/// take is the business of a test that measures it.
const READY: Duration = Duration::from_secs(60);
/// The sample Worker.
pub(crate) const WORKER: &str = "finance/quarterly-summary";
/// Its input.
pub(crate) const INPUT: &str = r#"{"quarter":"2026-Q3"}"#;

/// How a start failed.
#[derive(Debug)]
pub(crate) struct NotReady {
    /// What happened, with what it wrote to stderr.
    pub(crate) why: String,
}

/// A running development house.
pub(crate) struct House {
    child: Child,
    data_dir: PathBuf,
    port: u16,
    ready: Value,
    /// The folder of a house that has one of its own.
    folder: Option<TempDir>,
}

impl House {
    /// A new house in a temporary folder, on a port that is free.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut house = Self::start_in(&folder.path().join("data"), unused_port());
        house.folder = Some(folder);
        house
    }

    /// A house in this folder, on this port.
    pub(crate) fn start_in(data_dir: &Path, port: u16) -> Self {
        Self::start_with(data_dir, port, &[]).unwrap_or_else(|e| panic!("{}", e.why))
    }

    /// A house with more in its environment. Fails when it ends, or says nothing, before it is ready.
    pub(crate) fn start_with(data_dir: &Path, port: u16, env: &[(&str, &str)]) -> Result<Self, NotReady> {
        ports_for(data_dir);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(stderr_of(data_dir)).unwrap();
        let mut command = process::mandate();
        command.args(["dev", "--no-open", "--port", &port.to_string(), "--data-dir"]).arg(data_dir);
        command.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        match ready_line(&mut child) {
            Ok(ready) => Ok(Self { child, data_dir: data_dir.to_path_buf(), port, ready, folder: None }),
            Err(why) => {
                end(&mut child);
                let said = std::fs::read_to_string(stderr_of(data_dir)).unwrap_or_default();
                Err(NotReady { why: format!("the house did not get ready: {why}\n{}", tail(&said)) })
            }
        }
    }

    /// Its URL, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        self.ready["url"].as_str().unwrap()
    }

    /// What it printed when it was ready.
    pub(crate) const fn ready(&self) -> &Value {
        &self.ready
    }

    /// Its folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The trust anchor it wrote, as an argument.
    pub(crate) fn trust(&self) -> String {
        self.ready["trust"].as_str().unwrap().to_owned()
    }

    /// A path in a folder beside its data, for files a test makes.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.data_dir.parent().unwrap().join(name)
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        tail(&std::fs::read_to_string(stderr_of(&self.data_dir)).unwrap_or_default())
    }

    /// The command line as an account; any exit code.
    pub(crate) fn cli_as(&self, account: &str, args: &[&str]) -> Ran {
        process::run(process::mandate().env("MANDATE_URL", self.url()).env("MANDATE_AS", account).args(args))
    }

    /// The command line as nobody: for what needs no server, or must be refused.
    pub(crate) fn cli(&self, args: &[&str]) -> Ran {
        process::run(process::mandate().env("MANDATE_URL", self.url()).args(args))
    }

    /// Starts the sample Worker as the finance lead and gives its run, which has not ended yet.
    pub(crate) fn start_run(&self) -> String {
        let started = self.cli_as(
            "finance-lead",
            &["run", WORKER, "--purpose", "quarterly review", "--input", INPUT, "--detach", "-o", "json"],
        );
        started.json()["run"].as_str().unwrap_or_else(|| panic!("no run: {started:?}")).to_owned()
    }

    /// The run as its initiator sees it.
    pub(crate) fn run(&self, run: &str) -> Value {
        self.cli_as("finance-lead", &["runs", "get", run, "-o", "json"]).json()
    }

    /// Every run the finance lead sees, by name, with how it is now.
    pub(crate) fn all_runs(&self) -> BTreeMap<String, Value> {
        let token = self.token("finance-lead");
        let mut runs = BTreeMap::new();
        let mut before = String::new();
        loop {
            let page = self.http("GET", &format!("/v1/runs?limit=100{before}"), Some(&token), None).json();
            for run in page["items"].as_array().unwrap() {
                runs.insert(run["run"].as_str().unwrap().to_owned(), run.clone());
            }
            match page["next"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => return runs,
            }
        }
    }

    /// Has the finance director say yes to whatever the run waits for; `false` when it waits for nothing.
    pub(crate) fn approve(&self, run: &str) -> bool {
        let token = self.token("finance-director");
        let list = self.http("GET", &format!("/v1/approvals?state=pending&run={run}"), Some(&token), None);
        let pending = list.json()["items"].as_array().cloned().unwrap_or_default();
        for approval in &pending {
            let path = format!("/v1/approvals/{}/approve", approval["id"].as_str().unwrap());
            let body = serde_json::json!({"digest": approval["arguments_digest"]});
            let said = self.http("POST", &path, Some(&token), Some(&body));
            // Somebody else may have been faster, or the run was stopped.
            assert!([200, 404, 409].contains(&said.status), "{said:?}");
        }
        !pending.is_empty()
    }

    /// As [`House::all_runs`], once none of them runs; panics when one still does after `patience`. What waits
    /// for an approval gets it.
    pub(crate) fn all_settled(&self, patience: Duration) -> BTreeMap<String, Value> {
        let begun = Instant::now();
        loop {
            let runs = self.all_runs();
            let running: Vec<_> = runs.values().filter(|run| run["state"] == "running").collect();
            let waiting: Vec<_> = runs.values().filter(|run| run["waiting_for"] == "approval").collect();
            if running.is_empty() && waiting.is_empty() {
                return runs;
            }
            for run in &waiting {
                self.approve(run["run"].as_str().unwrap());
            }
            assert!(begun.elapsed() < patience, "runs still run: {running:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The run once it no longer runs; panics when it still does after `patience`. If it waits for an approval
    /// it gets it.
    pub(crate) fn settled(&self, run: &str, patience: Duration) -> Value {
        let begun = Instant::now();
        let token = self.token("finance-lead");
        loop {
            let reply = self.http("GET", &format!("/v1/runs/{run}?wait=5"), Some(&token), None);
            let view = reply.json();
            if reply.status == 200 && view["waiting_for"] == "approval" {
                self.approve(run);
                continue;
            }
            if reply.status == 200 && view["state"] != "running" {
                return view;
            }
            assert!(begun.elapsed() < patience, "{run} still runs: {view}\n{}", self.log());
        }
    }

    /// Everything the receiver of `report.publish` has accepted.
    pub(crate) fn reports(&self) -> Vec<Value> {
        let reply = http::get(self.ready["report_url"].as_str().unwrap()).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["items"].as_array().unwrap().clone()
    }

    /// The reports of one run, which are those whose idempotency key names it.
    pub(crate) fn reports_of(&self, run: &str) -> Vec<Value> {
        let mut reports = self.reports();
        reports.retain(|report| report["idempotency_key"].as_str().unwrap().starts_with(&format!("{run}.")));
        reports
    }

    /// The run's ledger entries, oldest first, as the auditor reads them.
    pub(crate) fn entries(&self, run: &str) -> Vec<Value> {
        let token = self.token("auditor");
        let reply = self.http("GET", &format!("/v1/runs/{run}/entries"), Some(&token), None);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()["items"].as_array().unwrap().clone()
    }

    /// An access token of the development provider.
    pub(crate) fn token(&self, account: &str) -> String {
        let reply = http::get(&format!("{}/dev/provider", self.url())).unwrap();
        let tenants = reply.json()["tenants"].as_object().unwrap().clone();
        let named = |tenant: &&Value| tenant["accounts"].as_array().unwrap().iter().any(|name| name == account);
        let tenant = tenants.values().find(named).unwrap_or_else(|| panic!("no account {account}"));
        let form = format!("grant_type={}&account={account}", tenant["grant_type"].as_str().unwrap());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let endpoint = tenant["token_endpoint"].as_str().unwrap();
        let reply = http::send("POST", endpoint, &headers, Some(form.as_bytes())).unwrap();
        reply.json()["access_token"].as_str().unwrap_or_else(|| panic!("no token: {reply:?}")).to_owned()
    }

    /// A request to it. The body is JSON.
    pub(crate) fn http(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Reply {
        self.http_with(method, path, token, &[], body)
    }

    /// A request with headers of its own.
    pub(crate) fn http_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Reply {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        all.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        all.extend(body.map(|_| ("content-type", "application/json")));
        let body = body.map(Value::to_string);
        http::send(method, &format!("{}{path}", self.url()), &all, body.as_deref().map(str::as_bytes)).unwrap()
    }

    /// Kills it at once, as the kernel would, and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        end(&mut self.child);
    }

    /// Waits until the process has ended by itself; `false` when it still lives after `patience`.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// Starts it again in the same folder and on the same port, killed first if it lives. Says how long
    /// it took to be ready.
    pub(crate) fn restart(&mut self) -> Duration {
        self.restart_with(&[])
    }

    /// As [`House::restart`], with more in its environment.
    pub(crate) fn restart_with(&mut self, env: &[(&str, &str)]) -> Duration {
        self.kill9();
        let begun = Instant::now();
        let next = Self::start_with(&self.data_dir, self.port, env).unwrap_or_else(|e| panic!("{}", e.why));
        let took = begun.elapsed();
        let folder = self.folder.take();
        *self = next;
        self.folder = folder;
        took
    }
}

impl Drop for House {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

/// Where a house's log goes: beside its data.
fn stderr_of(data_dir: &Path) -> PathBuf {
    let parent = data_dir.parent().unwrap();
    std::fs::create_dir_all(parent).unwrap();
    parent.join(format!("{}.log", data_dir.file_name().unwrap().to_string_lossy()))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// The first line of its output, as JSON; what comes after is read and thrown away.
fn ready_line(child: &mut Child) -> Result<Value, String> {
    let stdout = child.stdout.take().unwrap();
    let (told, line) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut first = String::new();
        let read = lines.read_line(&mut first).map(|_| first);
        let _ = told.send(read);
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    let first = line.recv_timeout(READY).map_err(|_| "nothing was said in time".to_owned())?;
    let first = first.map_err(|e| e.to_string())?;
    if first.is_empty() {
        return Err(format!("it ended with {:?}", child.wait()));
    }
    serde_json::from_str(&first).map_err(|e| format!("{first:?} is not a ready line: {e}"))
}

/// The binary under test, for what no house is needed for.
pub(crate) fn binary() -> Command {
    debug_assert!(Path::new(BINARY).exists());
    process::mandate()
}
