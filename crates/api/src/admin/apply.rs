//! Applying manifests: read all, judge all, check all, write all at once.

use super::{Actor, add_entry, check, commit, not_the_owner};
use crate::Problem;
use axum::http::StatusCode;
use mandate_directory::{CredentialSpec, GrantSpec, Kind, Manifest, RoleBindingSpec, RoleName, RoleScope, Spec};
use mandate_engine::{Engine, Target, TenantContext};
use mandate_journal::{Change, EpochKey, ResourceRecord, ResourceWrite};
use mandate_kernel::{Action, Caller, Digest, FunctionName, ResourceName, canonical_json};
use mandate_ledger::EventKind;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most manifests in one request.
const MAX_MANIFESTS: usize = 500;

/// One manifest's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppliedItem {
    /// Kind.
    pub kind: &'static str,
    /// Name.
    pub name: ResourceName,
    /// Version now.
    pub version: u64,
    /// Digest of the content now.
    pub digest: Digest,
    /// Whether this request changed it.
    pub changed: bool,
}

/// A grant that an edit left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidatedGrant {
    /// The grant.
    pub grant: String,
    /// The credential it is on.
    pub credential: ResourceName,
    /// The Worker it was given to.
    pub worker: ResourceName,
    /// The function it was given for.
    pub function: FunctionName,
    /// Why it no longer covers.
    pub why: String,
    /// Who can give it again.
    pub owner: String,
}

/// A Worker that has a schedule, and does not start by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unscheduled {
    /// The Worker.
    pub worker: ResourceName,
    /// Why.
    pub why: &'static str,
}

/// What a request to apply did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Each manifest, in the order of kinds.
    pub items: Vec<AppliedItem>,
    /// Grants that have to be given again.
    pub invalidated_grants: Vec<InvalidatedGrant>,
    /// Workers that need a standing grant to start by themselves.
    pub unscheduled: Vec<Unscheduled>,
}

/// A manifest that was read, with what is stored now.
pub(super) struct Planned {
    pub manifest: Manifest,
    pub spec: Spec,
    pub content: Value,
    pub digest: Digest,
    pub held: Option<ResourceRecord>,
    /// Place in the request.
    pub at: usize,
}

impl Planned {
    pub(super) fn changed(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.digest != self.digest)
    }
}

/// Applies manifests, all or none.
///
/// # Errors
/// [`Problem`] naming each manifest that is wrong; nothing was changed then.
pub async fn apply(
    engine: &Engine,
    context: &TenantContext,
    by: Actor<'_>,
    manifests: Vec<Value>,
) -> Result<Applied, Problem> {
    let mut planned = read(context, manifests).await?;
    judge(engine, context, by, &planned).await?;
    as_expected(&planned)?;
    check::all(engine, context, by, &planned).await?;
    planned.sort_by_key(|plan| plan.manifest.kind);
    write(engine, context, by, &planned).await
}

async fn read(context: &TenantContext, manifests: Vec<Value>) -> Result<Vec<Planned>, Problem> {
    if manifests.is_empty() || manifests.len() > MAX_MANIFESTS {
        return Err(Problem::invalid("invalid-manifests", format!("send 1 to {MAX_MANIFESTS} manifests")));
    }
    let mut problem = Problem::invalid("invalid-manifest", "some manifests are not valid; nothing was applied");
    let mut planned = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, value) in manifests.into_iter().enumerate() {
        let read = Manifest::from_json(value).and_then(|manifest| manifest.typed().map(|spec| (manifest, spec)));
        let (manifest, spec) = match read {
            Ok(read) => read,
            Err(error) => {
                problem = problem.error(format!("/manifests/{at}"), error.to_string());
                continue;
            }
        };
        if !seen.insert((manifest.kind, manifest.metadata.name.clone())) {
            let message = format!("{} {} is here twice", manifest.kind.as_str(), manifest.metadata.name);
            problem = problem.error(format!("/manifests/{at}"), message);
            continue;
        }
        let content = normal(&spec).map_err(|e| Problem::invalid("invalid-manifest", e))?;
        let bytes = canonical_json(&content).map_err(|e| Problem::invalid("invalid-manifest", e.to_string()))?;
        let held = context.store().resource(manifest.kind.as_str(), manifest.metadata.name.as_str()).await?;
        planned.push(Planned { manifest, spec, content, digest: Digest::of(&bytes), held, at });
    }
    if problem.errors.is_empty() { Ok(planned) } else { Err(problem) }
}

/// Whether every resource is at the version that its manifest expects. Asked once it is clear that the
/// caller may change it: versions are not for everybody to know.
fn as_expected(planned: &[Planned]) -> Result<(), Problem> {
    let title = "Not the version that was expected";
    let mut problem = Problem::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", title)
        .detail("nothing was applied; read the resource again and repeat the change");
    for plan in planned {
        let held = plan.held.as_ref().map_or(0, |held| held.version);
        if let Some(expected) = plan.manifest.metadata.version
            && expected != held
        {
            let (kind, name) = (plan.manifest.kind.as_str(), &plan.manifest.metadata.name);
            let message = format!("{kind} {name} is at version {held}, not {expected}");
            problem = problem.error(format!("/manifests/{}/metadata/version", plan.at), message);
        }
    }
    if problem.errors.is_empty() { Ok(()) } else { Err(problem) }
}

/// The content with defaults written out, so that a version means one thing whatever was left out.
fn normal(spec: &Spec) -> Result<Value, String> {
    match spec {
        Spec::Connection(s) => serde_json::to_value(s),
        Spec::Credential(s) => serde_json::to_value(s),
        Spec::Function(s) => serde_json::to_value(s),
        Spec::Entitlement(s) => serde_json::to_value(s),
        Spec::RoleBinding(s) => serde_json::to_value(s),
        Spec::Policy(s) => serde_json::to_value(s),
        Spec::EventSource(s) => serde_json::to_value(s),
        Spec::Worker(s) => serde_json::to_value(s),
    }
    .map_err(|e| e.to_string())
}

async fn judge(engine: &Engine, context: &TenantContext, by: Actor<'_>, planned: &[Planned]) -> Result<(), Problem> {
    let caller = match by {
        Actor::Caller(caller) => caller,
        Actor::Bootstrap if context.store().resources(Kind::RoleBinding.as_str()).await?.is_empty() => return Ok(()),
        Actor::Bootstrap => {
            return Err(Problem::new(StatusCode::FORBIDDEN, "already-set-up", "This tenant has role bindings already"));
        }
    };
    for plan in planned {
        let (kind, name) = (plan.manifest.kind, &plan.manifest.metadata.name);
        if let Some(worker) = shared_worker(plan) {
            authorize_sharing(engine, context, caller, name, worker).await?;
            continue;
        }
        let permit = engine.authorize(context, caller, kind.edit(), &Target::Config { kind, name }).await?;
        let held = plan.held.as_ref().and_then(|held| serde_json::from_value::<CredentialSpec>(held.spec.clone()).ok());
        if let (Spec::Credential(new), Some(held), true) = (&plan.spec, held, kind == Kind::Credential)
            && held.owner != caller.principal.subject()
            && (new.owner != held.owner || new.destinations != held.destinations || new.environment != held.environment)
        {
            let detail = format!(
                "{name} belongs to {}; only its owner changes its owner, destinations or environment",
                held.owner
            );
            return Err(not_the_owner(engine, context, &permit, name, detail).await);
        }
    }
    Ok(())
}

/// Roles that whoever may share a Worker gives on it.
const SHAREABLE: &[RoleName] = &[RoleName::Runner, RoleName::Viewer, RoleName::Editor, RoleName::Approver];

/// The Worker that a role binding shares: it is about one resource and gives a role that may be shared,
/// and so did the version before it.
fn shared_worker(plan: &Planned) -> Option<&ResourceName> {
    let Spec::RoleBinding(binding) = &plan.spec else { return None };
    let worker = shares(binding)?;
    let Some(held) = &plan.held else { return Some(worker) };
    let before: RoleBindingSpec = serde_json::from_value(held.spec.clone()).ok()?;
    (shares(&before) == Some(worker)).then_some(worker)
}

fn shares(binding: &RoleBindingSpec) -> Option<&ResourceName> {
    match &binding.on {
        RoleScope::Resource(worker) if SHAREABLE.contains(&binding.role) => Some(worker),
        _ => None,
    }
}

/// Sharing a Worker takes the right to share it, or the right to change bindings at all. The binding's name
/// must lie in the Worker's project, or in one in which the caller may edit: names are not taken from others.
async fn authorize_sharing(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    binding: &ResourceName,
    worker: &ResourceName,
) -> Result<(), Problem> {
    let whole = Target::Config { kind: Kind::RoleBinding, name: binding };
    if engine.may(context, caller, Action::DirectoryEdit, &whole).await? {
        return Ok(());
    }
    let named = Target::Config { kind: Kind::Worker, name: binding };
    if binding.project() != worker.project() && !engine.may(context, caller, Action::WorkerEdit, &named).await? {
        engine.authorize(context, caller, Action::DirectoryEdit, &whole).await?;
    }
    let target = Target::Config { kind: Kind::Worker, name: worker };
    engine.authorize(context, caller, Action::WorkerShare, &target).await?;
    Ok(())
}

async fn write(
    engine: &Engine,
    context: &TenantContext,
    by: Actor<'_>,
    planned: &[Planned],
) -> Result<Applied, Problem> {
    let mut change = Change::new(context.tenant().clone(), engine.ports().clock.now(), by.subject());
    let mut items = Vec::new();
    for plan in planned {
        let (kind, name) = (plan.manifest.kind.as_str(), &plan.manifest.metadata.name);
        let held = plan.held.as_ref().map_or(0, |held| held.version);
        let changed = plan.changed();
        items.push(AppliedItem {
            kind,
            name: name.clone(),
            version: held + u64::from(changed),
            digest: plan.digest,
            changed,
        });
        if !changed {
            continue;
        }
        change.resources.push(ResourceWrite {
            kind: kind.to_owned(),
            name: name.to_string(),
            expected: Some(held),
            spec: Some(plan.content.clone()),
        });
        let before = plan.held.as_ref().map(|held| held.digest);
        let details =
            json!({"kind": kind, "resource": name, "version": held + 1, "digest": plan.digest, "before": before});
        add_entry(&mut change, EventKind::ResourceApplied, by.subject(), details)?;
    }
    let invalidated_grants = invalidated(context, planned).await?;
    for lost in &invalidated_grants {
        let details = json!({"name": lost.grant, "credential": lost.credential, "why": lost.why, "owner": lost.owner});
        add_entry(&mut change, EventKind::GrantInvalidated, by.subject(), details)?;
    }
    if !change.resources.is_empty() {
        change.revoke.push(EpochKey::Configuration);
        commit(context, change).await?;
    }
    let unscheduled = super::unscheduled::find(context, planned).await?;
    Ok(Applied { items, invalidated_grants, unscheduled })
}

/// Grants given to versions that these manifests replace.
async fn invalidated(context: &TenantContext, planned: &[Planned]) -> Result<Vec<InvalidatedGrant>, Problem> {
    let mut lost = Vec::new();
    for record in context.store().resources("Grant").await? {
        let Ok(grant) = serde_json::from_value::<GrantSpec>(record.spec) else { continue };
        let function = grant.function.in_project(&grant.worker.project());
        let why = planned.iter().filter(|plan| plan.changed()).find_map(|plan| {
            let name = &plan.manifest.metadata.name;
            let held = plan.held.as_ref().map(|held| held.digest);
            match plan.manifest.kind {
                Kind::Worker if *name == grant.worker && held == Some(grant.worker_version) => {
                    Some("the Worker was edited")
                }
                Kind::Function if *name == function && held == Some(grant.function_version) => {
                    Some("the function was edited")
                }
                _ => None,
            }
        });
        if let Some(why) = why {
            let owner = owner_of(context, &grant.credential).await?.unwrap_or_else(|| grant.given_by.clone());
            lost.push(InvalidatedGrant {
                grant: record.name,
                credential: grant.credential,
                worker: grant.worker,
                function: grant.function,
                why: why.to_owned(),
                owner,
            });
        }
    }
    Ok(lost)
}

async fn owner_of(context: &TenantContext, credential: &ResourceName) -> Result<Option<String>, Problem> {
    let record = context.store().resource(Kind::Credential.as_str(), credential.as_str()).await?;
    Ok(record.and_then(|r| serde_json::from_value::<CredentialSpec>(r.spec).ok()).map(|spec| spec.owner))
}
