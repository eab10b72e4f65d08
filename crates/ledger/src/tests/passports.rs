//! Passports and artefacts against an attacker who holds the tenant's own evidence key.

use super::*;
use crate::artifact::{self, ArtifactBody};
use crate::{BuildError, VerifyError, statement};
use mandate_kernel::{Labels, canonical_json};

pub(super) fn artifact_body() -> ArtifactBody {
    ArtifactBody {
        format: artifact::FORMAT.to_owned(),
        tenant: demo(),
        run: run_id(0),
        worker: "finance/quarterly-summary".parse().unwrap(),
        worker_version: crate::leaf_hash(b"version"),
        name: "summary".to_owned(),
        media_type: "application/json".to_owned(),
        content: json!({"margin": 0.25, "revenue": 1200}),
        labels: Labels::default(),
        produced_at: Timestamp::from_secs(1_790_000_000),
        keys: Vec::new(),
    }
}

fn body_of(passport: &[u8]) -> Value {
    serde_json::from_slice(Dsse::parse(passport).unwrap().unverified_payload()).unwrap()
}

fn sealed(body: &Value, signer: &dyn Signer) -> Vec<u8> {
    Dsse::sign(passport::PAYLOAD_TYPE, canonical_json(body).unwrap(), signer).to_bytes().unwrap()
}

#[test]
fn a_passport_says_what_the_run_did() {
    let mut world = World::with_two_runs();
    let file = artifact::sign(&artifact_body(), &world.evidence).unwrap();
    let signed = artifact::verify(&file, &world.anchor).unwrap();
    world.record(EventKind::RunStarted, Some(2), json!({"worker": "finance/quarterly-summary"}));
    world.record(EventKind::ArtifactSigned, Some(2), json!({"digest": signed.digest}));
    world.record(EventKind::RunKilled, Some(2), json!({}));
    let report = passport::verify(&world.passport(&run_id(2)), &world.anchor).unwrap();
    assert_eq!(report.artifacts, [signed.digest.to_string()]);
    assert_eq!(report.state, "cancelled");
    let report = passport::verify(&world.passport(&run_id(0)), &world.anchor).unwrap();
    assert_eq!(report.worker.as_deref(), Some("finance/quarterly-summary"));
    assert_eq!(report.started_by, "user:finance-lead");
    assert_eq!((report.entries, report.decisions, report.checkpoint_size), (3, 1, 8));
    assert_eq!(report.state, "completed");
    let mut refused = World::new();
    refused.record(EventKind::RunRefused, Some(0), json!({}));
    assert_eq!(passport::verify(&refused.passport(&run_id(0)), &refused.anchor).unwrap().state, "refused");
}

#[test]
fn an_unfinished_run_has_no_passport() {
    let mut world = World::new();
    world.record(EventKind::RunStarted, Some(0), json!({}));
    let entries = world.proven(&run_id(0));
    let input = BuildInput {
        tenant: &demo(),
        run: &run_id(0),
        origin: ORIGIN,
        keys: &[],
        checkpoint: &world.checkpoint(),
        entries: &entries,
        signer: &world.evidence,
    };
    assert!(matches!(passport::build(&input), Err(BuildError::NotAWholeRun { .. })));
}

/// Whoever holds the evidence key can sign anything; what the log and its witness signed still holds.
#[test]
fn the_evidence_key_alone_cannot_bend_a_run() {
    let mut world = World::with_two_runs();
    world.record(EventKind::StepSucceeded, Some(0), json!({}));
    let mut whole = body_of(&World::with_two_runs().passport(&run_id(0)));
    let other = body_of(&world.passport(&run_id(1)));
    let world = World::with_two_runs();
    let other_world = World::with_two_runs().passport(&run_id(1));
    let same_log = body_of(&other_world);
    let refusal = |body: &Value| passport::verify(&sealed(body, &world.evidence), &world.anchor).unwrap_err();
    let edit = |change: &dyn Fn(&mut Value)| {
        let mut body = whole.clone();
        change(&mut body);
        refusal(&body)
    };
    let statements = |body: &mut Value| body["statements"].as_array_mut().unwrap().clone();
    assert!(passport::verify(&sealed(&whole, &world.evidence), &world.anchor).is_ok());

    assert!(matches!(
        edit(&|b| {
            b["statements"].as_array_mut().unwrap().remove(0);
        }),
        VerifyError::Chain { .. }
    ));
    assert!(matches!(
        edit(&|b| {
            b["statements"].as_array_mut().unwrap().remove(1);
        }),
        VerifyError::Chain { .. }
    ));
    assert!(matches!(
        edit(&|b| {
            b["statements"].as_array_mut().unwrap().pop();
        }),
        VerifyError::Unfinished
    ));
    assert!(matches!(edit(&|b| b["statements"] = json!([])), VerifyError::Unfinished));
    assert!(matches!(edit(&|b| b["statements"].as_array_mut().unwrap().swap(1, 2)), VerifyError::Chain { .. }));
    let repeated = edit(&|b| {
        let s = statements(b);
        b["statements"].as_array_mut().unwrap().push(s[2].clone());
    });
    assert!(matches!(repeated, VerifyError::Chain { .. }));
    assert!(matches!(
        edit(&|b| b["statements"] = same_log["statements"].clone()),
        VerifyError::Field { .. } | VerifyError::ForeignRun { .. }
    ));
    assert!(matches!(
        edit(&|b| b["run"] = json!(run_id(1))),
        VerifyError::Field { .. } | VerifyError::ForeignRun { .. }
    ));
    assert!(matches!(edit(&|b| b["checkpoint"] = other["checkpoint"].clone()), VerifyError::Inclusion { .. }));
    assert!(matches!(edit(&|b| b["statements"][0]["index"] = json!(1)), VerifyError::Inclusion { .. }));
    assert!(matches!(edit(&|b| b["statements"][0]["proof"] = json!([])), VerifyError::Inclusion { .. }));
    assert!(matches!(edit(&|b| b["origin"] = json!("elsewhere.example")), VerifyError::Field { .. }));
    assert!(matches!(edit(&|b| b["tenant"] = json!("other")), VerifyError::Keys(_)));
    assert!(matches!(edit(&|b| b["extra"] = json!(1)), VerifyError::Content { .. }));
    assert!(matches!(edit(&|b| b["format"] = json!("x")), VerifyError::Field { .. }));
    whole["keys"] = json!([Dsse::sign("x", b"{}".to_vec(), &world.evidence)]);
    assert!(matches!(refusal(&whole), VerifyError::Keys(_)));
}

/// An entry made up after the fact, with all hashes recomputed and every statement signed again.
#[test]
fn recomputed_entries_are_not_in_the_log() {
    let world = World::with_two_runs();
    let mut forged = World::with_two_runs();
    forged.entries.clear();
    forged.tree = MemoryTree::new();
    for entry in &world.entries {
        let (_, event) = Entry::decode(entry.bytes()).unwrap();
        let n = if event.run.as_ref().unwrap().run == run_id(0) { 0 } else { 1 };
        forged.record(event.kind, Some(n), json!({"status": "allow", "worker": "finance/other"}));
    }
    let bytes = forged.passport_by(&run_id(0), &[], &world.checkpoint(), &world.evidence);
    assert!(matches!(passport::verify(&bytes, &world.anchor), Err(VerifyError::Inclusion { .. })));
}

#[test]
fn other_keys_are_refused_everywhere() {
    let world = World::with_two_runs();
    let forged = World { entries: world.entries.clone(), tree: world.tree.clone(), ..World::with_seeds(50) };
    let good = world.passport(&run_id(0));
    assert!(passport::verify(&forged.passport(&run_id(0)), &world.anchor).is_err(), "forged as a whole");
    assert!(passport::verify(&good, &forged.anchor).is_err(), "another anchor");
    let resigned = sealed(&body_of(&good), &forged.evidence);
    assert!(matches!(passport::verify(&resigned, &world.anchor), Err(VerifyError::Envelope { .. })));
    for wrong in [&world.log as &dyn Signer, &world.witness] {
        assert!(passport::verify(&sealed(&body_of(&good), wrong), &world.anchor).is_err(), "another role's key");
        let file = artifact::sign(&artifact_body(), wrong).unwrap();
        assert!(artifact::verify(&file, &world.anchor).is_err());
    }
    // Each layer alone by a foreign key.
    let inner = forged.passport_by(&run_id(0), &[], &world.checkpoint(), &forged.evidence);
    let inner = passport::verify(&sealed(&body_of(&inner), &world.evidence), &world.anchor);
    assert!(matches!(inner, Err(VerifyError::Envelope { .. })));
    let notes = world.passport_by(&run_id(0), &[], &forged.checkpoint(), &world.evidence);
    assert!(matches!(passport::verify(&notes, &world.anchor), Err(VerifyError::Checkpoint(_))));
    let by_log_alone = world.passport_by(&run_id(0), &[], &world.checkpoint_by(&forged.log), &world.evidence);
    assert!(matches!(passport::verify(&by_log_alone, &world.anchor), Err(VerifyError::Checkpoint(_))));
}

#[test]
fn envelopes_are_not_interchangeable() {
    let world = World::with_two_runs();
    let passport_file = world.passport(&run_id(0));
    let artifact_file = artifact::sign(&artifact_body(), &world.evidence).unwrap();
    assert!(passport::verify(&artifact_file, &world.anchor).is_err());
    assert!(artifact::verify(&passport_file, &world.anchor).is_err());
    let retyped = Dsse::sign(statement::PAYLOAD_TYPE, canonical_json(&artifact_body()).unwrap(), &world.evidence);
    assert!(artifact::verify(&retyped.to_bytes().unwrap(), &world.anchor).is_err());
    let twice = Dsse::parse(&artifact_file).unwrap().with_signature(&world.evidence);
    assert!(artifact::verify(&twice.to_bytes().unwrap(), &world.anchor).is_err());
}

#[test]
fn an_artifact_that_would_be_rounded_is_not_signed() {
    let body = ArtifactBody { content: json!({"n": (1u64 << 53) + 1}), ..artifact_body() };
    assert!(artifact::sign(&body, &signer(2)).is_err());
}

/// Ed25519 signatures with `s + L` in place of `s` verify in careless implementations.
#[test]
fn malleated_signatures_are_refused() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let world = World::with_two_runs();
    let file = artifact::sign(&artifact_body(), &world.evidence).unwrap();
    let mut object: Value = serde_json::from_slice(&file).unwrap();
    let text = object["signatures"][0]["sig"].as_str().unwrap();
    let mut signature = mandate_kernel::base64_decode(text).unwrap();
    let mut carry = 0u16;
    for (byte, add) in signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    object["signatures"][0]["sig"] = json!(mandate_kernel::base64_encode(&signature));
    let refused = artifact::verify(&canonical_json(&object).unwrap(), &world.anchor);
    assert!(matches!(refused, Err(VerifyError::Envelope { .. })));
}
