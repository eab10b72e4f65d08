//! A full disk, a foreign lock, a stranger's file, a folder at rest.

use crate::contract::Backend;
use crate::contract::script::{Position, caller, change, payload, round, tenant, tick};
use crate::{Sqlite, fresh};
use mandate_journal::{
    Change, Commit, CommitError, Log, Resources, Runs, SealedPayload, SecretRecord, StoreError, System, Transition,
};
use mandate_kernel::Digest;
use mandate_ledger::{MemoryTree, leaf_hash};
use mandate_store::{PageLimit, Store, StoreConfig};
use rusqlite::Connection;
use std::time::Duration;
use tokio::task::JoinSet;

fn unavailable<T: std::fmt::Debug>(result: &Result<T, CommitError>) -> bool {
    matches!(result, Err(CommitError::Store(StoreError::Unavailable(_))))
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_passes() {
    let limit = PageLimit::new(u32::MAX);
    let backend = Sqlite::with(|config| config.page_limit = Some(limit.clone()));
    let store = backend.store.of(&caller("a"));
    let mut at = Position::fresh(&tenant("a"));
    let start = at.start();
    store.commit(start.clone()).await.unwrap();
    at = at.after(&start);
    limit.set(100);
    let bulky = |n: u64| {
        let ciphertext = vec![7; 40_000];
        let commitment = Digest::of(&n.to_be_bytes());
        SealedPayload { commitment, subject: "user:one".to_owned(), ciphertext }
    };
    let mut full = None;
    for n in 0..100 {
        let step = Transition { payloads: vec![bulky(n)], ..at.step() };
        match store.commit(step.clone()).await {
            Ok(()) => at = at.after(&step),
            refused => {
                assert!(unavailable(&refused), "{refused:?}");
                full = Some((n, step));
                break;
            }
        }
    }
    let (n, step) = full.unwrap();
    // Reading goes on; what was acknowledged is there, and nothing else.
    assert_eq!(store.run(&at.run).await.unwrap().unwrap().journal_seq, at.seq);
    assert_eq!(store.payload(&bulky(n).commitment).await.unwrap(), None);
    let pending = store.pending(usize::MAX).await.unwrap();
    assert_eq!(pending.len() as u64, at.seq);
    limit.set(1_000);
    store.commit(step.clone()).await.unwrap();
    let pending = store.pending(usize::MAX).await.unwrap();
    let round = round(&store.head().await.unwrap().frontier, &pending);
    assert!(store.integrate(round.clone()).await.unwrap());
    let mut tree = MemoryTree::new();
    for bytes in store.entries(0, u64::MAX).await.unwrap() {
        tree.append(leaf_hash(&bytes));
    }
    assert_eq!(tree.size(), at.seq + 1);
    assert_eq!(store.head().await.unwrap().frontier.root(), round.frontier.root());
    assert_eq!(store.run(&at.run).await.unwrap().unwrap().chain, step.chain);
}

#[tokio::test]
async fn a_lock_held_elsewhere_passes() {
    let backend = Sqlite::with(|config| config.busy_timeout = Duration::from_millis(100));
    let store = backend.store.of(&caller("a"));
    let at = Position::fresh(&tenant("a"));
    let other = Connection::open(backend.path()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = store.commit(at.start()).await;
    assert!(unavailable(&refused), "{refused:?}");
    assert_eq!(store.run(&at.run).await.unwrap(), None);
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(at.start()).await.unwrap();
}

/// While a lock holds the writer up, jobs gather; they share a transaction once it is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gathered_group_is_refused_job_by_job() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    let fresh = Position::fresh(&tenant("a"));
    let start = fresh.start();
    store.commit(start.clone()).await.unwrap();
    let at = fresh.after(&start);
    let other = Connection::open(backend.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let store = backend.of(&caller("a"));
        // A third fights for one step, a third starts runs, a third contradicts the fence.
        let transition = match n % 3 {
            0 => at.admit(1, 1, 0),
            1 => Position::fresh(&tenant("a")).start(),
            _ => Position { epoch: 9, ..at.clone() }.step(),
        };
        tasks.spawn(async move { (n % 3, store.commit(transition).await) });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.execute_batch("ROLLBACK").unwrap();
    let results = tasks.join_all().await;
    let ok = |kind| results.iter().filter(|(k, result)| *k == kind && result.is_ok()).count();
    assert_eq!((ok(0), ok(1), ok(2)), (1, 20, 0));
    let refused = results.iter().filter_map(|(_, result)| result.as_ref().err());
    assert!(refused.into_iter().all(|e| matches!(e, CommitError::Fenced { .. })));
    assert_eq!(store.pending(usize::MAX).await.unwrap().len(), 22);
}

#[tokio::test]
async fn shredded_bytes_are_nowhere_on_disk() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    let sealed = b"KEY-MATERIAL-OF-THE-SUBJECT".repeat(400);
    let marker = &sealed[..27];
    let on_disk = || {
        std::fs::read_dir(backend.folder.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(marker.len()).any(|window| window == marker)
        })
    };
    let (kind, name) = ("subject-key".to_owned(), "user:one".to_owned());
    let secret =
        SecretRecord { kind: kind.clone(), name: name.clone(), version: 1, sealed: sealed.clone(), created_at: tick() };
    store.change(Change { secrets: vec![secret], ..change("a") }).await.unwrap();
    assert!(on_disk());
    store.change(Change { shred: vec![(kind, name)], ..change("a") }).await.unwrap();
    assert!(!on_disk());
}

#[tokio::test]
async fn strangers_and_the_future_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mandate.db");
    let refused = |expected: &str| {
        for refused in [Store::open(StoreConfig::new(&path)).map(drop), Store::open_read_only(&path).map(drop)] {
            let Err(StoreError::Corrupt(told)) = refused else { panic!("{expected}: {refused:?}") };
            assert!(told.contains(expected), "{told}");
        }
        std::fs::remove_file(&path).unwrap();
    };
    std::fs::write(&path, b"this is not a database, but it is long enough to be looked at").unwrap();
    refused("not a database");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    refused("not one of Mandate");
    Store::open(StoreConfig::new(&path)).unwrap().close().await;
    Connection::open(&path).unwrap().execute_batch("INSERT INTO schema_version VALUES (99)").unwrap();
    refused("schema version 99 is newer");
    assert!(matches!(Store::open_read_only(&path).map(drop), Err(StoreError::Unavailable(_))));
    let nowhere = folder.path().join("absent/mandate.db");
    assert!(matches!(Store::open(StoreConfig::new(nowhere)).map(drop), Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn a_closed_store_says_so_and_opens_again() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    let at = Position::fresh(&tenant("a"));
    store.commit(at.start()).await.unwrap();
    backend.store.close().await;
    backend.store.close().await;
    assert_eq!(store.commit(Position::fresh(&tenant("a")).start()).await, Err(StoreError::Closed.into()));
    assert_eq!(store.run(&at.run).await, Err(StoreError::Closed));
    assert_eq!(backend.store.system().tenants().await, Err(StoreError::Closed));
    // At rest there is one file, and nothing beside it that would be missed.
    assert_eq!(std::fs::read_dir(backend.folder.path()).unwrap().count(), 1);
    let again = Store::open(StoreConfig::new(backend.path())).unwrap();
    assert_eq!(again.of(&caller("a")).journal(&at.run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_read_only_store_reads_beside_a_writer_and_at_rest() {
    let backend = fresh();
    let at = Position::fresh(&tenant("a"));
    let start = Transition { payloads: vec![payload("value")], ..at.start() };
    backend.store.of(&caller("a")).commit(start.clone()).await.unwrap();
    for at_rest in [false, true] {
        if at_rest {
            backend.store.close().await;
        }
        let reading = Store::open_read_only(&backend.path()).unwrap();
        let store = reading.of(&caller("a"));
        assert_eq!(store.run_entries(&at.run).await.unwrap(), [(None, start.entries[0].bytes().to_vec())]);
        assert!(unavailable(&store.commit(at.after(&start).step()).await));
        assert!(store.take_over(&at.run).await.is_err());
        assert_eq!(reading.system().tenants().await.unwrap(), [tenant("a")]);
        reading.close().await;
    }
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let backend = fresh();
    for file in std::fs::read_dir(backend.folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
}

#[tokio::test]
async fn damage_is_told_not_guessed() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    let at = Position::fresh(&tenant("a"));
    let start = at.start();
    store.commit(start.clone()).await.unwrap();
    store.commit(at.after(&start).step()).await.unwrap();
    let other = Connection::open(backend.path()).unwrap();
    other.execute_batch("DELETE FROM journal WHERE seq = 1").unwrap();
    assert!(matches!(store.journal(&at.run).await, Err(StoreError::Corrupt(_))));
    other.execute_batch("UPDATE run_state SET status = x'00'").unwrap();
    assert!(matches!(store.run(&at.run).await, Err(StoreError::Corrupt(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ceiling_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.db");
    let rate = mandate_store::bench::group_commit_ceiling(&path, 4, 40).await.unwrap();
    assert!(rate > 0.0);
    let reading = Store::open_read_only(&path).unwrap();
    let entries = reading.of(&caller("bench")).pending(usize::MAX).await.unwrap();
    assert_eq!(entries.len(), 4 + 40);
}
