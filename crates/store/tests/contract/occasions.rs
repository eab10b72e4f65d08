//! Events at the door, runs found by what they listen to, and where schedules stand.

use super::Backend;
use super::script::{Position, caller, change, payload, tenant};
use mandate_journal::{
    ARRIVAL, ArrivalChange, ArrivalRecord, Change, CommitError, SCHEDULE, ScheduleRecord, ScheduleWrite, TimerChange,
    TimerRecord, Transition, event_timer,
};
use mandate_kernel::{Digest, ResourceName, RunId, Timestamp};
use serde_json::json;

fn arrival(name: &str, keep_until: i64) -> ArrivalRecord {
    let keep_until = Timestamp::from_millis(keep_until);
    ArrivalRecord { key: Digest::of(name.as_bytes()), keep_until, event: payload(name) }
}

fn worker() -> ResourceName {
    ResourceName::new("finance/w").unwrap()
}

fn write(expected: u64, n: u64) -> ScheduleWrite {
    ScheduleWrite { worker: worker(), expected, state: json!({"n": n}) }
}

/// One row of each kind.
pub(crate) fn furnish(change: &mut Change) {
    change.arrivals.push(ArrivalChange::Take(arrival("furnished", 100)));
    change.schedules.push(write(0, 1));
}

fn taking(names: &[&str]) -> Change {
    let mut taken = change("a");
    taken.arrivals = names.iter().map(|name| ArrivalChange::Take(arrival(name, 100))).collect();
    taken
}

pub(crate) async fn runs_are_found_by_what_they_listen_to(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let mut runs: Vec<(RunId, &str)> = Vec::new();
    for timer in ["event:paid", "event*", "event:lost", "machine:1", "event:paid", "eventual", "event:paid:late"] {
        let at = Position::fresh(&tenant("a"));
        let due = Timestamp::from_secs(9_999_999_999);
        let set = TimerChange::Set(TimerRecord { name: timer.to_owned(), due });
        store.commit(Transition { timers: vec![set], ..at.start() }).await.unwrap();
        runs.push((at.run, timer));
    }
    runs.sort();
    let heard = |names: &[&str]| -> Vec<RunId> {
        runs.iter().filter(|(_, timer)| names.contains(timer)).map(|(run, _)| run.clone()).collect()
    };
    assert_eq!(event_timer(Some("paid")), "event:paid");
    let paid = store.listening("paid", None, 10).await.unwrap();
    assert_eq!(paid, heard(&["event:paid", "event*"]));
    assert_eq!(store.listening("lost", None, 10).await.unwrap(), heard(&["event:lost", "event*"]));
    assert_eq!(store.listening("unknown", None, 10).await.unwrap(), heard(&["event*"]));
    assert_eq!(store.listening("*", None, 10).await.unwrap(), heard(&["event*"]));
    // Page by page it is the same.
    let (mut paged, mut after) = (Vec::new(), None);
    while let Some(run) = store.listening("paid", after.as_ref(), 1).await.unwrap().pop() {
        paged.push(run.clone());
        after = Some(run);
    }
    assert_eq!(paged, paid);
    assert!(backend.of(&caller("b")).listening("paid", None, 10).await.unwrap().is_empty());
}

pub(crate) async fn an_event_is_taken_once_and_kept_until_handed_on(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let keys: Vec<Digest> = ["one", "two", "three"].iter().map(|name| Digest::of(name.as_bytes())).collect();
    assert_eq!(store.known(&keys).await.unwrap(), [false, false, false]);
    store.change(taking(&["one", "two"])).await.unwrap();
    assert_eq!(store.known(&keys).await.unwrap(), [true, true, false]);
    assert_eq!(store.arrivals(10).await.unwrap(), [arrival("one", 100), arrival("two", 100)]);
    assert_eq!(store.arrivals(1).await.unwrap(), [arrival("one", 100)]);
    assert_eq!(store.arrivals_waiting().await.unwrap(), 2);
    // A change with one that is known is refused whole.
    match store.change(taking(&["three", "two"])).await {
        Err(CommitError::VersionConflict { kind, name, .. }) => {
            assert_eq!((kind.as_str(), name), (ARRIVAL, keys[1].to_string()))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.known(&keys).await.unwrap(), [true, true, false]);
    let mut done = change("a");
    done.arrivals = vec![ArrivalChange::Done(keys[0]), ArrivalChange::Done(keys[2])];
    store.change(done.clone()).await.unwrap();
    store.change(done).await.unwrap();
    assert_eq!(store.arrivals(10).await.unwrap(), [arrival("two", 100)]);
    assert_eq!(store.arrivals_waiting().await.unwrap(), 1);
    // Handed on is not forgotten.
    assert!(store.change(taking(&["one"])).await.is_err());
}

pub(crate) async fn events_are_forgotten_in_time(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    let all = [("early", 50), ("late", 200), ("waiting", 50)];
    let mut taken = change("a");
    taken.arrivals = all.iter().map(|(name, until)| ArrivalChange::Take(arrival(name, *until))).collect();
    let of = |name: &str| Digest::of(name.as_bytes());
    store.change(taken).await.unwrap();
    let mut later = change("a");
    later.arrivals = vec![
        ArrivalChange::Done(of("early")),
        ArrivalChange::Done(of("late")),
        ArrivalChange::Forget(Timestamp::from_millis(50)),
    ];
    store.change(later).await.unwrap();
    let keys = [of("early"), of("late"), of("waiting")];
    assert_eq!(store.known(&keys).await.unwrap(), [true, true, true]);
    let mut later = change("a");
    later.arrivals = vec![ArrivalChange::Forget(Timestamp::from_millis(51))];
    store.change(later).await.unwrap();
    assert_eq!(store.known(&keys).await.unwrap(), [false, true, true], "what waits is never forgotten");
    store.change(taking(&["early"])).await.unwrap();
}

pub(crate) async fn a_schedule_moves_by_its_version(backend: &dyn Backend) {
    let store = backend.of(&caller("a"));
    assert_eq!(store.schedule(&worker()).await.unwrap(), None);
    let writing = |expected, n| Change { schedules: vec![write(expected, n)], ..change("a") };
    let refused = |expected, actual| {
        let (kind, name) = (SCHEDULE.to_owned(), "finance/w".to_owned());
        Err(CommitError::VersionConflict { kind, name, expected, actual })
    };
    assert_eq!(store.change(writing(1, 9)).await, refused(1, 0));
    store.change(writing(0, 1)).await.unwrap();
    assert_eq!(store.change(writing(0, 9)).await, refused(0, 1));
    store.change(writing(1, 2)).await.unwrap();
    assert_eq!(store.change(writing(1, 9)).await, refused(1, 2));
    let held = store.schedule(&worker()).await.unwrap();
    assert_eq!(held, Some(ScheduleRecord { version: 2, state: json!({"n": 2}) }));
    // Of many at once, one.
    let racing: Vec<_> = (0..8)
        .map(|n| {
            let (store, write) = (backend.of(&caller("a")), writing(2, 10 + n));
            tokio::spawn(async move { store.change(write).await })
        })
        .collect();
    let mut won = 0;
    for one in racing {
        won += u32::from(one.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
    assert_eq!(store.schedule(&worker()).await.unwrap().unwrap().version, 3);
}

pub(crate) async fn a_foreign_tenant_sees_no_occasion(backend: &dyn Backend) {
    let (mine, theirs) = (backend.of(&caller("a")), backend.of(&caller("b")));
    let mut furnished = change("a");
    furnish(&mut furnished);
    mine.change(furnished).await.unwrap();
    let key = Digest::of(b"furnished");
    assert_eq!(theirs.known(&[key]).await.unwrap(), [false]);
    assert!(theirs.arrivals(9).await.unwrap().is_empty());
    assert_eq!(theirs.arrivals_waiting().await.unwrap(), 0);
    assert_eq!(theirs.schedule(&worker()).await.unwrap(), None);
    // What they do changes nothing of mine, and mine does not stand in their way.
    let mut change = change("b");
    change.arrivals = vec![ArrivalChange::Done(key), ArrivalChange::Forget(Timestamp::from_millis(i64::MAX))];
    change.schedules = vec![write(0, 9)];
    theirs.change(change).await.unwrap();
    assert_eq!(mine.arrivals(9).await.unwrap(), [arrival("furnished", 100)]);
    assert_eq!(mine.schedule(&worker()).await.unwrap().unwrap().state, json!({"n": 1}));
}
