//! What people say to an approval: checked against what was asked, recorded, and the run goes on.

use crate::draft::Draft;
use crate::driver::Wake;
use crate::load::open;
use crate::standing_question::{check, settled_before};
use crate::{Denied, Engine, EngineError, Target, TenantContext};
use mandate_gate::{Access, Permit, Refusal, RefusalKind};
use mandate_journal::{
    ApprovalChange, ApprovalKind, ApprovalQuery, ApprovalRecord, ApprovalState, Change, CommitError, Declined,
    EventBody, RunRecord, RunState, RunStatus,
};
use mandate_kernel::{Action, ApprovalId, Caller, Digest, Labels, Timestamp};
use mandate_ledger::{Event, EventKind};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a person says.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Yes or no.
    pub approve: bool,
    /// What they were shown: [`ApprovalRecord::binding`].
    pub digest: Digest,
    /// A word to whoever reads it later.
    pub comment: Option<String>,
    /// The answer to a review's form.
    pub form: Option<Value>,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Refused; the decision is in the ledger. Also for one that is not there.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody answered before, or the run has ended.
    #[error("this approval is {} already; nothing was changed", .0.as_str())]
    Settled(ApprovalState),
    /// Too late.
    #[error("this approval ended at {0}; the run does not wait for it any more")]
    Late(Timestamp),
    /// The answer is for something else than what waits.
    #[error("the digest is not that of the request that waits; look at it again before you answer")]
    Mismatch,
    /// Somebody has to say yes to each gate by themselves.
    #[error("{0} has approved another gate of this step; somebody else has to answer this one")]
    SecondWord(String),
    /// The form's answer does not fit the form.
    #[error("the answer does not fit the form: {0}")]
    Form(String),
    /// It could not be recorded.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl AnswerError {
    /// A word for the ledger, for what a person did wrong.
    const fn code(&self) -> Option<&'static str> {
        match self {
            Self::Settled(_) => Some("already-decided"),
            Self::Late(_) => Some("approval-late"),
            Self::Mismatch => Some("digest-mismatch"),
            Self::SecondWord(_) => Some("second-word"),
            Self::Form(_) => Some("form-mismatch"),
            // A denial has an entry of its own.
            Self::Denied(_) | Self::Failed(_) => None,
        }
    }
}

/// Approvals looked at for one page, whoever may see them.
const MAX_SCANNED: usize = 500;

/// Bytes of what is shown that one page holds, but for its first approval.
const MAX_PAGE: u64 = 1 << 20;

/// An approval with what people are shown.
#[derive(Debug, Clone)]
pub struct ApprovalView {
    /// As stored.
    pub record: ApprovalRecord,
    /// What is shown, opened.
    pub shown: Value,
    /// Comment and form of the answer, opened.
    pub said: Option<Value>,
    /// The run that waits.
    pub run: RunRecord,
    /// Whether the caller may read what it is about: whoever was asked, whoever started the run, and whoever may
    /// read the run's results. Others see that it is there.
    pub may_read: bool,
    /// Whether the caller may answer it now, and if not, why.
    pub may: Result<(), String>,
}

/// Some approvals, newest first.
#[derive(Debug, Clone)]
pub struct ApprovalPage {
    /// Those that the caller may see; maybe none.
    pub items: Vec<ApprovalView>,
    /// Where to go on, if there may be more.
    pub next: Option<ApprovalId>,
}

impl Engine {
    /// Approvals the caller may see: those they are asked for, and those of runs they may see.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn approvals(
        &self,
        context: &TenantContext,
        caller: &Caller,
        query: ApprovalQuery,
    ) -> Result<ApprovalPage, EngineError> {
        let (limit, mut query) = (query.limit, query);
        let (mut items, mut scanned, mut bytes) = (Vec::new(), 0, 0u64);
        loop {
            let page = context.store.approvals(query.clone()).await?;
            for record in page.items {
                scanned += 1;
                let size = record.view.size;
                if !items.is_empty() && bytes.saturating_add(size) > MAX_PAGE {
                    return Ok(ApprovalPage { items, next: query.before });
                }
                query.before = Some(record.approval.clone());
                match self.visible_to(context, caller, record).await {
                    Ok(Some(view)) => {
                        bytes = bytes.saturating_add(size);
                        items.push(view);
                    }
                    Ok(None) => {}
                    // The others can be answered all the same.
                    Err(EngineError::Forged(what)) => {
                        tracing::error!(tenant = %context.tenant, what, "forged row left out")
                    }
                    Err(error) => return Err(error),
                }
                if items.len() == limit || scanned == MAX_SCANNED {
                    return Ok(ApprovalPage { items, next: query.before });
                }
            }
            if !page.more {
                return Ok(ApprovalPage { items, next: None });
            }
        }
    }

    /// One approval, if the caller may see it. What they may not see is absent for them; their asking
    /// is in the ledger.
    ///
    /// # Errors
    /// [`AnswerError::Denied`] or [`AnswerError::Failed`].
    pub async fn approval(
        &self,
        context: &TenantContext,
        caller: &Caller,
        id: &ApprovalId,
    ) -> Result<ApprovalView, AnswerError> {
        let record = context.store.approval(id).await.map_err(EngineError::from)?;
        if let Some(record) = record
            && let Some(view) = self.visible_to(context, caller, record).await?
        {
            return Ok(view);
        }
        Err(self.unseen(context, caller, id).await)
    }

    /// Takes a person's answer: the run goes on, or ends.
    ///
    /// # Errors
    /// [`AnswerError`]; nothing was changed, and the attempt is in the ledger.
    pub async fn answer(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        caller: &Caller,
        id: &ApprovalId,
        answer: Answer,
    ) -> Result<ApprovalView, AnswerError> {
        let view = self.approval(context, caller, id).await?;
        let target = Target::Approval { run: &view.run, approval: &view.record };
        let permit = self.authorize(context, caller, Action::ApprovalDecide, &target).await?;
        if let Err(error) = self.take(context, &permit, &view, answer).await {
            if let Some(code) = error.code() {
                self.record_refused_answer(context, &permit, &view.record, code).await?;
            }
            return Err(error);
        }
        self.approval(context, caller, id).await
    }

    async fn take(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        permit: &Permit<Access>,
        view: &ApprovalView,
        answer: Answer,
    ) -> Result<(), AnswerError> {
        let (run, id) = (&view.record.run, &view.record.approval);
        check(&view.record, &view.shown, &answer, self.ports.clock.now())?;
        let hold = self.hold(context, run).await?;
        let epoch = hold.epoch;
        let gone = || EngineError::Absent(format!("approval {id}"));
        let record = context.store.approval(id).await.map_err(EngineError::from)?.ok_or_else(gone)?;
        let fresh = context.store.run(run).await.map_err(EngineError::from)?.ok_or_else(gone)?;
        let by = permit.caller().principal.subject();
        let now = self.ports.clock.now();
        // The row may be older than what became of it: the journal knows whether it still stands open.
        if fresh.status.state.is_terminal() {
            return Err(AnswerError::Settled(ApprovalState::Withdrawn));
        }
        if let Some(state) = settled_before(&context.store.journal(run).await.map_err(EngineError::from)?, id) {
            return Err(AnswerError::Settled(state));
        }
        if !context.rows.approval_holds(&record) {
            return Err(EngineError::Forged(format!("approval {id}")).into());
        }
        // Once more: from here on nobody else can answer, but somebody may just have.
        check(&record, &view.shown, &answer, now)?;
        let others = ApprovalQuery { limit: 100, run: Some(run.clone()), ..ApprovalQuery::default() };
        let others = context.store.approvals(others).await.map_err(EngineError::from)?.items;
        let of_step: Vec<_> = others.iter().filter(|o| o.step == record.step && o.approval != *id).collect();
        let asked_together = |other: &&&ApprovalRecord| other.binding == record.binding;
        if answer.approve && of_step.iter().filter(asked_together).any(|o| o.decided_by.as_ref() == Some(&by)) {
            return Err(AnswerError::SecondWord(by));
        }
        let goes_on = !answer.approve || of_step.iter().all(|other| other.state != ApprovalState::Pending);
        let mut draft = Draft::new(context.tenant().clone(), run.clone(), fresh.journal_seq, epoch, fresh.chain);
        self.write_down(context, permit, &fresh, &record, answer, &mut draft).await?;
        if goes_on {
            draft.status(RunStatus { state: RunState::Running, waiting_for: None, since: now, problem: None });
        }
        if let Err(error) = context.store.commit(draft.transition()).await {
            // It may be durable all the same; then somebody has to drive the run.
            self.retry_later(run.clone());
            // Or somebody else was faster, and this answer is one too many.
            let now = context.store.approval(id).await.map_err(EngineError::from)?;
            let settled = now.map(|now| now.state).filter(|state| *state != ApprovalState::Pending);
            let fenced = matches!(error, CommitError::Fenced { .. });
            return Err(match settled.filter(|_| fenced) {
                Some(state) => AnswerError::Settled(state),
                None => EngineError::from(error).into(),
            });
        }
        draft.committed();
        context.entries_waiting.notify_one();
        drop(hold);
        if goes_on {
            self.resume(context, run, Wake::Person);
        }
        Ok(())
    }

    /// The answer as journal events, ledger entries and the approval's end.
    async fn write_down(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        run: &RunRecord,
        record: &ApprovalRecord,
        answer: Answer,
        draft: &mut Draft,
    ) -> Result<(), EngineError> {
        let (now, by) = (self.ports.clock.now(), permit.caller().principal.subject());
        let subject = context.vault.subject(&run.new.initiator.subject()).await?;
        let said = json!({"comment": answer.comment, "form": answer.form});
        let (stored, payload) = subject.seal(&said, &Labels::default().join(&record.view.labels))?;
        draft.payload(payload);
        let (state, kind) = if answer.approve {
            (ApprovalState::Approved, EventKind::ApprovalGiven)
        } else {
            (ApprovalState::Denied, EventKind::ApprovalDenied)
        };
        draft.entry(
            now,
            kind,
            by.clone(),
            json!({
                "approval": record.approval, "kind": record.kind, "step": record.step, "function": record.function,
                "groups": record.groups, "digest": record.binding, "by": by, "decision": permit.decision(),
                "answer": crate::record::commitment(&stored),
            }),
        )?;
        let (decided_by, decided_at, answer) = (Some(by.clone()), Some(now), Some(stored.clone()));
        let settled = ApprovalRecord { state, decided_by, decided_at, answer, ..record.clone() };
        draft.approval(ApprovalChange::Settle {
            approval: record.approval.clone(),
            state,
            by: Some(by.clone()),
            at: now,
            answer: Some(stored.clone()),
            proof: Some(context.rows.prove_approval(&settled)?),
        });
        let (step, approval) = (record.step, record.approval.clone());
        let body = match (record.kind, state == ApprovalState::Approved) {
            (ApprovalKind::Review, approved) => EventBody::Answered { step, approval, approved, by, answer: stored },
            (ApprovalKind::Gate, false) => EventBody::Declined { step, approval, why: Declined::Denied, by: Some(by) },
            (ApprovalKind::Gate, true) => {
                let gate = record.groups.iter().map(|group| format!("approval:{group}")).collect();
                EventBody::Approved { step, approval, gate, binding: record.binding, by, until: record.expires_at }
            }
        };
        draft.event(now, body);
        Ok(())
    }

    /// The approval with what the caller may see of it; `None` when that is nothing.
    async fn visible_to(
        &self,
        context: &TenantContext,
        caller: &Caller,
        record: ApprovalRecord,
    ) -> Result<Option<ApprovalView>, EngineError> {
        if !context.rows.approval_holds(&record) {
            return Err(EngineError::Forged(format!("approval {}", record.approval)));
        }
        let absent = || EngineError::Inconsistent(format!("approval {} has no run", record.approval));
        let run = context.store.run(&record.run).await?.ok_or_else(absent)?;
        let target = Target::Approval { run: &run, approval: &record };
        let judged = self.judge_access(context, caller, Action::ApprovalDecide, &target).await?;
        let asked = caller.tenant() == context.tenant() && !caller.groups.is_disjoint(&record.groups);
        if !asked && !self.may(context, caller, Action::RunView, &Target::Run(&run)).await? {
            return Ok(None);
        }
        let may_read = asked
            || caller.principal == run.new.initiator
            || self.may(context, caller, Action::ArtifactRead, &Target::Run(&run)).await?;
        let now = self.ports.clock.now();
        let may = match judged {
            _ if record.state != ApprovalState::Pending => Err(format!("it is {} already", record.state.as_str())),
            _ if record.expires_at <= now => Err("its time has run out".to_owned()),
            Err(refusal) => Err(refusal.kind.to_string()),
            Ok(_) => Ok(()),
        };
        let subject = context.vault.subject(&run.new.initiator.subject()).await?;
        let shown = open(context, &subject, &record.view).await?;
        let said = match &record.answer {
            Some(answer) => Some(open(context, &subject, answer).await?),
            None => None,
        };
        Ok(Some(ApprovalView { record, shown, said, run, may_read, may }))
    }

    /// One that is not there, or not for the caller: the same to them, and recorded.
    async fn unseen(&self, context: &TenantContext, caller: &Caller, id: &ApprovalId) -> AnswerError {
        match self.authorize(context, caller, Action::RunView, &Target::AbsentApproval(id)).await {
            Err(Denied::Refused(refusal)) => {
                let kind = RefusalKind::Absent(format!("approval {id}"));
                Denied::Refused(Box::new(Refusal { kind, policy: None, ..*refusal })).into()
            }
            Err(failed) => failed.into(),
            Ok(_) => EngineError::Absent(format!("approval {id}")).into(),
        }
    }

    async fn record_refused_answer(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        record: &ApprovalRecord,
        why: &'static str,
    ) -> Result<(), EngineError> {
        let (now, by) = (self.ports.clock.now(), permit.caller().principal.subject());
        let event = Event {
            time: now,
            tenant: context.tenant().clone(),
            kind: EventKind::ApprovalRefused,
            actor: by.clone(),
            run: None,
            details: json!({
                "approval": record.approval, "name": record.run, "step": record.step, "function": record.function,
                "reason": why, "decision": permit.decision(),
            }),
        };
        let mut change = Change::new(context.tenant().clone(), now, by);
        change.entries.push(event.encode()?);
        context.store.change(change).await?;
        context.entries_waiting.notify_one();
        Ok(())
    }
}
