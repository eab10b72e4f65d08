//! A server that dies in the middle of commits, connections that break, a server that is away.

use crate::contract::script::{Position, caller, change, entry, tenant};
use crate::open;
use crate::server::{PASSWORD, Server};
use mandate_journal::{Change, Commit, CommitError, Log, Resources, Runs, StoreError, System};
use mandate_ledger::EventKind;
use mandate_store::{PostgresConfig, PostgresStore};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What a driver knows at its end: where its run stands by what was acknowledged, and how many commits failed.
struct Driven {
    at: Position,
    refused: usize,
}

/// Commits step after step until told to stop. An error has to be `Unavailable`, and then nothing was written:
/// the same step is committed again.
async fn drive(store: PostgresStore, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicUsize>) -> Driven {
    let store = store.of(&caller("a"));
    let mut at = Position::fresh(&tenant("a"));
    let mut next = at.start();
    let mut refused = 0;
    while !stop.load(Ordering::SeqCst) {
        match store.commit(next.clone()).await {
            Ok(()) => {
                acknowledged.fetch_add(1, Ordering::SeqCst);
                at = at.after(&next);
                next = at.admit(u32::try_from(at.seq).unwrap(), 1, 0);
            }
            Err(CommitError::Store(StoreError::Unavailable(why))) => {
                assert!(!why.contains("not known"), "{why}");
                assert!(!why.contains(PASSWORD));
                refused += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(other) => panic!("{}: {other}", at.seq),
        }
    }
    Driven { at, refused }
}

/// What was acknowledged is there, whole, and nothing else.
async fn compare(store: &PostgresStore, driven: &[Driven]) {
    let store = store.of(&caller("a"));
    let mut entries = BTreeSet::new();
    for Driven { at, .. } in driven.iter().filter(|driven| driven.at.seq > 0) {
        let record = store.run(&at.run).await.unwrap().unwrap();
        assert_eq!((record.journal_seq, record.chain), (at.seq, at.chain));
        assert_eq!(store.journal(&at.run).await.unwrap().len() as u64, at.seq);
        for (_, bytes) in store.run_entries(&at.run).await.unwrap() {
            assert!(entries.insert(bytes));
        }
    }
    let expected: u64 = driven.iter().map(|driven| driven.at.seq).sum();
    assert_eq!(entries.len() as u64, expected);
    assert_eq!(store.pending(usize::MAX).await.unwrap().len() as u64, expected);
}

async fn wait_for(acknowledged: &AtomicUsize, more: usize) {
    let goal = acknowledged.load(Ordering::SeqCst) + more;
    let began = Instant::now();
    while acknowledged.load(Ordering::SeqCst) < goal {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing is committed any more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_the_server() {
    let mut server = Server::start();
    let database = server.database();
    let patient = |config: &mut PostgresConfig| config.resolve_timeout = Duration::from_secs(60);
    let store = open(&database, patient).await.unwrap();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        tasks.spawn(drive(store.clone(), Arc::clone(&stop), Arc::clone(&acknowledged)));
    }
    for _ in 0..4 {
        wait_for(&acknowledged, 100).await;
        tokio::task::block_in_place(|| {
            server.kill();
            std::thread::sleep(Duration::from_millis(300));
            server.restart();
        });
    }
    wait_for(&acknowledged, 100).await;
    stop.store(true, Ordering::SeqCst);
    let driven = tasks.join_all().await;
    assert!(driven.iter().any(|driven| driven.refused > 0), "the server died between commits alone");
    compare(&store, &driven).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_lose_nothing_and_double_nothing() {
    let server = Server::shared();
    let database = server.database();
    let store = open(&database, |_| ()).await.unwrap();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        tasks.spawn(drive(store.clone(), Arc::clone(&stop), Arc::clone(&acknowledged)));
    }
    let cut = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", database.name);
    for _ in 0..30 {
        wait_for(&acknowledged, 5).await;
        tokio::task::block_in_place(|| server.psql("postgres", &cut));
    }
    stop.store(true, Ordering::SeqCst);
    let driven = tasks.join_all().await;
    compare(&store, &driven).await;
    // Idle connections that died are no error to whoever comes next.
    tokio::task::block_in_place(|| server.psql("postgres", &cut));
    assert!(store.of(&caller("a")).head().await.is_ok());
    assert_eq!(store.system().tenants().await.unwrap(), [tenant("a")]);
    store.close().await;
}

/// An administrative change whose answer is lost is looked for by its ledger entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_made_once_or_not_at_all() {
    let server = Server::shared();
    let database = server.database();
    let store = open(&database, |_| ()).await.unwrap();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'COMMIT%'",
        database.name
    );
    let (stop, cutter) = (Arc::new(AtomicBool::new(false)), server);
    let cutting = {
        let stop = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || {
            while !stop.load(Ordering::SeqCst) {
                cutter.psql("postgres", &cut);
            }
        })
    };
    let handle = store.of(&caller("a"));
    let mut made = 0;
    for _ in 0..150 {
        let entries = vec![entry(&tenant("a"), EventKind::SecretPut, None)];
        match handle.change(Change { entries, ..change("a") }).await {
            Ok(_) => made += 1,
            Err(CommitError::Store(StoreError::Unavailable(why))) => assert!(!why.contains("not known"), "{why}"),
            Err(other) => panic!("{other}"),
        }
    }
    stop.store(true, Ordering::SeqCst);
    cutting.await.unwrap();
    assert_eq!(handle.pending(usize::MAX).await.unwrap().len(), made);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told_and_comes_back() {
    let mut server = Server::start();
    let database = server.database();
    let hasty = |config: &mut PostgresConfig| {
        config.acquire_timeout = Duration::from_secs(1);
        config.resolve_timeout = Duration::from_secs(1);
    };
    let opened = open(&database, hasty).await.unwrap();
    let store = opened.of(&caller("a"));
    let at = Position::fresh(&tenant("a"));
    store.commit(at.start()).await.unwrap();
    tokio::task::block_in_place(|| server.kill());
    let began = Instant::now();
    let refused = store.commit(Position::fresh(&tenant("a")).start()).await;
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    for told in [
        store.run(&at.run).await.unwrap_err(),
        store.take_over(&at.run).await.unwrap_err(),
        opened.system().unfinished().await.unwrap_err(),
        open(&database, hasty).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(told, StoreError::Unavailable(_)), "{told:?}");
        assert!(!told.to_string().contains(PASSWORD));
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    tokio::task::block_in_place(|| server.restart());
    assert_eq!(store.journal(&at.run).await.unwrap().len(), 1);
    opened.close().await;
    assert_eq!(store.run(&at.run).await, Err(StoreError::Closed));
    assert_eq!(store.take_over(&at.run).await, Err(StoreError::Closed));
}
