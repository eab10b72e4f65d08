//! The envelope: it narrows along nesting, joins where forks join, and can't be altered.

use crate::common::{ISSUER, at, forge, key};
use mandate_identity::{
    ArgumentLimits, Audience, Authority, Envelope, EnvelopeError, Jwks, JwsError, Next, Root, Scope, Widening, Work,
};
use mandate_kernel::{
    Attempt, Class, Confidentiality, Digest, Environment, FunctionName, Integrity, Labels, Principal, ResourceName,
    RunId, Signer, Source, StepKey, StepSeq, Tenant, base64url_decode,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DOMAIN: &str = "mandate.example/t/demo";

fn run() -> RunId {
    "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap()
}

fn authority(depth: u8, end: i64) -> Authority {
    Authority {
        scopes: BTreeSet::from([Scope::new("warehouse:read").unwrap()]),
        audiences: BTreeSet::from([Audience::new("https://warehouse.example").unwrap()]),
        functions: BTreeMap::from([(FunctionName::new("warehouse.revenue").unwrap(), ArgumentLimits::default())]),
        environment: Environment::new("production").unwrap(),
        not_after: at(end),
        depth,
    }
}

fn root_of(change: impl FnOnce(&mut Root)) -> Result<Envelope, EnvelopeError> {
    let tenant = Tenant::new("demo").unwrap();
    let mut root = Root {
        issuer: ISSUER.to_owned(),
        trust_domain: DOMAIN.to_owned(),
        requester: "engine".to_owned(),
        run: run(),
        work: Work {
            initiator: Principal::user(tenant.clone(), "finance-lead"),
            tenant,
            purpose: "Q3 numbers for the board".to_owned(),
            class: Class::default(),
            environment: Environment::new("production").unwrap(),
            worker: ResourceName::new("finance/quarterly-summary").unwrap(),
            worker_version: Digest::of(b"worker"),
            trigger: None,
        },
        authority: authority(2, 3600),
        labels: Labels::default(),
        policy: Digest::of(b"policy"),
        decision: "dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCD".parse().unwrap(),
        now: at(0),
    };
    change(&mut root);
    Envelope::root(root, &key(1))
}

fn root() -> Envelope {
    root_of(|_| ()).unwrap()
}

fn next(seq: u32, predecessors: Vec<Digest>) -> Next {
    Next {
        requester: "engine".to_owned(),
        step: StepKey { run: run(), seq: StepSeq(seq), attempt: Attempt(1) },
        authority: authority(1, 600),
        labels: Labels::default(),
        policy: Digest::of(b"policy"),
        decision: "dec_01J9ZK3Y4T6W8Q2N5R7VX0ABCE".parse().unwrap(),
        predecessors,
        now: at(1),
    }
}

fn verify(token: &str) -> Result<Envelope, EnvelopeError> {
    Envelope::verify(token, &Jwks::new([key(1).public()]), ISSUER, DOMAIN, at(2))
}

fn claims(envelope: &Envelope) -> Value {
    let payload = envelope.token().split('.').nth(1).unwrap();
    serde_json::from_slice(&base64url_decode(payload).unwrap()).unwrap()
}

#[test]
fn the_wire_form_is_the_draft_s() {
    let claims = claims(&root().next(next(1, vec![]), &key(1)).unwrap());
    for name in ["iss", "aud", "iat", "exp", "txn", "sub", "scope", "req_wl", "tctx", "rctx"] {
        assert!(claims.get(name).is_some(), "{name}");
    }
    assert_eq!(claims["tctx"]["purpose"], "Q3 numbers for the board");
    assert_eq!(claims["sub"], "user:finance-lead");
    assert_eq!(claims["exp"], crate::common::NOW + 600);
    assert_eq!(claims["scope"], "warehouse:read");
}

#[test]
fn steps_follow_fork_and_join() {
    let root = root();
    let left = root.next(next(1, vec![]), &key(1)).unwrap();
    let right = root.next(next(2, vec![root.digest()]), &key(1)).unwrap();
    let join = root.next(next(3, vec![right.digest(), left.digest(), left.digest()]), &key(1)).unwrap();
    assert_eq!(left.position().predecessors, [root.digest()]);
    let mut both = [left.digest(), right.digest()];
    both.sort_unstable();
    assert_eq!(join.position().predecessors, both);
    assert_eq!(join.position().parent, Some(root.digest()));
    assert_eq!(verify(join.token()), Ok(join.clone()));
    assert_eq!(join.work(), root.work());
}

#[test]
fn what_is_nested_gets_less() {
    let step = root().next(next(1, vec![]), &key(1)).unwrap();
    let mut wide = next(2, vec![]);
    assert_eq!(step.next(wide.clone(), &key(1)), Err(EnvelopeError::Widening(Widening::NotLess)));
    wide.authority = authority(1, 601);
    assert_eq!(step.next(wide.clone(), &key(1)), Err(EnvelopeError::Widening(Widening::Lifetime)));
    wide.authority = authority(0, 600);
    assert!(step.next(wide.clone(), &key(1)).is_ok());
    wide.step.run = "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCE".parse().unwrap();
    assert_eq!(step.next(wide.clone(), &key(1)), Err(EnvelopeError::Run));
    wide.now = at(600);
    assert_eq!(step.next(wide, &key(1)), Err(EnvelopeError::Expired));
    let many = (0..65_u8).map(|n| Digest::of(&[n])).collect();
    assert_eq!(root().next(next(2, many), &key(1)), Err(EnvelopeError::Predecessors));
}

#[test]
fn labels_never_get_lost() {
    let source = Source { origin: "input".to_owned(), digest: Digest::of(b"x") };
    let labels = Labels {
        confidentiality: Confidentiality::Restricted,
        integrity: Integrity::Untrusted,
        sources: BTreeSet::from([source]),
        ..Labels::default()
    };
    let root = root_of(|root| root.labels = labels).unwrap();
    let step = root.next(next(1, vec![]), &key(1)).unwrap();
    let carried = &step.position().labels;
    assert_eq!((carried.confidentiality, carried.integrity), (Confidentiality::Restricted, Integrity::Untrusted));
    assert!(carried.sources.is_empty());
}

#[test]
fn a_start_is_checked() {
    for purpose in ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}b", &"x".repeat(1001)] {
        assert_eq!(root_of(|root| root.work.purpose = purpose.to_owned()), Err(EnvelopeError::Purpose), "{purpose:?}");
    }
    let other = |root: &mut Root| root.work.tenant = Tenant::new("other").unwrap();
    assert_eq!(root_of(other), Err(EnvelopeError::Inconsistent));
    let sandbox = |root: &mut Root| root.authority.environment = Environment::new("sandbox").unwrap();
    assert_eq!(root_of(sandbox), Err(EnvelopeError::Inconsistent));
    assert_eq!(root_of(|root| root.now = at(3600)), Err(EnvelopeError::Expired));
}

#[test]
fn each_forged_envelope_is_refused_by_its_name() {
    let header = json!({"alg": "EdDSA", "typ": "txntoken+jwt", "kid": key(1).key_id().0});
    let step = root().next(next(1, vec![]), &key(1)).unwrap();
    let table = [
        ("/iss", json!("https://evil.example"), EnvelopeError::Issuer),
        ("/aud", json!("mandate.example/t/other"), EnvelopeError::TrustDomain),
        ("/sub", json!("user:admin"), EnvelopeError::Inconsistent),
        ("/scope", json!("warehouse:read warehouse:write"), EnvelopeError::Inconsistent),
        ("/exp", json!(crate::common::NOW + 601), EnvelopeError::Inconsistent),
        ("/txn", json!("run_01J9ZK3Y4T6W8Q2N5R7VX0ABCE"), EnvelopeError::Run),
        ("/tctx/environment", json!("sandbox"), EnvelopeError::Inconsistent),
        ("/tctx/purpose", json!("\u{202e}"), EnvelopeError::Purpose),
        ("/rctx/step", json!(null), EnvelopeError::Inconsistent),
        ("/rctx/parent", json!(null), EnvelopeError::Inconsistent),
        ("/rctx/predecessors", json!([]), EnvelopeError::Inconsistent),
        ("/iat", json!(crate::common::NOW + 3), EnvelopeError::NotYetValid),
        ("/iat", json!("now"), EnvelopeError::Jws(JwsError::Malformed)),
    ];
    for (pointer, value, refusal) in table {
        let mut forged = claims(&step);
        *forged.pointer_mut(pointer).unwrap() = value;
        let token = forge(&key(1), &header, &forged.to_string());
        assert_eq!(verify(&token), Err(refusal), "{pointer}");
    }
    let token = forge(&key(1), &header, &claims(&step).to_string());
    assert!(verify(&token).is_ok());
    let access = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": key(1).key_id().0});
    let token = forge(&key(1), &access, &claims(&step).to_string());
    assert_eq!(verify(&token), Err(EnvelopeError::Jws(JwsError::Type)));
}

#[test]
fn evidence_outlives_the_envelope() {
    let keys = Jwks::new([key(1).public()]);
    let envelope = root();
    let late = Envelope::verify(envelope.token(), &keys, ISSUER, DOMAIN, at(3600));
    assert_eq!(late, Err(EnvelopeError::Expired));
    assert_eq!(Envelope::verify_evidence(envelope.token(), &keys, ISSUER, DOMAIN), Ok(envelope));
}
