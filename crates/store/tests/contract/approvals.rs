//! Approvals: asked with a step, settled once, withdrawn with their run, seen by their tenant alone.

use super::Backend;
use super::script::{Position, caller, status, tenant, tick};
use mandate_journal::{
    ApprovalChange, ApprovalKind, ApprovalQuery, ApprovalRecord, ApprovalState, CommitError, RunState, Stored,
    TenantStore, Transition,
};
use mandate_kernel::{
    ApprovalId, Attempt, Digest, FunctionName, GroupName, Labels, ResourceName, StepSeq, SystemEntropy,
};
use std::sync::Arc;

fn stored(text: &str) -> Stored {
    Stored { commitment: Digest::of(text.as_bytes()), labels: Labels::default(), size: 4 }
}

fn asked(at: &Position) -> ApprovalRecord {
    let now = tick();
    ApprovalRecord {
        approval: ApprovalId::generate(now, &SystemEntropy).unwrap(),
        run: at.run.clone(),
        step: StepSeq(1),
        attempt: Attempt(1),
        kind: ApprovalKind::Gate,
        groups: [GroupName::new("bosses").unwrap()].into(),
        worker: ResourceName::new("finance/quarterly-summary").unwrap(),
        function: FunctionName::new("mail.send").unwrap(),
        binding: Digest::of(b"binding"),
        view: stored("view"),
        asked_at: now,
        expires_at: now,
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        answer: None,
        proof: Some(Digest::of(b"asked")),
    }
}

fn settle(record: &ApprovalRecord, state: ApprovalState) -> ApprovalChange {
    ApprovalChange::Settle {
        approval: record.approval.clone(),
        state,
        by: Some("user:boss".to_owned()),
        at: record.asked_at,
        answer: Some(stored("answer")),
        proof: Some(Digest::of(b"settled")),
    }
}

/// A run that waits, and what for.
async fn waiting(backend: &dyn Backend) -> (Arc<dyn TenantStore>, Position, ApprovalRecord) {
    let store = backend.of(&caller("a"));
    let fresh = Position::fresh(&tenant("a"));
    let record = asked(&fresh);
    let start = Transition { approvals: vec![ApprovalChange::Ask(Box::new(record.clone()))], ..fresh.start() };
    store.commit(start.clone()).await.unwrap();
    (store, fresh.after(&start), record)
}

pub(crate) async fn an_approval_is_asked_for_and_settled_once(backend: &dyn Backend) {
    let (store, at, record) = waiting(backend).await;
    assert_eq!(store.approval(&record.approval).await.unwrap(), Some(record.clone()));
    let yes = Transition { approvals: vec![settle(&record, ApprovalState::Approved)], ..at.step() };
    store.commit(yes.clone()).await.unwrap();
    let found = store.approval(&record.approval).await.unwrap().unwrap();
    assert_eq!((found.state, found.decided_by.as_deref()), (ApprovalState::Approved, Some("user:boss")));
    assert_eq!(found.proof, Some(Digest::of(b"settled")));
    assert_eq!((found.decided_at, found.answer.clone()), (Some(record.asked_at), Some(stored("answer"))));
    assert_eq!(
        ApprovalRecord {
            state: record.state,
            decided_by: None,
            decided_at: None,
            answer: None,
            proof: record.proof,
            ..found
        },
        record
    );
    let at = at.after(&yes);
    for change in [
        settle(&record, ApprovalState::Denied),
        ApprovalChange::Ask(Box::new(record.clone())),
        settle(&asked(&at), ApprovalState::Approved),
        ApprovalChange::Ask(Box::new(asked(&Position::fresh(&tenant("a"))))),
        ApprovalChange::Ask(Box::new(ApprovalRecord { state: ApprovalState::Approved, ..asked(&at) })),
    ] {
        let refused = store.commit(Transition { approvals: vec![change.clone()], ..at.step() }).await;
        assert!(matches!(refused, Err(CommitError::Invalid(_))), "{change:?}: {refused:?}");
    }
    assert_eq!(store.run(&at.run).await.unwrap().unwrap().journal_seq, at.seq, "nothing of a refused one is left");
}

pub(crate) async fn nobody_settles_another_run_s_approval(backend: &dyn Backend) {
    let (store, _, record) = waiting(backend).await;
    let (_, other, _) = waiting(backend).await;
    let stolen = Transition { approvals: vec![settle(&record, ApprovalState::Approved)], ..other.step() };
    assert!(matches!(store.commit(stolen).await, Err(CommitError::Invalid(_))));
    assert_eq!(store.approval(&record.approval).await.unwrap().unwrap().state, ApprovalState::Pending);
}

pub(crate) async fn an_end_withdraws_what_is_pending(backend: &dyn Backend) {
    let (store, at, record) = waiting(backend).await;
    let (_, _, other) = waiting(backend).await;
    let end = Transition { status: Some(status(RunState::Cancelled)), ..at.step() };
    store.commit(end.clone()).await.unwrap();
    let found = store.approval(&record.approval).await.unwrap().unwrap();
    assert_eq!((found.state, found.decided_by), (ApprovalState::Withdrawn, None));
    assert_eq!(found.decided_at, end.status.map(|status| status.since));
    assert_eq!(store.approval(&other.approval).await.unwrap().unwrap().state, ApprovalState::Pending);
}

pub(crate) async fn approvals_are_listed_newest_first(backend: &dyn Backend) {
    let (store, _, first) = waiting(backend).await;
    let (_, at, second) = waiting(backend).await;
    store.commit(Transition { approvals: vec![settle(&second, ApprovalState::Denied)], ..at.step() }).await.unwrap();
    let (_, _, third) = waiting(backend).await;
    let list = async |query: ApprovalQuery| -> (Vec<ApprovalId>, bool) {
        let page = store.approvals(query).await.unwrap();
        (page.items.into_iter().map(|record| record.approval).collect(), page.more)
    };
    let all = ApprovalQuery { limit: 2, ..ApprovalQuery::default() };
    assert_eq!(list(all.clone()).await, (vec![third.approval.clone(), second.approval.clone()], true));
    let rest = ApprovalQuery { before: Some(second.approval.clone()), ..all.clone() };
    assert_eq!(list(rest).await, (vec![first.approval.clone()], false));
    let pending = ApprovalQuery { state: Some(ApprovalState::Pending), ..all.clone() };
    assert_eq!(list(pending).await, (vec![third.approval.clone(), first.approval.clone()], false));
    let of_run = ApprovalQuery { run: Some(first.run.clone()), ..all };
    assert_eq!(list(of_run).await, (vec![first.approval.clone()], false));
}

pub(crate) async fn a_foreign_tenant_sees_no_approval(backend: &dyn Backend) {
    let (_, _, record) = waiting(backend).await;
    let foreign = backend.of(&caller("b"));
    assert_eq!(foreign.approval(&record.approval).await.unwrap(), None);
    let all = ApprovalQuery { limit: 10, ..ApprovalQuery::default() };
    assert!(foreign.approvals(all).await.unwrap().items.is_empty());
}
