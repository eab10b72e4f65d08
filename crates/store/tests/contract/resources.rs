//! Resources, secrets and epochs.

use super::Backend;
use super::script::{Position, caller, change, entry, tenant, tick};
use mandate_journal::{Change, CommitError, EpochKey, ResourceContent, ResourceState, ResourceWrite, SecretRecord};
use mandate_kernel::{Digest, canonical_json};
use mandate_ledger::EventKind;
use serde_json::{Value, json};

fn write(name: &str, expected: Option<u64>, spec: Option<Value>) -> Change {
    let mut change = change("a");
    change.resources = vec![ResourceWrite { kind: "Worker".into(), name: name.into(), expected, spec }];
    change
}

fn conflict(expected: u64, actual: u64) -> CommitError {
    CommitError::VersionConflict { kind: "Worker".into(), name: "p/w".into(), expected, actual }
}

fn secret(version: u32, sealed: &[u8]) -> SecretRecord {
    let (kind, name) = ("credential".to_owned(), "p/key".to_owned());
    SecretRecord { kind, name, version, sealed: sealed.to_vec(), created_at: tick() }
}

fn put(secrets: Vec<SecretRecord>) -> Change {
    Change { secrets, ..change("a") }
}

pub(crate) async fn versions_rise_and_conflicts_show(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let (one, two) = (json!({"b": 1, "a": [1.5]}), json!({"b": 2}));
    store.change(write("p/w", Some(0), Some(one.clone()))).await.unwrap();
    assert_eq!(store.change(write("p/w", Some(0), Some(two.clone()))).await, Err(conflict(0, 1)));
    assert_eq!(store.change(write("p/w", Some(2), Some(two.clone()))).await, Err(conflict(2, 1)));
    let second = write("p/w", Some(1), Some(two.clone()));
    store.change(second.clone()).await.unwrap();
    let record = store.resource("Worker", "p/w").await.unwrap().unwrap();
    assert_eq!((record.version, &record.spec, record.written_by.as_str()), (2, &two, "user:admin"));
    assert_eq!(record.written_at, second.at);
    assert_eq!(record.digest, Digest::of(&canonical_json(&two).unwrap()));
    let old = Digest::of(&canonical_json(&one).unwrap());
    let old = store.resource_by_digest("Worker", "p/w", &old).await.unwrap().unwrap();
    assert_eq!((old.version, old.spec), (1, one.clone()));
    store.change(write("p/w", None, Some(one.clone()))).await.unwrap();
    let newest = store.resource_by_digest("Worker", "p/w", &old.digest).await.unwrap().unwrap();
    assert_eq!(newest.version, 3);
    assert_eq!(store.resource("Function", "p/w").await.unwrap(), None);
    let inexact = store.change(write("p/a", None, Some(json!([{"n": 9_007_199_254_740_993_u64}])))).await;
    assert!(matches!(inexact, Err(CommitError::Invalid(_))), "{inexact:?}");
    store.change(write("p/a", None, Some(one))).await.unwrap();
    let names: Vec<_> = store.resources("Worker").await.unwrap().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["p/a", "p/w"]);
}

pub(crate) async fn a_deletion_keeps_history(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    store.change(write("p/w", Some(0), Some(json!(1)))).await.unwrap();
    let first = store.resource("Worker", "p/w").await.unwrap().unwrap();
    store.change(write("p/w", Some(1), None)).await.unwrap();
    assert_eq!(store.resource("Worker", "p/w").await.unwrap(), None);
    assert!(store.resources("Worker").await.unwrap().is_empty());
    assert_eq!(store.resource_by_digest("Worker", "p/w", &first.digest).await.unwrap(), Some(first));
    assert_eq!(store.change(write("p/w", Some(2), Some(json!(2)))).await, Err(conflict(2, 0)));
    // Deleting what is not there is fine, and makes no version.
    store.change(write("p/w", None, None)).await.unwrap();
    store.change(write("p/w", Some(0), Some(json!(2)))).await.unwrap();
    assert_eq!(store.resource("Worker", "p/w").await.unwrap().unwrap().version, 3);
}

pub(crate) async fn the_inventory_is_everything_there_is(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    assert_eq!(store.inventory().await.unwrap(), []);
    store.change(write("p/w", None, Some(json!(1)))).await.unwrap();
    store.change(write("p/w", None, Some(json!({"b": 2, "a": 1})))).await.unwrap();
    store.change(write("p/a", None, Some(json!(1)))).await.unwrap();
    store.change(write("p/a", None, None)).await.unwrap();
    let mut other = write("p/z", None, Some(json!(null)));
    other.resources[0].kind = "Any".into();
    store.change(other).await.unwrap();
    let state = |kind: &str, name: &str, version, content| ResourceState {
        kind: kind.to_owned(),
        name: name.to_owned(),
        version,
        content,
    };
    let digest = |value: Value| ResourceContent::Digest(Digest::of(&canonical_json(&value).unwrap()));
    let expected = [
        state("Any", "p/z", 1, digest(json!(null))),
        state("Worker", "p/a", 2, ResourceContent::Deleted),
        state("Worker", "p/w", 2, digest(json!({"a": 1, "b": 2}))),
    ];
    assert_eq!(store.inventory().await.unwrap(), expected);
    assert_eq!(backend.of(&caller("b")).inventory().await.unwrap(), []);
}

pub(crate) async fn the_generation_rises(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    assert_eq!(store.generation().await.unwrap(), 0);
    store.change(change("a")).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), 0);
    store.change(write("p/w", None, Some(json!(1)))).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), 1);
    store.change(write("p/w", None, None)).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), 2);
    store.change(put(vec![secret(1, b"sealed")])).await.unwrap();
    assert_eq!(store.generation().await.unwrap(), 2);
}

pub(crate) async fn secrets_are_kept_by_version(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let (one, two) = (secret(1, b"one"), secret(2, b"two"));
    store.change(put(vec![one.clone(), two.clone()])).await.unwrap();
    assert_eq!(store.secret("credential", "p/key", None).await.unwrap(), Some(two.clone()));
    assert_eq!(store.secret("credential", "p/key", Some(1)).await.unwrap(), Some(one.clone()));
    assert_eq!(store.secret("credential", "p/key", Some(3)).await.unwrap(), None);
    assert_eq!(store.secret("tenant-key", "p/key", None).await.unwrap(), None);
    assert_eq!(store.secrets("credential").await.unwrap(), [one, two.clone()]);
    let again = store.change(put(vec![secret(2, b"other")])).await;
    let (kind, name) = ("credential".to_owned(), "p/key".to_owned());
    assert_eq!(again, Err(CommitError::VersionConflict { kind, name, expected: 1, actual: 2 }));
    assert_eq!(store.secret("credential", "p/key", None).await.unwrap(), Some(two));
}

pub(crate) async fn shredded_secrets_are_gone(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    store.change(put(vec![secret(1, b"one"), secret(2, b"two")])).await.unwrap();
    let key = ("credential".to_owned(), "p/key".to_owned());
    // One change can replace what it destroys.
    let mut replace = put(vec![secret(3, b"three")]);
    replace.shred = vec![key.clone()];
    store.change(replace).await.unwrap();
    let left: Vec<u32> = store.secrets("credential").await.unwrap().iter().map(|s| s.version).collect();
    assert_eq!(left, [3]);
    let shred = Change { shred: vec![key.clone(), key], ..change("a") };
    store.change(shred).await.unwrap();
    assert!(store.secrets("credential").await.unwrap().is_empty());
}

pub(crate) async fn a_refused_change_leaves_nothing(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    store.change(put(vec![secret(1, b"one")])).await.unwrap();
    let mut refused = write("p/w", Some(0), Some(json!(1)));
    refused.shred = vec![("credential".to_owned(), "other".to_owned())];
    refused.entries = vec![entry(&tenant("a"), EventKind::SecretPut, None)];
    refused.revoke = vec![EpochKey::Tenant];
    refused.secrets = vec![secret(1, b"again")];
    assert!(matches!(store.change(refused).await, Err(CommitError::VersionConflict { .. })));
    assert_eq!(store.resource("Worker", "p/w").await.unwrap(), None);
    assert_eq!(store.generation().await.unwrap(), 0);
    assert!(store.pending(10).await.unwrap().is_empty());
    assert_eq!(store.standing(&[EpochKey::Tenant]).await.unwrap().epochs, [0]);
}

pub(crate) async fn epochs_rise_with_the_sequence(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let user = EpochKey::User("one".to_owned());
    let keys = [
        EpochKey::Tenant,
        user.clone(),
        EpochKey::Credential("one".to_owned()),
        EpochKey::Function("one".to_owned()),
        EpochKey::Worker("one".to_owned()),
        EpochKey::Grant("one".to_owned()),
        EpochKey::Run("one".to_owned()),
        EpochKey::Configuration,
    ];
    assert_eq!(store.standing(&keys).await.unwrap().epochs, [0; 8]);
    let revoke = |revoke| Change { revoke, ..change("a") };
    assert_eq!(store.change(revoke(vec![user.clone(), EpochKey::Tenant])).await.unwrap(), 2);
    assert_eq!(store.change(revoke(vec![user.clone()])).await.unwrap(), 3);
    assert_eq!(store.change(change("a")).await.unwrap(), 3);
    let standing = store.standing(&keys).await.unwrap();
    assert_eq!((standing.revocations, standing.epochs), (3, vec![1, 2, 0, 0, 0, 0, 0, 0]));
    assert_eq!(store.standing(&[user, EpochKey::Tenant]).await.unwrap().epochs, [2, 1]);
}

pub(crate) async fn a_change_takes_no_entry_of_a_run(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let with = |entry| Change { entries: vec![entry], ..change("a") };
    let of_run = Position::fresh(&tenant("a")).start().entries.remove(0);
    assert!(matches!(store.change(with(of_run)).await, Err(CommitError::Invalid(_))));
    let foreign = entry(&tenant("b"), EventKind::SecretPut, None);
    assert!(matches!(store.change(with(foreign)).await, Err(CommitError::Invalid(_))));
    let mine = entry(&tenant("a"), EventKind::SecretPut, None);
    store.change(with(mine.clone())).await.unwrap();
    assert_eq!(store.pending(10).await.unwrap()[0].bytes, mine.bytes());
}
