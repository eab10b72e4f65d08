//! Requests of callers: allowed by role, refused for everybody else, and never by way of a gate.

use crate::support::*;
use mandate_gate::{AccessQuestion, Refusal};
use mandate_kernel::{Action, Caller, Class, Principal, ResourceKind};
use mandate_policy::{PolicySet, Resource, RunFacts};
use std::collections::BTreeSet;

fn caller(tenant_name: &str) -> Caller {
    Caller::new(Principal::user(tenant(tenant_name), "finance-lead"), BTreeSet::new())
}

fn worker() -> Resource {
    Resource::configured(ResourceKind::Worker, tenant("demo"), &resource("finance/summary"), Class::default())
}

fn question<'a>(caller: &'a Caller, action: Action, roles: &[&str]) -> AccessQuestion<'a> {
    let run = RunFacts {
        initiator: caller.principal.clone(),
        environment: environment("sandbox"),
        purpose: "close the quarter".to_owned(),
        class: Class::default(),
    };
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    AccessQuestion { caller, action, resource: worker(), roles, run: Some(run), approval: None }
}

fn refusal(policies: &PolicySet, question: &AccessQuestion<'_>) -> Refusal {
    match gate().authorize(decision(), policies, question) {
        Err(refusal) => *refusal,
        Ok(_) => panic!("allowed: {question:?}"),
    }
}

#[test]
fn the_permit_says_who_may_do_what_to_which() {
    let caller = caller("demo");
    let id = decision();
    let asked = question(&caller, Action::RunStart, &["runner"]);
    let (permit, policy) = gate().authorize(id.clone(), builtin(), &asked).unwrap();
    assert_eq!((permit.decision(), permit.caller(), permit.action()), (&id, &caller, Action::RunStart));
    assert_eq!(permit.resource(), "finance/summary");
    assert_eq!(policy.explanation.determining[0].id, "roles.runner");
}

#[test]
fn without_a_role_without_a_right_and_from_abroad_it_is_refused() {
    let (home, abroad) = (caller("demo"), caller("other"));
    for asked in [
        question(&home, Action::WorkerView, &[]),
        question(&home, Action::WorkerView, &["emperor"]),
        question(&home, Action::WorkerEdit, &["runner", "viewer", "auditor"]),
        question(&abroad, Action::WorkerView, mandate_policy::ROLES),
    ] {
        let refusal = refusal(builtin(), &asked);
        assert_eq!(refusal.kind.code(), "policy-denied", "{asked:?}");
        assert!(refusal.policy.is_some());
    }
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let caller = caller("demo");
    let without_run = AccessQuestion { run: None, ..question(&caller, Action::RunStart, &["owner"]) };
    let other_kind = question(&caller, Action::LedgerRead, &["auditor"]);
    // A step is taken by a Worker through `judge`; nobody asks for one here.
    let a_step = question(&caller, Action::FunctionCall, mandate_policy::ROLES);
    let nothing = PolicySet::compile_without_builtin(&[]).unwrap();
    for (policies, asked) in [
        (builtin(), without_run),
        (builtin(), other_kind),
        (builtin(), a_step),
        (&nothing, question(&caller, Action::WorkerView, &["owner"])),
    ] {
        assert_eq!(refusal(policies, &asked).kind.code(), "policy-failed", "{asked:?}");
    }
}

#[test]
fn no_gate_is_offered_to_a_caller() {
    let caller = caller("demo");
    let gated =
        with_rule(r#"@id("t.fresh") @gate("step-up") forbid (principal, action == Action::"run.start", resource);"#);
    let refusal = refusal(&gated, &question(&caller, Action::RunStart, &["runner"]));
    assert_eq!(refusal.kind.code(), "policy-denied");
    assert!(refusal.kind.to_string().contains("only a step of a run can wait"), "{}", refusal.kind);
}
