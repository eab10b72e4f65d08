//! Tenants apart, neighbours unharmed, nothing lost among many writers.

use super::Backend;
use super::script::{Position, caller, change, payload, round, run_id, tenant, tick};
use mandate_journal::{
    CommitError, EpochKey, LeaseChange, ResourceWrite, RunQuery, SecretRecord, TimerChange, TimerRecord, Transition,
};
use mandate_ledger::Frontier;
use std::collections::BTreeSet;
use tokio::task::JoinSet;

/// Fills tenant `a` with one of everything; gives its run and what it committed last.
async fn furnish(backend: &dyn Backend) -> (Position, Transition) {
    let store = backend.of(&caller("a"));
    let mut admin = change("a");
    let spec = Some(serde_json::json!({"x": 1}));
    let expected = Some(0);
    admin.resources = vec![ResourceWrite { kind: "Worker".into(), name: "finance/w".into(), expected, spec }];
    let (kind, name, sealed) = ("credential".to_owned(), "finance/key".to_owned(), b"sealed".to_vec());
    admin.secrets = vec![SecretRecord { kind, name, version: 1, sealed, created_at: tick() }];
    admin.revoke = vec![EpochKey::Tenant];
    store.change(admin).await.unwrap();
    let fresh = Position::fresh(&tenant("a"));
    let mut start = fresh.start();
    start.leases.push(LeaseChange::Intend(fresh.lease(1)));
    start.timers.push(TimerChange::Set(TimerRecord { name: "machine:1".into(), due: tick() }));
    start.payloads.push(payload("secret"));
    store.commit(start.clone()).await.unwrap();
    let waiting = store.pending(10).await.unwrap();
    assert!(store.integrate(round(&Frontier::new(), &waiting)).await.unwrap());
    store.record_signed(1, "signed".to_owned()).await.unwrap();
    store.record_cosigned(1, "cosigned".to_owned()).await.unwrap();
    let at = fresh.after(&start);
    let step = at.step();
    store.commit(step.clone()).await.unwrap();
    (at.after(&step), start)
}

pub(crate) async fn a_foreign_tenant_sees_nothing(backend: &dyn Backend) {
    let (at, start) = furnish(backend).await;
    let theirs = backend.of(&caller("b"));
    assert_eq!(theirs.run(&at.run).await.unwrap(), None);
    assert!(theirs.journal(&at.run).await.unwrap().is_empty());
    assert!(theirs.journal_after(&at.run, 0, 9).await.unwrap().is_empty());
    assert_eq!(theirs.open_counts().await.unwrap(), mandate_journal::OpenCounts::default());
    assert!(theirs.runs(RunQuery { limit: 10, ..RunQuery::default() }).await.unwrap().items.is_empty());
    assert_eq!(theirs.payload(&start.payloads[0].commitment).await.unwrap(), None);
    assert!(theirs.open_leases(&at.run).await.unwrap().is_empty());
    assert!(theirs.timers(&at.run).await.unwrap().is_empty());
    let standing = theirs.standing(&[EpochKey::Tenant]).await.unwrap();
    assert_eq!((standing.revocations, standing.epochs), (0, vec![0]));
    assert!(theirs.run_entries(&at.run).await.unwrap().is_empty());
    assert_eq!(theirs.resource("Worker", "finance/w").await.unwrap(), None);
    let mine = backend.of(&caller("a")).resource("Worker", "finance/w").await.unwrap().unwrap();
    assert_eq!(theirs.resource_by_digest("Worker", "finance/w", &mine.digest).await.unwrap(), None);
    assert!(theirs.resources("Worker").await.unwrap().is_empty());
    assert_eq!(theirs.generation().await.unwrap(), 0);
    assert_eq!(theirs.secret("credential", "finance/key", None).await.unwrap(), None);
    assert!(theirs.secrets("credential").await.unwrap().is_empty());
    assert!(theirs.pending(10).await.unwrap().is_empty());
    let head = theirs.head().await.unwrap();
    assert_eq!((head.frontier.size(), head.signed, head.cosigned), (0, None, None));
    assert!(theirs.entries(0, 10).await.unwrap().is_empty());
    assert_eq!(theirs.nodes(&[(0, 0)]).await.unwrap(), [None]);
}

pub(crate) async fn a_foreign_tenant_changes_nothing(backend: &dyn Backend) {
    let (at, start) = furnish(backend).await;
    let (mine, theirs) = (backend.of(&caller("a")), backend.of(&caller("b")));
    let before = mine.run(&at.run).await.unwrap();
    assert!(theirs.take_over(&at.run).await.is_err());
    assert!(matches!(theirs.commit(at.step()).await, Err(CommitError::Invalid(_))));
    let disguised = Position { tenant: tenant("b"), ..at.clone() };
    assert!(matches!(theirs.commit(disguised.step()).await, Err(CommitError::Fenced { .. })));
    assert!(matches!(theirs.change(change("a")).await, Err(CommitError::Invalid(_))));
    let mut shred = change("b");
    shred.shred = vec![("credential".to_owned(), "finance/key".to_owned())];
    let delete = ResourceWrite { kind: "Worker".into(), name: "finance/w".into(), expected: None, spec: None };
    shred.resources = vec![delete];
    shred.revoke = vec![EpochKey::Run(at.run.to_string())];
    theirs.change(shred).await.unwrap();
    // Their sequencer can't take my entries into their tree.
    let waiting = mine.pending(10).await.unwrap();
    assert!(theirs.integrate(round(&Frontier::new(), &waiting)).await.is_err());
    assert!(theirs.record_signed(1, "forged".to_owned()).await.is_err());
    assert!(theirs.record_cosigned(1, "forged".to_owned()).await.is_err());
    assert_eq!(mine.run(&at.run).await.unwrap(), before);
    assert!(mine.secret("credential", "finance/key", None).await.unwrap().is_some());
    assert!(mine.resource("Worker", "finance/w").await.unwrap().is_some());
    assert_eq!(mine.pending(10).await.unwrap(), waiting);
    assert_eq!(mine.head().await.unwrap().signed.as_deref(), Some("signed"));
    assert_eq!(mine.standing(&[]).await.unwrap().revocations, 1);
    // The same run id in another tenant is another run.
    let twin = Position::of(&tenant("b"), at.run.clone());
    theirs.commit(twin.start()).await.unwrap();
    assert_eq!(mine.run(&at.run).await.unwrap(), before);
    assert_eq!(mine.payload(&start.payloads[0].commitment).await.unwrap(), Some(start.payloads[0].clone()));
}

pub(crate) async fn system_lists_tenants(backend: &dyn Backend) {
    assert!(backend.system().tenants().await.unwrap().is_empty());
    assert_eq!(backend.system().next_due().await.unwrap(), None);
    backend.of(&caller("b")).commit(Position::fresh(&tenant("b")).start()).await.unwrap();
    backend.of(&caller("a")).change(change("a")).await.unwrap();
    assert_eq!(backend.system().tenants().await.unwrap(), [tenant("a"), tenant("b")]);
}

pub(crate) async fn a_refused_job_harms_no_neighbour(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let mut runs = Vec::new();
    for _ in 0..24 {
        let fresh = Position::fresh(&tenant("a"));
        let start = fresh.start();
        store.commit(start.clone()).await.unwrap();
        runs.push(fresh.after(&start));
    }
    let mut tasks = JoinSet::new();
    for (n, at) in runs.iter().cloned().enumerate() {
        let store = backend.of(&caller("a"));
        let transition = match n % 3 {
            0 => at.admit(1, 1, 0),
            1 => at.admit(1, 1, 7),
            _ => Position { seq: 5, ..at.clone() }.step(),
        };
        tasks.spawn(async move { (n, store.commit(transition).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (n, result) = done.unwrap();
        match n % 3 {
            0 => assert_eq!(result, Ok(())),
            1 => assert!(matches!(result, Err(CommitError::Revoked { now: 0, .. })), "{result:?}"),
            _ => assert!(matches!(result, Err(CommitError::Fenced { .. })), "{result:?}"),
        }
    }
    for (n, at) in runs.iter().enumerate() {
        let events = store.journal(&at.run).await.unwrap().len();
        assert_eq!(events, if n % 3 == 0 { 2 } else { 1 });
        assert_eq!(store.run_entries(&at.run).await.unwrap().len(), events);
    }
}

pub(crate) async fn writers_lose_nothing(backend: &dyn Backend) {
    const WRITERS: usize = 32;
    const STEPS: usize = 50;
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let store = backend.of(&caller("a"));
        tasks.spawn(async move {
            let mut at = Position::fresh(&tenant("a"));
            let mut transition = at.start();
            for n in 0..STEPS {
                store.commit(transition.clone()).await.unwrap();
                at = at.after(&transition);
                transition = at.admit(u32::try_from(n).unwrap(), 1, 0);
            }
            at
        });
    }
    let store = backend.of(&caller("a"));
    let mut keys = BTreeSet::new();
    while let Some(at) = tasks.join_next().await {
        let at = at.unwrap();
        let record = store.run(&at.run).await.unwrap().unwrap();
        assert_eq!((record.journal_seq, record.chain), (at.seq, at.chain));
        let seqs: Vec<u64> = store.journal(&at.run).await.unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=STEPS as u64).collect::<Vec<_>>());
    }
    for entry in store.pending(usize::MAX).await.unwrap() {
        assert!(keys.insert(entry.key));
    }
    assert_eq!(keys.len(), WRITERS * STEPS);
}

pub(crate) async fn one_driver_wins_each_step(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let fresh = Position::fresh(&tenant("a"));
    let start = fresh.start();
    store.commit(start.clone()).await.unwrap();
    let at = fresh.after(&start);
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, transition) = (backend.of(&caller("a")), at.admit(1, 1, 0));
        tasks.spawn(async move { store.commit(transition).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|r| r.as_ref().err()).all(|e| matches!(e, CommitError::Fenced { .. })));
    assert_eq!(store.journal(&at.run).await.unwrap().len(), 2);
}

pub(crate) async fn readers_see_what_was_acknowledged(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    assert_eq!(store.run(&run_id()).await.unwrap(), None);
    let mut at = Position::fresh(&tenant("a"));
    let mut transition = at.start();
    for seq in 1..=40 {
        store.commit(transition.clone()).await.unwrap();
        at = at.after(&transition);
        transition = at.step();
        let (record, events) = tokio::join!(store.run(&at.run), store.journal(&at.run));
        assert_eq!(record.unwrap().unwrap().journal_seq, seq);
        assert_eq!(events.unwrap().len() as u64, seq);
    }
}
