//! What is asked: who wants to do what to which resource, and every fact a policy may look at.

use mandate_kernel::{
    Action, Attempt, Class, Digest, EffectClass, Environment, FunctionName, GroupName, IdentityModel, Integrity,
    Labels, Principal, PrincipalKind, Project, ResourceKind, ResourceName, StepSeq, Tenant,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// The roles that built-in policies know. A role is held *on* a resource, by a binding at the tenant,
/// the project or the Worker; the directory computes which of them apply.
pub const ROLES: &[&str] =
    &["tenant-admin", "auditor", "owner", "editor", "runner", "viewer", "approver", "credential-owner"];

/// One request for a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The verified identity that asks. For [`Action::FunctionCall`] it is the run's Worker.
    pub principal: Principal,
    /// The groups the principal is in.
    pub groups: BTreeSet<GroupName>,
    /// What it wants to do.
    pub action: Action,
    /// To what. Its kind must be the action's [`Action::resource_kind`].
    pub resource: Resource,
    /// Everything else that policies may look at.
    pub facts: Facts,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its kind; in policies the entity type.
    pub kind: ResourceKind,
    /// Its name inside the tenant: `PROJECT/NAME` of a configuration resource, the id of a run, the
    /// tenant's own name for [`ResourceKind::Tenant`] and [`ResourceKind::Ledger`].
    pub name: String,
    /// The project it lies in, where it lies in one.
    pub project: Option<Project>,
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// Its class; in policies `context.class`.
    pub class: Class,
    /// The Worker it is a run of, so that a policy can say `resource in Worker::"finance/summary"`.
    pub worker: Option<ResourceName>,
}

impl Resource {
    /// A configuration resource: a Worker, function, connection, credential or policy.
    #[must_use]
    pub fn configured(kind: ResourceKind, tenant: Tenant, name: &ResourceName, class: Class) -> Self {
        Self { kind, name: name.to_string(), project: Some(name.project()), tenant, class, worker: None }
    }

    /// A run of a Worker.
    #[must_use]
    pub fn run(tenant: Tenant, id: &mandate_kernel::RunId, worker: ResourceName, class: Class) -> Self {
        Self {
            kind: ResourceKind::Run,
            name: id.to_string(),
            project: Some(worker.project()),
            tenant,
            class,
            worker: Some(worker),
        }
    }

    /// The tenant itself, or what there is one of in each tenant: the ledger.
    #[must_use]
    pub fn of_tenant(kind: ResourceKind, tenant: Tenant) -> Self {
        Self { kind, name: tenant.to_string(), project: None, tenant, class: Class::default(), worker: None }
    }
}

/// What is known beside principal, action and resource. Which parts an action needs is
/// [`FactsNeeded::by`]; a question without them is denied, because a rule that could not look is no
/// rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// The roles that the principal holds on this resource. Those outside [`ROLES`] have no effect.
    pub roles: BTreeSet<String>,
    /// Gates passed for this very request, as [`crate::GateKind`] writes them. Only the gate sets it.
    pub passed_gates: BTreeSet<String>,
    /// About the run: asked about, about to start, or the one the step belongs to.
    pub run: Option<RunFacts>,
    /// About the step.
    pub step: Option<Box<StepFacts>>,
    /// About the approval to be answered.
    pub approval: Option<ApprovalFacts>,
}

/// What is known of an approval that somebody wants to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFacts {
    /// Whether the principal is in the group that was asked.
    pub asked: bool,
    /// The function that waits.
    pub function: FunctionName,
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFacts {
    /// Who started it, or asks to; compared with the principal as `principal.subject`.
    pub initiator: Principal,
    /// The environment it runs in.
    pub environment: Environment,
    /// The stated purpose; may be empty.
    pub purpose: String,
    /// The class of the run: at most that of its Worker.
    pub class: Class,
}

/// What is known of one step about to be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct StepFacts {
    /// The function as the Worker calls it. The resource is the same function as `PROJECT/NAME`.
    pub function: FunctionName,
    /// What calling it does to the world.
    pub effect: EffectClass,
    /// As whom the call is made.
    pub identity_model: IdentityModel,
    /// The digest of the Worker version the run is pinned to.
    pub worker_digest: Digest,
    /// Where the request goes; nothing for a function performed inside the process.
    pub destination: Option<Destination>,
    /// The credential to be leased; nothing when none is.
    pub credential: Option<CredentialFacts>,
    /// The exact arguments. See the crate's documentation for how policies see them.
    pub arguments: Value,
    /// The join of the labels of all arguments.
    pub labels: Labels,
    /// The scopes the hop token would carry.
    pub scopes: BTreeSet<String>,
    /// The ordinal of the step in its run.
    pub seq: StepSeq,
    /// The ordinal of the attempt.
    pub attempt: Attempt,
    /// Whether the Worker's manifest lists the function.
    pub function_allowed: bool,
    /// Whether the function may be used in the run's environment.
    pub environment_matches: bool,
    /// Whether the run's authority covers the call, arguments included: the lattice's answer.
    pub authority_covers: bool,
    /// Whether a valid embedded grant covers this Worker version, function version and credential.
    pub grant: bool,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Scheme, host and port, such as `https://warehouse.example:8443`.
    pub address: String,
    /// How far the text of the address may be relied on: untrusted when a model or an outside reply
    /// had a say in it, authoritative when it stands in a definition.
    pub integrity: Integrity,
}

/// What is known of a credential without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Which credential.
    pub name: ResourceName,
    /// The one environment it is for; nothing when it is for all.
    pub environment: Option<Environment>,
}

/// Which parts of [`Facts`] an action can't be judged without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactsNeeded {
    /// Roles and class alone.
    Plain,
    /// [`Facts::run`] as well.
    Run,
    /// [`Facts::run`] and [`Facts::step`] as well.
    Step,
    /// [`Facts::run`] and [`Facts::approval`] as well.
    Approval,
}

impl FactsNeeded {
    /// What `action` needs.
    #[must_use]
    pub const fn by(action: Action) -> Self {
        match action {
            Action::FunctionCall => Self::Step,
            Action::ApprovalDecide => Self::Approval,
            Action::RunStart => Self::Run,
            _ if matches!(action.resource_kind(), ResourceKind::Run) => Self::Run,
            _ => Self::Plain,
        }
    }
}

/// The kinds of principal that may ask to do `action`: a step is taken by a Worker and by nobody else.
#[must_use]
pub const fn askers(action: Action) -> &'static [PrincipalKind] {
    match action {
        Action::FunctionCall => &[PrincipalKind::Worker],
        _ => &[PrincipalKind::User, PrincipalKind::Worker, PrincipalKind::ServiceAccount, PrincipalKind::System],
    }
}
