//! Embedded grants: for one credential, one Worker version, one function version, one environment, one time.

use crate::support::*;
use mandate_gate::{GrantFacts, RefusalKind, StepFacts};
use mandate_kernel::{Digest, Environment};

fn stale(facts: StepFacts) -> String {
    match refused(builtin(), facts, to_ledgerbook()) {
        RefusalKind::GrantStale { grant, why, owner } => {
            assert_eq!((grant.as_str(), owner.as_str()), ("finance/costs", "user:finance-director"));
            why
        }
        other => panic!("{other}"),
    }
}

fn under(grant: GrantFacts) -> StepFacts {
    let mut facts = granted();
    facts.credential.as_mut().unwrap().grant = Some(grant);
    facts
}

#[test]
fn a_grant_covers_what_it_was_given_for_and_nothing_else() {
    let edited = Digest::of(b"edited");
    let production: Environment = environment("production");
    for (facts, why) in [
        (under(GrantFacts { credential: resource("finance/other"), ..grant() }), "it is for another credential"),
        (StepFacts { worker_version: edited, ..granted() }, "the Worker was edited after it was given"),
        (under(GrantFacts { worker_version: edited, ..grant() }), "the Worker was edited after it was given"),
        (StepFacts { function_version: edited, ..granted() }, "the function was edited after it was given"),
        (under(GrantFacts { function_version: edited, ..grant() }), "the function was edited after it was given"),
        (under(GrantFacts { environment: production, ..grant() }), "it is for another environment"),
        (under(GrantFacts { not_after: Some(in_secs(0)), ..grant() }), "it has ended"),
    ] {
        assert_eq!(stale(facts), why);
    }
}

#[test]
fn a_step_that_rests_on_a_grant_needs_a_credential() {
    let mut prepared = to_ledgerbook();
    prepared.slot = None;
    let kind = refused(builtin(), StepFacts { credential: None, ..granted() }, prepared);
    assert_eq!(kind.code(), "grant-missing");
}

#[test]
fn the_owner_and_the_way_out_are_named() {
    let facts = StepFacts { worker_version: Digest::of(b"edited"), ..granted() };
    let says = refused(builtin(), facts, to_ledgerbook()).to_string();
    let expect = "the grant finance/costs does not cover this: the Worker was edited after it was given; user:finance-director can give it again";
    assert_eq!(says, expect);
}

/// Nothing of the initiator's authority goes along: no token could be minted for such a step.
#[test]
fn a_step_under_a_grant_has_no_hop() {
    let permit = allowed(granted(), to_ledgerbook());
    assert!(permit.hop().is_none());
    assert_eq!(permit.not_after(), in_secs(60));
}

#[test]
fn the_permit_ends_with_the_grant() {
    let facts = under(GrantFacts { not_after: Some(in_secs(5)), ..grant() });
    assert_eq!(allowed(facts, to_ledgerbook()).not_after(), in_secs(5));
}
