//! Payloads: commitments, foreign subjects, altered bytes, shredding.

mod support;

use mandate_journal::SealedPayload;
use mandate_kernel::{Confidentiality, Digest, Labels, canonical_json};
use mandate_vault::{VaultError, commitment};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::*;

#[tokio::test]
async fn a_payload_opens_to_what_was_committed() {
    let (vault, store, clock) = vault();
    let key = vault.subject("user:finance-lead").await.unwrap();
    let labels = Labels { confidentiality: Confidentiality::Restricted, ..Labels::default() };
    let value = json!({"b": [1, null, "x"], "a": {"deep": true}});
    let (stored, payload) = key.seal(&value, &labels).unwrap();
    assert_eq!((stored.labels, stored.commitment), (labels, payload.commitment));
    assert_eq!(stored.size as usize, canonical_json(&value).unwrap().len());
    let again = vault_on(&store, &clock, 7).subject("user:finance-lead").await.unwrap();
    let (opened, salt) = again.open_with_salt(&payload).unwrap();
    assert_eq!(opened, value);
    assert_eq!(commitment(&salt, &canonical_json(&value).unwrap()), payload.commitment);
    // Equal values have nothing in common.
    let (other, _) = key.seal(&value, &Labels::default()).unwrap();
    assert_ne!(other.commitment, stored.commitment);
}

#[tokio::test]
async fn a_payload_altered_cut_or_moved_is_refused() {
    let (vault, _, _) = vault();
    let key = vault.subject("user:a").await.unwrap();
    let other = vault.subject("user:b").await.unwrap();
    let (_, payload) = key.seal(&json!({"amount": 7}), &Labels::default()).unwrap();
    for at in 0..payload.ciphertext.len() {
        let mut altered = payload.clone();
        altered.ciphertext[at] ^= 0x40;
        assert!(key.open(&altered).is_err(), "byte {at}");
        let cut = SealedPayload { ciphertext: payload.ciphertext[..at].to_vec(), ..payload.clone() };
        assert!(key.open(&cut).is_err(), "cut at {at}");
    }
    let renamed = SealedPayload { commitment: Digest::of(b"other"), ..payload.clone() };
    assert!(matches!(key.open(&renamed), Err(VaultError::Undecryptable { .. })));
    let given = SealedPayload { subject: "user:b".to_owned(), ..payload.clone() };
    assert!(key.open(&given).is_err() && other.open(&given).is_err() && other.open(&payload).is_err());
    let newer = SealedPayload { ciphertext: [vec![2], payload.ciphertext[1..].to_vec()].concat(), ..payload.clone() };
    assert!(matches!(key.open(&newer), Err(VaultError::UnknownFormat { format: 2, .. })));
    assert_eq!(key.open(&payload).unwrap(), json!({"amount": 7}));
}

#[tokio::test]
async fn shredding_a_subject_stops_all_copies_and_spares_others() {
    let (vault, store, clock) = vault();
    let (key, other) = (vault.subject("user:a").await.unwrap(), vault.subject("user:b").await.unwrap());
    let copy = key.clone();
    let (stored, payload) = key.seal(&json!("private"), &Labels::default()).unwrap();
    let (_, kept) = other.seal(&json!("kept"), &Labels::default()).unwrap();
    vault.rewrap(change()).await.unwrap();
    vault.shred_subject("user:a", change()).await.unwrap();
    assert!(!store.all().iter().any(|r| r.name.ends_with("user:a")));
    for gone in [&key, &copy] {
        assert!(matches!(gone.open(&payload), Err(VaultError::Shredded { .. })));
        assert!(matches!(gone.seal(&json!(1), &Labels::default()), Err(VaultError::Shredded { .. })));
    }
    // The same person comes back: a new key, and the old data stays gone.
    for vault in [vault, vault_on(&store, &clock, 7)] {
        let again = vault.subject("user:a").await.unwrap();
        assert!(matches!(again.open(&payload), Err(VaultError::Shredded { .. })));
        let (_, fresh) = again.seal(&json!(2), &Labels::default()).unwrap();
        assert_eq!(again.open(&fresh).unwrap(), json!(2));
        assert_eq!(vault.subject("user:b").await.unwrap().open(&kept).unwrap(), json!("kept"));
    }
    assert_eq!(stored.commitment, payload.commitment, "the proof's side is as it was");
}

#[tokio::test]
async fn a_subject_that_can_not_be_a_name_is_refused() {
    let (vault, _, _) = vault();
    for bad in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(vault.subject(bad).await.err().unwrap(), VaultError::Name { .. }), "{bad:?}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000i64..1_000_000).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn every_json_value_comes_back() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (vault, _, _) = vault();
    let key = runtime.block_on(vault.subject("user:a")).unwrap();
    proptest!(|(value in json_value())| {
        let (_, payload) = key.seal(&value, &Labels::default()).unwrap();
        prop_assert_eq!(key.open(&payload).unwrap(), value);
    });
}
