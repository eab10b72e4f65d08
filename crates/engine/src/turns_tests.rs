//! Nobody waits behind another's line, nobody has more than their share, and nothing leaks.

use super::*;

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn worker(name: &str) -> ResourceName {
    ResourceName::new(format!("house/{name}")).unwrap()
}

fn shared(turns: usize, shared: usize) -> Arc<Turns> {
    let all = Arc::new(Turns::default());
    all.set(Shares { turns, shared, ..Shares::default() });
    all
}

type Order = Arc<Mutex<Vec<String>>>;

/// Somebody who wants one turn, and says when it came.
fn want(turns: &Arc<Turns>, order: &Order, who: &str, of: &str) -> tokio::task::JoinHandle<()> {
    let (turns, order, who, of) = (Arc::clone(turns), Arc::clone(order), tenant(who), worker(of));
    tokio::spawn(async move {
        let turn = turns.turn(&who, Some(of.clone())).await;
        order.lock().unwrap().push(format!("{who} {of}"));
        tokio::task::yield_now().await;
        drop(turn);
    })
}

#[tokio::test(start_paused = true)]
async fn a_line_of_thousands_delays_nobody_in_another_line() {
    let (turns, order) = (shared(4, 2), Order::default());
    let held: Vec<_> = [turns.turn(&tenant("noisy"), None).await, turns.turn(&tenant("noisy"), None).await].into();
    let mut all: Vec<_> = (0..2_000).map(|_| want(&turns, &order, "noisy", "flood")).collect();
    tokio::task::yield_now().await;
    all.push(want(&turns, &order, "quiet", "report"));
    drop(held);
    for one in all {
        one.await.unwrap();
    }
    let order = order.lock().unwrap();
    let place = order.iter().position(|who| who == "quiet house/report").unwrap();
    // Those that had a turn when it came are before it, and those served while it came.
    assert!(place <= 8, "the quiet one came {place}th");
    assert_eq!(order.len(), 2_001);
}

#[tokio::test(start_paused = true)]
async fn workers_of_a_tenant_take_turns_too() {
    let (turns, order) = (shared(1, 1), Order::default());
    let held = turns.turn(&tenant("one"), None).await;
    let mut all: Vec<_> = (0..50).map(|_| want(&turns, &order, "one", "flood")).collect();
    tokio::task::yield_now().await;
    all.extend((0..3).map(|_| want(&turns, &order, "one", "report")));
    tokio::task::yield_now().await;
    drop(held);
    for one in all {
        one.await.unwrap();
    }
    let order = order.lock().unwrap();
    let last = order.iter().rposition(|who| who == "one house/report").unwrap();
    assert!(last <= 6, "the third of the small Worker came {last}th: {:?}", &order[..10]);
}

#[tokio::test(start_paused = true)]
async fn alone_all_turns_are_ones_own_and_in_company_only_the_share() {
    let turns = shared(8, 4);
    let alone = futures(&turns, "a", 20).await;
    assert_eq!(alone.len(), 8);
    let b = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move { turns.turn(&tenant("b"), None).await }
    });
    tokio::task::yield_now().await;
    assert!(turns.is_wanted(&tenant("a"), &worker("x"), 0));
    drop(alone);
    let turn = b.await.unwrap();
    // As long as the other is here, half of what is shared.
    assert_eq!(futures(&turns, "a", 20).await.len(), 2);
    drop(turn);
    tokio::time::sleep(PRESENCE + Duration::from_secs(1)).await;
    turns.serve();
    assert_eq!(futures(&turns, "c", 20).await.len(), 8);
}

/// The turns that somebody gets who wants so many at once.
async fn futures(turns: &Arc<Turns>, who: &str, count: usize) -> Vec<Turn> {
    let mut got = Vec::new();
    for _ in 0..count {
        let who = tenant(who);
        let wait = turns.turn(&who, None);
        if let Ok(turn) = tokio::time::timeout(Duration::from_millis(1), wait).await {
            got.push(turn);
        }
    }
    got
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_line_takes_no_turn_with_them() {
    let turns = shared(1, 1);
    let held = turns.turn(&tenant("a"), None).await;
    for _ in 0..100 {
        let who = tenant("a");
        let gone = turns.turn(&who, None);
        assert!(tokio::time::timeout(Duration::from_millis(1), gone).await.is_err());
    }
    drop(held);
    for _ in 0..3 {
        let again = tokio::time::timeout(Duration::from_millis(1), turns.turn(&tenant("a"), None)).await;
        assert!(again.is_ok());
    }
    turns.with(|state| assert_eq!(state.taken, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_beyond_the_limit_is_not_started_and_says_when_to_come_again() {
    let turns = Arc::new(Turns::default());
    turns.set(Shares { runs_per_tenant: 3, runs_per_worker: 2, ..Shares::default() });
    let (a, x, y) = (tenant("a"), worker("x"), worker("y"));
    let first = turns.start(&a, &x).unwrap();
    let second = turns.start(&a, &x).unwrap();
    let busy = turns.start(&a, &x).err().unwrap();
    assert_eq!((busy.what, busy.running, busy.retry_after.as_secs()), ("this Worker has", 2, 1));
    let third = turns.start(&a, &y).unwrap();
    assert_eq!(turns.start(&a, &y).err().unwrap().what, "this tenant has");
    assert!(turns.start(&tenant("b"), &x).is_ok());
    // What was taken up after a crash is never refused, and counts.
    let recovered = turns.enter(&a, None);
    drop((first, second));
    assert!(turns.start(&a, &x).is_ok());
    drop((third, recovered));
    turns.with(|state| assert_eq!(state.tenants.get(&a).unwrap().running, 0));
}
