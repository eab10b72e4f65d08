//! Authentication policies of documents: a secret goes where its owner lets it go, in the way the connection
//! takes it, and is found nowhere else.

use super::canaries::{Seen, answers};
use super::guarded::{CLIENT_SECRET, Guarded, PASSWORD};
use super::world::{apply, arg, manifest, refused_by, run, try_apply, worker};
use crate::house::{House, process};
use serde_json::{Value, json};

const LOGIN: &str = "finance/guarded-login";
const CLIENT: &str = "finance/guarded-client";

fn furnish(house: &House, guarded: &Guarded) {
    let mut all = guarded.manifests();
    let lead = json!({"subjects": ["user:finance-lead"], "role": "runner", "on": {"project": "finance"}});
    all.push(manifest("RoleBinding", "finance/lead-runs-all", lead));
    apply(house, "admin", all);
    let director = house.token("finance-director");
    for (name, value) in [(LOGIN, PASSWORD), (CLIENT, CLIENT_SECRET)] {
        let put = house.http("PUT", &format!("/v1/secrets/{name}"), Some(&director), Some(&json!({"value": value})));
        assert_eq!(put.status, 200);
    }
}

/// A call below the service, authenticated by this policy.
fn call(guarded: &Guarded, path: &str, policy: Value) -> Value {
    let endpoint = json!({"uri": format!("{}{path}", guarded.url()), "authentication": policy});
    let step = path.trim_matches('/').split('?').next().unwrap().to_owned();
    json!({step: {"call": "http", "with": {"method": "get", "endpoint": endpoint}}})
}

fn basic() -> Value {
    json!({"basic": {"username": "ann", "password": "${ $secrets.login }"}})
}

fn oauth2(authority: &str) -> Value {
    json!({"oauth2": {
        "authority": authority, "grant": "client_credentials", "scopes": ["read"],
        "client": {"id": "worker", "secret": "${ $secrets.client }"},
    }})
}

fn guarded_worker(name: &str, steps: Vec<Value>) -> Value {
    let functions = ["guarded-login", "guarded-client"];
    let mut all = worker(name, json!(steps), &functions, json!({"guarded-login": LOGIN, "guarded-client": CLIENT}));
    all["spec"]["document"]["use"] = json!({"secrets": ["login", "client"]});
    all["spec"]["secrets"] = json!({"login": LOGIN, "client": CLIENT});
    all["spec"]["environments"] = json!(["sandbox"]);
    all["spec"]["artifact"] = json!({"name": "out", "mediaType": "application/json"});
    all
}

fn granted(house: &House, worker: Value) {
    let name = worker["metadata"]["name"].as_str().unwrap().to_owned();
    apply(house, "admin", vec![worker]);
    for (credential, function) in [(LOGIN, "guarded-login"), (CLIENT, "guarded-client")] {
        let give = ["grants", "give", credential, "--worker", &name, "--function", function];
        house.cli_as("finance-director", &give).exits(0);
    }
}

#[test]
fn no_secret_of_a_policy_and_no_token_is_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let loud = [("MANDATE_LOG", "trace")];
    let started = House::start_with(&folder.path().join("data"), process::unused_port(), &loud);
    let house = started.unwrap_or_else(|e| panic!("{}", e.why));
    let guarded = Guarded::start();
    furnish(&house, &guarded);
    let digest = json!({"digest": {"username": "ann", "password": "${ $secrets.login }"}});
    let steps = vec![
        call(&guarded, "/basic", basic()),
        call(&guarded, "/digest?page=1", digest),
        call(&guarded, "/token", oauth2(guarded.url())),
    ];
    granted(&house, guarded_worker("authenticated", steps));
    let ran = run(&house, "finance-lead", "authenticated").exits(0);
    let id = ran.json()["run"].as_str().unwrap().to_owned();
    let mut seen = Seen(Vec::new());
    seen.add("run", [ran.stdout, ran.stderr].concat());
    answers(&house, &id, &mut seen);
    let export = folder.path().join("export");
    house.cli_as("auditor", &["audit", "export", "--dir", arg(&export)]).exits(0);
    seen.add_folder(folder.path());
    for canary in [PASSWORD, CLIENT_SECRET, "canary-token-"] {
        let holding = seen.holding(canary);
        assert!(holding.is_empty(), "{canary} is in {holding:?}");
    }
    // What became of the token is evidence.
    let token = house.token("auditor");
    let entries = house.http("GET", &format!("/v1/runs/{id}/entries"), Some(&token), None).json();
    assert!(entries.to_string().contains(r#""token":{"expires_in":60,"revoked":true}"#), "{entries}");
}

#[test]
fn its_owner_says_where_a_secret_is_exchanged() {
    let house = House::start();
    let guarded = Guarded::start();
    furnish(&house, &guarded);
    granted(&house, guarded_worker("exchanging", vec![call(&guarded, "/token", oauth2(guarded.url()))]));
    granted(&house, guarded_worker("signing-in", vec![call(&guarded, "/basic", basic())]));
    run(&house, "finance-lead", "exchanging").exits(0);
    run(&house, "finance-lead", "signing-in").exits(0);
    let credential = |name: &str, exchange: Value| {
        let mut spec =
            json!({"owner": "user:finance-director", "environment": "sandbox", "destinations": [guarded.url()]});
        if !exchange.is_null() {
            spec["exchange"] = exchange;
        }
        apply(&house, "finance-director", vec![manifest("Credential", name, spec)]);
    };
    // Elsewhere on the same host, then nowhere: the same Worker gets no token any more.
    for exchange in [json!({"tokenEndpoint": format!("{}/other", guarded.url())}), Value::Null] {
        credential(CLIENT, exchange);
        refused_by(&house, run(&house, "finance-lead", "exchanging"), "exchange-not-allowed");
    }
    // A secret that is exchanged goes to no receiver itself.
    credential(LOGIN, json!({"tokenEndpoint": format!("{}/oauth2/token", guarded.url())}));
    refused_by(&house, run(&house, "finance-lead", "signing-in"), "credential-exchanged-only");
    let ended_elsewhere = json!({
        "owner": "user:finance-director", "environment": "sandbox", "destinations": [guarded.url()],
        "exchange": {"tokenEndpoint": "https://id.example/token", "revocationEndpoint": "https://evil.example/revoke"},
    });
    let reply = try_apply(&house, "finance-director", vec![manifest("Credential", CLIENT, ended_elsewhere)]);
    assert_eq!(reply.status, 422, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(reply.json()["errors"][0]["pointer"], "/manifests/0/spec/exchange/revocationEndpoint");
}

#[test]
fn what_no_run_could_do_is_refused_when_it_is_applied() {
    let house = House::start();
    let guarded = Guarded::start();
    furnish(&house, &guarded);
    let good = guarded_worker("good", vec![call(&guarded, "/basic", basic())]);
    let with = |policy: Value, change: fn(&mut Value)| {
        let mut worker = guarded_worker("bad", vec![call(&guarded, "/token", policy)]);
        change(&mut worker["spec"]);
        worker
    };
    let mut digest_alone = guarded.manifests().remove(0);
    digest_alone["spec"]["slot"] = json!({"schemes": ["digest"]});
    for (manifests, why) in [
        (vec![with(oauth2("https://evil.example"), |_| ())], "elsewhere"),
        (vec![with(basic(), |spec| spec["secrets"] = json!({}))], "spec.secrets does not say"),
        (
            vec![with(basic(), |spec| spec["bindings"] = json!({"guarded-login": CLIENT, "guarded-client": CLIENT}))],
            "no function",
        ),
        (vec![digest_alone, good], "takes `basic`"),
        (
            vec![with(
                json!({"oauth2": {"authority": "https://i.example", "grant": "client_credentials", "client": {"id": "c", "secret": "${ $secrets.client }", "authentication": "private_key_jwt"}}}),
                |_| (),
            )],
            "signs assertions",
        ),
    ] {
        let reply = try_apply(&house, "admin", manifests);
        assert_eq!(reply.status, 422, "{}", String::from_utf8_lossy(&reply.body));
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains(why), "{why}: {text}");
    }
}

/// A function that takes documents' own calls, called by its name: its arguments may be made of the run's data.
#[test]
fn no_data_makes_a_policy() {
    let house = House::start();
    let guarded = Guarded::start();
    furnish(&house, &guarded);
    let policy = json!({"scheme": "basic", "secret": "login", "username": "ann"});
    let endpoint = json!({"uri": format!("{}/basic", guarded.url()), "authentication": policy});
    let by_name = json!({"look": {"call": "guarded-login", "with": {"method": "GET", "endpoint": endpoint}}});
    granted(&house, guarded_worker("by-name", vec![by_name]));
    let ran = run(&house, "finance-lead", "by-name");
    assert_ne!(ran.code, 0);
    let view = ran.json();
    assert_eq!(view["state"], "faulted", "{view}");
    assert!(view["problem"]["detail"].as_str().unwrap().contains("belongs to a call by its protocol"), "{view}");
}
