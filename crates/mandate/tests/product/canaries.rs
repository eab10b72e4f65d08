//! Abuse case 95: no secret and no token in logs, files, answers, evidence or a process's arguments.

use super::receiver::Receiver;
use super::world::{apply, arg, call, file, furnish, manifest, run, worker};
use crate::house::{House, WORKER, process};
use mandate_kernel::{base64_encode, base64url_encode};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Everything that was seen, and where.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Vec<(String, Vec<u8>)>);

impl Seen {
    pub(crate) fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    pub(crate) fn add_folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.add_folder(&path);
            } else {
                self.add(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }

    /// Places that hold the canary, in any of its spellings.
    pub(crate) fn holding(&self, canary: &str) -> Vec<&str> {
        let spellings = spellings(canary.as_bytes());
        let holds = |bytes: &[u8]| spellings.iter().any(|spelling| contains(bytes, spelling));
        self.0.iter().filter(|(_, bytes)| holds(bytes)).map(|(place, _)| place.as_str()).collect()
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    // Most positions differ in the first byte.
    let first = needle[0];
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// In clear, in hexadecimal, and in both alphabets of base64 at each of the three alignments.
fn spellings(canary: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = canary.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![canary.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for (pad, skip) in [(0, 0), (1, 2), (2, 3)] {
        let padded = [&vec![0u8; pad][..], canary].concat();
        let whole = padded.len() / 3 * 4;
        for text in [base64_encode(&padded), base64url_encode(&padded)] {
            all.push(text.as_bytes()[skip..whole].to_vec());
        }
    }
    all
}

#[test]
fn the_search_finds_what_it_is_for() {
    let canary = "lbk_canary-0123456789";
    for before in ["", "x", "xy", "xyz"] {
        let text = format!("{before}{canary}{before}");
        let mut seen = Seen(Vec::new());
        seen.add("clear", text.as_bytes());
        seen.add("base64", base64_encode(text.as_bytes()));
        seen.add("base64url", base64url_encode(text.as_bytes()));
        assert_eq!(seen.holding(canary).len(), 3, "{before:?}");
    }
}

/// Everything people can be shown over HTTP.
pub(crate) fn answers(house: &House, run: &str, seen: &mut Seen) {
    for account in ["auditor", "admin", "finance-director", "finance-lead"] {
        let token = house.token(account);
        let kinds = ["worker", "function", "connection", "credential", "policy", "rolebinding", "entitlement"];
        let mut paths: Vec<String> = kinds.iter().map(|kind| format!("/v1/resources/{kind}?limit=500")).collect();
        for tail in ["", "/entries", "/tasks", "/passport", "/artifact"] {
            paths.push(format!("/v1/runs/{run}{tail}"));
        }
        for path in
            ["me", "runs?limit=500", "grants", "secrets", "audit/search?limit=500", "audit/checkpoint", "audit/proof/5"]
        {
            paths.push(format!("/v1/{path}"));
        }
        for path in paths {
            seen.add(format!("{account} {path}"), house.http("GET", &path, Some(&token), None).body);
        }
    }
}

/// Values that must not be found again, and where they could be.
struct Hunt {
    house: House,
    receiver: Receiver,
    seen: Seen,
    canaries: Vec<String>,
}

impl Hunt {
    /// Puts secrets in by each way there is; the last one stays.
    fn put_secrets(&mut self) -> String {
        let director = self.house.token("finance-director");
        for canary in ["canary-first-8b1f0c7e5a", "canary-second-64d2f9b03c"] {
            let value = file(&self.house, "value.txt", canary);
            let put = ["secrets", "put", "finance/legacy-key", "--from-file", arg(&value)];
            self.seen.add("secrets put", self.house.cli_as("finance-director", &put).exits(0).stdout);
            std::fs::remove_file(value).unwrap();
            self.canaries.push(canary.to_owned());
        }
        let refused = "canary-refused-b35e71f4a0";
        let good = "canary-third-2e7ac95d18";
        for (token, body, taken) in [
            (&director, json!({"value": good}), true),
            (&self.house.token("admin"), json!({"value": refused}), false),
            (&director, json!({"value": [refused]}), false),
            (&director, json!({"value": format!("{refused}\n\u{0}")}), false),
            (&director, json!({"value": "x", "more": refused}), false),
            (&director, json!({"value": 443_221_998_877_665_544_u64}), false),
        ] {
            let reply = self.house.http("PUT", "/v1/secrets/finance/legacy-key", Some(token), Some(&body));
            assert_eq!(reply.status == 200, taken, "{body}");
            self.seen.add("put", reply.body);
        }
        self.canaries.extend([good, refused, "443221998877665544"].map(str::to_owned));
        good.to_owned()
    }

    /// The key to ledgerbook itself: its owner lets it go to the receiver, which shows it to us.
    fn catch_ledgerbook_key(&mut self) {
        let (house, url) = (&self.house, self.receiver.url());
        let path = "/v1/resources/connection/finance/ledgerbook";
        let held = house.http("GET", path, Some(&house.token("admin")), None).json();
        let ledgerbook = held["spec"]["environments"]["sandbox"]["url"].as_str().unwrap();
        let owner = "user:finance-director";
        let both = json!({"owner": owner, "environment": "sandbox", "destinations": [ledgerbook, url]});
        apply(house, "finance-director", vec![manifest("Credential", "finance/ledgerbook-key", both)]);
        let moved = json!({"environments": {"sandbox": {"url": url}}, "slot": {"header": "x-api-key"}});
        apply(house, "admin", vec![manifest("Connection", "finance/ledgerbook", moved)]);
        run(house, "finance-lead", "quarterly-summary");
        let got = self.receiver.got();
        let key = got.iter().filter_map(|r| r.header("x-api-key")).find(|k| k.starts_with("lbk_"));
        self.canaries.push(key.unwrap().to_owned());
    }

    /// Tokens of people, and those that went out with the steps. The signature is what makes a token.
    fn catch_tokens(&mut self) {
        let mut tokens = ["finance-director", "admin", "finance-lead"].map(|who| self.house.token(who)).to_vec();
        for request in self.receiver.got() {
            let authorization = request.header("authorization").and_then(|value| value.strip_prefix("DPoP "));
            let sent = [authorization, request.header("dpop"), request.header("txn-token")];
            tokens.extend(sent.into_iter().flatten().map(str::to_owned));
        }
        assert!(tokens.len() >= 7, "{}", tokens.len());
        for token in &tokens {
            let reply = self.house.http("GET", "/v1/me", Some(&format!("{token}AA")), None);
            assert_eq!(reply.status, 401);
            self.seen.add("401", reply.body);
            let signature = token.rsplit('.').next().unwrap();
            assert!(signature.len() > 40);
            self.canaries.push(signature.to_owned());
        }
    }

    /// What anybody on this machine could read of the processes.
    fn look_at_processes(&mut self) {
        let processes = process::processes_of(self.house.data_dir());
        assert_eq!(processes.len(), 2, "the house and its witness: {processes:?}");
        for (pid, line) in &processes {
            for part in ["cmdline", "environ"] {
                let bytes = std::fs::read(format!("/proc/{pid}/{part}")).unwrap();
                self.seen.add(format!("{part} of {line}"), bytes);
            }
        }
    }
}

/// A Worker that uses all there is: a leased key, two hop tokens, an artefact.
fn everything(house: &House) {
    let steps = json!([
        call("keyed", "legacy.read", "2026-Q3"),
        call("read", "mine.read", "2026-Q3"),
        call("act", "mine.publish", "2026-Q3"),
    ]);
    let functions = ["legacy.read", "mine.read", "mine.publish"];
    let mut all = worker("all", steps, &functions, json!({"legacy.read": "finance/legacy-key"}));
    all["spec"]["artifact"] = json!({"name": "all", "mediaType": "application/json"});
    apply(house, "admin", vec![all]);
    let grant = ["grants", "give", "finance/legacy-key", "--worker", "finance/all", "--function", "legacy.read"];
    house.cli_as("finance-director", &grant).exits(0);
}

#[test]
fn no_secret_and_no_token_is_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    // Everything the product can say about itself.
    let loud = [("MANDATE_LOG", "trace")];
    let started = House::start_with(&folder.path().join("data"), process::unused_port(), &loud);
    let house = started.unwrap_or_else(|e| panic!("{}", e.why));
    let receiver = Receiver::start();
    furnish(&house, &receiver);
    everything(&house);
    let mut hunt = Hunt { house, receiver, seen: Seen(Vec::new()), canaries: Vec::new() };
    let newest = hunt.put_secrets();
    for name in ["all", "quarterly-summary"] {
        let ran = run(&hunt.house, "finance-lead", name).exits(0);
        let run = ran.json()["run"].as_str().unwrap().to_owned();
        hunt.seen.add("run", [ran.stdout, ran.stderr].concat());
        answers(&hunt.house, &run, &mut hunt.seen);
        let told = hunt.house.cli_as("finance-director", &["runs", "explain", &run]);
        hunt.seen.add("explain", [told.stdout, told.stderr].concat());
    }
    assert_eq!(hunt.receiver.got()[0].header("x-api-key"), Some(newest.as_str()));
    hunt.catch_ledgerbook_key();
    hunt.catch_tokens();
    for args in [&["secrets", "list"][..], &["grants", "list"], &["describe", "worker", WORKER], &["doctor"]] {
        let ran = hunt.house.cli_as("finance-director", args);
        hunt.seen.add(args.join(" "), [ran.stdout, ran.stderr].concat());
    }
    hunt.look_at_processes();
    // Files: the database with its log, the witness's memory, the export, and what went to stderr.
    let export = folder.path().join("export");
    hunt.house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    hunt.seen.add_folder(folder.path());
    let names: Vec<&str> = hunt.seen.0.iter().map(|(place, _)| place.as_str()).collect();
    for needed in ["mandate.db", "mandate.db-wal", "state.json", "data.log", "export/checkpoint"] {
        assert!(names.iter().any(|place| place.ends_with(needed)), "{needed} was not looked at: {names:?}");
    }
    for canary in &hunt.canaries {
        let holding = hunt.seen.holding(canary);
        assert!(holding.is_empty(), "{canary} is in {holding:?}");
    }
}

/// Nobody else on the machine reads what the house keeps.
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::start();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files: [PathBuf; 8] = [
        "root.key",
        "mandate.db",
        "mandate.db-wal",
        "trust.json",
        "witness",
        "witness/witness.key",
        "devkit/provider-demo.key",
        "devkit/provider-other.key",
    ]
    .map(|name| house.data_dir().join(name));
    for path in files {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
}
