//! What the ledger says about a step. One function for each kind of entry, so that the words are in
//! one place. Values appear as commitments, never themselves.

use mandate_gate::{AuthorityRoot, Prepared, Request, StepFacts};
use mandate_identity::{ArgumentLimits, Authority};
use mandate_journal::{Problem, RunState, Stored, WaitingFor};
use mandate_kernel::{DecisionId, Digest, LeaseId, TokenId};
use mandate_policy::Decision;
use serde_json::{Value, json};

/// What was decided about a step, whichever way.
pub(crate) struct Decided<'a> {
    pub decision: &'a DecisionId,
    pub status: &'static str,
    pub reason: Option<String>,
    pub facts: &'a StepFacts,
    pub prepared: &'a Prepared,
    pub policy: Option<&'a Decision>,
    /// Commitment to the full explanation, arguments included.
    pub explanation: Option<&'a Stored>,
    pub arguments: &'a Stored,
}

impl Decided<'_> {
    pub(crate) fn details(&self) -> Value {
        let facts = self.facts;
        let root = match &facts.root {
            AuthorityRoot::Initiator => json!({"root": "initiator", "subject": facts.initiator.subject()}),
            AuthorityRoot::Grant(grant) => json!({
                "root": "grant",
                "grant": grant.as_ref().map(|g| &g.name),
                "owner": grant.as_ref().map(|g| &g.owner),
            }),
        };
        json!({
            "decision": self.decision,
            "status": self.status,
            "reason": self.reason,
            "step": facts.step.seq,
            "attempt": facts.step.attempt,
            "path": facts.path,
            "function": facts.function,
            "function_version": facts.function_version,
            "effect": facts.effect,
            "model": facts.model,
            "legacy": facts.legacy,
            "authority": root,
            "on_behalf_of": facts.initiator.subject(),
            "scopes": facts.scopes,
            "environment": facts.environment,
            "class": facts.run_class,
            "purpose": facts.purpose,
            "worker_version": facts.worker_version,
            "credential": facts.credential.as_ref().map(|c| json!({"name": c.name, "version": c.version})),
            "request": {
                "digest": self.prepared.digest(),
                "destination": self.prepared.destination,
                "audience": self.prepared.audience,
                "method": method(self.prepared),
            },
            "arguments": commitment(self.arguments),
            "approvals": facts.approvals.iter().map(|yes| &yes.approval).collect::<Vec<_>>(),
            "policy": self.policy.map(policy),
            "explanation": self.explanation.map(|e| e.commitment),
        })
    }
}

fn method(prepared: &Prepared) -> &str {
    match &prepared.request {
        Request::Http(request) => request.method(),
        Request::Local { .. } => "local",
        Request::Mail { .. } => "mail",
        Request::Model { .. } => "model",
    }
}

fn policy(decision: &Decision) -> Value {
    let determining: Vec<_> =
        decision.explanation.determining.iter().map(|p| json!({"id": p.id, "file": p.file})).collect();
    json!({"digest": decision.policy_digest, "determining": determining, "summary": decision.explanation.summary})
}

/// A value as the ledger names it.
pub(crate) fn commitment(stored: &Stored) -> Value {
    json!({"commitment": stored.commitment, "labels": stored.labels, "size": stored.size})
}

/// What an allowed step was given, added to its decision.
pub(crate) struct Given<'a> {
    pub envelope: Digest,
    pub predecessors: &'a [Digest],
    pub token: Option<&'a TokenId>,
    pub hop: Option<&'a Authority>,
    pub lease: Option<&'a LeaseId>,
}

impl Given<'_> {
    pub(crate) fn add_to(&self, details: &mut Value) {
        let hop = self.hop.map(|hop| {
            let functions: std::collections::BTreeMap<String, &ArgumentLimits> =
                hop.functions.iter().map(|(name, limits)| (name.to_string(), limits)).collect();
            json!({"scopes": hop.scopes, "audiences": hop.audiences, "functions": functions, "not_after": hop.not_after, "depth": hop.depth})
        });
        if let Value::Object(map) = details {
            map.insert("envelope".to_owned(), json!({"digest": self.envelope, "predecessors": self.predecessors}));
            map.insert("token".to_owned(), json!({"jti": self.token, "authority": hop}));
            map.insert("lease".to_owned(), json!(self.lease));
        }
    }
}

/// How a run's end or wait reads.
pub(crate) fn state(state: RunState, waiting: Option<WaitingFor>, problem: Option<&Problem>) -> Value {
    json!({"state": state, "waiting_for": waiting, "problem": problem})
}
