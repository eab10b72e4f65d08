//! Questions to ask in tests.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use mandate_kernel::{
    Action, Attempt, Class, Digest, EffectClass, Environment, FunctionName, IdentityModel, Impact, Labels, Principal,
    PrincipalKind, Project, ResourceKind, ResourceName, StepSeq, Tenant,
};
use mandate_policy::{ApprovalFacts, Facts, FactsNeeded, PolicySource, Question, Resource, RunFacts, StepFacts};
use serde_json::json;
use std::collections::BTreeSet;

pub(crate) fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn acting() -> Class {
    Class { impact: Impact::ActionTaking, ..Class::default() }
}

pub(crate) fn run() -> RunFacts {
    RunFacts {
        initiator: Principal::user(tenant(), "lead"),
        environment: Environment::new("sandbox").unwrap(),
        purpose: "quarterly close".into(),
        class: acting(),
    }
}

/// A step that the built-in policies allow.
pub(crate) fn step(function: &str) -> Question {
    let function = FunctionName::new(function).unwrap();
    let project = Project::new("finance").unwrap();
    Question {
        principal: Principal {
            kind: PrincipalKind::Worker,
            tenant: tenant(),
            name: "finance/quarterly-summary".into(),
        },
        groups: BTreeSet::new(),
        action: Action::FunctionCall,
        resource: Resource::configured(ResourceKind::Function, tenant(), &function.in_project(&project), acting()),
        facts: Facts {
            run: Some(run()),
            step: Some(Box::new(StepFacts {
                function,
                effect: EffectClass::Idempotent,
                identity_model: IdentityModel::Delegated,
                worker_digest: Digest::of(b"worker"),
                destination: None,
                credential: None,
                arguments: json!({}),
                labels: Labels::default(),
                scopes: BTreeSet::from(["report:write".to_owned()]),
                seq: StepSeq(1),
                attempt: Attempt(1),
                function_allowed: true,
                environment_matches: true,
                authority_covers: true,
                grant: false,
            })),
            ..Facts::default()
        },
    }
}

/// A person asks, holding these roles on the resource.
pub(crate) fn ask(action: Action, roles: &[&str]) -> Question {
    let kind = action.resource_kind();
    let resource = match kind {
        ResourceKind::Tenant | ResourceKind::Ledger => Resource::of_tenant(kind, tenant()),
        ResourceKind::Run => Resource {
            kind,
            name: "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".into(),
            project: Some(Project::new("finance").unwrap()),
            tenant: tenant(),
            class: acting(),
            worker: Some(ResourceName::new("finance/quarterly-summary").unwrap()),
        },
        _ => Resource::configured(
            kind,
            tenant(),
            &ResourceName::new("finance/quarterly-summary").unwrap(),
            Class::default(),
        ),
    };
    Question {
        principal: Principal::user(tenant(), "lead"),
        groups: BTreeSet::new(),
        action,
        resource,
        facts: Facts {
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            run: (FactsNeeded::by(action) != FactsNeeded::Plain).then(run),
            approval: (FactsNeeded::by(action) == FactsNeeded::Approval)
                .then(|| ApprovalFacts { asked: true, function: FunctionName::new("mail.send").unwrap() }),
            ..Facts::default()
        },
    }
}

pub(crate) fn fixture(name: &str) -> PolicySource {
    let path = format!("{}/tests/fixtures/{name}.cedar", env!("CARGO_MANIFEST_DIR"));
    PolicySource::new(format!("finance/{name}.cedar"), std::fs::read_to_string(path).unwrap())
}

pub(crate) fn one(text: &str) -> [PolicySource; 1] {
    [PolicySource::new("test.cedar", text)]
}
