//! Judging an attempt until a decision about it is durable.

use crate::driver::{Driver, StepEnd};
use crate::gated::approval_timer;
use crate::meter::Mark;
use crate::protocol::supplies;
use crate::record::{Decided, Given};
use crate::step::{Wanted, retry_timer};
use crate::{Engine, EngineError};
use mandate_flow::{ErrorKind, WorkflowError};
use mandate_gate::{AdmitError, Allowed, Judged, Permit, Prepared, Refusal, Step, StepFacts};
use mandate_issuer::MintedEnvelope;
use mandate_journal::{CommitError, EventBody, LeaseChange, LeaseRecord, LeaseState, RunState, Stored};
use mandate_kernel::{Attempt, DecisionId, LeaseId, Timestamp, TokenId};
use mandate_ledger::EventKind;
use mandate_policy::Decision;
use std::sync::Arc;

/// How often a decision is made again because somebody was revoked, or configuration changed, while it
/// was made durable. Beyond that the run stops and is taken up again later.
const MAX_REJUDGE: u32 = 16;

/// What an admitted attempt goes on with.
pub(crate) struct Admitted {
    pub permit: Permit<Step>,
    pub envelope: MintedEnvelope,
    pub token: Option<TokenId>,
    pub lease: Option<LeaseRecord>,
}

/// What judging and admitting came to.
pub(crate) enum Verdict {
    Admitted(Box<Admitted>),
    End(StepEnd),
}

impl Driver {
    /// Judges the attempt until a decision is durable.
    pub(crate) async fn admit(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
    ) -> Result<Verdict, EngineError> {
        let kept = (self.draft.clone(), self.timers.clone());
        for _ in 0..MAX_REJUDGE {
            if self.is_stopped() {
                return Ok(Verdict::End(StepEnd::Stopped));
            }
            let (prepared, facts) = match self.prepare(wanted, attempt) {
                Ok(ready) => ready,
                Err(error) => return self.returned(engine, wanted, attempt, Err(error), None).map(Verdict::End),
            };
            let now = engine.ports.clock.now();
            let decision = DecisionId::generate(now, engine.ports.entropy.as_ref())?;
            let arguments = self.seal(&wanted.arguments.value, &wanted.arguments.labels)?;
            let facts = Arc::new(facts);
            let judged = engine.gate.judge(decision, &self.catalog.policies, Arc::clone(&facts), prepared.clone(), now);
            let review = self.review_of(wanted);
            // An admission is fenced by its commit; what ends the run, or asks people, looks before.
            if (review.is_some() || !matches!(judged, Judged::Allowed(_))) && self.is_outdated().await? {
                (self.draft, self.timers) = kept.clone();
                self.refresh().await?;
                continue;
            }
            let allowed = match judged {
                Judged::Refused(refusal) => {
                    return self.refused(engine, &facts, &prepared, &arguments, &refusal).await.map(Verdict::End);
                }
                // People would be shown the arguments.
                Judged::NotYet(_) if supplies(&wanted.arguments.value) => {
                    let why = "the call brings a credential of the run's data, and people would have to approve it";
                    let error = WorkflowError::new(ErrorKind::Configuration, why);
                    return self.returned(engine, wanted, attempt, Err(error), None).map(Verdict::End);
                }
                Judged::NotYet(gated) => {
                    return self.gated(engine, &facts, &arguments, *gated).map(Verdict::End);
                }
                Judged::Allowed(allowed) => allowed,
            };
            if let Some(review) = review {
                return self.ask_people(engine, wanted, &arguments, &allowed, &review).map(Verdict::End);
            }
            match self.make_durable(engine, wanted, &arguments, allowed).await {
                Ok(admitted) => return Ok(Verdict::Admitted(Box::new(admitted))),
                Err(EngineError::Admit(AdmitError::Commit(CommitError::Revoked { .. }))) => {
                    (self.draft, self.timers) = kept.clone();
                    self.refresh().await?;
                }
                Err(EngineError::Admit(AdmitError::Stopped)) => {
                    // The decision is durable, but nothing was sent: no doubt.
                    self.was_committed(engine);
                    // Whatever else is on the wire is being stopped, too; its leases end with it.
                    self.drain(engine).await?;
                    self.end_open_leases(engine).await?;
                    self.refresh_standing().await?;
                }
                Err(other) => return Err(other),
            }
        }
        Err(EngineError::Timeout("a decision that stays valid until it is durable".to_owned()))
    }

    /// Records the decision with everything the attempt will be given, and has the gate admit it.
    async fn make_durable(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        arguments: &Stored,
        allowed: Box<Allowed>,
    ) -> Result<Admitted, EngineError> {
        let now = engine.ports.clock.now();
        let facts = allowed.facts();
        let key = facts.step.clone();
        let predecessors = vec![self.latest_envelope];
        let envelope = self.context.issuer().envelope(&self.root, &allowed, &predecessors)?;
        let token = match allowed.hop() {
            Some(_) => Some(TokenId::generate(now, engine.ports.entropy.as_ref())?),
            None => None,
        };
        let lease = lease_of(engine, &allowed, now)?;
        let explanation = self.seal_explanation(allowed.policy(), allowed.facts())?;
        let decided = Decided {
            decision: allowed.decision(),
            status: "allow",
            reason: None,
            facts: allowed.facts(),
            prepared: allowed.prepared(),
            policy: Some(allowed.policy()),
            explanation: Some(&explanation),
            arguments,
        };
        let given = Given {
            envelope: envelope.digest,
            predecessors: &predecessors,
            token: token.as_ref(),
            hop: allowed.hop(),
            lease: lease.as_ref().map(|l| &l.lease),
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details().giving(&given))?;
        let admitted = EventBody::Admitted {
            step: key.seq,
            attempt: key.attempt,
            path: wanted.path.clone(),
            function: wanted.function.to_string(),
            decision: allowed.decision().clone(),
            request: allowed.prepared().digest(),
            arguments: arguments.clone(),
            effect: wanted.effect,
            token: token.clone(),
            lease: lease.as_ref().map(|l| l.lease.clone()),
            envelope: envelope.digest,
            not_after: allowed.not_after(),
        };
        self.draft.event(now, admitted.clone());
        if let Some(lease) = &lease {
            self.draft.lease(LeaseChange::Intend(lease.clone()));
        }
        self.clear_timer(&retry_timer(key.seq));
        self.clear_timer(&approval_timer(key.seq));
        let scopes = allowed.facts().scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        tracing::Span::current().record("scopes", scopes).record("outcome", "allow");
        let permit = engine.gate.admit(allowed, self.draft.transition(), self.context.store.as_ref()).await?;
        self.was_committed(engine);
        self.history.note(now, admitted);
        self.latest_envelope = envelope.digest;
        Ok(Admitted { permit, envelope, token, lease })
    }

    async fn refused(
        &mut self,
        engine: &Engine,
        facts: &StepFacts,
        prepared: &Prepared,
        arguments: &Stored,
        refusal: &Refusal,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let explanation = match &refusal.policy {
            Some(policy) => Some(self.seal_explanation(policy, facts)?),
            None => None,
        };
        let decided = Decided {
            decision: &refusal.decision,
            status: "deny",
            reason: Some(refusal.kind.to_string()),
            facts,
            prepared,
            policy: refusal.policy.as_ref(),
            explanation: explanation.as_ref(),
            arguments,
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details())?;
        self.draft.mark(Mark::Decision("deny"));
        let mut problem = refusal.problem();
        problem.instance = Some(facts.path.to_string());
        tracing::Span::current().record("outcome", "deny");
        tracing::warn!(run = %self.run, decision = %refusal.decision, reason = refusal.kind.code(), "step refused");
        self.end(engine, RunState::Refused, None, None, Some(problem)).await?;
        Ok(StepEnd::Over)
    }

    /// The full explanation with every fact, the arguments' digests among them: kept like any payload,
    /// and named by its commitment.
    pub(crate) fn seal_explanation(&mut self, policy: &Decision, facts: &StepFacts) -> Result<Stored, EngineError> {
        self.seal(&policy.explanation, &facts.labels)
    }
}

/// The lease an allowed step needs: its credential, if the request has a slot for one.
fn lease_of(engine: &Engine, allowed: &Allowed, now: Timestamp) -> Result<Option<LeaseRecord>, EngineError> {
    let facts = allowed.facts();
    let (Some(credential), Some(_)) = (&facts.credential, &allowed.prepared().slot) else { return Ok(None) };
    Ok(Some(LeaseRecord {
        lease: LeaseId::generate(now, engine.ports.entropy.as_ref())?,
        step: facts.step.clone(),
        credential: credential.name.clone(),
        version: credential.version,
        not_after: allowed.not_after(),
        state: LeaseState::Intended,
    }))
}
