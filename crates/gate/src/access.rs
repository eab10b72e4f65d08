//! Requests of callers to this system: read or change a resource, start a run.

use crate::permit::{Access, AccessGranted};
use crate::{Gate, Permit, Refusal, RefusalKind};
use mandate_kernel::{Action, Caller, DecisionId, FunctionName, GroupName};
use mandate_policy::{ApprovalFacts, Decision, DenyReason, Facts, PolicySet, Question, Resource, RunFacts, Verdict};
use std::collections::BTreeSet;

/// The roles a caller holds on the resource asked for, by binding at tenant, project or Worker level.
pub type Roles = BTreeSet<String>;

/// A caller's request, ready to be judged.
#[derive(Debug, Clone)]
pub struct AccessQuestion<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub action: Action,
    /// What about.
    pub resource: Resource,
    /// Roles the caller holds on it.
    pub roles: Roles,
    /// The run asked about, or about to start.
    pub run: Option<RunFacts>,
    /// The approval to be answered.
    pub approval: Option<ApprovalAsked<'a>>,
}

/// An approval that a caller wants to answer.
#[derive(Debug, Clone, Copy)]
pub struct ApprovalAsked<'a> {
    /// Who was asked: members of these groups.
    pub groups: &'a BTreeSet<GroupName>,
    /// The function that waits.
    pub function: &'a FunctionName,
}

impl Gate {
    /// Judges a caller's request. The caller of this function records refusals, and changes with
    /// their evidence.
    ///
    /// # Errors
    /// [`Refusal`]. A gated verdict is a refusal here: only steps wait for gates.
    pub fn authorize(
        &self,
        decision: DecisionId,
        policies: &PolicySet,
        question: &AccessQuestion<'_>,
    ) -> Result<(Permit<Access>, Decision), Box<Refusal>> {
        let caller = question.caller;
        let policy = policies.decide(&Question {
            principal: caller.principal.clone(),
            groups: caller.groups.clone(),
            action: question.action,
            resource: question.resource.clone(),
            facts: Facts {
                roles: question.roles.clone(),
                run: question.run.clone(),
                approval: question.approval.map(|asked| ApprovalFacts {
                    asked: !caller.groups.is_disjoint(asked.groups),
                    function: asked.function.clone(),
                }),
                ..Facts::default()
            },
        });
        let kind = match &policy.verdict {
            Verdict::Allow => {
                let granted = AccessGranted {
                    caller: caller.clone(),
                    action: question.action,
                    resource: question.resource.name.clone(),
                };
                return Ok((Permit { decision, granted }, policy));
            }
            Verdict::NotYet { .. } => {
                RefusalKind::Policy("a policy asks for a gate, and only a step of a run can wait for one".to_owned())
            }
            Verdict::Deny { reason } => denial(reason, &policy),
        };
        Err(Box::new(Refusal { decision, kind, policy: Some(policy) }))
    }
}

pub(crate) fn denial(reason: &DenyReason, policy: &Decision) -> RefusalKind {
    let summary = policy.explanation.summary.clone();
    match reason {
        DenyReason::NoPolicy | DenyReason::EvaluationError | DenyReason::BadQuestion => {
            RefusalKind::PolicyFailed(summary)
        }
        _ => RefusalKind::Policy(summary),
    }
}
