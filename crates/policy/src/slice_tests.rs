//! Slicing and the single evaluation change no verdict: compared with Cedar's own answer on the whole
//! set, asked again without the gated policies that stood in the way, until nothing changes.

use crate::{
    ApprovalFacts, DenyReason, Facts, FactsNeeded, GateDemand, PolicySet, PolicySource, Question, Resource, RunFacts,
    StepFacts, Verdict, compile, facts::Tree, request::Sides, vocabulary::Vocabulary,
};
use cedar_policy::Decision as CedarDecision;
use mandate_kernel::{
    Action, Attempt, Class, Digest, EffectClass, Environment, FunctionName, IdentityModel, Impact, Labels, Principal,
    PrincipalKind, Project, ResourceKind, StepSeq, Tenant,
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::json;
use std::{cell::RefCell, collections::BTreeMap};

/// The verdict by another road.
fn oracle(set: &PolicySet, question: &Question) -> Verdict {
    let deny = |reason| Verdict::Deny { reason };
    if set.whole.is_empty() {
        return deny(DenyReason::NoPolicy);
    }
    let asked =
        Tree::of(question).and_then(|tree| Sides::of(question, set.names)?.ask(question, tree, set.names, |_| true));
    let Ok(asked) = asked else { return deny(DenyReason::BadQuestion) };
    let mut left = set.whole.clone();
    let mut gates = Vec::new();
    loop {
        let response = set.authorizer.is_authorized(&asked.request, &left, &asked.entities);
        if response.diagnostics().errors().next().is_some() {
            return deny(DenyReason::EvaluationError);
        }
        if response.decision() == CedarDecision::Allow {
            gates.sort();
            return if gates.is_empty() { Verdict::Allow } else { Verdict::NotYet { gates } };
        }
        let mut in_the_way = response.diagnostics().reason().peekable();
        if in_the_way.peek().is_none() {
            return deny(DenyReason::NotPermitted);
        }
        for id in in_the_way {
            let rule = &set.rules[id];
            let Some((kind, text)) = &rule.gate else { return deny(DenyReason::Forbidden) };
            if !question.facts.passed_gates.contains(text) {
                gates.push(GateDemand { kind: kind.clone(), policy: rule.reference.id.clone() });
            }
            left.remove_static(id.clone()).unwrap();
        }
    }
}

const GATES: &[&str] = &["step-up", "approval:g1"];

fn one_of(choices: &[&str]) -> impl Strategy<Value = String> + use<> {
    select(choices.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())
}

/// A policy without its annotations, or with `@gate`.
fn policy() -> impl Strategy<Value = String> {
    let principal = one_of(&[
        "principal",
        "principal",
        "principal",
        "principal",
        "principal is User",
        "principal is Worker",
        "principal == User::\"a\"",
        "principal == Worker::\"p1/a\"",
        "principal in Group::\"g1\"",
        "principal in Project::\"p1\"",
        "principal is User in Group::\"g2\"",
    ]);
    let action = prop_oneof![
        4 => Just("action".to_owned()),
        2 => select(Action::ALL).prop_map(|a| format!("action == Action::\"{a}\"")),
        1 => subsequence(Action::ALL.to_vec(), 1..6).prop_map(|list| {
            let list: Vec<String> = list.iter().map(|a| format!("Action::\"{a}\"")).collect();
            format!("action in [{}]", list.join(", "))
        }),
    ];
    let resource = one_of(&[
        "resource",
        "resource",
        "resource",
        "resource",
        "resource is Worker",
        "resource is Function",
        "resource == Worker::\"p1/a\"",
        "resource == Function::\"p1/a\"",
        "resource == Run::\"p1/a\"",
        "resource in Project::\"p1\"",
        "resource in Worker::\"p1/a\"",
        "resource in Group::\"g1\"",
        "resource in Tenant::\"t1\"",
        "resource is Run in Worker::\"p1/a\"",
        "resource is Function in Project::\"p2\"",
    ]);
    let condition = one_of(&[
        "",
        "",
        "",
        "",
        "when { principal.tenant == resource.tenant }",
        "unless { context.roles.contains(Role::\"owner\") }",
        "when { context.roles.contains(Role::\"runner\") }",
        "when { context.class.impact == Impact::\"action-taking\" }",
        "when { context has seq && context.seq + 9223372036854775806 > 0 }",
        "unless { context has seq && context.seq + 9223372036854775807 > 0 }",
        "when { context has \"s\\u{65}q\" }",
        "when { Worker::\"p1/ghost\".tenant == \"t1\" }",
        "when { context has arguments && context.arguments.text.hasTag(\"/x\") && context.arguments.text.getTag(\"/x\") == \"y\" }",
    ]);
    let effect = prop_oneof![
        5 => Just("permit".to_owned()),
        2 => Just("forbid".to_owned()),
        3 => one_of(GATES).prop_map(|gate| format!("@gate(\"{gate}\") forbid")),
    ];
    (effect, principal, action, resource, condition)
        .prop_map(|(effect, p, a, r, condition)| format!("{effect} ({p}, {a}, {r}) {condition};"))
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn question() -> impl Strategy<Value = Question> {
    let principal = (
        select(vec![PrincipalKind::User, PrincipalKind::Worker, PrincipalKind::Worker, PrincipalKind::System]),
        select(vec!["a", "p1/a", "p2/a"]),
        select(vec!["t1", "t1", "t1", "t2"]),
        subsequence(vec!["g1", "g2"], 0..=2),
    );
    let action =
        prop_oneof![1 => select(Action::ALL), 1 => Just(Action::FunctionCall).boxed(), 1 => Just(Action::RunView)];
    let resource = (select(vec!["p1/a", "p2/a"]), proptest::option::of(select(vec!["p1", "p2"])), any::<bool>());
    let facts = (
        subsequence(vec!["owner", "runner"], 0..=2),
        prop_oneof![2 => Just(Vec::new()), 1 => subsequence(GATES.to_vec(), 1..=2)],
        0..3_u32,
        select(vec![json!({"x": "y"}), json!({"x": 1}), json!(null)]),
        select(vec![Impact::ReadOnly, Impact::ActionTaking]),
        proptest::bool::weighted(0.95),
    );
    (principal, action, resource, facts).prop_map(|(principal, action, resource, facts)| {
        let (kind, name, home, groups) = principal;
        let (resource_name, project, of_worker) = resource;
        let (roles, gates, seq, arguments, impact, known) = facts;
        let kind = if action == Action::FunctionCall && known { PrincipalKind::Worker } else { kind };
        let principal = Principal { kind, tenant: tenant(home), name: name.into() };
        let class = Class { impact, ..Class::default() };
        let run = RunFacts {
            initiator: principal.clone(),
            environment: Environment::new("sandbox").unwrap(),
            purpose: String::new(),
            class: class.clone(),
        };
        Question {
            action,
            groups: groups.into_iter().map(|g| g.parse().unwrap()).collect(),
            resource: Resource {
                kind: action.resource_kind(),
                name: resource_name.into(),
                project: project.map(|p| Project::new(p).unwrap()),
                tenant: tenant("t1"),
                class,
                worker: (of_worker && action.resource_kind() == ResourceKind::Run).then(|| "p1/a".parse().unwrap()),
            },
            facts: Facts {
                roles: roles.into_iter().map(str::to_owned).collect(),
                passed_gates: gates.into_iter().map(str::to_owned).collect(),
                run: known.then_some(run),
                step: (FactsNeeded::by(action) == FactsNeeded::Step).then(|| Box::new(step(seq, arguments))),
                approval: (FactsNeeded::by(action) == FactsNeeded::Approval)
                    .then(|| ApprovalFacts { asked: seq % 2 == 0, function: FunctionName::new("a").unwrap() }),
            },
            principal,
        }
    })
}

fn step(seq: u32, arguments: serde_json::Value) -> StepFacts {
    StepFacts {
        function: FunctionName::new("a").unwrap(),
        effect: EffectClass::Read,
        identity_model: IdentityModel::Delegated,
        worker_digest: Digest::of(b""),
        destination: None,
        credential: None,
        arguments,
        labels: Labels::default(),
        scopes: [].into(),
        seq: StepSeq(seq),
        attempt: Attempt(1),
        function_allowed: true,
        environment_matches: true,
        authority_covers: true,
        grant: false,
    }
}

/// Those of the policies that compile, named; generation also makes some that can never apply.
fn compiled(policies: &[String]) -> PolicySet {
    let names = Vocabulary::shared().unwrap();
    let sources: Vec<PolicySource> = policies
        .iter()
        .enumerate()
        .map(|(index, text)| PolicySource::new(format!("{index}.cedar"), format!("@id(\"p{index}\") {text}")))
        .filter(|source| compile::compile(std::slice::from_ref(source), names).is_ok())
        .collect();
    PolicySet::compile_without_builtin(&sources).unwrap()
}

#[test]
fn slicing_never_changes_a_verdict() {
    let seen = RefCell::new(BTreeMap::<String, u32>::new());
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 400, failure_persistence: None, ..Config::default() },
        TestRunner::deterministic().rng().clone(),
    );
    let cases = (proptest::collection::vec(policy(), 0..14), proptest::collection::vec(question(), 12));
    runner
        .run(&cases, |(policies, questions)| {
            let set = compiled(&policies);
            for question in &questions {
                let verdict = set.decide(question).verdict;
                let name = match &verdict {
                    Verdict::Allow => "allow".to_owned(),
                    Verdict::NotYet { gates } => format!("not yet, {}", gates.len().min(2)),
                    Verdict::Deny { reason } => format!("{reason:?}"),
                };
                *seen.borrow_mut().entry(name).or_default() += 1;
                prop_assert_eq!(verdict, oracle(&set, question), "{:?}", question);
            }
            Ok(())
        })
        .unwrap();
    let seen = seen.into_inner();
    println!("{seen:?}");
    // The generator reaches every kind of verdict, or the comparison would prove little.
    assert!(seen.len() == 8, "{seen:?}");
}

#[test]
fn what_a_scope_excludes_can_not_fail() {
    let failing = "when { Worker::\"p1/ghost\".tenant == \"t1\" }";
    let set = compiled(&[
        "permit (principal, action, resource);".to_owned(),
        format!("forbid (principal == User::\"z\", action, resource) {failing};"),
        format!("forbid (principal, action == Action::\"run.kill\", resource) {failing};"),
        format!("forbid (principal, action, resource is Ledger) {failing};"),
        format!("forbid (principal, action, resource == Worker::\"p9/z\") {failing};"),
    ]);
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let mut question = question().new_tree(&mut runner).unwrap().current();
        if question.facts.run.is_none()
            || matches!(question.action.resource_kind(), ResourceKind::Ledger)
            || question.action == Action::RunKill
        {
            continue;
        }
        if question.action == Action::FunctionCall {
            question.principal.kind = PrincipalKind::Worker;
        }
        question.principal.tenant = tenant("t1");
        assert_eq!((set.decide(&question).verdict, oracle(&set, &question)), (Verdict::Allow, Verdict::Allow));
    }
}
