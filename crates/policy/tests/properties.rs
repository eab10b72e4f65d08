//! What holds of the built-in policies whatever is asked, and whatever a tenant adds.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

mod common;

use common::{ask, one, step};
use mandate_kernel::{Action, Environment, IdentityModel, Impact, Integrity, Principal, PrincipalKind, Tenant};
use mandate_policy::{DenyReason, PolicySet, Question, ROLES, Verdict};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
};
use std::sync::LazyLock;

static BUILTIN: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::compile(&[]).unwrap());

/// A tenant that permits everything it can.
static GENEROUS: LazyLock<PolicySet> =
    LazyLock::new(|| PolicySet::compile(&one("@id(\"all\") permit (principal, action, resource);")).unwrap());

fn people() -> impl Strategy<Value = Question> {
    let kinds = vec![PrincipalKind::User, PrincipalKind::Worker, PrincipalKind::ServiceAccount, PrincipalKind::System];
    let roles = subsequence(ROLES.to_vec(), 0..=ROLES.len());
    (select(Action::ALL), roles, select(kinds), "\\PC{0,20}", any::<bool>(), any::<bool>()).prop_map(
        |(action, roles, kind, name, own, asked)| {
            let mut question =
                if action == Action::FunctionCall { step("warehouse.revenue") } else { ask(action, &roles) };
            if action != Action::FunctionCall {
                question.principal = Principal { kind, tenant: common::tenant(), name };
            }
            if own && let Some(run) = question.facts.run.as_mut() {
                run.initiator = question.principal.clone();
            }
            if let Some(approval) = question.facts.approval.as_mut() {
                approval.asked = asked;
            }
            question.facts.passed_gates.extend(["step-up".to_owned(), "approval:all".to_owned()]);
            question
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The one right that is no role's is the answer of a person who was asked for it.
    #[test]
    fn without_a_role_nothing_is_allowed(mut question in people(), noise in proptest::collection::btree_set("[a-z-]{0,12}", 0..4)) {
        prop_assume!(question.action != Action::FunctionCall);
        question.facts.roles = noise.into_iter().filter(|r| !ROLES.contains(&r.as_str())).collect();
        let asked = question.facts.approval.as_ref().is_some_and(|approval| approval.asked);
        let own = question.facts.run.as_ref().is_some_and(|run| run.initiator == question.principal);
        let answers = asked && !own && question.principal.kind == PrincipalKind::User;
        let verdict = BUILTIN.decide(&question).verdict;
        prop_assert_eq!(matches!(verdict, Verdict::Deny { .. }), !answers, "{:?}", verdict);
    }

    #[test]
    fn a_foreign_tenant_gets_nothing_from_anyone(mut question in people(), tenant in "[a-z]{1,8}") {
        prop_assume!(tenant != "demo");
        question.principal.tenant = Tenant::new(tenant).unwrap();
        for set in [&*BUILTIN, &*GENEROUS] {
            let verdict = set.decide(&question).verdict;
            let refused = matches!(
                verdict,
                Verdict::Deny { reason: DenyReason::Forbidden | DenyReason::BadQuestion }
            );
            prop_assert!(refused, "{verdict:?}");
        }
    }

    #[test]
    fn no_policy_of_a_tenant_widens_a_step(
        listed: bool, matches: bool, covered: bool, grant: bool, service: bool, acting: bool, untrusted: bool, same: bool,
    ) {
        let mut question = step("warehouse.revenue");
        let facts = question.facts.step.as_mut().unwrap();
        facts.function_allowed = listed;
        facts.environment_matches = matches;
        facts.authority_covers = covered;
        facts.grant = grant;
        facts.identity_model = if service { IdentityModel::ServiceAccount } else { IdentityModel::WorkflowBound };
        facts.destination = Some(mandate_policy::Destination {
            address: "https://warehouse.example".into(),
            integrity: if untrusted { Integrity::Untrusted } else { Integrity::Authoritative },
        });
        facts.credential = Some(mandate_policy::CredentialFacts {
            name: "finance/key".parse().unwrap(),
            environment: Some(Environment::new(if same { "sandbox" } else { "production" }).unwrap()),
        });
        question.facts.run.as_mut().unwrap().class.impact =
            if acting { Impact::ActionTaking } else { Impact::ReadOnly };
        let sound = listed && matches && covered && (grant || !service) && acting && !untrusted && same;
        for set in [&*BUILTIN, &*GENEROUS] {
            prop_assert_eq!(set.decide(&question).is_allow(), sound);
        }
    }

    #[test]
    fn secrets_are_their_owners_alone(
        action in select(vec![Action::SecretPut, Action::GrantManage]),
        roles in subsequence(ROLES.to_vec(), 0..=ROLES.len()),
    ) {
        let mut question = ask(action, &roles);
        question.facts.roles.remove("credential-owner");
        for set in [&*BUILTIN, &*GENEROUS] {
            prop_assert!(!set.decide(&question).is_allow());
        }
    }

    #[test]
    fn any_text_compiles_or_says_why(text in "\\PC{0,60}") {
        if let Err(errors) = PolicySet::compile(&one(&text)) {
            prop_assert!(!errors.0.is_empty());
            prop_assert!(errors.0.iter().all(|e| e.line >= 1 && e.column >= 1 && !e.message.is_empty()));
        }
    }

    #[test]
    fn the_same_question_gets_the_same_decision(question in people()) {
        prop_assert_eq!(BUILTIN.decide(&question), BUILTIN.decide(&question));
    }
}
