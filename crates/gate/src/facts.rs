//! The facts a step is judged by. The engine gathers them; the gate believes no one else.

use crate::GivenApproval;
use mandate_identity::{Authority, ExchangePlace, Scope};
use mandate_journal::EpochKey;
use mandate_kernel::{
    Class, Digest, EffectClass, Environment, FunctionName, GroupName, IdentityModel, Labels, Principal, Project,
    ResourceName, StepKey, StepPath, Timestamp,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Revocation facts, read in one moment before judging (I9).
#[derive(Debug, Clone, Default)]
pub struct StandingFacts {
    /// The tenant's revocation sequence at that moment; the commit compares it.
    pub revocations: u64,
    /// Epochs that rose since the run began. Empty is the normal case.
    pub revoked: Vec<EpochKey>,
}

/// A credential owner's standing permission: use of this credential by one Worker version through one
/// function version, in one environment (design, "Where authority comes from").
#[derive(Debug, Clone)]
pub struct GrantFacts {
    /// The grant's resource name.
    pub name: String,
    /// Who gave it.
    pub owner: String,
    /// The credential it covers.
    pub credential: ResourceName,
    /// The Worker version it was given to.
    pub worker_version: Digest,
    /// The function version it was given for.
    pub function_version: Digest,
    /// The environment it holds in.
    pub environment: Environment,
    /// When it ends; `None` lasts until revoked.
    pub not_after: Option<Timestamp>,
}

/// The credential that the function's slot is bound to.
#[derive(Debug, Clone)]
pub struct CredentialFacts {
    /// Its name.
    pub name: ResourceName,
    /// Which version of the secret would be leased.
    pub version: u32,
    /// The environment it belongs to.
    pub environment: Environment,
    /// Origins its owner lets it go to; where it is exchanged for tokens, those may.
    pub destinations: BTreeSet<String>,
    /// Where its owner lets it be exchanged for tokens.
    pub exchange: Option<ExchangePlace>,
    /// Its owner's grant of this use; without one the step is refused, whatever else it rests on.
    pub grant: Option<GrantFacts>,
}

/// Whose authority a step rests on: one of two roots, named on every hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorityRoot {
    /// The initiator's own authority, as narrowed for the run.
    Initiator,
    /// The embedded grant of the credential that the step uses ([`CredentialFacts::grant`]).
    Grant,
}

/// Everything a step is judged by.
#[derive(Debug, Clone)]
pub struct StepFacts {
    /// Which attempt.
    pub step: StepKey,
    /// Where in the document.
    pub path: StepPath,
    /// The function called.
    pub function: FunctionName,
    /// Its project.
    pub project: Project,
    /// Its version.
    pub function_version: Digest,
    /// Its class.
    pub function_class: Class,
    /// What a repetition would do.
    pub effect: EffectClass,
    /// Its identity model.
    pub model: IdentityModel,
    /// Whether it is declared as legacy: no short lifetimes, no per-action check at the receiver.
    pub legacy: bool,
    /// Scopes it needs.
    pub scopes: BTreeSet<Scope>,
    /// The arguments.
    pub arguments: Value,
    /// Their labels, control flow included.
    pub labels: Labels,
    /// The Worker.
    pub worker: ResourceName,
    /// Its version.
    pub worker_version: Digest,
    /// Whether its manifest lists the function.
    pub allow_listed: bool,
    /// The run's class.
    pub run_class: Class,
    /// The run's environment.
    pub environment: Environment,
    /// Why the run was started.
    pub purpose: String,
    /// Who started it.
    pub initiator: Principal,
    /// The groups the initiator was in when it started.
    pub initiator_groups: BTreeSet<GroupName>,
    /// The run's authority: what the initiator's own narrowed to.
    pub authority: Authority,
    /// Which root the step rests on.
    pub root: AuthorityRoot,
    /// The credential bound to the function's slot, if any.
    pub credential: Option<CredentialFacts>,
    /// What people said yes to, for this step.
    pub approvals: Vec<GivenApproval>,
    /// Revocation facts.
    pub standing: StandingFacts,
}
