//! The contract of a store of browser sessions, apart from the rest: the simulated world has none.

use crate::contract::Backend;
use crate::contract::script::{caller, change, tenant, tick};
use mandate_directory::{MOST_SESSIONS, SessionRecord, Sessions};
use mandate_journal::EpochKey;
use mandate_kernel::{Caller, Digest, Duration, GroupName, Principal, Timestamp};
use std::sync::Arc;

/// A database that keeps sessions too.
pub(crate) trait SessionBackend: Backend {
    /// The sessions of `Store::of`.
    fn sessions(&self, caller: &Caller) -> Arc<dyn Sessions>;
}

/// One test for each case, over backends that `$fresh` makes.
#[macro_export]
macro_rules! sessions_suite {
    ($fresh:path) => {
        $crate::sessions_suite!($fresh; a_session_begins_is_used_and_ends, a_session_is_its_tenants_alone,
            a_session_ends_with_the_authority_behind_it, ended_sessions_are_forgotten_and_one_person_has_a_bound);
    };
    ($fresh:path; $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::sessions::$case(&$fresh()).await;
            }
        )+
    };
}

fn session(of: &str, who: &str, secret: &str) -> SessionRecord {
    let now = tick();
    SessionRecord {
        key: Digest::of(secret.as_bytes()),
        principal: Principal::user(tenant(of), who),
        name: who.to_owned(),
        groups: [GroupName::new("finance").unwrap()].into(),
        created_at: now,
        used_at: now,
        expires_at: now.plus(Duration::from_secs(3600)),
        revocations: 0,
        proof: Some(Digest::of(b"proof")),
    }
}

const LONG_AGO: Timestamp = Timestamp::EPOCH;

pub(crate) async fn a_session_begins_is_used_and_ends(backend: &dyn SessionBackend) {
    let store = backend.sessions(&caller("a"));
    let one = session("a", "jo", "one");
    assert_eq!(store.find(&one.key).await.unwrap(), None);
    store.begin(&one, LONG_AGO).await.unwrap();
    assert_eq!(store.find(&one.key).await.unwrap().as_ref(), Some(&one));
    // A secret that was used before opens nothing new.
    store.begin(&session("a", "mallory", "one"), LONG_AGO).await.unwrap_err();
    assert_eq!(store.find(&one.key).await.unwrap().as_ref(), Some(&one));
    let later = one.used_at.plus(Duration::from_secs(60));
    store.touch(&one.key, later).await.unwrap();
    store.touch(&one.key, one.used_at).await.unwrap();
    assert_eq!(store.find(&one.key).await.unwrap().unwrap().used_at, later);
    assert!(store.end(&one.key).await.unwrap());
    assert!(!store.end(&one.key).await.unwrap());
    assert_eq!(store.find(&one.key).await.unwrap(), None);
}

pub(crate) async fn a_session_is_its_tenants_alone(backend: &dyn SessionBackend) {
    let (a, b) = (backend.sessions(&caller("a")), backend.sessions(&caller("b")));
    let one = session("a", "jo", "one");
    a.begin(&one, LONG_AGO).await.unwrap();
    assert_eq!(b.find(&one.key).await.unwrap(), None);
    assert!(!b.end(&one.key).await.unwrap());
    b.touch(&one.key, one.expires_at).await.unwrap();
    b.begin(&session("a", "jo", "two"), one.expires_at).await.unwrap_err();
    b.begin(&session("b", "jo", "three"), one.expires_at).await.unwrap();
    assert_eq!(a.find(&one.key).await.unwrap(), Some(one));
}

pub(crate) async fn a_session_ends_with_the_authority_behind_it(backend: &dyn SessionBackend) {
    let (store, resources) = (backend.sessions(&caller("a")), backend.of(&caller("a")));
    let (jo, al) = (session("a", "jo", "jo"), session("a", "al", "al"));
    store.begin(&jo, LONG_AGO).await.unwrap();
    store.begin(&al, LONG_AGO).await.unwrap();
    let mut revoke = change("a");
    revoke.revoke = vec![EpochKey::User("user:jo".to_owned()), EpochKey::Worker("user:al".to_owned())];
    resources.change(revoke).await.unwrap();
    assert_eq!(store.find(&jo.key).await.unwrap(), None);
    assert_eq!(store.find(&al.key).await.unwrap().as_ref(), Some(&al));
    let again = SessionRecord { revocations: 1, ..session("a", "jo", "jo again") };
    store.begin(&again, LONG_AGO).await.unwrap();
    assert!(store.find(&again.key).await.unwrap().is_some());
    let mut revoke = change("a");
    revoke.revoke = vec![EpochKey::Tenant];
    resources.change(revoke).await.unwrap();
    for key in [&again.key, &al.key] {
        assert_eq!(store.find(key).await.unwrap(), None);
    }
}

pub(crate) async fn ended_sessions_are_forgotten_and_one_person_has_a_bound(backend: &dyn SessionBackend) {
    let store = backend.sessions(&caller("a"));
    let (old, idle) = (session("a", "old", "old"), session("a", "idle", "idle"));
    for ended in [&old, &idle] {
        store.begin(ended, LONG_AGO).await.unwrap();
    }
    let mut next = session("a", "next", "next");
    next.created_at = idle.expires_at;
    store.begin(&next, LONG_AGO).await.unwrap();
    for ended in [&old, &idle] {
        assert_eq!(store.find(&ended.key).await.unwrap(), None);
    }
    let many: Vec<SessionRecord> = (0..=MOST_SESSIONS).map(|n| session("a", "jo", &format!("jo {n}"))).collect();
    for one in &many {
        store.begin(one, LONG_AGO).await.unwrap();
    }
    let mut there = Vec::new();
    for one in &many {
        there.push(store.find(&one.key).await.unwrap().is_some());
    }
    assert_eq!(there.iter().position(|found| *found), Some(1), "the oldest makes room: {there:?}");
    assert!(store.find(&next.key).await.unwrap().is_some());
}
