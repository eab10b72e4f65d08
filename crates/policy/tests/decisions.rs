//! Verdicts, one case to a line: built-in rules, a tenant's own, gates, and everything that must deny.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside the test functions")]

mod common;

use common::{ask, fixture, one, step, tenant};
use mandate_kernel::{
    Action, Category, Class, EffectClass, Environment, IdentityModel, Impact, Integrity, Labels, Principal,
    PrincipalKind, Project, ResourceKind, ResourceName, Tenant,
};
use mandate_policy::{CredentialFacts, Decision, DenyReason, Destination, PolicySet, Question, Verdict};
use serde_json::json;

fn builtin() -> PolicySet {
    PolicySet::compile(&[]).unwrap()
}

fn finance() -> PolicySet {
    PolicySet::compile(&[fixture("reports"), fixture("payments"), fixture("teams")]).unwrap()
}

/// `allow`, `forbidden`, `not-yet approval:x (policy)` and so on.
fn short(decision: &Decision) -> String {
    match &decision.verdict {
        Verdict::Allow => "allow".into(),
        Verdict::NotYet { gates } => {
            gates.iter().map(|g| format!("{} by {}", g.kind, g.policy)).collect::<Vec<_>>().join(", ")
        }
        Verdict::Deny { reason } => {
            let reason = serde_json::to_value(reason).unwrap().as_str().unwrap().to_owned();
            let ids: Vec<&str> = decision.explanation.determining.iter().map(|p| p.id.as_str()).collect();
            format!("{reason} {}", ids.join(",")).trim_end().to_owned()
        }
    }
}

fn check(set: &PolicySet, cases: &[(&str, Question, &str)]) {
    for (name, question, expected) in cases {
        let decision = set.decide(question);
        assert_eq!(&short(&decision), expected, "{name}: {}", decision.explanation.summary);
    }
}

fn with(mut question: Question, change: impl FnOnce(&mut Question)) -> Question {
    change(&mut question);
    question
}

fn stepped(change: impl FnOnce(&mut mandate_policy::StepFacts)) -> Question {
    with(step("report.publish"), |q| change(q.facts.step.as_mut().unwrap()))
}

#[test]
fn steps_by_the_built_in_rules() {
    let sandbox = Environment::new("sandbox").unwrap();
    let credential = |environment: &str| CredentialFacts {
        name: ResourceName::new("finance/key").unwrap(),
        environment: Some(Environment::new(environment).unwrap()),
    };
    assert_eq!(step("report.publish").facts.run.unwrap().environment, sandbox);
    let cases = [
        ("all in order", step("report.publish"), "allow"),
        ("unlisted", stepped(|s| s.function_allowed = false), "forbidden steps.unlisted-function"),
        ("environment", stepped(|s| s.environment_matches = false), "forbidden steps.other-environment"),
        ("authority", stepped(|s| s.authority_covers = false), "forbidden steps.beyond-authority"),
        ("credential of the environment", stepped(|s| s.credential = Some(credential("sandbox"))), "allow"),
        (
            "credential of another",
            stepped(|s| s.credential = Some(credential("production"))),
            "forbidden steps.credential-of-other-environment",
        ),
        (
            "service account",
            stepped(|s| s.identity_model = IdentityModel::ServiceAccount),
            "forbidden steps.service-account-without-grant",
        ),
        (
            "service account with a grant",
            stepped(|s| {
                s.identity_model = IdentityModel::ServiceAccount;
                s.grant = true;
            }),
            "allow",
        ),
        (
            "a write in a run that only analyses",
            with(step("report.publish"), |q| q.facts.run.as_mut().unwrap().class.impact = Impact::AnalysisOnly),
            "forbidden steps.effect-beyond-class",
        ),
        (
            "a read in a run that only reads",
            with(stepped(|s| s.effect = EffectClass::Read), |q| {
                q.facts.run.as_mut().unwrap().class.impact = Impact::ReadOnly;
            }),
            "allow",
        ),
        (
            "a destination a model chose",
            stepped(|s| {
                s.destination =
                    Some(Destination { address: "https://evil.example".into(), integrity: Integrity::Untrusted });
            }),
            "forbidden steps.untrusted-destination",
        ),
        (
            "roles don't help a step",
            with(stepped(|s| s.authority_covers = false), |q| {
                q.facts.roles = mandate_policy::ROLES.iter().map(|r| (*r).to_owned()).collect();
            }),
            "forbidden steps.beyond-authority",
        ),
        ("a person takes no step", with(step("report.publish"), |q| q.principal = lead()), "bad-question"),
        ("no step facts", with(step("report.publish"), |q| q.facts.step = None), "bad-question"),
        ("no run facts", with(step("report.publish"), |q| q.facts.run = None), "bad-question"),
        (
            "foreign Worker",
            with(step("report.publish"), |q| q.principal.tenant = Tenant::new("other").unwrap()),
            "forbidden isolation.foreign-tenant",
        ),
    ];
    check(&builtin(), &cases);
}

fn lead() -> Principal {
    Principal::user(tenant(), "lead")
}

#[test]
fn people_by_the_built_in_rules() {
    let foreign =
        |action| with(ask(action, mandate_policy::ROLES), |q| q.principal.tenant = Tenant::new("other").unwrap());
    let cases = [
        ("owner starts", ask(Action::RunStart, &["owner"]), "allow"),
        ("administrator does not", ask(Action::RunStart, &["tenant-admin"]), "not-permitted"),
        (
            "administrator puts no secret",
            ask(Action::SecretPut, &["tenant-admin"]),
            "forbidden isolation.secrets-by-owner",
        ),
        ("unless its owner too", ask(Action::SecretPut, &["tenant-admin", "credential-owner"]), "allow"),
        ("runner stops own run", ask(Action::RunKill, &["runner"]), "allow"),
        (
            "runner stops no other",
            with(ask(Action::RunKill, &["runner"]), |q| {
                q.facts.run.as_mut().unwrap().initiator = Principal::user(tenant(), "another");
            }),
            "not-permitted",
        ),
        (
            "a service account of the initiator's name is someone else",
            with(ask(Action::RunKill, &["runner"]), |q| q.principal.kind = PrincipalKind::ServiceAccount),
            "not-permitted",
        ),
        ("no role", ask(Action::WorkerView, &[]), "not-permitted"),
        ("unknown role", ask(Action::WorkerView, &["root", "Owner", "owner "]), "not-permitted"),
        ("another tenant's", foreign(Action::WorkerView), "forbidden isolation.foreign-tenant"),
        (
            "wrong kind of resource",
            with(ask(Action::WorkerView, &["owner"]), |q| q.resource.kind = ResourceKind::Ledger),
            "bad-question",
        ),
        (
            "a foreign Worker of the same name",
            with(ask(Action::WorkerView, &["owner"]), |q| {
                q.principal = Principal {
                    kind: PrincipalKind::Worker,
                    tenant: Tenant::new("other").unwrap(),
                    name: q.resource.name.clone(),
                };
            }),
            "bad-question",
        ),
        (
            "a Worker about itself",
            with(ask(Action::WorkerView, &["viewer"]), |q| {
                q.principal =
                    Principal { kind: PrincipalKind::Worker, tenant: tenant(), name: q.resource.name.clone() };
            }),
            "allow",
        ),
    ];
    check(&builtin(), &cases);
}

#[test]
fn a_tenants_own_rules() {
    let untrusted = Labels { integrity: Integrity::Untrusted, ..Labels::default() };
    let group = |q: &mut Question, name: &str| {
        q.groups.insert(name.parse().unwrap());
    };
    let cases = [
        ("trusted, with a purpose", step("report.publish"), "allow"),
        ("untrusted", stepped(|s| s.labels = untrusted), "forbidden finance.report-needs-trust-and-purpose"),
        (
            "no purpose",
            with(step("report.publish"), |q| q.facts.run.as_mut().unwrap().purpose.clear()),
            "forbidden finance.report-needs-trust-and-purpose",
        ),
        (
            "a function it does not name",
            with(step("warehouse.revenue"), |q| q.facts.run.as_mut().unwrap().purpose.clear()),
            "allow",
        ),
        ("analyst", with(ask(Action::RunView, &[]), |q| group(q, "finance-analysts")), "allow"),
        (
            "analyst, another Worker's run",
            with(ask(Action::RunView, &[]), |q| {
                group(q, "finance-analysts");
                q.resource.worker = Some(ResourceName::new("finance/other").unwrap());
            }),
            "not-permitted",
        ),
        ("group of another name", with(ask(Action::RunView, &[]), |q| group(q, "analysts")), "not-permitted"),
        (
            "start without purpose",
            with(ask(Action::RunStart, &["owner"]), |q| q.facts.run.as_mut().unwrap().purpose.clear()),
            "forbidden finance.no-start-without-purpose",
        ),
        (
            "in another project",
            with(ask(Action::RunStart, &["owner"]), |q| {
                q.facts.run.as_mut().unwrap().purpose.clear();
                q.resource.project = Some(Project::new("product").unwrap());
            }),
            "allow",
        ),
    ];
    check(&finance(), &cases);
}

#[test]
fn limits_on_arguments() {
    let pay = |arguments| with(step("bank.pay"), |q| q.facts.step.as_mut().unwrap().arguments = arguments);
    let limit = "forbidden finance.payment-limit";
    let recipients = "forbidden finance.payment-recipients";
    let both = "forbidden finance.payment-limit,finance.payment-recipients";
    let to = json!({"account": "rent"});
    let cases = [
        ("whole", pay(json!({"amount": 9_999, "to": to})), "allow"),
        ("with cents", pay(json!({"amount": 9_999.99, "to": to})), "allow"),
        ("at the limit", pay(json!({"amount": 10_000, "to": to})), limit),
        ("as text", pay(json!({"amount": "1", "to": to})), limit),
        ("too precise", pay(json!({"amount": 1.000_01, "to": to})), limit),
        ("huge", pay(json!({"amount": 1e300, "to": to})), limit),
        ("null", pay(json!({"amount": null, "to": to})), limit),
        ("in a list", pay(json!({"amount": [1], "to": to})), limit),
        ("unknown recipient", pay(json!({"amount": 1, "to": {"account": "mine"}})), recipients),
        ("a key that looks like the path", pay(json!({"amount": 1, "to/account": "rent"})), recipients),
        ("two recipients", pay(json!({"amount": 1, "to": {"account": ["rent", "mine"]}})), recipients),
        ("nothing", pay(json!(null)), both),
        ("too many values", pay(json!({"amount": 1, "to": to, "pad": vec![0; 2_000]})), "bad-question"),
    ];
    check(&finance(), &cases);
    let many = with(step("report.publish"), |q| q.facts.step.as_mut().unwrap().arguments = json!(vec![0; 2_000]));
    assert_eq!(short(&finance().decide(&many)), "allow", "nothing looks at these");
}

#[test]
fn gates_stand_between_no_and_yes() {
    let personal = Labels { categories: [Category::Personal].into(), ..Labels::default() };
    let report = |production: bool, personal_data: bool, passed: &[&str]| {
        with(step("report.publish"), |q| {
            if production {
                q.facts.run.as_mut().unwrap().environment = Environment::new("production").unwrap();
            }
            if personal_data {
                q.facts.step.as_mut().unwrap().labels = personal.clone();
            }
            q.facts.passed_gates = passed.iter().map(|g| (*g).to_owned()).collect();
        })
    };
    let approval = "approval:finance-directors by finance.report-needs-director";
    let presence = "step-up by finance.report-in-production-needs-presence";
    let both = format!("{presence}, {approval}");
    let cases = [
        ("approval", report(false, true, &[]), approval),
        ("presence", report(true, false, &[]), presence),
        ("both", report(true, true, &[]), both.as_str()),
        ("one passed", report(true, true, &["step-up"]), approval),
        ("both passed", report(true, true, &["step-up", "approval:finance-directors"]), "allow"),
        ("another group's", report(false, true, &["approval:finance-analysts"]), approval),
        ("text that is no gate", report(false, true, &["approval", "approval:", "*"]), approval),
        (
            "a gate is no way round a rule",
            with(report(true, true, &["step-up"]), |q| q.facts.step.as_mut().unwrap().authority_covers = false),
            "forbidden steps.beyond-authority",
        ),
    ];
    check(&finance(), &cases);
    let no_permit = one(r#"@id("g") @gate("step-up") forbid (principal, action, resource);"#);
    let set = PolicySet::compile(&no_permit).unwrap();
    check(
        &set,
        &[
            ("who has no right gets no gate", ask(Action::RunStart, &[]), "not-permitted"),
            (
                "nor by passing it",
                with(ask(Action::RunStart, &[]), |q| {
                    q.facts.passed_gates.insert("step-up".into());
                }),
                "not-permitted",
            ),
            ("who has one does", ask(Action::RunStart, &["owner"]), "step-up by g"),
        ],
    );
}

#[test]
fn nothing_and_failure_deny() {
    let empty = PolicySet::compile_without_builtin(&[]).unwrap();
    assert_eq!(short(&empty.decide(&ask(Action::WorkerView, &["owner"]))), "no-policy");
    // Both pass strict validation and fail when evaluated: an overflow, an entity that is not there.
    let failures = ["context.seq + 9223372036854775807 > 0", "Worker::\"finance/ghost\".tenant == \"demo\""];
    for failure in failures {
        for (effect, gate, passed) in [
            ("forbid", "", false),
            ("permit", "", false),
            ("forbid", "@gate(\"step-up\")", false),
            ("forbid", "@gate(\"step-up\")", true),
        ] {
            let text = format!(
                "@id(\"fails\") {gate} {effect} (principal, action == Action::\"function.call\", resource) when {{ {failure} }};"
            );
            let set = PolicySet::compile(&one(&text)).unwrap();
            let mut question = step("report.publish");
            if passed {
                question.facts.passed_gates.insert("step-up".into());
            }
            let decision = set.decide(&question);
            assert_eq!(short(&decision), "evaluation-error fails", "{text}");
            assert_eq!(decision.explanation.errors.len(), 1);
            assert!(set.decide(&ask(Action::RunStart, &["owner"])).is_allow(), "other actions are not concerned");
        }
    }
    let fails_beside_forbid = one(
        r#"@id("fails") forbid (principal, action == Action::"function.call", resource) when { context.seq + 9223372036854775807 > 0 };
           @id("no") forbid (principal, action, resource);"#,
    );
    let set = PolicySet::compile(&fails_beside_forbid).unwrap();
    assert!(matches!(set.decide(&step("x")).verdict, Verdict::Deny { reason: DenyReason::EvaluationError }));
}

#[test]
fn a_decision_explains_itself() {
    let set = finance();
    let decision = set.decide(&with(step("report.publish"), |q| q.facts.run.as_mut().unwrap().purpose.clear()));
    let explained = serde_json::to_value(&decision).unwrap();
    assert_eq!(explained["verdict"], json!({"verdict": "deny", "reason": "forbidden"}));
    assert_eq!(explained["policy_digest"], json!(set.digest()));
    let policy = &explained["explanation"]["determining"][0];
    assert_eq!(policy["file"], "finance/reports.cedar");
    assert!(policy["annotations"]["description"].as_str().unwrap().contains("purpose"));
    let facts = &explained["explanation"]["facts"];
    assert_eq!(facts["principal"]["subject"], "worker:finance/quarterly-summary");
    assert_eq!(facts["context"]["initiator"], "user:lead");
    assert!(facts["context"]["arguments"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        decision.explanation.summary,
        "worker:finance/quarterly-summary may not function.call on Function finance/report.publish: forbidden by \
         finance.report-needs-trust-and-purpose (A report is published only from data that can be relied on, and for \
         a stated purpose)."
    );
    let hostile = with(ask(Action::WorkerView, &[]), |q| q.principal.name = "x\u{202e}\n".into());
    let summary = set.decide(&hostile).explanation.summary;
    assert!(summary.starts_with("user:x\\u{202e}\\u{a} may not"), "{summary}");
}

#[test]
fn a_gate_passed_is_explained() {
    let question = with(step("report.publish"), |q| {
        q.facts.run.as_mut().unwrap().environment = Environment::new("production").unwrap();
        q.facts.passed_gates.insert("step-up".into());
    });
    let decision = finance().decide(&question);
    let ids: Vec<&str> = decision.explanation.determining.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["finance.report-in-production-needs-presence", "steps.within-authority"]);
    assert_eq!(decision.explanation.facts["passed_gates"], json!(["step-up"]));
}

#[test]
fn the_digest_names_the_texts() {
    let set = finance();
    let again = PolicySet::compile(&[fixture("teams"), fixture("reports"), fixture("payments")]).unwrap();
    assert_eq!(set.digest(), again.digest(), "the order of loading does not matter");
    let mut changed = fixture("teams");
    changed.text.push(' ');
    let changed = PolicySet::compile(&[changed, fixture("reports"), fixture("payments")]).unwrap();
    assert_ne!(set.digest(), changed.digest());
    assert_ne!(set.digest(), builtin().digest());
    let list: Vec<_> = set.sources().iter().map(|s| (&s.file, &s.text)).collect();
    let expected = mandate_kernel::Digest::of(&mandate_kernel::canonical_json(&list).unwrap());
    assert_eq!(set.digest(), expected, "anyone can compute it from the files");
}

#[test]
fn classes_reach_policies() {
    let text = r#"@id("restricted-data") forbid (principal, action == Action::"worker.view", resource)
        when { context.class.data.contains(Category::"regulated") };"#;
    let set = PolicySet::compile(&one(text)).unwrap();
    let regulated = with(ask(Action::WorkerView, &["owner"]), |q| {
        q.resource.class = Class { data: [Category::Regulated].into(), ..Class::default() };
    });
    check(
        &set,
        &[("regulated", regulated, "forbidden restricted-data"), ("not", ask(Action::WorkerView, &["owner"]), "allow")],
    );
}
