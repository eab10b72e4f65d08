//! A step that waits for people: what they are asked, and what becomes of the step when they say no or
//! say nothing. What they say is taken down by [`crate::answer`].

use crate::board::{Aside, Waits};
use crate::driver::{Driver, StepEnd};
use crate::record::{self, Decided};
use crate::step::Wanted;
use crate::{Engine, EngineError};
use mandate_gate::{NotYet, Prepared, StepFacts};
use mandate_journal::{
    ApprovalChange, ApprovalKind, ApprovalRecord, ApprovalState, Declined, EventBody, Problem, RunState, Stored,
};
use mandate_kernel::{ApprovalId, Digest, Duration, GroupName, StepSeq, Timestamp};
use mandate_ledger::EventKind;
use mandate_policy::GateKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How long a person has to answer, if the run's authority lasts that long.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who is asked for what.
pub(crate) struct Question<'a> {
    pub kind: ApprovalKind,
    pub groups: BTreeSet<GroupName>,
    pub binding: Digest,
    pub facts: &'a StepFacts,
    pub prepared: &'a Prepared,
    pub until: Timestamp,
    /// What a review shows besides: its title and form.
    pub extra: Value,
}

impl Driver {
    /// The verdict was "not yet": ask for every approval that stands in the way, and wait.
    pub(crate) fn gated(
        &mut self,
        engine: &Engine,
        facts: &StepFacts,
        arguments: &Stored,
        gated: NotYet,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let explanation = self.seal_explanation(&gated.policy, facts)?;
        let gates: BTreeSet<String> = gated.gates.iter().map(|g| g.kind.to_string()).collect();
        let named: Vec<String> = gates.iter().cloned().collect();
        let decided = Decided {
            decision: &gated.decision,
            status: "not-yet",
            reason: Some(format!("waits for {}", named.join(", "))),
            facts,
            prepared: &gated.prepared,
            policy: Some(&gated.policy),
            explanation: Some(&explanation),
            arguments,
        };
        self.draft.entry(now, EventKind::StepDecided, self.actor(), decided.details())?;
        let until = now.plus(PATIENCE).min(facts.authority.not_after);
        let groups: BTreeSet<&GroupName> = gated.gates.iter().filter_map(|gate| group_of(&gate.kind)).collect();
        let mut approvals = Vec::new();
        for group in groups {
            let question = Question {
                kind: ApprovalKind::Gate,
                groups: BTreeSet::from([group.clone()]),
                binding: gated.binding,
                facts,
                prepared: &gated.prepared,
                until,
                extra: Value::Null,
            };
            approvals.push(self.ask(engine, question)?);
        }
        let asked = !approvals.is_empty();
        self.event(
            now,
            EventBody::Gated {
                step: facts.step.seq,
                path: facts.path.clone(),
                gates: named,
                request: gated.prepared.digest(),
                decision: gated.decision.clone(),
                attempt: facts.step.attempt,
                until: asked.then_some(until),
                approvals,
            },
        );
        tracing::Span::current().record("outcome", "not-yet");
        if asked {
            self.set_timer(approval_timer(facts.step.seq), until);
        }
        Ok(StepEnd::Aside(waits_at_gate(asked.then_some(until))))
    }

    /// Adds one question to the draft.
    pub(crate) fn ask(&mut self, engine: &Engine, question: Question<'_>) -> Result<ApprovalId, EngineError> {
        let now = engine.ports.clock.now();
        let Question { kind, groups, binding, facts, prepared, until, extra } = question;
        let approval = ApprovalId::generate(now, engine.ports.entropy.as_ref())?;
        let shown = shown(facts, prepared, &extra);
        let view = self.seal(&shown, &facts.labels)?;
        self.draft.entry(
            now,
            EventKind::ApprovalRequested,
            self.actor(),
            json!({
                "approval": approval, "kind": kind, "step": facts.step.seq, "function": facts.function,
                "groups": groups, "digest": binding, "request": prepared.digest(),
                "destination": prepared.destination, "shown": record::commitment(&view), "expires_at": until.to_string(),
            }),
        )?;
        let mut record = ApprovalRecord {
            approval: approval.clone(),
            run: self.run.clone(),
            step: facts.step.seq,
            attempt: facts.step.attempt,
            kind,
            groups,
            worker: facts.worker.clone(),
            function: facts.function.clone(),
            binding,
            view,
            asked_at: now,
            expires_at: until,
            state: ApprovalState::Pending,
            decided_by: None,
            decided_at: None,
            answer: None,
            proof: None,
        };
        record.proof = Some(self.context.rows.prove_approval(&record)?);
        self.draft.approval(ApprovalChange::Ask(Box::new(record)));
        Ok(approval)
    }

    /// A step that was gated is looked at again: time may have run out, or everybody may have said yes.
    pub(crate) async fn at_gate(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        open: BTreeSet<ApprovalId>,
        until: Option<Timestamp>,
    ) -> Result<Option<StepEnd>, EngineError> {
        let now = engine.ports.clock.now();
        // A gate that nobody can answer yet has nobody to wait for.
        let Some(until) = until else { return Ok(Some(StepEnd::Aside(waits_at_gate(None)))) };
        if open.is_empty() {
            return Ok(None);
        }
        if now < until {
            return Ok(Some(StepEnd::Aside(waits_at_gate(Some(until)))));
        }
        for approval in open {
            self.expire(now, wanted, &approval)?;
            self.event(now, EventBody::Declined { step: wanted.seq, approval, why: Declined::Expired, by: None });
        }
        self.declined(engine, wanted, Declined::Expired, None).await.map(Some)
    }

    pub(crate) fn expire(&mut self, now: Timestamp, wanted: &Wanted, approval: &ApprovalId) -> Result<(), EngineError> {
        let details = json!({"approval": approval, "step": wanted.seq, "function": wanted.function});
        self.draft.entry(now, EventKind::ApprovalExpired, "system:engine".to_owned(), details)?;
        self.draft.approval(ApprovalChange::Settle {
            approval: approval.clone(),
            state: ApprovalState::Expired,
            by: None,
            at: now,
            answer: None,
            proof: None,
        });
        Ok(())
    }

    /// A gate was not passed: the run ends as refused.
    pub(crate) async fn declined(
        &mut self,
        engine: &Engine,
        wanted: &Wanted,
        why: Declined,
        by: Option<String>,
    ) -> Result<StepEnd, EngineError> {
        let (code, title, detail) = match (why, by) {
            (Declined::Denied, Some(by)) => {
                ("approval-denied", "Not approved", format!("{by} said no to {}", wanted.function))
            }
            (Declined::Denied, None) => {
                ("approval-denied", "Not approved", format!("{} was not approved", wanted.function))
            }
            (Declined::Expired, _) => (
                "approval-expired",
                "Not approved in time",
                format!("nobody answered for {} in time; start the run again", wanted.function),
            ),
        };
        let problem = Problem {
            type_: format!("https://mandate.dev/problems/{code}"),
            title: title.to_owned(),
            status: 403,
            detail: Some(detail),
            instance: Some(wanted.path.to_string()),
            decision: None,
        };
        self.end(engine, RunState::Refused, None, None, Some(problem)).await?;
        Ok(StepEnd::Over)
    }
}

/// A step that nobody can pass yet, or that people were asked about.
const fn waits_at_gate(until: Option<Timestamp>) -> Aside {
    Aside { waits: if until.is_some() { Waits::Approval } else { Waits::StepUp }, until }
}

fn group_of(gate: &GateKind) -> Option<&GroupName> {
    match gate {
        GateKind::Approval { group } => Some(group),
        GateKind::StepUp => None,
    }
}

/// What people are shown: everything that the answer is bound to, in words and in bytes.
fn shown(facts: &StepFacts, prepared: &Prepared, extra: &Value) -> Value {
    json!({
        "worker_version": facts.worker_version,
        "path": facts.path,
        "function_version": facts.function_version,
        "environment": facts.environment,
        "purpose": facts.purpose,
        "requested_by": facts.initiator.subject(),
        "destination": prepared.destination,
        "arguments": facts.arguments,
        "canonical": prepared.request.text(),
        "credential": facts.credential.as_ref().map(|c| json!({"name": c.name, "version": c.version})),
        "title": extra.get("title"),
        "form": extra.get("form"),
    })
}

/// The timer that ends the wait for people.
pub(crate) fn approval_timer(seq: StepSeq) -> String {
    format!("approval:{}", seq.0)
}
