//! One run: what a transition makes true, and what holds it back.

use super::Backend;
use super::script::{Position, caller, change, entry, new_run, payload, run_id, status, tenant, tick};
use mandate_journal::{
    ChainHead, Change, CommitError, EpochKey, LeaseChange, LeaseState, RunQuery, RunState, TenantStore, TimerChange,
    TimerRecord, Transition, WaitingFor,
};
use mandate_kernel::{LeaseId, Principal, ResourceName, SystemEntropy, Timestamp};
use mandate_ledger::{EventKind, RunLink};
use std::sync::Arc;

/// A store of tenant `a` and a run that has begun in it.
async fn begun(backend: &dyn Backend) -> (Arc<dyn TenantStore>, Position) {
    let store = backend.of(&caller("a"));
    let fresh = Position::fresh(&tenant("a"));
    let start = fresh.start();
    store.commit(start.clone()).await.unwrap();
    (store, fresh.after(&start))
}

pub(crate) async fn a_run_begins_and_is_read_back(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let fresh = Position::fresh(&tenant("a"));
    let mut start = fresh.start();
    start.payloads.push(payload("input"));
    store.commit(start.clone()).await.unwrap();
    let record = store.run(&fresh.run).await.unwrap().unwrap();
    assert_eq!(Some(&record.new), start.create.as_ref());
    assert_eq!(Some(&record.status), start.status.as_ref());
    assert_eq!((record.journal_seq, record.epoch, record.chain), (1, 1, start.chain));
    assert_eq!(store.journal(&fresh.run).await.unwrap(), start.events);
    assert_eq!(store.payload(&start.payloads[0].commitment).await.unwrap(), Some(start.payloads[0].clone()));
    assert_eq!(store.run_entries(&fresh.run).await.unwrap(), [(None, start.entries[0].bytes().to_vec())]);
    let open = store.open_counts().await.unwrap();
    assert_eq!((open.running, open.waiting, open.unsequenced), (1, 0, 1));
    let step = Transition { status: Some(status(RunState::Completed)), ..fresh.after(&start).step() };
    store.commit(step.clone()).await.unwrap();
    let open = store.open_counts().await.unwrap();
    assert_eq!((open.running, open.waiting, open.approvals, open.leases, open.unsequenced), (0, 0, 0, 0, 2));
    let whole = store.journal(&fresh.run).await.unwrap();
    for (after, limit, seqs) in
        [(0, 9, vec![1, 2]), (0, 1, vec![1]), (1, 9, vec![2]), (2, 9, vec![]), (u64::MAX, 9, vec![])]
    {
        let found = store.journal_after(&fresh.run, after, limit).await.unwrap();
        assert_eq!(found.iter().map(|event| event.seq).collect::<Vec<_>>(), seqs, "{after} {limit}");
        assert!(found.iter().all(|event| whole.contains(event)));
    }
    let record = store.run(&fresh.run).await.unwrap().unwrap();
    assert_eq!((record.journal_seq, record.status.state, record.chain), (2, RunState::Completed, step.chain));
    assert_eq!(store.run(&run_id()).await.unwrap(), None);
}

pub(crate) async fn a_start_key_is_used_once(backend: &dyn Backend) {
    let keyed = |name: &str, who: &str| {
        let at = Position::fresh(&tenant(name));
        let mut start = at.start();
        let mut new = new_run(&at.tenant);
        new.start_key = Some("key".to_owned());
        new.initiator = Principal::user(at.tenant.clone(), who);
        start.create = Some(new);
        start
    };
    let first = keyed("a", "one");
    backend.of(&caller("a")).commit(first.clone()).await.unwrap();
    let again = backend.of(&caller("a")).commit(keyed("a", "one")).await;
    assert_eq!(again, Err(CommitError::DuplicateStart { run: first.run.clone() }));
    backend.of(&caller("a")).commit(keyed("a", "two")).await.unwrap();
    backend.of(&caller("b")).commit(keyed("b", "one")).await.unwrap();
    let runs = backend.of(&caller("a")).runs(RunQuery { limit: 10, ..RunQuery::default() }).await.unwrap();
    assert_eq!(runs.items.len(), 2);
}

pub(crate) async fn a_run_begins_once(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let again = Position::of(&tenant("a"), at.run.clone());
    assert_eq!(store.commit(again.start()).await, Err(CommitError::Fenced { run: at.run.clone() }));
    assert_eq!(store.journal(&at.run).await.unwrap().len(), 1);
}

pub(crate) async fn a_stale_sequence_is_fenced(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    store.commit(at.step()).await.unwrap();
    assert_eq!(store.commit(at.step()).await, Err(CommitError::Fenced { run: at.run.clone() }));
    let ahead = Position { seq: 9, ..at.clone() };
    assert_eq!(store.commit(ahead.step()).await, Err(CommitError::Fenced { run: at.run.clone() }));
    let beyond = Position { seq: u64::MAX - 1, ..at.clone() }.nothing();
    assert_eq!(store.commit(beyond).await, Err(CommitError::Fenced { run: at.run.clone() }));
}

pub(crate) async fn a_stale_epoch_is_fenced(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    assert_eq!(store.take_over(&at.run).await.unwrap(), 2);
    assert_eq!(store.commit(at.step()).await, Err(CommitError::Fenced { run: at.run.clone() }));
    let holder = Position { epoch: 2, ..at.clone() };
    store.commit(holder.step()).await.unwrap();
    assert_eq!(store.run(&at.run).await.unwrap().unwrap().epoch, 2);
    assert!(store.take_over(&run_id()).await.is_err());
}

pub(crate) async fn an_absent_run_is_fenced(backend: &dyn Backend) {
    let absent = Position { seq: 1, ..Position::fresh(&tenant("a")) };
    let store = backend.of(&caller("a"));
    let refused = store.commit(absent.nothing()).await;
    assert_eq!(refused, Err(CommitError::Fenced { run: absent.run.clone() }));
    assert!(backend.system().tenants().await.unwrap().is_empty());
}

pub(crate) async fn a_revocation_stops_admission(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let mut change = super::script::change("a");
    change.revoke = vec![EpochKey::User("finance-lead".to_owned())];
    assert_eq!(store.change(change).await.unwrap(), 1);
    let revoked = CommitError::Revoked { tenant: tenant("a"), now: 1 };
    assert_eq!(store.commit(at.admit(1, 1, 0)).await, Err(revoked.clone()));
    let mut start = Position::fresh(&tenant("a")).start();
    start.fence.revocations = Some(0);
    assert_eq!(store.commit(start).await, Err(revoked));
    // What happened is recorded all the same, and a decision that knows is admitted.
    let recorded = at.step();
    store.commit(recorded.clone()).await.unwrap();
    store.commit(at.after(&recorded).admit(1, 1, 1)).await.unwrap();
}

pub(crate) async fn an_attempt_is_admitted_once(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let first = at.admit(1, 1, 0);
    store.commit(first.clone()).await.unwrap();
    let at = at.after(&first);
    let spent = CommitError::AlreadyAdmitted { step: at.key(1, 1).to_string() };
    assert_eq!(store.commit(at.admit(1, 1, 0)).await, Err(spent));
    store.commit(at.admit(1, 2, 0)).await.unwrap();
}

pub(crate) async fn a_refused_transition_leaves_nothing(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let first = at.admit(1, 1, 0);
    store.commit(first.clone()).await.unwrap();
    let at = at.after(&first);
    // Everything in it is written before or after the part that is refused.
    let mut refused = at.admit(1, 1, 0);
    refused.leases.push(LeaseChange::Intend(at.lease(1)));
    refused.timers.push(TimerChange::Set(TimerRecord { name: "retry:1".to_owned(), due: tick() }));
    refused.payloads.push(payload("half-done"));
    refused.status = Some(status(RunState::Completed));
    assert!(store.commit(refused.clone()).await.is_err());
    // The same, refused at its very last part.
    let mut late = at.admit(2, 1, 0);
    late.leases.push(LeaseChange::End { lease: at.lease(1).lease, at: tick() });
    late.payloads.push(payload("half-done"));
    assert!(matches!(store.commit(late).await, Err(CommitError::Invalid(_))));
    let record = store.run(&at.run).await.unwrap().unwrap();
    assert_eq!((record.journal_seq, record.chain, record.status.state), (at.seq, at.chain, RunState::Running));
    assert_eq!(store.journal(&at.run).await.unwrap().len(), 2);
    assert_eq!(store.run_entries(&at.run).await.unwrap().len(), 2);
    assert_eq!(store.pending(10).await.unwrap().len(), 2);
    assert!(store.open_leases(&at.run).await.unwrap().is_empty());
    assert!(store.timers(&at.run).await.unwrap().is_empty());
    assert_eq!(store.payload(&payload("half-done").commitment).await.unwrap(), None);
    // The attempt that was refused late was not spent.
    store.commit(at.admit(2, 1, 0)).await.unwrap();
}

pub(crate) async fn a_transition_that_contradicts_itself_is_refused(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let other = Position { run: run_id(), ..at.clone() };
    let abroad = Position { tenant: tenant("b"), ..at.clone() };
    let broken = |name: &'static str, f: &dyn Fn(&mut Transition)| {
        let mut transition = at.admit(1, 1, 0);
        f(&mut transition);
        (name, transition)
    };
    let cases = [
        broken("another tenant", &|t| t.tenant = tenant("b")),
        broken("a gap in the journal", &|t| t.events[0].seq += 1),
        broken("a repeated event", &|t| t.events.push(t.events[0].clone())),
        broken("an event of another version", &|t| t.events[0].v += 1),
        broken("an entry of another run", &|t| t.entries = other.step().entries),
        broken("an entry of another tenant", &|t| t.entries = abroad.step().entries),
        broken("a chain head elsewhere", &|t| t.chain.next += 1),
        broken("a chain head of another hash", &|t| t.chain.last = None),
        broken("a chain head without its entry", &|t| t.entries.clear()),
        broken("an entry twice", &|t| t.entries.push(t.entries[0].clone())),
        broken("an admission of another run", &|t| t.admission.as_mut().unwrap().step = other.key(1, 1)),
        broken("a lease of another run", &|t| t.leases.push(LeaseChange::Intend(other.lease(1)))),
        broken("a lease that begins ended", &|t| {
            let ended = mandate_journal::LeaseRecord { state: LeaseState::Ended, ..at.lease(1) };
            t.leases.push(LeaseChange::Intend(ended));
        }),
        broken("a run that begins in the middle", &|t| {
            (t.create, t.status) = (Some(new_run(&at.tenant)), Some(status(RunState::Running)));
        }),
        ("a run without a status", Transition { status: None, ..Position::fresh(&at.tenant).start() }),
        ("an initiator from abroad", {
            Transition { create: Some(new_run(&abroad.tenant)), ..Position::fresh(&at.tenant).start() }
        }),
        ("a first entry that is not the first", {
            let fresh = Position { chain: at.chain, ..Position::fresh(&at.tenant) };
            Transition { entries: fresh.step().entries, ..fresh.start() }
        }),
    ];
    for (name, transition) in cases {
        let refused = store.commit(transition).await;
        assert!(matches!(refused, Err(CommitError::Invalid(_))), "{name}: {refused:?}");
    }
    assert_eq!(store.pending(10).await.unwrap().len(), 1);
    store.commit(at.admit(1, 1, 0)).await.unwrap();
}

pub(crate) async fn a_forked_chain_is_refused(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    // Each is a chain in itself, but not the one that is stored.
    let elsewhere = ChainHead { last: at.start().chain.last, ..at.chain };
    for chain in [elsewhere, ChainHead { next: 5, ..at.chain }] {
        let forked = Position { chain, ..at.clone() };
        for transition in [forked.step(), forked.nothing()] {
            let refused = store.commit(transition).await;
            assert!(matches!(refused, Err(CommitError::Invalid(_))), "{refused:?}");
        }
    }
    store.commit(at.step()).await.unwrap();
}

pub(crate) async fn leases_open_and_end(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let (one, two) = (at.lease(1), at.lease(2));
    let mut open = at.step();
    open.leases = vec![LeaseChange::Intend(one.clone()), LeaseChange::Intend(two.clone())];
    store.commit(open.clone()).await.unwrap();
    let mut at = at.after(&open);
    assert_eq!(store.open_leases(&at.run).await.unwrap(), [one.clone(), two.clone()]);
    let again = Transition { leases: vec![LeaseChange::Intend(one.clone())], ..at.step() };
    assert!(matches!(store.commit(again).await, Err(CommitError::Invalid(_))));
    let stranger = LeaseId::generate(tick(), &SystemEntropy).unwrap();
    let unknown = Transition { leases: vec![LeaseChange::End { lease: stranger, at: tick() }], ..at.step() };
    assert!(matches!(store.commit(unknown).await, Err(CommitError::Invalid(_))));
    for _ in 0..2 {
        let end = Transition { leases: vec![LeaseChange::End { lease: one.lease.clone(), at: tick() }], ..at.step() };
        store.commit(end.clone()).await.unwrap();
        at = at.after(&end);
        assert_eq!(store.open_leases(&at.run).await.unwrap().iter().collect::<Vec<_>>(), [&two]);
    }
}

pub(crate) async fn timers_are_set_moved_and_cleared(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let set =
        |name: &str, due| TimerChange::Set(TimerRecord { name: name.to_owned(), due: Timestamp::from_millis(due) });
    let mut first = at.step();
    first.timers = vec![set("machine:1", 300), set("retry:1", 100), TimerChange::Clear("absent".to_owned())];
    store.commit(first.clone()).await.unwrap();
    let at = at.after(&first);
    let (_, later) = begun(backend).await;
    store.commit(Transition { timers: vec![set("machine:1", 200)], ..later.step() }).await.unwrap();
    let system = backend.system();
    let (a, mine, theirs) = (tenant("a"), at.run.clone(), later.run.clone());
    assert_eq!(system.next_due().await.unwrap(), Some(Timestamp::from_millis(100)));
    assert!(system.due(Timestamp::from_millis(99), 10).await.unwrap().is_empty());
    let due = system.due(Timestamp::from_millis(300), 10).await.unwrap();
    assert_eq!(due, [(a.clone(), mine.clone()), (a.clone(), theirs.clone())]);
    assert_eq!(system.due(Timestamp::from_millis(300), 1).await.unwrap(), [(a.clone(), mine.clone())]);
    let moved = Transition { timers: vec![set("retry:1", 400), TimerChange::Clear("machine:1".into())], ..at.step() };
    store.commit(moved).await.unwrap();
    let timer = TimerRecord { name: "retry:1".to_owned(), due: Timestamp::from_millis(400) };
    assert_eq!(store.timers(&mine).await.unwrap(), [timer]);
    assert_eq!(system.due(Timestamp::from_millis(300), 10).await.unwrap(), [(a, theirs)]);
}

pub(crate) async fn payloads_are_kept_once(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let (one, mut same) = (payload("value"), payload("value"));
    same.ciphertext = b"encrypted again".to_vec();
    let step = Transition { payloads: vec![one.clone(), same.clone()], ..at.step() };
    store.commit(step.clone()).await.unwrap();
    store.commit(Transition { payloads: vec![same], ..at.after(&step).step() }).await.unwrap();
    assert_eq!(store.payload(&one.commitment).await.unwrap(), Some(one));
}

pub(crate) async fn runs_are_listed_newest_first(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let mut ids = Vec::new();
    for n in 0..5 {
        let at = Position::fresh(&tenant("a"));
        let mut start = at.start();
        if n == 2 {
            start.create.as_mut().unwrap().worker = ResourceName::new("finance/other").unwrap();
        }
        store.commit(start).await.unwrap();
        ids.insert(0, at.run);
    }
    let list = async |limit, before, worker: Option<&str>| {
        let worker = worker.map(|name| ResourceName::new(name).unwrap());
        let page = store.runs(RunQuery { limit, before, worker }).await.unwrap();
        (page.items.into_iter().map(|record| record.run).collect::<Vec<_>>(), page.more)
    };
    assert_eq!(list(10, None, None).await, (ids.clone(), false));
    assert_eq!(list(5, None, None).await, (ids.clone(), false));
    assert_eq!(list(2, None, None).await, (ids[..2].to_vec(), true));
    assert_eq!(list(2, Some(ids[1].clone()), None).await, (ids[2..4].to_vec(), true));
    assert_eq!(list(2, Some(ids[3].clone()), None).await, (ids[4..].to_vec(), false));
    assert_eq!(list(0, None, None).await, (Vec::new(), true));
    assert_eq!(list(usize::MAX, None, Some("finance/other")).await, (vec![ids[2].clone()], false));
    assert_eq!(list(10, None, Some("finance/none")).await, (Vec::new(), false));
}

pub(crate) async fn unfinished_runs_are_found(backend: &dyn Backend) {
    let (store, running) = begun(backend).await;
    let (_, waiting) = begun(backend).await;
    let (_, leased) = begun(backend).await;
    let (_, done) = begun(backend).await;
    let mut wait = Transition { status: Some(status(RunState::Waiting)), ..waiting.step() };
    wait.status.as_mut().unwrap().waiting_for = Some(WaitingFor::Approval);
    store.commit(wait).await.unwrap();
    let ended = Transition { status: Some(status(RunState::Completed)), ..done.step() };
    store.commit(ended).await.unwrap();
    let lease = leased.lease(1);
    let ended = Transition {
        status: Some(status(RunState::Faulted)),
        leases: vec![LeaseChange::Intend(lease.clone())],
        ..leased.step()
    };
    store.commit(ended.clone()).await.unwrap();
    let a = tenant("a");
    let found = backend.system().unfinished().await.unwrap();
    assert_eq!(found, [(a.clone(), running.run.clone()), (a.clone(), leased.run.clone())]);
    let end = LeaseChange::End { lease: lease.lease, at: tick() };
    store.commit(Transition { leases: vec![end], ..leased.after(&ended).nothing() }).await.unwrap();
    assert_eq!(backend.system().unfinished().await.unwrap(), [(a.clone(), running.run.clone())]);
    // Stopped, and whoever stopped it did not see it end; one that has ended needs no look.
    let revoke = [&waiting, &done].map(|at| EpochKey::Run(at.run.to_string())).to_vec();
    store.change(Change { revoke, ..change("a") }).await.unwrap();
    let found = backend.system().unfinished().await.unwrap();
    assert_eq!(found, [(a.clone(), running.run), (a, waiting.run)]);
}

pub(crate) async fn an_entry_alone_moves_no_chain(backend: &dyn Backend) {
    let (store, at) = begun(backend).await;
    let alone = Transition { entries: vec![entry(&at.tenant, EventKind::LeaseEnded, None)], ..at.nothing() };
    store.commit(alone).await.unwrap();
    assert_eq!(store.pending(10).await.unwrap().len(), 2);
    assert_eq!(store.run_entries(&at.run).await.unwrap().len(), 1);
    let linked = RunLink { run: at.run.clone(), seq: at.chain.next, prev: at.chain.last };
    let linked = entry(&at.tenant, EventKind::LeaseEnded, Some(linked));
    let chain = ChainHead { next: at.chain.next + 1, last: Some(linked.leaf_hash()) };
    store.commit(Transition { entries: vec![linked], chain, ..at.nothing() }).await.unwrap();
    assert_eq!(store.run(&at.run).await.unwrap().unwrap().chain, chain);
}
