//! A step that was held back is allowed only after an entry says who approved it.

use super::{demo, run_id};
use crate::{ChainError, Event, EventKind, RunChain, RunLink};
use mandate_kernel::{Digest, Timestamp};
use serde_json::{Value, json};

/// Follows a run of these entries after its first; gives how the last one was taken.
fn follow(entries: &[(EventKind, Value)]) -> Result<(), ChainError> {
    let (mut chain, mut prev) = (RunChain::new(), None);
    let first = [(EventKind::RunStarted, json!({}))];
    let mut taken = Ok(());
    for (seq, (kind, details)) in (0..).zip(first.iter().chain(entries)) {
        assert_eq!(taken, Ok(()), "only the last may be refused");
        let link = RunLink { run: run_id(1), seq, prev };
        let event = Event {
            time: Timestamp::from_secs(1),
            tenant: demo(),
            kind: *kind,
            actor: "worker:finance/w".to_owned(),
            run: Some(link),
            details: details.clone(),
        };
        let leaf = Digest::of(&seq.to_be_bytes());
        taken = chain.follow(&event, leaf);
        prev = Some(leaf);
    }
    taken
}

fn decided(step: u64, status: &str, approvals: &[&str]) -> (EventKind, Value) {
    (EventKind::StepDecided, json!({"step": step, "status": status, "approvals": approvals}))
}

fn given(approval: &str) -> (EventKind, Value) {
    (EventKind::ApprovalGiven, json!({"approval": approval}))
}

#[test]
fn a_held_step_needs_the_entry_of_its_approval() {
    let held = decided(6, "not-yet", &[]);
    assert_eq!(follow(&[held.clone(), given("apr_a"), decided(6, "allow", &["apr_a"])]), Ok(()));
    assert_eq!(follow(&[decided(6, "allow", &[])]), Ok(()), "never held");
    assert_eq!(follow(&[held.clone(), decided(7, "allow", &[])]), Ok(()), "another step");
    assert_eq!(follow(&[held.clone(), decided(6, "deny", &[])]), Ok(()));
    for entries in [
        vec![held.clone(), decided(6, "allow", &[])],
        vec![held.clone(), decided(6, "allow", &["apr_a"])],
        vec![held.clone(), given("apr_b"), decided(6, "allow", &["apr_a"])],
        vec![held, given("apr_a"), decided(6, "allow", &["apr_a", "apr_b"])],
        // Also where nothing says that it was held.
        vec![decided(6, "allow", &["apr_a"])],
    ] {
        let seq = u32::try_from(entries.len()).unwrap();
        assert_eq!(follow(&entries), Err(ChainError::Unapproved { seq }), "{entries:?}");
    }
}
