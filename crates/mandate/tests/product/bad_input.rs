//! Bad input gets an answer that says what is wrong and where, of its own type; nothing is lost and
//! nothing is half done.

use super::world::{arg, file, function, manifest, recorded, try_apply, worker};
use crate::house::http::Reply;
use crate::house::{House, WORKER, http};
use mandate_identity::jws;
use mandate_kernel::{Clock, Ed25519Signer, Signer, SystemClock, SystemEntropy, base64url_encode};
use serde_json::{Value, json};

const HEAD: &str = "apiVersion: mandate.dev/v1\nkind: Worker\nmetadata:\n  name: finance/bad\nspec:\n  document: bad.yaml\n  environments: [sandbox]\n  defaultEnvironment: sandbox\n  functions: [warehouse.revenue]\n";
const DOCUMENT: &str = "document:\n  dsl: '1.0.3'\n  namespace: finance\n  name: bad\n  version: '1.0.0'\ndo:\n";

/// A Worker's document, and where the mistake in it is said to be.
const DOCUMENTS: &[(&str, &str, &str)] = &[
    ("not YAML", "  - one: [1\n", ":"),
    ("a key twice", "  - one:\n      set: {a: 1}\n      set: {a: 2}\n", "bad.yaml:9:7"),
    ("an unknown key", "  - one:\n      set: {a: 1}\n      sett: {a: 2}\n", "bad.yaml:9:7"),
    ("not a task", "  - one: {seet: {a: 1}}\n", "bad.yaml:7:"),
    ("jq that reads the outside", "  - one:\n      set: {a: '${ env }'}\n", "bad.yaml:8:"),
    ("a secret in an expression", "  - one:\n      set: {a: '${ $secrets.key }'}\n", "bad.yaml:8:"),
    ("jq that calls what is not there", "  - one:\n      set: {a: '${ def f: g; f }'}\n", "bad.yaml:8:"),
    ("jq that does not parse", "  - one:\n      set: {a: '${ .a | }'}\n", "bad.yaml:8:"),
    ("a jump to nowhere", "  - one:\n      set: {a: 1}\n      then: nowhere\n", "bad.yaml:9:"),
    ("a shell", "  - one:\n      run: {shell: {command: 'id'}}\n", "bad.yaml:8:"),
    ("a call out of the language", "  - one:\n      call: mcp\n      with: {method: tools/list}\n", "bad.yaml:8:"),
    (
        "a literal credential",
        "  - one:\n      call: warehouse.revenue\n      with: {quarter: '2026-Q3', headers: {authorization: 'Bearer abcdefghijklmnop'}}\n",
        "bad.yaml:9:",
    ),
];

#[test]
fn a_malformed_worker_is_shown_where_it_is_wrong() {
    let house = House::start();
    let manifest = file(&house, "bad/manifest.yaml", HEAD);
    for (what, steps, place) in DOCUMENTS {
        file(&house, "bad/bad.yaml", &format!("{DOCUMENT}{steps}"));
        let ran = house.cli_as("admin", &["apply", "-f", arg(&manifest)]).exits(2);
        assert!(ran.stderr.contains(place), "{what}: no {place} in {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{what}");
    }
    let fine = format!("{DOCUMENT}  - one:\n      set: {{a: 1}}\n");
    file(&house, "bad/bad.yaml", &fine);
    for (what, from, to, place) in [
        ("an unknown key", "environments:", "environmentz:", "manifest.yaml:7:3"),
        ("another version", "mandate.dev/v1", "mandate.dev/v9", "manifest.yaml:"),
        ("an unknown kind", "kind: Worker", "kind: Walker", "manifest.yaml:2:7"),
        ("a bad name", "finance/bad", "finance", "manifest.yaml:4:"),
        ("a key twice", "  functions:", "  environments: [a]\n  functions:", "manifest.yaml:9:3"),
        ("no document", "bad.yaml", "worse.yaml", "manifest.yaml:6:"),
    ] {
        file(&house, "bad/manifest.yaml", &HEAD.replace(from, to));
        let ran = house.cli_as("admin", &["apply", "-f", arg(&manifest)]).exits(2);
        assert!(ran.stderr.contains(place), "{what}: no {place} in {}", ran.stderr);
    }
    file(&house, "bad/manifest.yaml", HEAD);
    house.cli_as("admin", &["apply", "-f", arg(&manifest)]).exits(0);
}

#[test]
fn what_leads_nowhere_is_refused_as_a_whole() {
    let house = House::start();
    let steps = |function: &str| json!([{"one": {"call": function, "with": {"quarter": "2026-Q3"}}}]);
    let slot = json!({"environments": {"sandbox": {"url": "http://127.0.0.1:9"}}, "slot": {"header": "x-api-key"}});
    let good = || worker("good", json!([{"one": {"set": {"a": 1}}}]), &[], json!({}));
    let policy = |text: &str| manifest("Policy", "finance/p", json!({"file": "p.cedar", "text": text}));
    let cases: Vec<(&str, Vec<Value>)> = vec![
        ("unknown-function", vec![worker("w", steps("no.such"), &["no.such"], json!({}))]),
        ("function-not-listed", vec![worker("w", steps("warehouse.revenue"), &[], json!({}))]),
        ("slot-unbound", vec![worker("w", steps("ledgerbook.costs"), &["ledgerbook.costs"], json!({}))]),
        (
            "unknown-credential",
            vec![worker(
                "w",
                steps("ledgerbook.costs"),
                &["ledgerbook.costs"],
                json!({"ledgerbook.costs": "finance/no-such-key"}),
            )],
        ),
        ("unknown-connection", vec![function("f.read", "nowhere", "GET", "delegated", &[])]),
        ("slot-missing", vec![function("f.read", "warehouse", "GET", "service-account", &[])]),
        (
            "no-audience",
            vec![
                manifest("Connection", "finance/slotted", slot),
                function("f.read", "slotted", "GET", "delegated", &[]),
            ],
        ),
        ("invalid-policy", vec![policy("permit (principal, action, resource) when { ")]),
        ("invalid-policy", vec![policy("@id(\"x\")\nforbid (principal, action == Action::\"fly\", resource);")]),
        (
            "invalid-policy",
            vec![policy("@id(\"x\")\nforbid (principal, action, resource) when { context.no_such_fact };")],
        ),
        ("invalid-worker", vec![worker("w", json!([{"one": {"set": {"a": "${ input }"}}}]), &[], json!({}))]),
        ("invalid-manifest", vec![good(), good()]),
        ("invalid-manifest", vec![manifest("Worker", "finance/w", json!({"document": {}, "surprise": 1}))]),
        ("invalid-manifest", vec![manifest("Grant", "finance/w", json!({}))]),
        ("invalid-manifests", vec![]),
    ];
    for (code, mut manifests) in cases {
        if !manifests.is_empty() {
            manifests.push(worker("beside", json!([{"one": {"set": {"a": 1}}}]), &[], json!({})));
        }
        let reply = try_apply(&house, "admin", manifests);
        let problem = reply.json();
        assert_eq!(
            (reply.status, &problem["type"]),
            (422, &json!(format!("https://mandate.dev/problems/{code}"))),
            "{problem}"
        );
        if code == "invalid-policy" {
            assert!(problem["errors"][0]["message"].as_str().unwrap().contains("p.cedar:"), "{problem}");
        } else if code != "invalid-manifests" {
            assert!(problem["errors"][0]["pointer"].as_str().unwrap().starts_with("/manifests/"), "{problem}");
        }
    }
    // All or nothing: the good one beside each was not kept.
    house.cli_as("admin", &["get", "worker", "finance/beside"]).exits(3);

    let path =
        file(&house, "p.cedar", "@id(\"x\")\nforbid (principal, action, resource)\n  when { context.no_such_fact };\n");
    let ran = house.cli_as("admin", &["apply", "-f", arg(&path), "--project", "finance"]).exits(2);
    assert!(ran.stderr.contains("p.cedar:3:"), "{}", ran.stderr);
}

/// Sends more than is taken, and reads the answer while sending: the server does not wait for the rest.
fn too_large(house: &House, token: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", house.port())).unwrap();
    let mut sender = stream.try_clone().unwrap();
    let length = 64 << 20;
    let head = format!(
        "POST /v1/runs HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        house.port()
    );
    sender.write_all(head.as_bytes()).unwrap();
    // It stops as soon as nobody reads any more.
    let sending = std::thread::spawn(move || (0..length >> 16).any(|_| sender.write_all(&[b' '; 1 << 16]).is_err()));
    let mut told = Vec::new();
    let mut chunk = [0u8; 4096];
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        told.extend_from_slice(&chunk[..n]);
    }
    assert!(sending.join().unwrap(), "all of it was taken");
    String::from_utf8(told).unwrap()
}

/// The reply is this problem.
fn is_problem(reply: &Reply, status: u16, code: &str, about: &str) {
    let problem = reply.json();
    let wanted = json!(format!("https://mandate.dev/problems/{code}"));
    assert_eq!((reply.status, &problem["type"]), (status, &wanted), "{about}: {problem}");
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{about}");
}

#[test]
fn bad_bodies_get_problems_of_their_own() {
    let house = House::start();
    let lead = house.token("finance-lead");
    let good = json!({"worker": WORKER, "purpose": "p", "input": {"quarter": "2026-Q3"}});
    let but = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body.to_string()
    };
    let post = |body: &str, headers: &[(&str, &str)]| {
        let bearer = format!("Bearer {lead}");
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.retain(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        all.extend(headers);
        http::send("POST", &format!("{}/v1/runs", house.url()), &all, Some(body.as_bytes())).unwrap()
    };
    for (code, body) in [
        ("invalid-body", "{".to_owned()),
        ("invalid-body", "[]".to_owned()),
        ("invalid-body", "{} {}".to_owned()),
        ("invalid-body", format!(r#"{{"worker":"{WORKER}","worker":"{WORKER}","purpose":"p"}}"#)),
        ("invalid-body", format!(r#"{{"worker":"{WORKER}","purpose":"p","input":{{"quarter":"a","quarter":"b"}}}}"#)),
        ("invalid-body", but("surprise", json!(1))),
        ("invalid-body", but("worker", json!("finance"))),
        ("invalid-body", but("environment", json!("no such place!"))),
        ("invalid-body", json!({"worker": WORKER}).to_string()),
        ("invalid-start", but("environment", json!("staging"))),
        ("invalid-start", but("purpose", json!("   "))),
        ("invalid-start", but("purpose", json!("two\nlines"))),
        ("invalid-start", but("purpose", json!("x".repeat(3000)))),
    ] {
        is_problem(&post(&body, &[]), 422, code, &body);
    }
    for (header, value, status, code) in [
        ("content-type", "text/plain", 415, "not-json"),
        ("idempotency-key", "", 422, "invalid-idempotency-key"),
        ("idempotency-key", "two words", 422, "invalid-idempotency-key"),
        ("authorization", "Basic dXNlcjpwdw==", 401, "unauthenticated"),
    ] {
        is_problem(&post(&good.to_string(), &[(header, value)]), status, code, header);
    }
    let told = too_large(&house, &lead);
    assert!(told.starts_with("HTTP/1.1 413 ") && told.contains("/problems/too-large"), "{told}");
    assert_eq!(super::world::runs(&house), Vec::<Value>::new());
}

#[test]
fn bad_paths_and_queries_get_problems_of_their_own() {
    let house = House::start();
    let lead = house.token("finance-lead");
    for (method, path, status, code) in [
        ("GET", "/v1/runs?limit=many", 422, "invalid-query"),
        ("GET", "/v1/runs?before=yesterday", 422, "invalid-cursor"),
        ("GET", "/v1/runs?worker=x", 422, "invalid-query"),
        ("GET", "/v1/runs?odd=1", 422, "invalid-query"),
        ("GET", "/v1/runs/run_nonsense", 404, "not-found"),
        ("GET", "/v1/runs/%ff", 404, "not-found"),
        ("GET", "/v1/resources/spaceship", 404, "not-found"),
        ("GET", "/v1/resources/worker/finance/..", 404, "not-found"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("DELETE", "/v1/runs", 405, "no-such-method"),
    ] {
        is_problem(&house.http(method, path, Some(&lead), None), status, code, path);
    }
    let auditor = house.token("auditor");
    for path in ["proof/x", "proof/-1", "proof/999999", "tile/../../root.key", "tile/0/zzz"] {
        let reply = house.http("GET", &format!("/v1/audit/{path}"), Some(&auditor), None);
        is_problem(&reply, 404, "not-found", path);
    }
    let denied = house.http("POST", "/v1/keys/log/rotate", Some(&lead), Some(&json!({})));
    is_problem(&denied, 403, "policy-denied", "rotation by a runner");
    recorded(&house, denied.json()["decision"].as_str().unwrap());
}

#[test]
fn bad_commands_are_usage_errors() {
    let house = House::start();
    for args in [
        &["run", WORKER, "--purpose", "p", "--input", "{"][..],
        &["run", WORKER, "--purpose", "", "--input", r#"{"quarter":"2026-Q3"}"#],
        &["run", WORKER, "--purpose", "p", "--env", "staging", "--input", "{}"],
        &["run", "finance", "--purpose", "p"],
        &["runs", "get", "nonsense"],
        &["get", "spaceship"],
    ] {
        house.cli_as("finance-lead", args).exits(2);
    }
    assert_eq!(super::world::runs(&house), Vec::<Value>::new());
}

/// A signer with the key in one of the house's files.
fn signer_in(house: &House, name: &str) -> Ed25519Signer {
    let text = std::fs::read_to_string(house.data_dir().join("devkit").join(name)).unwrap();
    let seed = mandate_kernel::base64url_decode(text.trim()).unwrap();
    Ed25519Signer::from_seed(&mandate_kernel::Secret::new(seed.try_into().unwrap())).unwrap()
}

/// Each way in which a token can be wrong has a type of its own, and no part of the token comes back.
#[test]
fn tokens_that_are_not_good_are_told_apart() {
    let house = House::start();
    let token = house.token("admin");
    let known = signer_in(&house, "provider-demo.key");
    let (stranger, _) = Ed25519Signer::generate(&SystemEntropy).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims: Value = serde_json::from_slice(&mandate_kernel::base64url_decode(parts[1]).unwrap()).unwrap();
    let now = SystemClock.now().as_secs();
    let but = |key: &str, value: Value| {
        let mut changed = claims.clone();
        changed[key] = value;
        changed
    };
    let signed = |signer: &dyn Signer, typ: &'static str, claims: &Value| jws::sign(signer, typ, claims).unwrap();
    let admin = base64url_encode(but("sub", json!("auditor")).to_string().as_bytes());
    let none = base64url_encode(br#"{"alg":"none","typ":"at+jwt"}"#);
    let hmac = base64url_encode(br#"{"alg":"HS256","typ":"at+jwt"}"#);
    let other_house = House::start();
    let cases = [
        ("token-expired", signed(&known, "at+jwt", &but("exp", json!(now - 60)))),
        ("token-not-yet-valid", signed(&known, "at+jwt", &but("nbf", json!(now + 600)))),
        ("token-foreign", signed(&stranger, "at+jwt", &claims)),
        ("token-foreign", other_house.token("admin")),
        ("token-foreign", signed(&known, "at+jwt", &but("iss", json!("https://elsewhere.example")))),
        ("token-wrong-audience", signed(&known, "at+jwt", &but("aud", json!("https://elsewhere.example")))),
        ("token-altered", format!("{}.{admin}.{}", parts[0], parts[2])),
        ("token-algorithm", format!("{none}.{}.", parts[1])),
        ("token-algorithm", format!("{none}.{admin}.{}", parts[2])),
        ("token-algorithm", format!("{hmac}.{}.{}", parts[1], parts[2])),
        ("token-wrong-type", signed(&known, "jwt", &claims)),
        ("token-malformed", signed(&known, "at+jwt", &but("sub", json!("")))),
        ("token-malformed", "nonsense".to_owned()),
        ("token-malformed", format!("{token}.x")),
    ];
    for (code, bad) in cases {
        let reply = house.http("GET", "/v1/me", Some(&bad), None);
        is_problem(&reply, 401, code, &bad);
        assert!(
            !reply.json().to_string().contains(bad.rsplit('.').next().filter(|s| s.len() > 8).unwrap_or("never-there"))
        );
        let ran = crate::house::process::run(
            crate::house::binary().env("MANDATE_URL", house.url()).env("MANDATE_TOKEN", &bad).args(["runs", "list"]),
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{code}: {ran:?}");
    }
    // The claims of a good token decide, not its spelling: this one is good.
    assert_eq!(house.http("GET", "/v1/me", Some(&signed(&known, "at+jwt", &claims)), None).status, 200);
    // Another tenant's provider does not speak for this one.
    let other = signer_in(&house, "provider-other.key");
    let reply = house.http("GET", "/v1/me", Some(&signed(&other, "at+jwt", &claims)), None);
    is_problem(&reply, 401, "token-foreign", "the other tenant's provider");
}
