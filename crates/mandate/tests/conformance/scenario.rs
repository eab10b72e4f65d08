//! A scenario, and the stage it is played on: a development house with a project for it.

use super::guarded::{CLIENT_SECRET, Guarded, PASSWORD};
use super::live::{KEY, Live};
use super::petstore::Petstore;
use super::steps::{self, Ended};
use crate::house::House;
use crate::house::process::unused_port;
use gherkin::{GherkinEnv, Scenario};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a run of a scenario may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A file of scenarios.
pub(crate) struct Feature(gherkin::Feature);

impl Feature {
    /// Every feature of a folder, by name of its file.
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "feature"));
        files.sort();
        let read = |file| gherkin::Feature::parse_path(file, GherkinEnv::default()).unwrap_or_else(|e| panic!("{e}"));
        files.into_iter().map(read).map(Self).collect()
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn scenarios(&self) -> &[Scenario] {
        &self.0.scenarios
    }
}

/// How a scenario ended.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
}

/// Why a scenario's workflow did not run to its end.
enum NotRun {
    /// It was refused when it was applied, with this answer.
    Rejected(String),
    Failed(String),
}

/// The house, and the services that stand in for those on the internet.
pub(crate) struct Stage {
    house: House,
    #[expect(dead_code, reason = "the house lives in it")]
    folder: tempfile::TempDir,
    petstore: Petstore,
    guarded: Guarded,
    live: Live,
    played: Cell<usize>,
}

/// Functions that scenarios' Workers may call.
const FUNCTIONS: [&str; 4] = ["services", "passes-on", "petstore", "shop"];

impl Stage {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // For the kit's Basic scenario alone, which has its credential in its input.
        let switches = [("MANDATE_DEV_ALLOW", "caller-supplied-credentials")];
        let house = House::start_with(&folder.path().join("data"), unused_port(), &switches);
        let house = house.unwrap_or_else(|e| panic!("{}", e.why));
        let (petstore, guarded) = (Petstore::start(), Guarded::start());
        let stage = Self { house, folder, petstore, guarded, live: Live::start(), played: Cell::new(0) };
        stage.apply(&stage.furniture()).unwrap();
        stage.furnish_guarded();
        stage
    }

    /// Connections, functions and rights of the project.
    fn furniture(&self) -> Vec<Value> {
        let url = self.petstore.url();
        let call = |name: &str, model: &str, effect: &str, target: Value| {
            let impact = if effect == "read" { "read-only" } else { "action-taking" };
            let spec = json!({
                "effect": effect, "model": model, "class": {"impact": impact, "data": ["internal"]},
                "returns": {"confidentiality": "internal", "integrity": "authoritative"}, "retry": {"attempts": 1},
                "target": {"call": target},
            });
            manifest("Function", &format!("finance/{name}"), spec)
        };
        let described = |methods: &[&str], uri: String, document: Value| {
            json!({
                "protocol": "openapi", "connection": "services", "methods": methods,
                "document": {"uri": uri, "content": document},
            })
        };
        let http = || json!({"protocol": "http", "connection": "services", "methods": ["GET"]});
        let of_lead = |name: &str, role: &str| {
            let spec = json!({"subjects": ["user:finance-lead"], "role": role, "on": {"project": "finance"}});
            manifest("RoleBinding", &format!("finance/{name}"), spec)
        };
        let petstore = described(&["GET"], format!("{url}/v2/swagger.json"), self.petstore.described());
        let shop = described(&["POST"], format!("{url}/shop/openapi.json"), self.petstore.shop());
        vec![
            manifest(
                "Connection",
                "finance/services",
                json!({"environments": {"sandbox": {"url": url, "audience": url}}}),
            ),
            call("services", "workflow-bound", "read", http()),
            call("passes-on", "user-passthrough", "read", http()),
            call("petstore", "workflow-bound", "read", petstore),
            call("shop", "workflow-bound", "once", shop),
            manifest(
                "Entitlement",
                "finance/services",
                json!({
                    "subjects": ["group:finance-leads"], "environments": ["sandbox"], "scopes": [], "audiences": [url],
                    "functions": {"services": {}, "passes-on": {}, "petstore": {}, "shop": {}},
                }),
            ),
            of_lead("lead-runs-scenarios", "runner"),
            of_lead("lead-audits-scenarios", "auditor"),
        ]
    }

    /// The services that want credentials, and their secrets in the vault.
    fn furnish_guarded(&self) {
        self.apply(&self.guarded.manifests()).unwrap();
        self.apply(&self.live.manifests()).unwrap();
        let director = self.house.token("finance-director");
        for (name, value) in [("guarded-login", PASSWORD), ("guarded-client", CLIENT_SECRET), ("notes-key", KEY)] {
            let path = format!("/v1/secrets/finance/{name}");
            let put = self.house.http("PUT", &path, Some(&director), Some(&json!({"value": value})));
            assert_eq!(put.status, 200, "{}", String::from_utf8_lossy(&put.body));
        }
    }

    /// What a Worker has besides, if its document names secrets or calls by another protocol: functions, and the
    /// credentials that they are bound to.
    fn besides(document: &Value, worker: &mut Value) -> Vec<(&'static str, &'static str)> {
        let mut bound = Vec::new();
        if document.pointer("/use/secrets").is_some() {
            bound.extend([("guarded-login", "finance/guarded-login"), ("guarded-client", "finance/guarded-client")]);
            worker["secrets"] = json!({"login": "finance/guarded-login", "client": "finance/guarded-client"});
        }
        let (functions, keyed) = Live::wanted(document);
        bound.extend(functions.iter().filter(|_| keyed).map(|function| (*function, "finance/notes-key")));
        let names = bound.iter().map(|(function, _)| *function).chain(functions.iter().copied());
        worker["functions"].as_array_mut().unwrap().extend(names.map(Value::from));
        worker["bindings"] =
            bound.iter().map(|(function, credential)| ((*function).to_owned(), json!(credential))).collect();
        bound
    }

    /// Plays a scenario to its end.
    pub(crate) fn play(&self, scenario: &Scenario) -> Outcome {
        match self.act(scenario) {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why.lines().map(|line| format!("           {line}\n")).collect()),
        }
    }

    fn act(&self, scenario: &Scenario) -> Result<(), String> {
        let script = steps::read(scenario)?;
        // Public services are stood in for; nothing else of a document is touched.
        let (here, guarded) = (self.petstore.url(), self.guarded.url());
        let stand_ins = [
            ("https://petstore.swagger.io", here),
            ("https://httpbin.org", here),
            ("https://services.example", here),
            ("https://guarded.example", guarded),
            ("65535", self.live.greeter_port()),
        ];
        let local =
            |text: &str| stand_ins.iter().fold(text.to_owned(), |text, (public, here)| text.replace(public, here));
        let document = yaml(&local(&script.document))?;
        let input = script.input.as_deref().map(yaml).transpose()?.unwrap_or_else(|| json!({}));
        let ended = match self.run(&document, &input) {
            Ok(ended) => ended,
            Err(NotRun::Rejected(answer)) => return script.rejected(&answer).unwrap_or(Err(answer)),
            Err(NotRun::Failed(why)) => return Err(why),
        };
        script.claims.iter().try_for_each(|claim| claim.check(&ended))
    }

    fn run(&self, document: &Value, input: &Value) -> Result<Ended, NotRun> {
        self.played.set(self.played.get() + 1);
        let name = format!("finance/scenario-{}", self.played.get());
        let mut worker = json!({
            "document": document, "class": {"impact": "action-taking", "data": ["internal"]}, "environments": ["sandbox"],
            "defaultEnvironment": "sandbox", "functions": FUNCTIONS,
            "artifact": {"name": "output", "mediaType": "application/json"},
        });
        let bound = Self::besides(document, &mut worker);
        self.apply(&[manifest("Worker", &name, worker)]).map_err(NotRun::Rejected)?;
        for (function, credential) in bound {
            let give = ["grants", "give", credential, "--worker", &name, "--function", function];
            self.house.cli_as("finance-director", &give).exits(0);
        }
        let token = self.house.token("finance-lead");
        let start = json!({"worker": name, "purpose": "conformance", "input": input});
        let started = self.house.http("POST", "/v1/runs", Some(&token), Some(&start));
        if started.status != 201 {
            return Err(NotRun::Failed(format!("not started: {}", String::from_utf8_lossy(&started.body))));
        }
        let run = started.json()["run"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        let view = loop {
            let view = self.house.http("GET", &format!("/v1/runs/{run}"), Some(&token), None).json();
            if !matches!(view["state"].as_str(), Some("running" | "waiting")) {
                break view;
            }
            if begun.elapsed() > PATIENCE {
                return Err(NotRun::Failed(format!("it did not end in {} s: {view}", PATIENCE.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let output = (view["state"] == "completed").then(|| self.output(&run)).transpose().map_err(NotRun::Failed)?;
        let tasks = self.house.http("GET", &format!("/v1/runs/{run}/tasks?limit=500"), Some(&token), None);
        let tasks = if tasks.status == 200 { tasks.json()["items"].clone() } else { Value::Null };
        Ok(Ended { view, output, tasks: tasks.as_array().cloned().unwrap_or_default() })
    }

    /// The run's output, out of its signed artefact.
    fn output(&self, run: &str) -> Result<Value, String> {
        let token = self.house.token("finance-lead");
        let reply = self.house.http("GET", &format!("/v1/runs/{run}/artifact"), Some(&token), None);
        if reply.status != 200 {
            return Err(format!("no artefact: {}", String::from_utf8_lossy(&reply.body)));
        }
        let payload = mandate_kernel::base64_decode(reply.json()["payload"].as_str().unwrap()).unwrap();
        let signed: Value = serde_json::from_slice(&payload).unwrap();
        Ok(signed.pointer("/predicate/content").or_else(|| signed.get("content")).cloned().unwrap_or_default())
    }

    fn apply(&self, manifests: &[Value]) -> Result<(), String> {
        let token = self.house.token("admin");
        let reply = self.house.http("POST", "/v1/apply", Some(&token), Some(&json!({"manifests": manifests})));
        if reply.status == 200 { Ok(()) } else { Err(format!("not applied: {}", String::from_utf8_lossy(&reply.body))) }
    }
}

fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// A YAML text as the product reads it.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    mandate_flow::yaml::parse("scenario", text).map(mandate_flow::yaml::Spanned::into_value).map_err(|e| e.to_string())
}
