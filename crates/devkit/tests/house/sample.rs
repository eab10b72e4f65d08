//! The sample Worker: its files fit each other, its policies say what they claim.

use mandate_devkit::sample_worker_files;
use mandate_directory::{Manifest, Spec, WorkerSpec};
use mandate_flow::{Program, yaml};
use mandate_kernel::{
    Action, Attempt, Category, Class, Digest, EffectClass, Environment, IdentityModel, Impact, Integrity, Labels,
    Principal, PrincipalKind, Readers, ResourceKind, ResourceName, StepSeq, Tenant,
};
use mandate_policy::{Decision, Facts, PolicySet, PolicySource, Question, Resource, RunFacts, StepFacts, Verdict};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) fn text(path: &str) -> &'static str {
    sample_worker_files().iter().find(|(name, _)| *name == path).unwrap().1
}

/// Every manifest of the sample, with the document in its place.
pub(crate) fn manifests() -> Vec<Value> {
    let files = sample_worker_files().iter().filter(|(path, _)| path.ends_with(".yaml") && *path != "worker.yaml");
    files
        .map(|(path, text)| {
            let mut manifest = yaml::parse(path, text).unwrap().into_value();
            if manifest["kind"] == "Worker" {
                let document = self::text(manifest["spec"]["document"].as_str().unwrap());
                manifest["spec"]["document"] = yaml::parse("worker.yaml", document).unwrap().into_value();
            }
            manifest
        })
        .collect()
}

fn worker() -> WorkerSpec {
    let specs = manifests().into_iter().map(|json| Manifest::from_json(json).unwrap().typed().unwrap());
    specs.into_iter().find_map(|spec| if let Spec::Worker(worker) = spec { Some(*worker) } else { None }).unwrap()
}

#[test]
fn the_document_compiles_and_calls_what_the_manifest_lists() {
    let program = Program::from_yaml("worker.yaml", text("worker.yaml")).unwrap();
    let worker = worker();
    assert_eq!(program.functions(), &worker.functions);
    assert_eq!((program.namespace(), program.name()), ("finance", "quarterly-summary"));
    assert!(worker.environments.contains(&worker.default_environment));
    assert!(worker.bindings.keys().all(|function| worker.functions.contains(function)));
}

#[test]
fn the_worker_declares_no_less_than_its_functions_imply() {
    let worker = worker();
    let mut functions = BTreeSet::new();
    for json in manifests() {
        let manifest = Manifest::from_json(json).unwrap();
        if let Spec::Function(function) = manifest.typed().unwrap() {
            assert_eq!(worker.class.max(&function.class), worker.class);
            functions.insert(manifest.metadata.name.local().to_owned());
        }
    }
    assert_eq!(functions, worker.functions.iter().map(ToString::to_string).collect());
}

fn policies() -> PolicySet {
    let path = "policies/quarterly-summary.cedar";
    PolicySet::compile(&[PolicySource::new(path, text(path))]).unwrap()
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
    let name = ResourceName::new(format!("finance/{}", step.function)).unwrap();
    policies().decide(&Question {
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
        let decision = decide(step);
        match rule {
            None => assert_eq!(decision.verdict, Verdict::Allow, "{:?}", decision.explanation),
            Some(rule) => {
                assert!(matches!(decision.verdict, Verdict::Deny { .. }), "{rule}");
                assert!(format!("{:?}", decision.explanation.determining).contains(rule), "{:?}", decision.explanation);
            }
        }
    }
}

#[test]
fn a_run_without_purpose_does_not_start() {
    let tenant = Tenant::new("demo").unwrap();
    let name = ResourceName::new("finance/quarterly-summary").unwrap();
    let start = |purpose: &str| {
        policies().decide(&Question {
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
