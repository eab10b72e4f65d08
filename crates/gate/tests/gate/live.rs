//! Permits alive: a stop cancels them, waits for the last, and tells which were on the wire (I9).

use crate::support::*;
use mandate_gate::{Gate, InFlight, Permit, Spent, Step};
use mandate_kernel::{Attempt, RunId};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

#[test]
fn a_stop_with_nothing_alive_is_done_at_once() {
    assert_eq!(ready(gate().live().stop(&run())).in_flight, []);
}

#[test]
fn an_unspent_permit_is_waited_for_and_can_no_longer_be_spent() {
    let (gate, run) = (gate(), run());
    let permit = permit(&gate, &run, 1);
    let expect = InFlight {
        step: permit.facts().step.clone(),
        function: function("warehouse.revenue"),
        destination: WAREHOUSE.to_owned(),
        decision: permit.decision().clone(),
        on_wire: false,
        token_valid_until: in_secs(60),
    };
    let mut stop = pin!(gate.live().stop(&run));
    assert!(poll(stop.as_mut()).is_pending());
    assert!(permit.spend(NOW).is_err(), "spent after the stop, it would be on the wire though reported otherwise");
    assert_eq!(ready(stop.as_mut()).in_flight, [expect]);
}

#[test]
fn a_spent_permit_is_told_to_stop_and_reported_on_the_wire() {
    let (gate, run) = (gate(), run());
    let spent = permit(&gate, &run, 1).spend(NOW).unwrap();
    {
        let mut told = pin!(spent.stopped());
        assert!(poll(told.as_mut()).is_pending());
        let mut stop = pin!(gate.live().stop(&run));
        assert!(poll(stop.as_mut()).is_pending());
        assert!(poll(told.as_mut()).is_ready());
        assert!(poll(stop.as_mut()).is_pending(), "it waits until the effect has let go");
    }
    let mut again = pin!(gate.live().stop(&run));
    assert!(poll(again.as_mut()).is_pending());
    drop(spent);
    assert!(matches!(ready(again.as_mut()).in_flight.as_slice(), [one] if one.on_wire));
}

#[test]
fn other_runs_go_on() {
    let (gate, run, other) = (gate(), run(), crate::support::run());
    let theirs = permit(&gate, &other, 1).spend(NOW).unwrap();
    assert_eq!(ready(gate.live().stop(&run)).in_flight, []);
    assert!(poll(pin!(theirs.stopped())).is_pending());
    assert_eq!(gate.live().count(), 1);
}

#[test]
fn two_stops_both_wait_and_both_report() {
    let (gate, run) = (gate(), run());
    let spent = permit(&gate, &run, 1).spend(NOW).unwrap();
    let (mut one, mut two) = (pin!(gate.live().stop(&run)), pin!(gate.live().stop(&run)));
    assert!(poll(one.as_mut()).is_pending() && poll(two.as_mut()).is_pending());
    drop(spent);
    assert_eq!(ready(one.as_mut()).in_flight, ready(two.as_mut()).in_flight);
}

#[test]
fn gates_on_one_table_share_the_living() {
    let (gate, run) = (gate(), run());
    let second = Gate::new(gate.live().clone());
    let permit = permit(&gate, &run, 1);
    assert!(poll(pin!(second.live().stop(&run))).is_pending());
    drop(permit);
}

/// What became of a permit in the model below.
enum Held {
    Unspent(Permit<Step>),
    OnWire(#[expect(dead_code, reason = "kept alive")] Spent),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened before, a stop reports exactly what is alive, as it is, and ends with the last.
    #[test]
    fn a_stop_reports_what_is_alive(acts in proptest::collection::vec((0_u32..6, 0_u8..3), 0..24)) {
        let gate = gate();
        let runs: [RunId; 2] = [run(), run()];
        let mut alive: BTreeMap<u32, Held> = BTreeMap::new();
        for (number, act) in acts {
            let before = alive.remove(&number);
            let after = match (act, before) {
                (0, None) => Some(Held::Unspent(permit(&gate, &runs[number as usize % 2], number))),
                (1, Some(Held::Unspent(permit))) => Some(Held::OnWire(permit.spend(NOW).unwrap())),
                (2, _) => None,
                (_, before) => before,
            };
            alive.extend(after.map(|held| (number, held)));
        }
        prop_assert_eq!(gate.live().count(), alive.len());
        let of_run = |number: &u32| number.is_multiple_of(2);
        let expect: BTreeMap<u32, bool> = alive
            .iter()
            .filter(|(number, _)| of_run(number))
            .map(|(number, held)| (*number, matches!(held, Held::OnWire(_))))
            .collect();
        let mut stop = pin!(gate.live().stop(&runs[0]));
        let mut stopped = poll(stop.as_mut());
        for number in expect.keys() {
            prop_assert!(stopped.is_pending());
            alive.remove(number);
            stopped = poll(stop.as_mut());
        }
        let Poll::Ready(stopped) = stopped else { panic!("nothing of the run is alive") };
        let found: BTreeMap<u32, bool> = stopped
            .in_flight
            .iter()
            .map(|one| { let Attempt(number) = one.step.attempt; (number, one.on_wire) })
            .collect();
        prop_assert_eq!(found, expect);
        prop_assert_eq!(gate.live().count(), alive.len(), "the other run is untouched");
    }
}

/// With real threads: what was sent is in the report, and nothing is sent after the stop returned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_behind_a_stop_s_back() {
    for round in 0..40 {
        let (gate, run) = (gate(), run());
        let sent = Arc::new(Mutex::new(Vec::new()));
        let effects: Vec<_> = (0..8)
            .map(|number| {
                let (permit, sent) = (permit(&gate, &run, number), sent.clone());
                tokio::spawn(async move {
                    for _ in 0..(number + round) % 5 {
                        tokio::task::yield_now().await;
                    }
                    let Ok(spent) = permit.spend(NOW) else { return };
                    sent.lock().unwrap().push(number);
                    // An effect that nobody stops would stay on the wire for ever.
                    spent.stopped().await;
                })
            })
            .collect();
        let limit = std::time::Duration::from_secs(20);
        let stopped = tokio::time::timeout(limit, gate.live().stop(&run)).await.unwrap();
        let mut sent_by_then = sent.lock().unwrap().clone();
        for effect in effects {
            effect.await.unwrap();
        }
        let mut sent_at_all = sent.lock().unwrap().clone();
        let on_wire = stopped.in_flight.iter().filter(|one| one.on_wire).map(|one| one.step.attempt.0);
        let mut reported: Vec<u32> = on_wire.collect();
        for list in [&mut sent_by_then, &mut sent_at_all, &mut reported] {
            list.sort_unstable();
        }
        assert_eq!(sent_at_all, sent_by_then, "sent after the stop returned");
        assert_eq!(reported, sent_at_all);
    }
}
