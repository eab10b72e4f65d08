//! Abuse case 95: no secret and no token in logs, files, answers, evidence or a process's arguments.

use super::receiver::Receiver;
use super::world::{apply, arg, call, file, furnish, manifest, run, worker};
use crate::house::{House, WORKER, process};
use mandate_kernel::{base64_encode, base64url_encode};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Everything that was seen, and where.
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.0.push((place.into(), bytes.into()));
    }

    fn add_folder(&mut self, folder: &Path) {
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
    fn holding(&self, canary: &str) -> Vec<&str> {
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
fn answers(house: &House, run: &str, seen: &mut Seen) {
    for account in ["auditor", "admin", "finance-director", "finance-lead"] {
        let token = house.token(account);
        let kinds = ["worker", "function", "connection", "credential", "policy", "rolebinding", "entitlement"];
        let mut paths: Vec<String> = kinds.iter().map(|kind| format!("/v1/resources/{kind}?limit=500")).collect();
        for tail in ["", "/entries", "/passport", "/artifact"] {
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

#[test]
fn no_secret_and_no_token_is_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    // Everything the product can say about itself.
    let loud = [("MANDATE_LOG", "trace")];
    let house = House::start_with(&data, process::unused_port(), &loud).unwrap_or_else(|e| panic!("{}", e.why));
    let receiver = Receiver::start();
    furnish(&house, &receiver);
    let mut seen = Seen(Vec::new());
    let mut canaries = Vec::new();

    // A secret that was put in, twice, over the command line and over HTTP.
    let steps = json!([
        call("keyed", "legacy.read", "2026-Q3"),
        call("read", "mine.read", "2026-Q3"),
        call("act", "mine.publish", "2026-Q3"),
    ]);
    let functions = ["legacy.read", "mine.read", "mine.publish"];
    let mut all = worker("all", steps, &functions, json!({"legacy.read": "finance/legacy-key"}));
    all["spec"]["artifact"] = json!({"name": "all", "mediaType": "application/json"});
    apply(&house, "admin", vec![all]);
    let grant = ["grants", "give", "finance/legacy-key", "--worker", "finance/all", "--function", "legacy.read"];
    house.cli_as("finance-director", &grant).exits(0);
    let director = house.token("finance-director");
    for canary in ["canary-first-8b1f0c7e5a", "canary-second-64d2f9b03c"] {
        let value = file(&house, "value.txt", canary);
        let ran =
            house.cli_as("finance-director", &["secrets", "put", "finance/legacy-key", "--from-file", arg(&value)]);
        seen.add("secrets put", ran.exits(0).stdout);
        std::fs::remove_file(value).unwrap();
        canaries.push(canary.to_owned());
    }
    let third = json!({"value": "canary-third-2e7ac95d18"});
    let put = house.http("PUT", "/v1/secrets/finance/legacy-key", Some(&director), Some(&third));
    assert_eq!(put.status, 200);
    seen.add("put", put.body);
    canaries.push("canary-third-2e7ac95d18".to_owned());
    // One that is refused, in each way that a value can be.
    for (token, body) in [
        (house.token("admin"), json!({"value": "canary-refused-b35e71f4a0"})),
        (director.clone(), json!({"value": ["canary-refused-b35e71f4a0"]})),
        (director.clone(), json!({"value": "canary-refused-b35e71f4a0\n\u{0}"})),
        (director.clone(), json!({"value": "x", "more": "canary-refused-b35e71f4a0"})),
        (director.clone(), json!({"value": 443_221_998_877_665_544_u64})),
    ] {
        let reply = house.http("PUT", "/v1/secrets/finance/legacy-key", Some(&token), Some(&body));
        assert!(reply.status >= 400, "{body}");
        seen.add("put refused", reply.body);
    }
    canaries.extend(["canary-refused-b35e71f4a0".to_owned(), "443221998877665544".to_owned()]);

    let ran = run(&house, "finance-lead", "all").exits(0);
    seen.add("run", [ran.stdout.as_bytes(), ran.stderr.as_bytes()].concat());
    let id = ran.json()["run"].as_str().unwrap().to_owned();
    let sample = run(&house, "finance-lead", "quarterly-summary").exits(0).json()["run"].as_str().unwrap().to_owned();
    assert_eq!(receiver.got()[0].header("x-api-key"), Some("canary-third-2e7ac95d18"));

    // The key to ledgerbook itself: its owner lets it go to the receiver, which shows it to us.
    let token = house.token("admin");
    let held = house.http("GET", "/v1/resources/connection/finance/ledgerbook", Some(&token), None).json();
    let ledgerbook = held["spec"]["environments"]["sandbox"]["url"].as_str().unwrap();
    let both = json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": [ledgerbook, receiver.url()]});
    apply(&house, "finance-director", vec![manifest("Credential", "finance/ledgerbook-key", both)]);
    let moved = json!({"environments": {"sandbox": {"url": receiver.url()}}, "slot": {"header": "x-api-key"}});
    apply(&house, "admin", vec![manifest("Connection", "finance/ledgerbook", moved)]);
    run(&house, "finance-lead", "quarterly-summary");
    let key =
        receiver.got().iter().filter_map(|r| r.header("x-api-key")).find(|k| k.starts_with("lbk_")).map(str::to_owned);
    canaries.push(key.expect("the receiver was never shown the key"));

    // Tokens: of people, and those that went out with the steps. The signature is what makes a token.
    let mut tokens = vec![director, token, house.token("finance-lead")];
    tokens
        .extend(receiver.got().iter().filter_map(|r| r.header("authorization")).map(|a| a["DPoP ".len()..].to_owned()));
    tokens.extend(receiver.got().iter().filter_map(|r| r.header("dpop").map(str::to_owned)));
    tokens.extend(receiver.got().iter().filter_map(|r| r.header("txn-token").map(str::to_owned)));
    assert!(tokens.len() >= 7, "{}", tokens.len());
    for token in &tokens {
        let reply = house.http("GET", "/v1/me", Some(&format!("{token}AA")), None);
        assert_eq!(reply.status, 401);
        seen.add("401", reply.body);
        let signature = token.rsplit('.').next().unwrap().to_owned();
        assert!(signature.len() > 40);
        canaries.push(signature);
    }

    answers(&house, &id, &mut seen);
    answers(&house, &sample, &mut seen);
    let export = folder.path().join("export");
    house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    for args in [
        &["runs", "explain", &id][..],
        &["secrets", "list"],
        &["grants", "list"],
        &["describe", "worker", WORKER],
        &["doctor"],
    ] {
        let ran = house.cli_as("finance-director", args);
        seen.add(args.join(" "), [ran.stdout, ran.stderr].concat());
    }
    // Processes: what anybody on this machine could read of them.
    let processes = process::processes_of(&data);
    assert_eq!(processes.len(), 2, "the house and its witness: {processes:?}");
    for (pid, line) in &processes {
        for part in ["cmdline", "environ"] {
            seen.add(format!("{part} of {line}"), std::fs::read(format!("/proc/{pid}/{part}")).unwrap());
        }
    }
    // Files: the database with its log, the witness's memory, the export, and what went to stderr.
    seen.add_folder(folder.path());
    let names: Vec<&str> = seen.0.iter().map(|(place, _)| place.as_str()).collect();
    for needed in ["mandate.db", "mandate.db-wal", "state.json", "data.log", "export/checkpoint"] {
        assert!(names.iter().any(|place| place.ends_with(needed)), "{needed} was not looked at: {names:?}");
    }
    for canary in &canaries {
        let holding = seen.holding(canary);
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
