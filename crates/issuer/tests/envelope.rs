//! Envelopes: of the run, of each attempt, and what stands between them.

mod support;

use mandate_identity::{Envelope, EnvelopeError};
use mandate_issuer::IssueError;
use mandate_kernel::{Clock, Digest, Duration, RunId, Timestamp};
use support::*;

#[test]
fn the_runs_envelope_is_made_again_bit_by_bit() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let first = issuer.start(start(&facts())).unwrap();
    clock.pass(1_800_000);
    let again = issuer.start(start(&facts())).unwrap();
    assert_eq!((first.digest, first.token.expose()), (again.digest, again.token.expose()));
    assert_ne!(issuer_with(&clock, 2).start(start(&facts())).unwrap().digest, first.digest);
    assert_eq!((first.step(), first.expires_at().as_secs()), (None, authority().not_after.as_secs()));
}

#[test]
fn an_attempts_envelope_is_short_lived_narrow_and_tells_where_it_is() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let run = issuer.start(start(&facts())).unwrap();
    let allowed = allow(facts(), http(), clock.now());
    let joins = [Digest::of(b"left"), Digest::of(b"right")];
    let minted = issuer.envelope(&run, &allowed, &joins).unwrap();
    let read =
        Envelope::verify(minted.token.expose(), &keys(&issuer), ISSUER, issuer.trust_domain(), clock.now()).unwrap();
    assert_eq!((read.digest(), read.position().parent), (minted.digest, Some(run.digest)));
    let mut sorted = joins;
    sorted.sort();
    assert_eq!(read.position().predecessors, sorted);
    assert_eq!(read.position().step, Some(step(1)));
    assert_eq!(read.position().policy, allowed.policy().policy_digest);
    assert_eq!((read.subject(), read.work().purpose.as_str()), ("user:finance-lead", "close the quarter"));
    assert!(read.expires_at().since(read.issued_at()) <= Duration::from_secs(300));
    assert!(authority().covers(read.authority()) && read.authority().depth == 0);
    assert_eq!(read.authority().functions.len(), 1);
    // Without predecessors: right after the run's own.
    let first = issuer.envelope(&run, &allowed, &[]).unwrap();
    assert_eq!(first.claims()["rctx"]["predecessors"], serde_json::json!([run.digest]));
}

#[test]
fn the_ledgers_part_can_not_be_presented() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let run = issuer.start(start(&facts())).unwrap();
    let signature = run.token.expose().rsplit('.').next().unwrap().to_owned();
    let text = run.claims().to_string();
    assert!(run.claims().is_object() && !text.contains(&signature));
    assert_eq!(run.claims()["txn"], "run_01J9ZK3Y4T6W8Q2N5R7VX0ABCD");
}

#[test]
fn an_envelope_around_another_run_or_around_a_step_is_refused() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let allowed = allow(facts(), http(), clock.now());
    let mut other = start(&facts());
    other.run = RunId::try_from("run_01J9ZK3Y4T6W8Q2N5R7VX0ABCE".to_owned()).unwrap();
    let foreign = issuer.start(other).unwrap();
    let run = issuer.start(start(&facts())).unwrap();
    let step = issuer.envelope(&run, &allowed, &[]).unwrap();
    for wrong in [&foreign, &step] {
        let refused = issuer.envelope(wrong, &allowed, &[]).err();
        assert_eq!(refused, Some(IssueError::Envelope(allowed.decision().clone())));
    }
}

#[test]
fn bad_starts_get_their_own_errors() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let mut hidden = start(&facts());
    hidden.work.purpose = "close \u{202e}retrauq".to_owned();
    let mut ended = start(&facts());
    ended.authority.not_after = Timestamp::from_millis(NOW);
    for (start, error) in [(hidden, EnvelopeError::Purpose), (ended, EnvelopeError::Expired)] {
        assert_eq!(issuer.start(start).err(), Some(IssueError::MintEnvelope(error)));
    }
}

#[test]
fn a_step_can_not_begin_after_its_run_has_ended() {
    let clock = TestClock::new();
    let issuer = issuer(&clock);
    let run = issuer.start(start(&facts())).unwrap();
    let allowed = allow(facts(), http(), clock.now());
    clock.pass(3_600_000);
    assert!(issuer.envelope(&run, &allowed, &[]).is_err());
}
