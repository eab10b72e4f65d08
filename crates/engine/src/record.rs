//! What the ledger says about a step. One function for each kind of entry, so that the words are in
//! one place. Values appear as commitments, never themselves.

use mandate_directory::Checked;
use mandate_gate::{AuthorityRoot, Prepared, Request, StepFacts};
use mandate_identity::{ArgumentLimits, Audience, Authority, Scope};
use mandate_journal::{Problem, RunState, Stored, WaitingFor};
use mandate_kernel::{
    ApprovalId, Attempt, Class, DecisionId, Digest, EffectClass, Environment, FunctionName, IdentityModel, LeaseId,
    ResourceName, StepPath, StepSeq, Timestamp, TokenId,
};
use mandate_ledger::Details;
use mandate_policy::Decision;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

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

impl<'a> Decided<'a> {
    pub(crate) fn details(&self) -> StepDecided<'a> {
        let facts = self.facts;
        // A credential is used by its owner's grant, also where the step rests on the initiator's authority.
        let granted = facts.credential.as_ref().and_then(|credential| credential.grant.as_ref());
        let (grant, owner) = granted.map(|grant| (grant.name.as_str(), grant.owner.as_str())).unzip();
        let authority = match facts.root {
            AuthorityRoot::Initiator => {
                Root::Initiator { grant, owner, root: "initiator", subject: facts.initiator.subject() }
            }
            AuthorityRoot::Grant => Root::Grant { grant, owner, root: "grant" },
        };
        StepDecided {
            approvals: facts.approvals.iter().map(|yes| &yes.approval).collect(),
            arguments: self.arguments,
            attempt: facts.step.attempt,
            authority,
            class: &facts.run_class,
            credential: facts.credential.as_ref().map(|c| Credential { name: &c.name, version: c.version }),
            decision: self.decision,
            effect: facts.effect,
            envelope: None,
            environment: &facts.environment,
            explanation: self.explanation.map(|stored| stored.commitment),
            function: &facts.function,
            function_version: facts.function_version,
            lease: None,
            legacy: facts.legacy,
            model: facts.model,
            on_behalf_of: facts.initiator.subject(),
            path: &facts.path,
            policy: self.policy.map(Policy::of),
            purpose: &facts.purpose,
            reason: self.reason.clone(),
            request: Asked {
                audience: self.prepared.audience.as_ref(),
                destination: &self.prepared.destination,
                digest: self.prepared.digest(),
                method: method(self.prepared),
            },
            scopes: &facts.scopes,
            status: self.status,
            step: facts.step.seq,
            token: None,
            worker_version: facts.worker_version,
        }
    }
}

/// What an entry tells about a decision. Members stand in canonical order.
#[derive(Serialize)]
pub(crate) struct StepDecided<'a> {
    approvals: Vec<&'a ApprovalId>,
    arguments: &'a Stored,
    attempt: Attempt,
    authority: Root<'a>,
    class: &'a Class,
    credential: Option<Credential<'a>>,
    decision: &'a DecisionId,
    effect: EffectClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<Envelope<'a>>,
    environment: &'a Environment,
    explanation: Option<Digest>,
    function: &'a FunctionName,
    function_version: Digest,
    /// The outer `None` where nothing was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Option<&'a LeaseId>>,
    legacy: bool,
    model: IdentityModel,
    on_behalf_of: String,
    path: &'a StepPath,
    policy: Option<Policy<'a>>,
    purpose: &'a str,
    reason: Option<String>,
    request: Asked<'a>,
    scopes: &'a BTreeSet<Scope>,
    status: &'static str,
    step: StepSeq,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token<'a>>,
    worker_version: Digest,
}

impl Details for StepDecided<'_> {
    fn is_object(&self) -> bool {
        true
    }

    fn text(&self, member: &str) -> Option<&str> {
        match member {
            "status" => Some(self.status),
            "function" => Some(self.function.as_str()),
            "purpose" => Some(self.purpose),
            "decision" => Some(self.decision.as_str()),
            _ => None,
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Root<'a> {
    Initiator {
        #[serde(skip_serializing_if = "Option::is_none")]
        grant: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        owner: Option<&'a str>,
        root: &'static str,
        subject: String,
    },
    Grant {
        grant: Option<&'a str>,
        owner: Option<&'a str>,
        root: &'static str,
    },
}

#[derive(Serialize)]
struct Credential<'a> {
    name: &'a ResourceName,
    version: u32,
}

#[derive(Serialize)]
struct Asked<'a> {
    audience: Option<&'a Audience>,
    destination: &'a str,
    digest: Digest,
    method: &'a str,
}

fn method(prepared: &Prepared) -> &str {
    match &prepared.request {
        Request::Http(request) => request.method(),
        Request::Local { .. } => "local",
        Request::Mail { .. } => "mail",
        Request::Model { .. } => "model",
    }
}

#[derive(Serialize)]
struct Policy<'a> {
    determining: Vec<Determining<'a>>,
    digest: Digest,
    summary: &'a str,
}

#[derive(Serialize)]
struct Determining<'a> {
    file: &'a str,
    id: &'a str,
}

impl<'a> Policy<'a> {
    fn of(decision: &'a Decision) -> Self {
        let determining = decision.explanation.determining.iter();
        Self {
            determining: determining.map(|policy| Determining { file: &policy.file, id: &policy.id }).collect(),
            digest: decision.policy_digest,
            summary: &decision.explanation.summary,
        }
    }
}

/// A value as the ledger names it.
pub(crate) fn commitment(stored: &Stored) -> Value {
    json!({"commitment": stored.commitment, "labels": stored.labels, "size": stored.size})
}

/// What an allowed step was given, told with its decision.
pub(crate) struct Given<'a> {
    pub envelope: Digest,
    pub predecessors: &'a [Digest],
    pub token: Option<&'a TokenId>,
    pub hop: Option<&'a Authority>,
    pub lease: Option<&'a LeaseId>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    digest: Digest,
    predecessors: &'a [Digest],
}

#[derive(Serialize)]
struct Token<'a> {
    authority: Option<Hop<'a>>,
    jti: Option<&'a TokenId>,
}

/// The authority of a hop token; its environment is the step's.
#[derive(Serialize)]
struct Hop<'a> {
    audiences: &'a BTreeSet<Audience>,
    depth: u8,
    functions: &'a BTreeMap<FunctionName, ArgumentLimits>,
    not_after: Timestamp,
    scopes: &'a BTreeSet<Scope>,
}

impl<'a> StepDecided<'a> {
    pub(crate) fn giving(self, given: &Given<'a>) -> Self {
        let authority = given.hop.map(|hop| Hop {
            audiences: &hop.audiences,
            depth: hop.depth,
            functions: &hop.functions,
            not_after: hop.not_after,
            scopes: &hop.scopes,
        });
        Self {
            envelope: Some(Envelope { digest: given.envelope, predecessors: given.predecessors }),
            token: Some(Token { authority, jti: given.token }),
            lease: Some(given.lease),
            ..self
        }
    }
}

/// What an entry tells about a step that was performed. Members stand in canonical order.
#[derive(Serialize)]
pub(crate) struct StepSucceeded<'a> {
    pub attempt: Attempt,
    pub checks: &'a [Checked],
    /// What the remote end said of itself.
    pub claimed_by_remote: &'a Map<String, Value>,
    pub function: &'a FunctionName,
    pub observed: Observed,
    pub output: &'a Stored,
    pub step: StepSeq,
    pub token_digest: Option<Digest>,
}

/// What our own traffic shows.
#[derive(Serialize)]
pub(crate) struct Observed {
    pub reply_digest: Digest,
}

impl Details for StepSucceeded<'_> {
    fn is_object(&self) -> bool {
        true
    }

    fn text(&self, member: &str) -> Option<&str> {
        (member == "function").then(|| self.function.as_str())
    }
}

/// What an entry tells about a lease that ended with its step. Members stand in canonical order.
#[derive(Serialize)]
pub(crate) struct LeaseEnded<'a> {
    pub credential: &'a ResourceName,
    pub lease: &'a LeaseId,
    pub residual_until: Option<Timestamp>,
    pub revoked_at_provider: bool,
    pub step: StepSeq,
    pub version: u32,
    pub why: &'static str,
}

impl Details for LeaseEnded<'_> {
    fn is_object(&self) -> bool {
        true
    }

    fn text(&self, member: &str) -> Option<&str> {
        match member {
            "credential" => Some(self.credential.as_str()),
            "lease" => Some(self.lease.as_str()),
            "why" => Some(self.why),
            _ => None,
        }
    }
}

/// How a run's end or wait reads.
pub(crate) fn state(state: RunState, waiting: Option<WaitingFor>, problem: Option<&Problem>) -> Value {
    json!({"state": state, "waiting_for": waiting, "problem": problem})
}
