//! Admission: durable first, then a permit; and nothing without the record of this very decision.

use crate::support::*;
use mandate_gate::{AdmitError, Gate};
use mandate_journal::{Admission, CommitError, EventBody, StoreError, Transition};
use mandate_kernel::{Attempt, Digest, Duration, StepKey, StepSeq};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::Notify;

#[test]
fn the_gate_adds_the_fence_and_the_admission_whatever_was_there() {
    let (gate, journal) = (gate(), Journal::default());
    let allowed = allowed(delegated(), to_warehouse());
    let (step, id) = (allowed.facts().step.clone(), allowed.decision().clone());
    let mut transition = recording(&allowed);
    transition.fence.revocations = Some(u64::MAX);
    let other = StepKey { attempt: Attempt(9), ..step.clone() };
    transition.admission = Some(Admission { step: other, request: Digest::of(b"other") });
    let permit = ready(gate.admit(allowed, transition, &journal)).unwrap();

    let committed = journal.committed.lock().unwrap();
    let [one] = committed.as_slice() else { panic!("{} commits", committed.len()) };
    assert_eq!(one.fence.revocations, Some(7), "the revocations that the facts were read at");
    assert_eq!((one.fence.journal_seq, one.fence.epoch), (4, 1), "the driver's own fence is kept");
    assert_eq!(one.admission, Some(Admission { step: step.clone(), request: to_warehouse().digest() }));
    assert_eq!(permit.decision(), &id);
    assert_eq!((permit.prepared(), &permit.facts().step), (&to_warehouse(), &step));
    assert_eq!(gate.live().count(), 1);
    drop(permit);
    assert_eq!(gate.live().count(), 0);
}

fn spoil_event(transition: &mut Transition, spoil: impl FnOnce(&mut EventBody)) {
    spoil(&mut transition.events[0].body);
}

#[test]
fn a_transition_that_records_something_else_admits_nothing() {
    type Spoil = fn(&mut Transition);
    let spoils: [(&str, Spoil); 9] = [
        ("nothing", |t| t.events.clear()),
        ("another tenant", |t| t.tenant = tenant("other")),
        ("another run", |t| t.run = run()),
        ("another step", |t| {
            spoil_event(t, |e| {
                if let EventBody::Admitted { step, .. } = e {
                    *step = StepSeq(3)
                }
            });
        }),
        ("another attempt", |t| {
            spoil_event(t, |e| {
                if let EventBody::Admitted { attempt, .. } = e {
                    *attempt = Attempt(2)
                }
            });
        }),
        ("another decision", |t| {
            spoil_event(t, |e| {
                if let EventBody::Admitted { decision, .. } = e {
                    *decision = crate::support::decision()
                }
            });
        }),
        ("another request", |t| {
            spoil_event(t, |e| {
                if let EventBody::Admitted { request, .. } = e {
                    *request = Digest::of(b"other")
                }
            });
        }),
        ("another event", |t| spoil_event(t, |e| *e = EventBody::Woke { timer: 1 })),
        ("an unjudged step besides", |t| {
            t.events.push(t.events[0].clone());
            spoil_event(t, |e| {
                if let EventBody::Admitted { step, .. } = e {
                    *step = StepSeq(3)
                }
            });
        }),
    ];
    for (name, spoil) in spoils {
        let (gate, journal) = (gate(), Journal::default());
        let allowed = allowed(delegated(), to_warehouse());
        let mut transition = recording(&allowed);
        spoil(&mut transition);
        let error = ready(gate.admit(allowed, transition, &journal)).err();
        assert_eq!(error, Some(AdmitError::Mismatch), "{name}");
        assert!(journal.committed.lock().unwrap().is_empty(), "{name}: nothing was committed");
        assert_eq!(gate.live().count(), 0, "{name}");
    }
}

#[test]
fn what_happened_before_may_be_recorded_with_it() {
    let allowed = allowed(delegated(), to_warehouse());
    let mut transition = recording(&allowed);
    let mut earlier = transition.events[0].clone();
    earlier.body = EventBody::Woke { timer: 1 };
    transition.events.insert(0, earlier);
    assert!(ready(gate().admit(allowed, transition, &Journal::default())).is_ok());
}

#[test]
fn a_failed_commit_gives_no_permit() {
    for error in [
        CommitError::Revoked { tenant: tenant("demo"), now: 8 },
        CommitError::Fenced { run: run() },
        CommitError::AlreadyAdmitted { step: "2/1".to_owned() },
        CommitError::Invalid("no".to_owned()),
        CommitError::Store(StoreError::Unavailable("disk full".to_owned())),
    ] {
        let (gate, journal) = (gate(), Journal { refuses: Some(error.clone()), ..Journal::default() });
        let allowed = allowed(delegated(), to_warehouse());
        let transition = recording(&allowed);
        let found = ready(gate.admit(allowed, transition, &journal)).err();
        assert_eq!(found, Some(AdmitError::Commit(error)));
        assert_eq!(gate.live().count(), 0, "nothing is left for a stop to wait for");
    }
}

fn held() -> (Gate, Journal, Arc<Notify>) {
    let word = Arc::new(Notify::new());
    (gate(), Journal { waits_for: Some(word.clone()), ..Journal::default() }, word)
}

#[test]
fn a_stop_during_the_commit_leaves_a_record_and_no_permit() {
    let (gate, journal, word) = held();
    let allowed = allowed(delegated(), to_warehouse());
    let run = allowed.facts().step.run.clone();
    let transition = recording(&allowed);
    let mut admission = pin!(gate.admit(allowed, transition, &journal));
    assert!(poll(admission.as_mut()).is_pending());
    assert_eq!(gate.live().count(), 1, "alive before it is durable");

    let mut stop = pin!(gate.live().stop(&run));
    assert!(poll(stop.as_mut()).is_pending(), "the stop waits for the commit to end");
    word.notify_one();
    assert!(matches!(ready(admission.as_mut()), Err(AdmitError::Stopped)));
    let stopped = ready(stop.as_mut());
    assert!(matches!(stopped.in_flight.as_slice(), [one] if !one.on_wire), "nothing was sent");
    assert_eq!(journal.committed.lock().unwrap().len(), 1);
}

#[test]
fn an_admission_given_up_half_way_is_forgotten() {
    let (gate, journal, _word) = held();
    let allowed = allowed(delegated(), to_warehouse());
    let transition = recording(&allowed);
    {
        let mut admission = pin!(gate.admit(allowed, transition, &journal));
        assert!(poll(admission.as_mut()).is_pending());
        assert_eq!(gate.live().count(), 1);
    }
    assert_eq!(gate.live().count(), 0);
}

#[test]
fn a_permit_expires() {
    let millisecond = Duration::from_millis(1);
    for (at, in_time) in
        [(NOW, true), (in_secs(60).minus(millisecond), true), (in_secs(60), false), (in_secs(61), false)]
    {
        let gate = gate();
        let permit = permit(&gate, &run(), 1);
        assert_eq!(permit.not_after(), in_secs(60));
        let id = permit.decision().clone();
        match permit.spend(at) {
            Ok(spent) => assert!(in_time && spent.decision() == &id && spent.prepared() == &to_warehouse()),
            Err(expired) => assert!(!in_time && expired.decision == id && expired.to_string().contains(id.as_str())),
        }
        assert_eq!(gate.live().count(), 0);
    }
}
