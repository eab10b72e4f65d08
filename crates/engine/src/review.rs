//! `call: approval`: a person is asked for data. Their answer is what the step returns; it guards
//! nothing, that is the policies' business.

use crate::board::{Aside, Waits};
use crate::driver::{Driver, StepEnd};
use crate::gated::{Question, approval_timer};
use crate::record::Decided;
use crate::step::Wanted;
use crate::{Engine, EngineError};
use async_trait::async_trait;
use mandate_directory::{ReviewTarget, Target};
use mandate_flow::{ErrorKind, Schema, WorkflowError};
use mandate_gate::{
    Allowed, Call, Claimed, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Spent, binding,
};
use mandate_identity::Audience;
use mandate_journal::{ApprovalKind, EventBody, Stored};
use mandate_kernel::{ApprovalId, Attempt, Digest, Timestamp, canonical_json};
use mandate_ledger::EventKind;
use serde_json::json;

impl Driver {
    /// How people are asked, if that is what this step does.
    pub(crate) fn review_of(&self, wanted: &Wanted) -> Option<ReviewTarget> {
        match &self.pinned.functions.get(&wanted.function)?.spec.target {
            Target::Review(review) => Some(review.clone()),
            _ => None,
        }
    }

    /// Policy allows the question: ask it, and wait. Nothing leaves, so that there is no permit to spend.
    pub(crate) fn ask_people(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        arguments: &Stored,
        allowed: &Allowed,
        review: &ReviewTarget,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let (facts, prepared) = (allowed.facts(), allowed.prepared());
        let asked = &facts.arguments;
        if let Some(Err(why)) = asked.get("form").filter(|form| !form.is_null()).map(Schema::of) {
            let error = WorkflowError::new(ErrorKind::Validation, format!("the form can't be asked: {why}"));
            return self.returned(engine, wanted, facts.step.attempt, Err(error), None);
        }
        let explanation = self.seal_explanation(allowed.policy(), facts)?;
        let decided = Decided {
            decision: allowed.decision(),
            status: "allow",
            reason: None,
            facts,
            prepared,
            policy: Some(allowed.policy()),
            explanation: Some(&explanation),
            arguments,
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details())?;
        let until = now.plus(review.expires.duration()).min(facts.authority.not_after);
        let question = Question {
            kind: ApprovalKind::Review,
            groups: review.groups.clone(),
            binding: binding(facts, prepared),
            facts,
            prepared,
            until,
            extra: json!({"title": asked.get("title"), "form": asked.get("form")}),
        };
        let approval = self.ask(engine, question)?;
        self.event(
            now,
            EventBody::Asked {
                step: wanted.seq,
                attempt: facts.step.attempt,
                path: wanted.path.clone(),
                function: wanted.function.to_string(),
                decision: allowed.decision().clone(),
                approval,
                until,
            },
        );
        self.set_timer(approval_timer(wanted.seq), until);
        Ok(StepEnd::Aside(Aside { waits: Waits::Approval, until: Some(until) }))
    }

    /// The question is out: wait on, or give up when time has run out. The workflow may catch that.
    pub(crate) fn at_review(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        approval: &ApprovalId,
        until: Timestamp,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        if now < until {
            return Ok(StepEnd::Aside(Aside { waits: Waits::Approval, until: Some(until) }));
        }
        self.clear_timer(&approval_timer(wanted.seq));
        self.expire(now, wanted, approval)?;
        let error = WorkflowError::new(ErrorKind::Timeout, format!("nobody answered {} in time", wanted.function));
        self.returned(engine, wanted, attempt, Err(error), None)
    }

    /// A person answered: that is what the step returns.
    pub(crate) async fn reviewed(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        attempt: Attempt,
        approved: bool,
        by: &str,
        answer: &Stored,
    ) -> Result<StepEnd, EngineError> {
        self.clear_timer(&approval_timer(wanted.seq));
        let said = self.open(answer).await?;
        let value = json!({
            "outcome": if approved { "approved" } else { "denied" },
            "by": by,
            "comment": said.get("comment"),
            "answer": said.get("form"),
        });
        let observed = Digest::of(&canonical_json(&value)?);
        self.succeeded(engine, wanted, attempt, Reply { value, observed, claimed: Claimed::default() }, None)
    }
}

/// The audience of a question to people. The initiator's authority has to cover it like any other call.
pub(crate) const AUDIENCE: &str = "urn:mandate:review";

/// The most bytes that people are shown.
const MAX_SHOWN: usize = 128 << 10;

/// How a question to people looks to the gate. It is asked by the engine itself and never performed.
pub(crate) struct Asking;

#[async_trait]
impl Effect for Asking {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        let known = ["title", "data", "form"];
        let map = call.arguments.as_object().ok_or_else(|| arguments("they must be an object".to_owned()))?;
        if let Some(other) = map.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(arguments(format!("there is no argument `{other}`; it takes: {}", known.join(", "))));
        }
        if map.get("title").is_some_and(|title| !title.is_string()) {
            return Err(arguments("argument `title` is text".to_owned()));
        }
        let bytes = canonical_json(&call.arguments).map_err(|e| arguments(e.to_string()))?;
        if bytes.len() > MAX_SHOWN {
            return Err(arguments(format!("they are {} bytes; people are shown at most {MAX_SHOWN}", bytes.len())));
        }
        Ok(Prepared {
            request: Request::Local { name: "review".to_owned(), arguments: bytes },
            destination: "people".to_owned(),
            audience: Audience::new(AUDIENCE).ok(),
            slot: None,
        })
    }

    async fn perform(&self, _: &Spent, _: Credentials) -> Result<Reply, EffectFailure> {
        Err(EffectFailure::Definite { status: 500, detail: "people are asked, not called".to_owned() })
    }
}
