//! Each reason to refuse, what is said about it, and which one wins.

use crate::support::*;
use mandate_gate::{GivenApproval, Judged, Prepared, RefusalKind, Request, StepFacts, binding};
use mandate_identity::{CanonicalRequest, Widening};
use mandate_journal::EpochKey;
use mandate_kernel::{ApprovalId, Attempt, Digest, EffectClass, IdentityModel, StepPath, StepSeq, SystemEntropy};
use mandate_policy::{GateDemand, GateKind, PolicySet};
use serde_json::json;
use std::collections::BTreeSet;

fn spoilt(facts: StepFacts, spoil: impl FnOnce(&mut StepFacts)) -> StepFacts {
    let mut facts = facts;
    spoil(&mut facts);
    facts
}

/// What the gate's own rules refuse: the step that was spoilt, its request, and the answer.
fn own_refusals() -> Vec<(StepFacts, Prepared, RefusalKind)> {
    of_authority().into_iter().chain(of_credentials()).collect()
}

fn of_authority() -> Vec<(StepFacts, Prepared, RefusalKind)> {
    vec![
        (
            spoilt(delegated(), |f| f.standing.revoked = vec![EpochKey::User("user:finance-lead".to_owned())]),
            to_warehouse(),
            RefusalKind::Revoked("the authority of user:finance-lead".to_owned()),
        ),
        (
            spoilt(delegated(), |f| f.authority.not_after = NOW),
            to_warehouse(),
            RefusalKind::OutsideAuthority(Widening::Lifetime),
        ),
        (
            spoilt(granted(), |f| f.authority.not_after = in_secs(0)),
            to_ledgerbook(),
            RefusalKind::OutsideAuthority(Widening::Lifetime),
        ),
        (
            spoilt(delegated(), |f| f.authority.environment = environment("production")),
            to_warehouse(),
            RefusalKind::OutsideAuthority(Widening::Environment {
                held: environment("production"),
                asked: environment("sandbox"),
            }),
        ),
        (
            spoilt(delegated(), |f| f.allow_listed = false),
            to_warehouse(),
            RefusalKind::FunctionNotListed("warehouse.revenue".to_owned()),
        ),
        (
            delegated(),
            Prepared { audience: None, ..to_warehouse() },
            RefusalKind::NoAudience("warehouse.revenue".to_owned()),
        ),
    ]
}

fn of_credentials() -> Vec<(StepFacts, Prepared, RefusalKind)> {
    let credential = || "finance/ledgerbook".to_owned();
    vec![
        (
            spoilt(granted(), |f| f.credential.as_mut().unwrap().grant = None),
            to_ledgerbook(),
            RefusalKind::GrantMissing { credential: credential(), function: "ledgerbook.costs".to_owned() },
        ),
        (
            // The initiator's own authority does not replace the leave of the credential's owner.
            spoilt(delegated(), |f| {
                f.credential = granted().credential;
                f.credential.as_mut().unwrap().grant = None;
                f.credential.as_mut().unwrap().destinations.insert(WAREHOUSE.to_owned());
            }),
            to_warehouse(),
            RefusalKind::GrantMissing { credential: credential(), function: "warehouse.revenue".to_owned() },
        ),
        (
            spoilt(granted(), |f| {
                f.credential.as_mut().unwrap().grant =
                    Some(mandate_gate::GrantFacts { not_after: Some(NOW), ..grant() });
            }),
            to_ledgerbook(),
            RefusalKind::GrantStale {
                grant: "finance/costs".to_owned(),
                why: "it has ended".to_owned(),
                owner: "user:finance-director".to_owned(),
            },
        ),
        (
            spoilt(granted(), |f| f.credential = None),
            to_ledgerbook(),
            RefusalKind::SlotUnbound("ledgerbook.costs".to_owned()),
        ),
        (
            granted(),
            Prepared { destination: "https://evil.example".to_owned(), ..to_ledgerbook() },
            RefusalKind::DestinationNotAllowed {
                credential: credential(),
                destination: "https://evil.example".to_owned(),
            },
        ),
        (
            spoilt(granted(), |f| f.credential.as_mut().unwrap().environment = environment("production")),
            to_ledgerbook(),
            RefusalKind::WrongEnvironment {
                credential: credential(),
                has: "production".to_owned(),
                run: "sandbox".to_owned(),
            },
        ),
    ]
}

const FORBIDS: &str = r#"@id("t.closed") forbid (principal, action == Action::"function.call", resource);"#;

/// Policies that refuse a step in order, and the code it gets.
fn policy_refusals() -> Vec<(PolicySet, &'static str)> {
    let alone = |text: &str| {
        PolicySet::compile_without_builtin(&[mandate_policy::PolicySource::new("test.cedar", text)]).unwrap()
    };
    let fails = |effect: &str| {
        format!(
            r#"@id("t.fails") {effect} (principal, action == Action::"function.call", resource)
               when {{ context.seq + 9223372036854775807 > 0 }};"#
        )
    };
    vec![
        (with_rule(FORBIDS), "policy-denied"),
        (alone(r#"@id("t.other") permit (principal, action == Action::"worker.view", resource);"#), "policy-denied"),
        (PolicySet::compile_without_builtin(&[]).unwrap(), "policy-failed"),
        (with_rule(&fails("forbid")), "policy-failed"),
        (with_rule(&fails("permit")), "policy-failed"),
        (with_rule(&fails("@gate(\"step-up\") forbid")), "policy-failed"),
    ]
}

#[test]
fn a_step_in_order_is_allowed() {
    for (facts, prepared) in [(delegated(), to_warehouse()), (granted(), to_ledgerbook())] {
        let allowed = allowed(facts, prepared.clone());
        assert_eq!(allowed.prepared(), &prepared);
        assert!(allowed.policy().is_allow());
    }
}

#[test]
fn the_gate_s_own_rules_refuse_before_any_policy() {
    for (facts, prepared, expect) in own_refusals() {
        let id = decision();
        let Judged::Refused(refusal) = gate().judge(id.clone(), builtin(), facts, prepared, NOW) else {
            panic!("not refused: {expect}")
        };
        assert_eq!(refusal.kind, expect);
        assert!(refusal.policy.is_none(), "{expect}: no policy was asked");
        let problem = refusal.problem();
        assert_eq!((problem.status, problem.decision), (403, Some(id)));
        assert_eq!(problem.type_, format!("https://mandate.dev/problems/{}", expect.code()));
        assert_eq!(problem.detail, Some(expect.to_string()));
    }
}

#[test]
fn no_policy_and_a_failing_policy_refuse_as_a_forbidding_one_does() {
    for (policies, code) in policy_refusals() {
        let Judged::Refused(refusal) = judged(&policies, delegated(), to_warehouse()) else { panic!("not {code}") };
        assert_eq!(refusal.kind.code(), code);
        assert!(refusal.policy.is_some_and(|policy| !policy.is_allow()), "{code}: the explanation is kept");
    }
}

/// A kind that is added without a test fails here.
#[test]
fn every_kind_of_refusal_is_reached() {
    let source = include_str!("../../src/refusal.rs");
    let codes: BTreeSet<&str> =
        source.lines().filter(|l| l.contains("=> \"")).filter_map(|l| l.split('"').nth(1)).collect();
    let own = own_refusals().into_iter().map(|(_, _, kind)| kind.code());
    // Those the engine makes before there is a step to judge, tested through the running server.
    let before = ["no-destination", "not-found"];
    // Those of `exchange.rs`.
    let exchanged = ["credential-exchanged-only", "exchange-not-allowed"];
    let policies = policy_refusals().into_iter().map(|(_, code)| code);
    let reached: BTreeSet<&str> = own.chain(policies).chain(before).chain(exchanged).collect();
    assert_eq!(reached, codes);
}

#[test]
fn every_revoked_epoch_is_named() {
    let keys = [
        (EpochKey::Tenant, "the tenant's authority was revoked"),
        (EpochKey::User("user:alice".to_owned()), "the authority of user:alice was revoked"),
        (EpochKey::Credential("finance/key".to_owned()), "credential finance/key was revoked"),
        (EpochKey::Function("finance/costs".to_owned()), "function finance/costs was revoked"),
        (EpochKey::Worker("finance/summary".to_owned()), "Worker finance/summary was revoked"),
        (EpochKey::Grant("finance/grant".to_owned()), "grant finance/grant was revoked"),
        (EpochKey::Run("run_1".to_owned()), "run run_1 was revoked"),
        (EpochKey::Configuration, "the configuration was revoked"),
    ];
    for (key, says) in keys {
        for facts in [delegated(), granted()] {
            let facts = spoilt(facts, |f| f.standing.revoked = vec![key.clone()]);
            let kind = refused(builtin(), facts, to_ledgerbook());
            assert_eq!(kind.code(), "authority-revoked");
            assert!(kind.to_string().starts_with(says), "{kind}");
        }
    }
}

#[test]
fn what_goes_beyond_the_authority_is_named() {
    let check = |spoil: &dyn Fn(&mut StepFacts), expect: Widening| {
        let kind = refused(builtin(), spoilt(delegated(), spoil), to_warehouse());
        assert_eq!(kind, RefusalKind::OutsideAuthority(expect));
    };
    let argument = || Widening::Argument { function: function("warehouse.revenue"), pointer: "/quarter".to_owned() };
    let write = scopes(&["warehouse:write"]).pop_first().unwrap();
    check(&|f| f.scopes = scopes(&["warehouse:read", "warehouse:write"]), Widening::Scope(write));
    check(&|f| f.authority.audiences.clear(), Widening::Audience(audience(WAREHOUSE)));
    check(&|f| f.authority.functions.clear(), Widening::Function(function("warehouse.revenue")));
    check(&|f| f.arguments = json!({"quarter": "2025-Q3"}), argument());
    check(&|f| f.arguments = json!({"quarter": "2026-../2025"}), argument());
    check(&|f| f.arguments = json!({"quarter": 2026}), argument());
    check(&|f| f.arguments = json!({}), argument());
    check(&|f| f.arguments = json!([]), argument());
    // A hop is less than the run: with no depth left and no time to spare it could only be a copy.
    check(
        &|f| {
            f.authority.depth = 0;
            f.authority.not_after = in_secs(30);
        },
        Widening::NotLess,
    );
}

/// Every combination of eight faults (the last one is policy's) is refused, and for the first of them; none hides another.
#[test]
fn a_fault_is_never_made_good_by_another() {
    type Spoil = fn(&mut StepFacts, &mut Prepared);
    let faults: [(&str, Spoil); 7] = [
        ("authority-revoked", |f, _| f.standing.revoked.push(EpochKey::Tenant)),
        ("outside-authority", |f, _| f.authority.not_after = NOW),
        ("outside-authority", |f, _| f.authority.environment = environment("production")),
        ("function-not-listed", |f, _| f.allow_listed = false),
        ("wrong-environment", |f, _| f.credential.as_mut().unwrap().environment = environment("production")),
        ("destination-not-allowed", |_, p| p.destination = "https://evil.example".to_owned()),
        ("grant-stale", |f, _| f.worker_version = f.function_version),
    ];
    let closed = with_rule(FORBIDS);
    for mask in 0_u32..256 {
        let (mut facts, mut prepared) = (granted(), to_ledgerbook());
        let present = |bit: usize| mask & (1 << bit) != 0;
        for (bit, (_, spoil)) in faults.iter().enumerate() {
            if present(bit) {
                spoil(&mut facts, &mut prepared);
            }
        }
        let policies = if present(7) { &closed } else { builtin() };
        let first = (0..8).find(|bit| present(*bit)).map(|bit| faults.get(bit).map_or("policy-denied", |f| f.0));
        let found = match judged(policies, facts, prepared) {
            Judged::Allowed(_) => None,
            Judged::Refused(refusal) => Some(refusal.kind.code()),
            Judged::NotYet(_) => panic!("no gate stands here"),
        };
        assert_eq!(found, first, "faults {mask:08b}");
    }
}

#[test]
fn what_policy_sees_is_what_would_be_done() {
    let only = |condition: &str| {
        with_rule(&format!(
            r#"@id("t.only") forbid (principal, action == Action::"function.call", resource) unless {{ {condition} }};"#
        ))
    };
    for condition in [
        r#"context.function == "warehouse.revenue""#,
        r#"resource == Function::"finance/warehouse.revenue""#,
        r#"principal == Worker::"finance/quarterly-summary""#,
        r#"context.initiator == "user:finance-lead""#,
        r#"context.environment == "sandbox" && context.purpose == "close the quarter""#,
        r#"context has destination && context.destination.address == "https://warehouse.example""#,
        r#"context.arguments.text.hasTag("/quarter") && context.arguments.text.getTag("/quarter") == "2026-Q3""#,
        r#"context.scopes == ["warehouse:read"] && context.seq == 2 && context.attempt == 1"#,
        r#"context.effect == Effect::"read" && context.identity_model == IdentityModel::"delegated""#,
    ] {
        assert!(matches!(judged(&only(condition), delegated(), to_warehouse()), Judged::Allowed(_)), "{condition}");
    }
    let elsewhere = only(r#"context.environment == "production""#);
    assert_eq!(refused(&elsewhere, delegated(), to_warehouse()).code(), "policy-denied");
}

#[test]
fn what_the_built_in_rules_forbid_no_fact_talks_away() {
    let acts = spoilt(delegated(), |f| f.effect = EffectClass::Once);
    assert_eq!(refused(builtin(), acts, to_warehouse()).code(), "policy-denied");
    // A service account needs a grant even where the initiator's authority would do.
    let posing = spoilt(delegated(), |f| f.model = IdentityModel::ServiceAccount);
    assert_eq!(refused(builtin(), posing, to_warehouse()).code(), "policy-denied");
}

#[test]
fn gates_make_it_wait_over_this_very_request() {
    let policies = with_rule(
        r#"@id("t.fresh") @gate("step-up") forbid (principal, action == Action::"function.call", resource);
           @id("t.asked") @gate("approval:finance-directors") forbid (principal, action == Action::"function.call", resource);"#,
    );
    let id = decision();
    let Judged::NotYet(waits) = gate().judge(id.clone(), &policies, delegated(), to_warehouse(), NOW) else {
        panic!("not waiting")
    };
    let group = "finance-directors".parse().unwrap();
    let demand = |kind, policy: &str| GateDemand { kind, policy: policy.to_owned() };
    let expect = [demand(GateKind::StepUp, "t.fresh"), demand(GateKind::Approval { group }, "t.asked")];
    assert_eq!(waits.gates, expect);
    assert_eq!((waits.decision, waits.prepared), (id, to_warehouse()));
    assert!(!waits.policy.is_allow());

    // A gate is not offered for what is refused anyway.
    let unlisted = spoilt(delegated(), |f| f.allow_listed = false);
    assert_eq!(refused(&policies, unlisted, to_warehouse()).code(), "function-not-listed");
}

/// A yes counts for exactly what was shown, while it lasts, and never for one's own request.
#[test]
fn an_approval_passes_its_gate_over_this_very_request_alone() {
    let policies = with_rule(
        r#"@id("t.asked") @gate("approval:finance-directors") forbid (principal, action == Action::"function.call", resource);"#,
    );
    let given = |facts: &StepFacts, prepared: &Prepared| GivenApproval {
        approval: ApprovalId::generate(NOW, &SystemEntropy).unwrap(),
        gate: "approval:finance-directors".parse().unwrap(),
        binding: binding(facts, prepared),
        by: "user:finance-director".to_owned(),
        until: in_secs(60),
    };
    let judged = |facts: StepFacts, prepared: Prepared| gate().judge(decision(), &policies, facts, prepared, NOW);
    let facts = delegated();
    let yes = given(&facts, &to_warehouse());
    let with = |approval: GivenApproval| StepFacts { approvals: vec![approval], ..facts.clone() };
    match judged(with(yes.clone()), to_warehouse()) {
        Judged::Allowed(allowed) => assert!(allowed.policy().is_allow()),
        Judged::NotYet(waits) => panic!("waits for {:?}", waits.gates),
        Judged::Refused(refusal) => panic!("{}", refusal.kind),
    }
    // A later attempt at the same step sends the same request.
    let again = spoilt(with(yes.clone()), |f| f.step.attempt = Attempt(2));
    assert!(matches!(judged(again, to_warehouse()), Judged::Allowed(_)));

    for (what, spoil) in [
        ("late", (|a| a.until = NOW) as fn(&mut GivenApproval)),
        ("one's own", |a| a.by = "user:finance-lead".to_owned()),
        ("another gate", |a| a.gate = "approval:others".parse().unwrap()),
        ("another request", |a| a.binding = Digest::of(b"another")),
    ] {
        let mut spoilt = yes.clone();
        spoil(&mut spoilt);
        assert!(matches!(judged(with(spoilt), to_warehouse()), Judged::NotYet(_)), "{what}");
    }
    for (what, spoil) in [
        ("another step", (|f| f.step.seq = StepSeq(9)) as fn(&mut StepFacts)),
        ("another place", |f| f.path = StepPath("/do/9/other".to_owned())),
        ("another function version", |f| f.function_version = Digest::of(b"edited")),
        ("another Worker version", |f| f.worker_version = Digest::of(b"edited")),
    ] {
        let facts = spoilt(with(yes.clone()), spoil);
        assert!(matches!(judged(facts, to_warehouse()), Judged::NotYet(_)), "{what}");
    }
    let mut elsewhere = to_warehouse();
    elsewhere.request = Request::Http(
        CanonicalRequest::new("GET", format!("{WAREHOUSE}/revenue?quarter=2026-Q2"), None, Vec::new(), None).unwrap(),
    );
    assert!(matches!(judged(with(yes), elsewhere), Judged::NotYet(_)), "one byte of the request");
}
