//! Key history and the anchor it begins in.

use super::*;
use crate::{AnchorError, KeyRing, KeyRingError, passport};

fn ring(world: &World) -> KeyRing {
    KeyRing::from_anchor(&world.anchor, &demo()).unwrap()
}

#[test]
fn keys_follow_from_their_predecessors() {
    let world = World::new();
    let (second, third) = (signer(40), signer(41));
    let statements = [
        world.rotation(Role::Evidence, 1, &world.evidence, &second),
        world.rotation(Role::Log, 1, &world.log, &signer(42)),
        world.rotation(Role::Evidence, 2, &second, &third),
    ];
    let ring = ring(&world).extend(&statements).unwrap();
    assert_eq!(ring.keys(Role::Evidence), [world.evidence.public(), second.public(), third.public()]);
    assert_eq!(ring.log_keys().unwrap().len(), 2);
    assert_eq!(ring.keys(Role::Token).len(), 1);
}

#[test]
fn anything_else_is_refused() {
    let world = World::new();
    let (new, rival) = (signer(40), signer(41));
    let said = || successor(Role::Evidence, 1, &world.evidence, &new);
    let good = world.rotation(Role::Evidence, 1, &world.evidence, &new);
    let signed = |statement: &KeyStatement| statement.sign(&world.evidence).unwrap().with_signature(&world.witness);
    let refusal = |statements: &[Dsse]| ring(&world).extend(statements).unwrap_err();

    assert!(matches!(refusal(&[said().sign(&world.evidence).unwrap()]), KeyRingError::Signatures(_)), "no witness");
    assert!(matches!(refusal(&[said().sign(&world.witness).unwrap()]), KeyRingError::Signatures(_)), "no predecessor");
    let both_wrong = said().sign(&rival).unwrap().with_signature(&world.witness);
    assert!(matches!(refusal(&[both_wrong]), KeyRingError::Signatures(_)), "another predecessor");
    let false_witness = said().sign(&world.evidence).unwrap().with_signature(&rival);
    assert!(matches!(refusal(&[false_witness]), KeyRingError::Signatures(_)), "another witness");
    let twice = good.clone().with_signature(&world.witness);
    assert!(matches!(refusal(&[twice]), KeyRingError::Signatures(_)), "witness twice");

    let fork = world.rotation(Role::Evidence, 1, &world.evidence, &rival);
    assert!(matches!(refusal(&[good.clone(), fork]), KeyRingError::Fork { .. }));
    assert!(matches!(refusal(&[good.clone(), good.clone()]), KeyRingError::Fork { .. }));
    assert!(matches!(refusal(&[signed(&KeyStatement { ordinal: 2, ..said() })]), KeyRingError::Ordinal { .. }));
    assert!(matches!(
        refusal(&[signed(&KeyStatement { predecessor: None, ..said() })]),
        KeyRingError::Predecessor { .. }
    ));
    assert!(matches!(
        refusal(&[signed(&KeyStatement { role: Role::Log, ..said() })]),
        KeyRingError::Predecessor { .. }
    ));
    let other = Tenant::new("other").unwrap();
    assert!(matches!(refusal(&[signed(&KeyStatement { tenant: other, ..said() })]), KeyRingError::Tenant(_)));
    let reused = KeyStatement { key: world.log.public(), ..said() };
    assert!(matches!(refusal(&[signed(&reused)]), KeyRingError::Reused(_)));
    let renamed = KeyStatement { key_name: "x".to_owned(), ..successor(Role::Log, 1, &world.log, &new) };
    assert!(matches!(refusal(&[renamed.sign(&world.log).unwrap()]), KeyRingError::KeyName(_)));
}

#[test]
fn a_passport_after_rotation_carries_its_key_history() {
    let world = World::with_two_runs();
    let (log, evidence) = (signer(40), signer(41));
    let keys =
        [world.rotation(Role::Log, 1, &world.log, &log), world.rotation(Role::Evidence, 1, &world.evidence, &evidence)];
    let checkpoint = world.checkpoint_by(&log);
    let good = world.passport_by(&run_id(0), &keys, &checkpoint, &evidence);
    assert!(passport::verify(&good, &world.anchor).is_ok());
    for partial in [&keys[..0], &keys[..1], &keys[1..]] {
        let bad = world.passport_by(&run_id(0), partial, &checkpoint, &evidence);
        assert!(passport::verify(&bad, &world.anchor).is_err());
    }
}

#[test]
fn an_anchor_reads_back_and_refuses_what_would_trust_nothing() {
    let world = World::new();
    let text = world.anchor.to_json().unwrap();
    assert_eq!(TrustAnchor::parse(text.as_bytes()).unwrap(), world.anchor);
    let compact = serde_json::to_string(&world.anchor).unwrap();
    assert_eq!(TrustAnchor::parse(compact.as_bytes()).unwrap(), world.anchor);
    let other = Tenant::new("other").unwrap();
    assert_eq!(world.anchor.tenant(&other).unwrap_err(), AnchorError::UnknownTenant(other));
    let log = world.anchor.tenant(&demo()).unwrap().log.to_string();
    let witness = world.anchor.witnesses()[0].to_string();
    let edited = |from: &str, to: &str| compact.replacen(from, to, 1);
    let evidence = String::from(world.anchor.tenant(&demo()).unwrap().evidence);
    for bad in [
        edited("trust/v1", "trust/v2"),
        edited("\"quorum\":1", "\"quorum\":0"),
        edited("\"quorum\":1", "\"quorum\":2"),
        edited(&witness, &log),
        edited(&log, &witness),
        edited(ORIGIN, "elsewhere.example"),
        edited(&String::from(world.anchor.tenant(&demo()).unwrap().token), &evidence),
        edited("{", "{\"extra\":1,"),
        compact[..compact.len() - 1].to_owned(),
    ] {
        assert!(TrustAnchor::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}
