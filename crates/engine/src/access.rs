//! Whether a caller may: every request to this system is judged by the gate, and every refusal is
//! recorded.

use crate::{Catalog, Engine, EngineError, TenantContext, meter};
use mandate_directory::{Kind, roles_on};
use mandate_gate::{Access, AccessQuestion, ApprovalAsked, Permit, Refusal, RefusalKind};
use mandate_journal::{ApprovalRecord, Change, RunRecord};
use mandate_kernel::{
    Action, ApprovalId, Caller, Class, DecisionId, Environment, Principal, ResourceKind, ResourceName, RunId,
};
use mandate_ledger::{Event, EventKind};
use mandate_policy::{PolicySet, Resource, RunFacts};
use serde_json::json;

/// What a request is about.
#[derive(Debug, Clone)]
pub enum Target<'a> {
    /// The tenant itself.
    Tenant,
    /// Its ledger.
    Ledger,
    /// A configuration resource.
    Config {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: &'a ResourceName,
    },
    /// A credential's grants.
    Credential(&'a ResourceName),
    /// A Worker, about to be run.
    Start {
        /// The Worker.
        worker: &'a ResourceName,
        /// The run's class.
        class: Class,
        /// The run as it would be.
        run: RunFacts,
    },
    /// A run.
    Run(&'a RunRecord),
    /// An approval that a run waits for.
    Approval {
        /// The run.
        run: &'a RunRecord,
        /// What it waits for.
        approval: &'a ApprovalRecord,
    },
    /// A run that is not in this tenant. It is judged like one that nobody gave the caller a right on,
    /// so that the two look the same and both are recorded.
    AbsentRun(&'a RunId),
    /// An approval that is not in this tenant, or that the caller may not see.
    AbsentApproval(&'a ApprovalId),
}

/// A request was refused, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Refused; the decision is in the ledger.
    #[error("{}", .0.kind)]
    Refused(Box<Refusal>),
    /// It could not be judged or recorded, so it is not allowed.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl Engine {
    /// Judges a caller's request. A refusal is in the ledger when this returns.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn authorize(
        &self,
        context: &TenantContext,
        caller: &Caller,
        action: Action,
        target: &Target<'_>,
    ) -> Result<Permit<Access>, Denied> {
        let judged = self.judge_access(context, caller, action, target).await?;
        let judged = judged.and_then(|permit| there(permit, target));
        meter::access(&context.tenant, judged.is_ok());
        match judged {
            Ok(permit) => Ok(permit),
            Err(refusal) => {
                self.record_denial(context, caller, action, &resource_of(caller, action, target).name, &refusal)
                    .await?;
                Err(Denied::Refused(refusal))
            }
        }
    }

    /// Whether a caller may, without a record: to decide what they get to see in a list, or whether a
    /// refusal may admit that the thing exists.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be judged: then they may not.
    pub async fn may(
        &self,
        context: &TenantContext,
        caller: &Caller,
        action: Action,
        target: &Target<'_>,
    ) -> Result<bool, EngineError> {
        Ok(self.judge_access(context, caller, action, target).await?.is_ok())
    }

    pub(crate) async fn judge_access(
        &self,
        context: &TenantContext,
        caller: &Caller,
        action: Action,
        target: &Target<'_>,
    ) -> Result<Result<Permit<Access>, Box<Refusal>>, EngineError> {
        let catalog = context.catalog().await?;
        self.judge_under(&catalog, &catalog.policies, caller, action, target)
    }

    /// Whether a caller may change policies under policies that are not in force yet: whoever could not
    /// would be locked out by them.
    ///
    /// # Errors
    /// [`EngineError`] when it can't be judged.
    pub async fn may_still_edit_policies(
        &self,
        context: &TenantContext,
        caller: &Caller,
        policies: &PolicySet,
        policy: &ResourceName,
    ) -> Result<bool, EngineError> {
        let catalog = context.catalog().await?;
        let target = Target::Config { kind: Kind::Policy, name: policy };
        Ok(self.judge_under(&catalog, policies, caller, Action::PolicyEdit, &target)?.is_ok())
    }

    fn judge_under(
        &self,
        catalog: &Catalog,
        policies: &PolicySet,
        caller: &Caller,
        action: Action,
        target: &Target<'_>,
    ) -> Result<Result<Permit<Access>, Box<Refusal>>, EngineError> {
        let resource = resource_of(caller, action, target);
        let named = match target {
            Target::Run(record) | Target::Approval { run: record, .. } => Some(&record.new.worker),
            Target::Config { name, .. } => Some(*name),
            Target::Credential(name) => Some(*name),
            Target::Start { worker, .. } => Some(*worker),
            Target::Tenant | Target::Ledger | Target::AbsentRun(_) | Target::AbsentApproval(_) => None,
        };
        let roles = roles_on(&catalog.bindings, caller, resource.project.as_ref(), named);
        let run = match target {
            Target::Run(record) | Target::Approval { run: record, .. } => Some(RunFacts {
                initiator: record.new.initiator.clone(),
                environment: record.new.environment.clone(),
                purpose: record.new.purpose.clone(),
                class: record.new.class.clone(),
            }),
            Target::Start { run, .. } => Some(run.clone()),
            Target::AbsentRun(_) | Target::AbsentApproval(_) => Some(no_run(caller)?),
            _ => None,
        };
        let decision = DecisionId::generate(self.ports.clock.now(), self.ports.entropy.as_ref())?;
        let approval = match target {
            Target::Approval { approval, .. } => {
                Some(ApprovalAsked { groups: &approval.groups, function: &approval.function })
            }
            _ => None,
        };
        let question = AccessQuestion { caller, action, resource, roles, run, approval };
        Ok(self.gate.authorize(decision, policies, &question).map(|(permit, _)| permit))
    }

    pub(crate) async fn record_denial(
        &self,
        context: &TenantContext,
        caller: &Caller,
        action: Action,
        resource: &str,
        refusal: &Refusal,
    ) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let policies: Vec<_> =
            refusal.policy.iter().flat_map(|p| p.explanation.determining.iter().map(|d| d.id.clone())).collect();
        let event = Event {
            time: now,
            tenant: context.tenant.clone(),
            kind: EventKind::AccessDenied,
            actor: caller.principal.subject(),
            run: None,
            details: json!({
                "decision": refusal.decision,
                "action": action,
                "resource_kind": action.resource_kind(),
                "resource": resource,
                "reason": refusal.kind.code(),
                "summary": refusal.kind.to_string(),
                "policies": policies,
            }),
        };
        let mut change = Change::new(context.tenant.clone(), now, caller.principal.subject());
        change.entries.push(event.encode()?);
        context.store.change(change).await?;
        context.entries_waiting.notify_one();
        tracing::warn!(tenant = %context.tenant, actor = %caller.principal.subject(), action = %action, resource, decision = %refusal.decision, reason = refusal.kind.code(), "refused");
        Ok(())
    }
}

/// Nobody may do anything with what is not there, whatever their rights.
fn there(permit: Permit<Access>, target: &Target<'_>) -> Result<Permit<Access>, Box<Refusal>> {
    match target {
        Target::AbsentRun(run) => Err(absent(&permit, &format!("run {run}"))),
        Target::AbsentApproval(id) => Err(absent(&permit, &format!("approval {id}"))),
        _ => Ok(permit),
    }
}

/// The refusal of a request that policy allows, about something that is not there.
pub(crate) fn absent(permit: &Permit<Access>, what: &str) -> Box<Refusal> {
    let kind = RefusalKind::Absent(what.to_owned());
    Box::new(Refusal { decision: permit.decision().clone(), kind, policy: None })
}

/// What is known about a run that is not there.
fn no_run(caller: &Caller) -> Result<RunFacts, EngineError> {
    Ok(RunFacts {
        initiator: Principal::system(caller.tenant().clone(), "nobody"),
        environment: Environment::new("none").map_err(|e| EngineError::Inconsistent(e.to_string()))?,
        purpose: String::new(),
        class: Class::default(),
    })
}

fn resource_of(caller: &Caller, action: Action, target: &Target<'_>) -> Resource {
    let tenant = caller.tenant().clone();
    match target {
        Target::Tenant => Resource::of_tenant(ResourceKind::Tenant, tenant),
        Target::Ledger => Resource::of_tenant(ResourceKind::Ledger, tenant),
        // A binding or entitlement is judged as a matter of the whole tenant, whatever its name.
        Target::Config { .. } if action.resource_kind() == ResourceKind::Tenant => {
            Resource::of_tenant(ResourceKind::Tenant, tenant)
        }
        Target::Config { kind, name } => Resource::configured(kind.resource_kind(), tenant, name, Class::default()),
        Target::Credential(name) => Resource::configured(ResourceKind::Credential, tenant, name, Class::default()),
        Target::Start { worker, class, .. } => {
            Resource::configured(ResourceKind::Worker, tenant, worker, class.clone())
        }
        Target::Run(record) | Target::Approval { run: record, .. } => {
            Resource::run(tenant, &record.run, record.new.worker.clone(), record.new.class.clone())
        }
        Target::AbsentRun(run) => Resource { name: run.to_string(), ..Resource::of_tenant(ResourceKind::Run, tenant) },
        Target::AbsentApproval(id) => {
            Resource { name: id.to_string(), ..Resource::of_tenant(ResourceKind::Run, tenant) }
        }
    }
}
