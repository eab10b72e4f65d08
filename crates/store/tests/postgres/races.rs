//! What one writing thread gives SQLite for free: transactions that overlap.

use crate::contract::script::{Position, caller, change, new_run, round, tenant};
use crate::fresh;
use crate::server::Server;
use mandate_journal::{
    Change, Commit, CommitError, EpochKey, Log, ResourceWrite, Resources, Runs, SecretRecord, Transition,
};
use mandate_kernel::{Secret, Timestamp};
use mandate_store::PostgresConfig;
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinSet;

/// Once a revocation is acknowledged, no decision that did not know of it becomes durable (I9).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_admitted_behind_a_revocation() {
    let backend = fresh();
    let mut conn = PgConnection::connect(&backend.database.root_url).await.unwrap();
    for seen in 0..8 {
        let mut tasks = JoinSet::new();
        for _ in 0..12 {
            let store = backend.store.of(&caller("a"));
            let fresh = Position::fresh(&tenant("a"));
            let start = fresh.start();
            store.commit(start.clone()).await.unwrap();
            let mut at = fresh.after(&start);
            tasks.spawn(async move {
                for step in 1..40 {
                    let admit = at.admit(step, 1, seen);
                    match store.commit(admit.clone()).await {
                        Ok(()) => at = at.after(&admit),
                        Err(CommitError::Revoked { now, .. }) => return now,
                        Err(error) => panic!("{error}"),
                    }
                }
                seen
            });
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let revoke = vec![EpochKey::User("jo".to_owned())];
        let now = backend.store.of(&caller("a")).change(Change { revoke, ..change("a") }).await.unwrap();
        assert_eq!(now, seen + 1);
        let count = "SELECT count(*) FROM mandate.admissions";
        let before: i64 = sqlx::query(count).fetch_one(&mut conn).await.unwrap().get(0);
        let told = tasks.join_all().await;
        assert!(told.contains(&now), "nobody was in the way of the revocation: {told:?}");
        let after: i64 = sqlx::query(count).fetch_one(&mut conn).await.unwrap().get(0);
        assert_eq!(before, after);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_follow_one_another() {
    let backend = fresh();
    let mut tasks = JoinSet::new();
    for n in 0..24u32 {
        let store = backend.store.of(&caller("a"));
        tasks.spawn(async move {
            let spec = Some(serde_json::json!({"n": n}));
            let expected = (n % 2 == 0).then_some(0);
            let write =
                |name: &str| ResourceWrite { kind: "Worker".into(), name: name.into(), expected, spec: spec.clone() };
            let mut resources = vec![write("finance/one"), write("finance/two")];
            if n % 3 == 0 {
                resources.reverse();
            }
            let (kind, name, sealed) = ("credential".to_owned(), format!("{n}"), Vec::new());
            let created_at = Timestamp::EPOCH;
            let secrets = vec![SecretRecord { kind, name, version: 1, sealed, created_at }];
            let revoke = if n % 5 == 0 { vec![EpochKey::Tenant] } else { Vec::new() };
            store.change(Change { resources, secrets, revoke, ..change("a") }).await
        });
    }
    let results = tasks.join_all().await;
    let done = results.iter().filter(|result| result.is_ok()).count() as u64;
    assert!(done >= 12, "{results:?}");
    let conflict = |error: &CommitError| matches!(error, CommitError::VersionConflict { expected: 0, .. });
    assert!(results.iter().filter_map(|r| r.as_ref().err()).all(conflict), "{results:?}");
    let store = backend.store.of(&caller("a"));
    for name in ["finance/one", "finance/two"] {
        assert_eq!(store.resource("Worker", name).await.unwrap().unwrap().version, done);
    }
    assert_eq!(store.generation().await.unwrap(), done);
    assert_eq!(store.secrets("credential").await.unwrap().len() as u64, done);
    assert_eq!(
        store.standing(&[EpochKey::Tenant]).await.unwrap().epochs[0],
        store.standing(&[]).await.unwrap().revocations
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_starts_with_a_key_begins() {
    let backend = fresh();
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for _ in 0..12 {
            let store = backend.store.of(&caller("a"));
            let mut new = new_run(&tenant("a"));
            new.start_key = Some(format!("key {round}"));
            let start = Transition { create: Some(new), ..Position::fresh(&tenant("a")).start() };
            tasks.spawn(async move { (start.run.clone(), store.commit(start).await) });
        }
        let results = tasks.join_all().await;
        let begun: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).map(|(run, _)| run.clone()).collect();
        assert_eq!(begun.len(), 1);
        for (_, result) in results.iter().filter(|(_, result)| result.is_err()) {
            assert_eq!(*result, Err(CommitError::DuplicateStart { run: begun[0].clone() }));
        }
    }
}

/// Keys are given when an entry is written and show when it is committed, in whatever order: one that comes late is
/// not passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_committed_late_is_taken() {
    let backend = fresh();
    let store = backend.store.of(&caller("a"));
    let (slow, fast) = (Position::fresh(&tenant("a")), Position::fresh(&tenant("a")));
    let mut conn = PgConnection::connect(&backend.database.url).await.unwrap();
    let mut late = conn.begin().await.unwrap();
    sqlx::query("SELECT set_config('mandate.tenant', 'a', true)").execute(&mut *late).await.unwrap();
    sqlx::query("INSERT INTO mandate.ledger_pending (tenant, bytes) VALUES ('a', $1)")
        .bind(slow.start().entries[0].bytes())
        .execute(&mut *late)
        .await
        .unwrap();
    store.commit(fast.start()).await.unwrap();
    let first = store.pending(10).await.unwrap();
    assert_eq!(first.len(), 1);
    assert!(store.integrate(round(&store.head().await.unwrap().frontier, &first)).await.unwrap());
    assert!(store.pending(10).await.unwrap().is_empty());
    late.commit().await.unwrap();
    let second = store.pending(10).await.unwrap();
    assert_eq!(second.len(), 1);
    assert!(second[0].key < first[0].key);
    assert!(store.integrate(round(&store.head().await.unwrap().frontier, &second)).await.unwrap());
    assert_eq!(store.entries(0, 10).await.unwrap(), [first[0].bytes.clone(), second[0].bytes.clone()]);
}

/// Of several sequencers one has each round, and none takes an entry twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequencers_compare_and_swap() {
    const STEPS: usize = 60;
    let backend = fresh();
    let mut tasks = JoinSet::new();
    for _ in 0..3 {
        let store = backend.store.of(&caller("a"));
        tasks.spawn(async move {
            loop {
                let before = store.head().await.unwrap().frontier;
                if before.size() as usize == STEPS {
                    return;
                }
                let waiting = store.pending(7).await.unwrap();
                // Somebody else may have taken part of it since the head was read: refused whole, then.
                let taken = store.integrate(round(&before, &waiting)).await;
                assert!(
                    !matches!(taken, Ok(true))
                        || store.head().await.unwrap().frontier.size() > before.size()
                        || waiting.is_empty()
                );
            }
        });
    }
    let store = backend.store.of(&caller("a"));
    let mut at = Position::fresh(&tenant("a"));
    let mut transition = at.start();
    let mut expected = Vec::new();
    for _ in 0..STEPS {
        store.commit(transition.clone()).await.unwrap();
        expected.push(transition.entries[0].bytes().to_vec());
        at = at.after(&transition);
        transition = at.step();
    }
    tasks.join_all().await;
    assert_eq!(store.entries(0, 1000).await.unwrap(), expected);
    let of_run = store.run_entries(&at.run).await.unwrap();
    assert!(of_run.iter().zip(0u64..).all(|((index, _), place)| *index == Some(place)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ceiling_is_measured() {
    let database = Server::shared().database();
    let config = || {
        let [url, owner] = [&database.url, &database.owner_url].map(|url| Secret::new(url.clone()));
        PostgresConfig::new(url, Some(owner))
    };
    let rate = mandate_store::bench::postgres_commit_ceiling(config(), 4, 40).await.unwrap();
    assert!(rate > 0.0);
    let store = mandate_store::PostgresStore::open(config()).await.unwrap();
    assert_eq!(store.of(&caller("bench")).pending(usize::MAX).await.unwrap().len(), 4 + 40);
}
