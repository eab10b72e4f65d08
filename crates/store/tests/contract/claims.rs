//! The contract of sharing runs out among nodes, apart from the rest: the simulated world has one node.

use crate::contract::Backend;
use crate::contract::script::{Position, caller, status, tenant};
use mandate_journal::{
    Claim, ClaimQuery, CommitError, LeaseChange, NewClaim, RunState, System, TenantStore, TimerChange, TimerRecord,
    Transition,
};
use mandate_kernel::{Duration, RunId, Tenant, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::task::JoinSet;

/// A database that several stores open.
pub(crate) trait ClaimBackend: Backend {
    /// Another store on the same database, as another node has it; `None` where only one can be open.
    fn another(&self) -> Option<Box<dyn Backend>>;
}

/// One test for each case, over backends that `$fresh` makes.
#[macro_export]
macro_rules! claims_suite {
    ($fresh:path) => {
        $crate::claims_suite!($fresh; a_claim_fences_whoever_drove_the_run, what_wants_driving_is_claimed,
            a_lease_is_held_released_and_runs_out, a_run_is_held_without_a_claim_by_whoever_began_it,
            a_run_is_its_beginners_from_the_first_moment, one_run_is_acquired,
            only_runs_of_the_tenants_served_are_claimed, nodes_that_fight_share_the_runs_out);
    };
    ($fresh:path; $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::claims::$case(&$fresh()).await;
            }
        )+
    };
}

const LONG: Duration = Duration::from_secs(600);

fn query(node: &str, lease: Duration, limit: usize) -> ClaimQuery {
    let tenants = vec![tenant("a"), tenant("b")];
    ClaimQuery { node: node.to_owned(), tenants, lease, due_by: Timestamp::EPOCH, limit }
}

async fn begun(backend: &dyn Backend, of: &str) -> Position {
    let fresh = Position::fresh(&tenant(of));
    let start = fresh.start();
    backend.of(&caller(of)).commit(start.clone()).await.unwrap();
    fresh.after(&start)
}

fn ids(claims: &[Claim]) -> BTreeSet<(Tenant, RunId)> {
    claims.iter().map(|claim| (claim.tenant.clone(), claim.run.clone())).collect()
}

fn id(at: &Position) -> (Tenant, RunId) {
    (at.tenant.clone(), at.run.clone())
}

pub(crate) async fn a_claim_fences_whoever_drove_the_run(backend: &dyn Backend) {
    let (store, system) = (backend.of(&caller("a")), backend.system());
    let at = begun(backend, "a").await;
    let claimed = system.claim(query("one", LONG, 9)).await.unwrap();
    assert_eq!(claimed, [Claim { tenant: tenant("a"), run: at.run.clone(), epoch: 2 }]);
    assert_eq!(store.commit(at.step()).await, Err(CommitError::Fenced { run: at.run.clone() }));
    store.commit(Position { epoch: 2, ..at.clone() }.step()).await.unwrap();
    // Who holds it is asked, not who asks.
    assert!(system.claim(query("two", LONG, 9)).await.unwrap().is_empty());
    assert!(system.claim(query("one", LONG, 9)).await.unwrap().is_empty());
}

pub(crate) async fn what_wants_driving_is_claimed(backend: &dyn Backend) {
    let (a, b) = (backend.of(&caller("a")), backend.of(&caller("b")));
    let (running, waiting, leased, timed, done) = (
        begun(backend, "a").await,
        begun(backend, "a").await,
        begun(backend, "a").await,
        begun(backend, "b").await,
        begun(backend, "b").await,
    );
    let to = |at: &Position, state| Transition { status: Some(status(state)), ..at.step() };
    a.commit(to(&waiting, RunState::Waiting)).await.unwrap();
    let lease = vec![LeaseChange::Intend(leased.lease(1))];
    a.commit(Transition { leases: lease, ..to(&leased, RunState::Faulted) }).await.unwrap();
    let timer = TimerChange::Set(TimerRecord { name: "machine:1".into(), due: Timestamp::from_millis(500) });
    b.commit(Transition { timers: vec![timer], ..to(&timed, RunState::Waiting) }).await.unwrap();
    b.commit(to(&done, RunState::Completed)).await.unwrap();
    let system = backend.system();
    assert!(system.claim(query("one", LONG, 0)).await.unwrap().is_empty());
    let first = system.claim(query("one", LONG, 1)).await.unwrap();
    assert_eq!(first.len(), 1);
    let rest = system.claim(query("one", LONG, 9)).await.unwrap();
    let both: BTreeSet<_> = ids(&first).union(&ids(&rest)).cloned().collect();
    assert_eq!(both, [id(&running), id(&leased)].into());
    let due = ClaimQuery { due_by: Timestamp::from_millis(500), ..query("two", LONG, 9) };
    assert_eq!(ids(&system.claim(due).await.unwrap()), [id(&timed)].into());
}

pub(crate) async fn a_lease_is_held_released_and_runs_out(backend: &dyn Backend) {
    let system = backend.system();
    let at = begun(backend, "a").await;
    let brief = Duration::from_millis(60);
    let one = system.claim(query("one", brief, 9)).await.unwrap();
    tokio::time::sleep(brief.into()).await;
    tokio::time::sleep(brief.into()).await;
    // Nobody took it meanwhile: it is held again, at the same epoch.
    assert_eq!(system.hold("one", LONG, &one).await.unwrap(), [id(&at)]);
    assert!(system.claim(query("two", LONG, 9)).await.unwrap().is_empty());
    // Only its holder lets go of it.
    system.release("two", &one).await.unwrap();
    assert!(system.claim(query("two", LONG, 9)).await.unwrap().is_empty());
    assert!(system.hold("two", LONG, &one).await.unwrap().is_empty());
    assert_eq!(system.hold("one", brief, &one).await.unwrap(), [id(&at)]);
    tokio::time::sleep(brief.into()).await;
    tokio::time::sleep(brief.into()).await;
    let two = system.claim(query("two", LONG, 9)).await.unwrap();
    assert_eq!(two, [Claim { epoch: 3, ..one[0].clone() }]);
    assert!(system.hold("one", LONG, &one).await.unwrap().is_empty());
    let lost = Position { epoch: 2, ..at.clone() }.step();
    assert_eq!(backend.of(&caller("a")).commit(lost).await, Err(CommitError::Fenced { run: at.run.clone() }));
    // Nor does a word about an older epoch let go of it.
    system.release("two", &one).await.unwrap();
    assert!(system.claim(query("three", LONG, 9)).await.unwrap().is_empty());
    system.release("two", &two).await.unwrap();
    // The loser can't hold what is free either: its epoch is old.
    assert!(system.hold("one", LONG, &one).await.unwrap().is_empty());
    assert_eq!(system.claim(query("one", LONG, 9)).await.unwrap()[0].epoch, 4);
}

pub(crate) async fn a_run_is_held_without_a_claim_by_whoever_began_it(backend: &dyn Backend) {
    let system = backend.system();
    let at = begun(backend, "a").await;
    let mine = Claim { tenant: at.tenant.clone(), run: at.run.clone(), epoch: at.epoch };
    let absent = Claim { run: crate::contract::script::run_id(), ..mine.clone() };
    let abroad = Claim { tenant: tenant("b"), ..mine.clone() };
    let held = system.hold("one", LONG, &[absent, mine.clone(), abroad]).await.unwrap();
    assert_eq!(held, [id(&at)]);
    assert!(system.claim(query("two", LONG, 9)).await.unwrap().is_empty());
    assert!(system.hold("two", LONG, &[mine]).await.unwrap().is_empty());
    // It drives on as it did.
    backend.of(&caller("a")).commit(at.step()).await.unwrap();
}

pub(crate) async fn a_run_is_its_beginners_from_the_first_moment(backend: &dyn Backend) {
    let (store, system) = (backend.of(&caller("a")), backend.system());
    let fresh = Position::fresh(&tenant("a"));
    let claim = Some(NewClaim { node: "one".to_owned(), lease: LONG });
    let start = Transition { claim: claim.clone(), ..fresh.start() };
    store.commit(start.clone()).await.unwrap();
    assert!(system.claim(query("two", LONG, 9)).await.unwrap().is_empty());
    let at = fresh.after(&start);
    let mine = Claim { tenant: at.tenant.clone(), run: at.run.clone(), epoch: at.epoch };
    assert_eq!(system.hold("one", LONG, &[mine]).await.unwrap(), [id(&at)]);
    let step = Transition { claim, ..at.step() };
    assert!(matches!(store.commit(step).await, Err(CommitError::Invalid(_))));
    store.commit(at.step()).await.unwrap();
}

pub(crate) async fn one_run_is_acquired(backend: &dyn Backend) {
    let (store, system) = (backend.of(&caller("a")), backend.system());
    let at = begun(backend, "a").await;
    let acquire = async |node, lease| system.acquire(node, lease, &at.tenant, &at.run).await.unwrap();
    let brief = Duration::from_millis(60);
    assert_eq!(acquire("one", LONG).await, Some(2));
    assert_eq!(acquire("two", LONG).await, None);
    // Its own holder may, and what it drove before is fenced.
    assert_eq!(acquire("one", brief).await, Some(3));
    let lost = Position { epoch: 2, ..at.clone() }.step();
    assert_eq!(store.commit(lost).await, Err(CommitError::Fenced { run: at.run.clone() }));
    tokio::time::sleep(brief.into()).await;
    tokio::time::sleep(brief.into()).await;
    assert_eq!(acquire("two", LONG).await, Some(4));
    let waits = Transition { status: Some(status(RunState::Waiting)), ..Position { epoch: 4, ..at.clone() }.step() };
    store.commit(waits).await.unwrap();
    system.release("two", &[Claim { tenant: at.tenant.clone(), run: at.run.clone(), epoch: 4 }]).await.unwrap();
    assert_eq!(acquire("one", LONG).await, Some(5));
    let absent = crate::contract::script::run_id();
    assert_eq!(system.acquire("one", LONG, &at.tenant, &absent).await.unwrap(), None);
    assert_eq!(system.acquire("one", LONG, &tenant("b"), &at.run).await.unwrap(), None);
}

pub(crate) async fn only_runs_of_the_tenants_served_are_claimed(backend: &dyn Backend) {
    let (of_a, of_b) = (begun(backend, "a").await, begun(backend, "b").await);
    let system = backend.system();
    let only = |of: &[&str]| ClaimQuery { tenants: of.iter().map(|t| tenant(t)).collect(), ..query("one", LONG, 9) };
    assert!(system.claim(only(&[])).await.unwrap().is_empty());
    assert_eq!(ids(&system.claim(only(&["b"])).await.unwrap()), [id(&of_b)].into());
    assert_eq!(ids(&system.claim(only(&["a", "b"])).await.unwrap()), [id(&of_a)].into());
}

/// A claim as its node saw it: asked for and given at these moments.
struct Seen {
    node: usize,
    epoch: u64,
    asked: Instant,
    given: Instant,
    released: Option<Instant>,
}

type History = Arc<Mutex<BTreeMap<RunId, Vec<Seen>>>>;

/// Drives what it claims, three steps and an end, until nothing is left. Some runs it forgets, as a node that dies.
async fn node(number: usize, store: Arc<dyn TenantStore>, system: Arc<dyn System>, history: History) -> usize {
    let (name, mut fenced, mut idle) = (format!("node-{number}"), 0, 0);
    while idle < 12 {
        let asked = Instant::now();
        let claims = system.claim(query(&name, LEASE, 7)).await.unwrap();
        idle = if claims.is_empty() { idle + 1 } else { 0 };
        for claim in &claims {
            let seen = Seen { node: number, epoch: claim.epoch, asked, given: Instant::now(), released: None };
            history.lock().unwrap().entry(claim.run.clone()).or_default().push(seen);
        }
        for (n, claim) in claims.iter().enumerate() {
            match drive(&*store, claim, (n + number).is_multiple_of(4)).await {
                Some(true) => {
                    let released = Some(Instant::now());
                    for seen in history.lock().unwrap().get_mut(&claim.run).unwrap() {
                        if seen.epoch == claim.epoch {
                            seen.released = released;
                        }
                    }
                    system.release(&name, std::slice::from_ref(claim)).await.unwrap();
                }
                Some(false) => {}
                None => fenced += 1,
            }
        }
        if claims.is_empty() {
            tokio::time::sleep(LEASE.into()).await;
        }
    }
    fenced
}

const LEASE: Duration = Duration::from_millis(150);

/// `Some(true)` when the run has ended, `Some(false)` when it was forgotten on the way, `None` when it was lost.
async fn drive(store: &dyn TenantStore, claim: &Claim, forgets: bool) -> Option<bool> {
    let found = store.run(&claim.run).await.unwrap().unwrap();
    let fresh = Position::of(&claim.tenant, claim.run.clone());
    let mut at = Position { seq: found.journal_seq, epoch: claim.epoch, chain: found.chain, ..fresh };
    if found.epoch != claim.epoch {
        assert!(found.epoch > claim.epoch);
        return None;
    }
    while at.seq < 5 {
        let last = at.seq == 4;
        let step = Transition { status: last.then(|| status(RunState::Completed)), ..at.step() };
        match store.commit(step.clone()).await {
            Ok(()) => at = at.after(&step),
            Err(CommitError::Fenced { .. }) => return None,
            Err(other) => panic!("{other}"),
        }
        if forgets && at.seq % 2 == 1 && !last {
            return Some(false);
        }
    }
    Some(true)
}

pub(crate) async fn nodes_that_fight_share_the_runs_out(backend: &dyn ClaimBackend) {
    const RUNS: usize = 200;
    let mut runs = BTreeSet::new();
    for _ in 0..RUNS {
        runs.insert(begun(backend as &dyn Backend, "a").await.run);
    }
    let (history, others) = (History::default(), backend.another());
    let mut nodes = JoinSet::new();
    for number in 0..4 {
        let (store, system) = match &others {
            Some(other) if number % 2 == 1 => (other.of(&caller("a")), other.system()),
            _ => (backend.of(&caller("a")), backend.system()),
        };
        nodes.spawn(node(number, store, system, Arc::clone(&history)));
    }
    let fenced: usize = nodes.join_all().await.into_iter().sum();
    let history = std::mem::take(&mut *history.lock().unwrap());
    assert_eq!(history.keys().cloned().collect::<BTreeSet<_>>(), runs);
    let mut drivers = BTreeSet::new();
    for (run, claims) in &history {
        let record = backend.of(&caller("a")).run(run).await.unwrap().unwrap();
        assert_eq!((record.status.state, record.journal_seq), (RunState::Completed, 5), "{run}");
        let mut claims: Vec<&Seen> = claims.iter().collect();
        claims.sort_by_key(|seen| seen.epoch);
        drivers.extend(claims.iter().map(|seen| seen.node));
        assert_eq!(claims.last().unwrap().epoch, record.epoch);
        for pair in claims.windows(2) {
            // An epoch is given once, and the next only when the lease before it is over.
            assert_eq!(pair[0].epoch + 1, pair[1].epoch);
            let over = pair[0].asked + std::time::Duration::from(LEASE);
            let freed = pair[0].released.is_some_and(|released| released <= pair[1].given);
            assert!(freed || pair[1].given >= over, "{run} had two owners");
        }
    }
    assert_eq!(drivers.len(), 4, "one node had everything; {fenced} commits were fenced");
}
