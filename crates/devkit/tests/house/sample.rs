//! The sample Workers: their files fit each other, their policies say what they claim.

use mandate_devkit::{SAMPLES, Sample};
use mandate_directory::{FunctionSpec, Manifest, Spec, WorkerSpec};
use mandate_flow::{Program, yaml};
use mandate_kernel::{
    Action, Attempt, Category, Class, Digest, EffectClass, Environment, IdentityModel, Impact, Integrity, Labels,
    Principal, PrincipalKind, Readers, ResourceKind, ResourceName, StepSeq, Tenant,
};
use mandate_policy::{Decision, Facts, PolicySet, PolicySource, Question, Resource, RunFacts, StepFacts, Verdict};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A file of Quarterly Performance Summary.
pub(crate) fn text(path: &str) -> &'static str {
    file("finance/quarterly-summary", path)
}

/// A file of a sample.
pub(crate) fn file(folder: &str, path: &str) -> &'static str {
    let sample = SAMPLES.iter().find(|sample| sample.folder == folder).unwrap();
    sample.files.iter().find(|(name, _)| *name == path).unwrap().1
}

/// The Workers: the sample each is in, and the folder of its own below that, with a slash at its end.
fn workers() -> Vec<(&'static Sample, &'static str)> {
    let manifests = |sample: &'static Sample| {
        sample.files.iter().filter_map(move |(path, _)| Some((sample, path.strip_suffix("manifest.yaml")?)))
    };
    SAMPLES.iter().flat_map(manifests).collect()
}

/// The manifests of a sample's files, each document in its place.
fn manifests_of(sample: &Sample) -> Vec<Value> {
    let files = sample.files.iter().filter(|(path, _)| path.ends_with(".yaml") && !path.ends_with("worker.yaml"));
    files
        .map(|(path, text)| {
            let mut manifest = yaml::parse(path, text).unwrap().into_value();
            if manifest["kind"] == "Worker" {
                let beside = path.strip_suffix("manifest.yaml").unwrap();
                let document = format!("{beside}{}", manifest["spec"]["document"].as_str().unwrap());
                let document = file(sample.folder, &document);
                manifest["spec"]["document"] = yaml::parse("worker.yaml", document).unwrap().into_value();
            }
            manifest
        })
        .collect()
}

/// Every manifest of the samples.
pub(crate) fn manifests() -> Vec<Value> {
    SAMPLES.iter().flat_map(manifests_of).collect()
}

fn typed(json: Value) -> (ResourceName, Spec) {
    let manifest = Manifest::from_json(json).unwrap();
    let spec = manifest.typed().unwrap();
    (manifest.metadata.name, spec)
}

fn worker(sample: &Sample, beside: &str) -> (ResourceName, WorkerSpec) {
    let text = file(sample.folder, &format!("{beside}manifest.yaml"));
    let name = yaml::parse("manifest.yaml", text).unwrap().into_value()["metadata"]["name"].clone();
    let found =
        manifests_of(sample).into_iter().find(|json| json["metadata"]["name"] == name && json["kind"] == "Worker");
    let (name, Spec::Worker(worker)) = typed(found.unwrap()) else { panic!() };
    (name, *worker)
}

#[test]
fn the_documents_compile_and_call_what_the_manifests_list() {
    assert_eq!(workers().len(), 7);
    for (sample, beside) in workers() {
        let text = file(sample.folder, &format!("{beside}worker.yaml"));
        let program = Program::from_yaml("worker.yaml", text).unwrap();
        let (name, worker) = self::worker(sample, beside);
        assert_eq!(program.functions(), &worker.functions, "{name}");
        assert_eq!(format!("{}/{}", program.namespace(), program.name()), name.to_string());
        assert!(worker.environments.contains(&worker.default_environment));
        assert!(worker.bindings.keys().all(|function| worker.functions.contains(function)), "{name}");
        assert!(sample.files.iter().any(|(path, _)| *path == format!("{beside}README.md")), "{name}");
    }
}

#[test]
fn the_workers_declare_no_less_than_their_functions_imply() {
    let functions: BTreeMap<String, FunctionSpec> = manifests()
        .into_iter()
        .filter_map(|json| match typed(json) {
            (name, Spec::Function(function)) => Some((name.to_string(), *function)),
            _ => None,
        })
        .collect();
    let mut called = BTreeSet::new();
    for (sample, beside) in workers() {
        let (name, worker) = self::worker(sample, beside);
        for function in &worker.functions {
            let full = format!("{}/{function}", name.project());
            let spec = functions.get(&full).unwrap_or_else(|| panic!("{name} calls {full}"));
            assert_eq!(worker.class.max(&spec.class), worker.class, "{name} {full}");
            // What takes a static credential is bound to one, and nothing else is.
            let bound = worker.bindings.contains_key(function);
            assert_eq!(bound, spec.model == IdentityModel::ServiceAccount, "{name} {full}");
            called.insert(full);
        }
    }
    assert_eq!(called, functions.keys().cloned().collect());
}

fn policies(project: &str, name: &str) -> PolicySet {
    let path = format!("policies/{name}.cedar");
    PolicySet::compile(&[PolicySource::new(path.clone(), file(&format!("{project}/{name}"), &path))]).unwrap()
}

fn class() -> Class {
    Class { impact: Impact::ActionTaking, data: [Category::Financial].into() }
}

fn run(purpose: &str, environment: &str) -> RunFacts {
    RunFacts {
        initiator: Principal::user(Tenant::new("demo").unwrap(), "finance-lead"),
        environment: Environment::new(environment).unwrap(),
        purpose: purpose.to_owned(),
        class: class(),
    }
}

struct Step {
    /// Project and name of the sample whose policies are asked.
    sample: (&'static str, &'static str),
    worker: &'static str,
    function: &'static str,
    environment: &'static str,
    arguments: Value,
    labels: Labels,
}

impl Default for Step {
    fn default() -> Self {
        let readers = Readers::Groups(["finance".to_owned(), "finance-leadership".to_owned()].into());
        Self {
            sample: ("finance", "quarterly-summary"),
            worker: "finance/quarterly-summary",
            function: "report.publish",
            environment: "sandbox",
            arguments: json!({"quarter": "2026-Q3"}),
            labels: Labels { integrity: Integrity::Derived, readers, ..Labels::default() },
        }
    }
}

fn decide(step: Step) -> Decision {
    let tenant = Tenant::new("demo").unwrap();
    let name = ResourceName::new(format!("{}/{}", step.sample.0, step.function)).unwrap();
    policies(step.sample.0, step.sample.1).decide(&Question {
        principal: Principal { kind: PrincipalKind::Worker, tenant: tenant.clone(), name: step.worker.to_owned() },
        groups: BTreeSet::new(),
        action: Action::FunctionCall,
        resource: Resource::configured(ResourceKind::Function, tenant, &name, class()),
        facts: Facts {
            run: Some(run("board", step.environment)),
            step: Some(Box::new(StepFacts {
                function: step.function.parse().unwrap(),
                effect: EffectClass::Idempotent,
                identity_model: IdentityModel::WorkflowBound,
                worker_digest: Digest::of(b"worker"),
                destination: None,
                credential: None,
                arguments: step.arguments,
                labels: step.labels,
                scopes: BTreeSet::new(),
                seq: StepSeq(3),
                attempt: Attempt(1),
                function_allowed: true,
                environment_matches: true,
                authority_covers: true,
                grant: false,
            })),
            ..Facts::default()
        },
    })
}

#[test]
fn the_policies_forbid_what_they_say() {
    let untrusted = Labels { integrity: Integrity::Untrusted, ..Labels::default() };
    let product = Labels { readers: Readers::Groups(["product".to_owned()].into()), ..Labels::default() };
    let quarter = |quarter: &str| json!({ "quarter": quarter });
    for (step, rule) in [
        (Step::default(), None),
        (Step { environment: "production", ..Step::default() }, None),
        (Step { labels: Labels::default(), ..Step::default() }, None),
        (Step { function: "warehouse.revenue", labels: untrusted.clone(), ..Step::default() }, None),
        (Step { labels: untrusted, ..Step::default() }, Some("quarterly-summary.publish-trusted")),
        (Step { labels: product, ..Step::default() }, Some("quarterly-summary.publish-readers")),
        (Step { environment: "staging", ..Step::default() }, Some("quarterly-summary.environment")),
        (Step { arguments: json!({}), ..Step::default() }, Some("quarterly-summary.quarter")),
        (Step { arguments: quarter("2026-Q5"), ..Step::default() }, Some("quarterly-summary.quarter")),
        (Step { arguments: quarter("1999-Q1"), ..Step::default() }, Some("quarterly-summary.quarter")),
        (Step { arguments: json!({"quarter": 3}), ..Step::default() }, Some("quarterly-summary.quarter")),
        (Step { worker: "finance/other", ..Step::default() }, Some("quarterly-summary.publish-by-its-worker")),
    ] {
        forbidden(step, rule);
    }
}

fn forbidden(step: Step, rule: Option<&str>) {
    let decision = decide(step);
    match rule {
        None => assert_eq!(decision.verdict, Verdict::Allow, "{:?}", decision.explanation),
        Some(rule) => {
            assert!(matches!(decision.verdict, Verdict::Deny { .. }), "{rule}");
            assert!(format!("{:?}", decision.explanation.determining).contains(rule), "{:?}", decision.explanation);
        }
    }
}

#[test]
fn a_payout_is_trusted_whole_and_approved_when_it_is_large() {
    let labels =
        || Labels { integrity: Integrity::Derived, categories: [Category::Personal].into(), ..Labels::default() };
    let pay = |amount: Value| Step {
        sample: ("claims", "claim-processing"),
        worker: "claims/claim-processing",
        function: "claims.pay",
        arguments: json!({"claim": "CL-1001", "amount_cents": amount, "currency": "EUR"}),
        labels: labels(),
        ..Step::default()
    };
    let infer = |labels: Labels| Step { function: "infer", arguments: json!({}), labels, ..pay(json!(1)) };
    let plain = Labels { categories: [Category::Financial].into(), ..Labels::default() };
    for (step, rule) in [
        (pay(json!(1)), None),
        (pay(json!(1_000_000)), None),
        (pay(json!(0)), Some("claim-processing.pay-amount")),
        (pay(json!(-5)), Some("claim-processing.pay-amount")),
        (pay(json!("12")), Some("claim-processing.pay-amount")),
        (pay(json!(12.5)), Some("claim-processing.pay-amount")),
        (pay(json!(1e300)), Some("claim-processing.pay-amount")),
        (pay(Value::Null), Some("claim-processing.pay-amount")),
        (
            Step { labels: Labels { integrity: Integrity::Untrusted, ..labels() }, ..pay(json!(5)) },
            Some("claim-processing.pay-trusted"),
        ),
        (Step { worker: "claims/other", ..pay(json!(5)) }, Some("claim-processing.pay-by-its-worker")),
        (
            Step { arguments: json!({"claim": "X-1", "amount_cents": 5}), ..pay(json!(5)) },
            Some("claim-processing.claim"),
        ),
        (Step { function: "claims.read", arguments: json!({}), ..pay(json!(5)) }, Some("claim-processing.claim")),
        (Step { function: "claims.read", arguments: json!({"claim": "CL-1"}), ..pay(json!(5)) }, None),
        (infer(plain), None),
        (infer(labels()), Some("claim-processing.model-personal")),
        (Step { worker: "claims/other", ..infer(labels()) }, Some("claim-processing.model-personal")),
    ] {
        forbidden(step, rule);
    }
    for amount in [1_000_001, 5_000_000] {
        let Verdict::NotYet { gates } = decide(pay(json!(amount))).verdict else { panic!("{amount}") };
        let asked: Vec<String> = gates.iter().map(|gate| gate.kind.to_string()).collect();
        assert_eq!(asked, ["approval:claims-leadership"]);
    }
}

#[test]
fn a_draft_is_about_minutes_and_not_about_people() {
    let labels = |category| {
        let readers = Readers::Groups(["product".to_owned()].into());
        Labels { integrity: Integrity::Untrusted, categories: [category].into(), readers, ..Labels::default() }
    };
    let draft = |document: &str| Step {
        sample: ("product", "meeting-summary"),
        worker: "product/meeting-summary",
        function: "documents.draft",
        arguments: json!({"document": document}),
        labels: labels(Category::Internal),
        ..Step::default()
    };
    let finance = Readers::Groups(["finance".to_owned()].into());
    for (step, rule) in [
        (draft("minutes-2026-11-03"), None),
        (draft("salaries-2026"), Some("meeting-summary.minutes")),
        (Step { arguments: json!({}), ..draft("minutes-1") }, Some("meeting-summary.minutes")),
        (Step { function: "documents.read", ..draft("salaries-2026") }, Some("meeting-summary.minutes")),
        (Step { function: "infer", arguments: json!({}), ..draft("") }, None),
        (Step { labels: labels(Category::Personal), ..draft("minutes-1") }, Some("meeting-summary.draft-personal")),
        (
            Step { labels: Labels { readers: finance, ..Labels::default() }, ..draft("minutes-1") },
            Some("meeting-summary.draft-readers"),
        ),
    ] {
        forbidden(step, rule);
    }
}

#[test]
fn a_run_without_purpose_does_not_start() {
    let tenant = Tenant::new("demo").unwrap();
    let name = ResourceName::new("finance/quarterly-summary").unwrap();
    let start = |purpose: &str| {
        policies("finance", "quarterly-summary").decide(&Question {
            principal: Principal::user(tenant.clone(), "finance-lead"),
            groups: BTreeSet::new(),
            action: Action::RunStart,
            resource: Resource::configured(ResourceKind::Worker, tenant.clone(), &name, class()),
            facts: Facts {
                roles: ["runner".to_owned()].into(),
                run: Some(run(purpose, "sandbox")),
                ..Facts::default()
            },
        })
    };
    assert_eq!(start("board").verdict, Verdict::Allow);
    assert!(matches!(start("").verdict, Verdict::Deny { .. }));
}
