//! Tenant keys, credentials and signing keys: round trips, foreign places, rotation, shredding.

mod support;

use mandate_journal::{Change, CommitError, Resources};
use mandate_kernel::{Duration, Secret, Signer};
use mandate_vault::{ValueFault, VaultError};
use std::sync::Arc;
use support::*;

const CANARY: &str = "canary-7f3a9c-sk-live";

/// What the edge would get.
async fn lend(
    vault: &mandate_vault::TenantVault,
    clock: &TestClock,
    name: &str,
    version: u32,
) -> Result<String, mandate_vault::LeaseError> {
    use mandate_kernel::Clock;
    let now = clock.now();
    let permit = permit("demo", step(1), name, version, true, now).await;
    let lease = lease_for(step(1), name, version, now.plus(Duration::from_secs(60)));
    vault.lease(&permit, &lease).await.map(|secret| secret.expose().clone())
}

#[tokio::test]
async fn a_value_comes_back_in_another_process_under_the_same_root_key() {
    let (vault, store, clock) = vault();
    put(&vault, &store, "finance/costs", 1, "first").await;
    put(&vault, &store, "finance/costs", 2, CANARY).await;
    assert_eq!(vault.newest_version(&credential("finance/costs")).await.unwrap(), Some(2));
    assert_eq!(vault.newest_version(&credential("finance/none")).await.unwrap(), None);
    let restarted = vault_on(&store, &clock, 7);
    assert_eq!(lend(&restarted, &clock, "finance/costs", 2).await.unwrap(), CANARY);
    assert_eq!(lend(&restarted, &clock, "finance/costs", 1).await.unwrap(), "first");
    let absent = lend(&restarted, &clock, "finance/costs", 3).await.unwrap_err();
    assert!(absent.to_string().contains("there is no credential finance/costs version 3"), "{absent}");
}

#[tokio::test]
async fn another_root_key_is_told_apart_from_damage() {
    let (vault, store, clock) = vault();
    vault.ensure_tenant().await.unwrap();
    let stranger = vault_on(&store, &clock, 8);
    let error = stranger.ensure_tenant().await.unwrap_err();
    assert!(matches!(error, VaultError::WrongRootKey { .. }), "{error}");
    assert_eq!(store.count("tenant-key"), 1, "nothing was made beside it");
}

#[tokio::test]
async fn a_record_moved_or_altered_is_refused_and_no_message_holds_the_value() {
    let (vault, store, clock) = vault();
    let good = put(&vault, &store, "finance/costs", 1, CANARY).await;
    put(&vault, &store, "finance/other", 1, "other").await;
    let mut moved = vec![
        mandate_journal::SecretRecord { name: "finance/other".to_owned(), ..good.clone() },
        mandate_journal::SecretRecord { version: 2, ..good.clone() },
    ];
    for at in 0..good.sealed.len() {
        let mut altered = good.clone();
        altered.sealed[at] ^= 1;
        moved.push(altered);
    }
    moved.push(mandate_journal::SecretRecord { sealed: Vec::new(), ..good.clone() });
    for record in moved {
        let (name, version) = (record.name.clone(), record.version);
        store.put(record);
        let error = lend(&vault, &clock, &name, version).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY));
        assert!(!error.to_string().is_empty());
    }
    store.put(good);
    assert_eq!(lend(&vault, &clock, "finance/costs", 1).await.unwrap(), CANARY);
}

#[tokio::test]
async fn another_tenant_can_not_use_the_records() {
    let (vault, store, clock) = vault();
    put(&vault, &store, "finance/costs", 1, CANARY).await;
    let both = mandate_vault::Vault::new(root(7), clock.clone(), Arc::new(mandate_kernel::SystemEntropy));
    // Somebody copied all rows of tenant `demo` into tenant `other`.
    let error = both.tenant(tenant("other"), store.clone()).ensure_tenant().await.unwrap_err();
    assert!(matches!(error, VaultError::Undecryptable { .. }), "{error}");
}

#[tokio::test]
async fn nothing_stored_holds_the_canary() {
    let (vault, store, _) = vault();
    put(&vault, &store, "finance/costs", 1, CANARY).await;
    let (signer, record) = vault.new_signing_key("log", 2).await.unwrap();
    let subject = vault.subject("user:finance-lead").await.unwrap();
    let (stored, payload) = subject.seal(&serde_json::json!({"key": CANARY}), &Default::default()).unwrap();
    let written = serde_json::to_string(&(store.all(), record, stored, payload.clone())).unwrap();
    let bytes: Vec<u8> = store.all().into_iter().flat_map(|r| r.sealed).chain(payload.ciphertext).collect();
    assert!(!written.contains(CANARY));
    assert!(!bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()));
    assert!(!bytes.windows(32).any(|w| w == signer.public().as_bytes()));
}

#[tokio::test]
async fn a_value_that_injects_a_header_is_refused_without_being_repeated() {
    let (vault, _, _) = vault();
    let value = format!("{CANARY}\r\nX-Admin: 1");
    let refused = vault.seal_secret(&credential("finance/costs"), 1, Secret::new(value.into_bytes())).await;
    let error = refused.err().unwrap();
    assert!(matches!(&error, VaultError::Value { fault: ValueFault::Control { at: 21 }, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(CANARY));
}

#[tokio::test]
async fn many_at_once_make_one_key_each() {
    let (store, clock) = (Arc::new(FakeStore::default()), TestClock::new());
    // Four processes, eight callers each.
    let vaults: Vec<_> = (0..4).map(|_| vault_on(&store, &clock, 7)).collect();
    let mut tasks = Vec::new();
    for vault in vaults.iter().flat_map(|v| std::iter::repeat_n(v.clone(), 8)) {
        tasks.push(tokio::spawn(async move {
            vault.ensure_tenant().await.unwrap();
            let subject = vault.subject("user:finance-lead").await.unwrap();
            let (_, payload) = subject.seal(&serde_json::json!(1), &Default::default()).unwrap();
            (vault.signing_key("log", 1).await.unwrap().public(), payload)
        }));
    }
    let mut signers = Vec::new();
    let reader = vaults[0].subject("user:finance-lead").await.unwrap();
    for task in tasks {
        let (signer, payload) = task.await.unwrap();
        signers.push(signer);
        assert_eq!(reader.open(&payload).unwrap(), serde_json::json!(1));
    }
    signers.dedup();
    assert_eq!(signers.len(), 1);
    assert_eq!((store.count("tenant-key"), store.count("subject-key"), store.count("signing-key")), (1, 1, 1));
    assert_eq!(store.all().len(), 3);
}

#[tokio::test]
async fn signing_keys_are_made_once_and_never_made_up() {
    let (vault, store, clock) = vault();
    let first = vault.signing_key("log", 1).await.unwrap();
    let missing = vault.signing_key("log", 2).await.err().unwrap();
    assert!(matches!(missing, VaultError::Missing { .. }), "{missing}");
    let (second, record) = vault.new_signing_key("log", 2).await.unwrap();
    assert!(vault.signing_key("log", 2).await.is_err(), "not before it is committed");
    store.change(Change { secrets: vec![record], ..change() }).await.unwrap();
    let restarted = vault_on(&store, &clock, 7);
    assert_eq!(restarted.signing_key("log", 2).await.unwrap().public(), second.public());
    assert_eq!(restarted.signing_key("log", 1).await.unwrap().public(), first.public());
    assert_ne!(restarted.signing_key("token", 1).await.unwrap().public(), first.public());
    // The first key is lost and the second is there: a new first one would contradict old evidence.
    store.secrets.lock().unwrap().remove(&("signing-key".to_owned(), "log".to_owned(), 1));
    assert!(vault_on(&store, &clock, 7).signing_key("log", 1).await.is_err());
    assert!(matches!(vault.signing_key("lo\ng", 1).await.err().unwrap(), VaultError::Name { .. }));
}

#[tokio::test]
async fn rewrapping_keeps_every_value_and_no_ciphertext_changes() {
    let (vault, store, clock) = vault();
    let sealed = put(&vault, &store, "finance/costs", 1, CANARY).await.sealed;
    let signer = vault.signing_key("log", 1).await.unwrap().public();
    let early = put(&vault, &store, "finance/late", 1, "late").await;
    assert_eq!(vault.rewrap(change()).await.unwrap(), 2);
    assert_eq!(lend(&vault, &clock, "finance/costs", 1).await.unwrap(), CANARY);
    // The newest can't go, and an unknown one isn't there.
    assert!(matches!(vault.retire(2, change()).await, Err(VaultError::StillNeeded { .. })));
    assert!(matches!(vault.retire(9, change()).await, Err(VaultError::Missing { .. })));
    // A value that came in under the old key after all keeps it alive.
    let straggler = mandate_journal::SecretRecord { name: "finance/late".to_owned(), ..early };
    store.secrets.lock().unwrap().retain(|(_, name, _), _| name != "2:credential:finance/late");
    store.put(straggler);
    let kept = vault.retire(1, change()).await.unwrap_err();
    assert!(matches!(&kept, VaultError::StillNeeded { why, .. } if why.contains("finance/late")), "{kept}");
    assert_eq!(vault.rewrap(change()).await.unwrap(), 3);
    vault.retire(1, change()).await.unwrap();
    vault.retire(2, change()).await.unwrap();
    assert_eq!(store.count("tenant-key"), 1);
    let restarted = vault_on(&store, &clock, 7);
    for vault in [&vault, &restarted] {
        assert_eq!(lend(vault, &clock, "finance/costs", 1).await.unwrap(), CANARY);
        assert_eq!(lend(vault, &clock, "finance/late", 1).await.unwrap(), "late");
        assert_eq!(vault.signing_key("log", 1).await.unwrap().public(), signer);
    }
    let stored = store.all().into_iter().find(|r| r.kind == "credential" && r.name == "finance/costs").unwrap();
    assert_eq!(stored.sealed, sealed, "no value was encrypted again");
}

#[tokio::test]
async fn another_process_follows_a_new_generation() {
    let (vault, store, clock) = vault();
    put(&vault, &store, "finance/costs", 1, "one").await;
    let other = vault_on(&store, &clock, 7);
    other.ensure_tenant().await.unwrap();
    vault.rewrap(change()).await.unwrap();
    put(&vault, &store, "finance/costs", 2, "two").await;
    assert_eq!(lend(&other, &clock, "finance/costs", 2).await.unwrap(), "two");
    // Both rotate on at once: one wins, the other is told.
    let (a, b) = tokio::join!(vault.rewrap(change()), other.rewrap(change()));
    let lost = [a, b].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(lost.iter().all(|e| matches!(e, VaultError::Commit(CommitError::VersionConflict { .. }))), "{lost:?}");
    assert_eq!(lend(&other, &clock, "finance/costs", 1).await.unwrap(), "one");
}

#[tokio::test]
async fn a_shredded_credential_is_gone_in_all_generations() {
    let (vault, store, clock) = vault();
    put(&vault, &store, "finance/costs", 1, CANARY).await;
    put(&vault, &store, "x-finance/costs", 1, "stays").await;
    vault.rewrap(change()).await.unwrap();
    vault.shred_credential(&credential("finance/costs"), change()).await.unwrap();
    assert!(lend(&vault, &clock, "finance/costs", 1).await.is_err());
    assert!(!store.all().iter().any(|r| r.name.ends_with(":finance/costs")));
    assert_eq!(lend(&vault, &clock, "x-finance/costs", 1).await.unwrap(), "stays");
}

#[tokio::test]
async fn destroying_the_tenant_key_shreds_everything_and_no_new_one_hides_it() {
    let (vault, store, clock) = vault();
    let backup = put(&vault, &store, "finance/costs", 1, CANARY).await;
    let subject = vault.subject("user:finance-lead").await.unwrap();
    let (_, payload) = subject.seal(&serde_json::json!(CANARY), &Default::default()).unwrap();
    vault.rewrap(change()).await.unwrap();
    vault.shred_tenant(change()).await.unwrap();
    assert!(matches!(subject.open(&payload), Err(VaultError::Shredded { .. })));
    assert!(matches!(subject.seal(&serde_json::json!(1), &Default::default()), Err(VaultError::Shredded { .. })));
    store.put(backup);
    for vault in [vault, vault_on(&store, &clock, 7)] {
        let error = vault.ensure_tenant().await.unwrap_err();
        assert!(matches!(error, VaultError::Shredded { .. }), "{error}");
        assert!(lend(&vault, &clock, "finance/costs", 1).await.is_err());
    }
    assert_eq!(store.count("tenant-key"), 0);
}
