//! Embedded grants: given and revoked by the credential's owner.

use super::{add_entry, commit, not_the_owner};
use crate::Problem;
use mandate_directory::{CredentialSpec, GrantSpec, Kind, WorkerSpec, grant_name};
use mandate_engine::{Denied, Engine, Target, TenantContext};
use mandate_gate::{Access, Permit};
use mandate_journal::{Change, EpochKey, ResourceWrite, TenantStore};
use mandate_kernel::{Action, Caller, Digest, FunctionName, ResourceName, Timestamp, canonical_json};
use mandate_ledger::EventKind;
use serde::de::DeserializeOwned;
use serde_json::json;

/// The resource kind of grants.
const GRANT: &str = "Grant";

/// A grant somebody wants to give.
#[derive(Debug, Clone)]
pub struct GrantWanted {
    /// The credential.
    pub credential: ResourceName,
    /// The Worker, in its current version.
    pub worker: ResourceName,
    /// The function, in its current version.
    pub function: FunctionName,
    /// When it ends; `None` until revoked.
    pub not_after: Option<Timestamp>,
}

/// The credential, if the caller owns it. For others it is absent, or theirs to look at only.
pub(super) async fn owned(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    action: Action,
    name: &ResourceName,
) -> Result<(Permit<Access>, CredentialSpec), Problem> {
    let absent = || Problem::absent(&format!("credential {name}"));
    let target = Target::Credential(name);
    let permit = match engine.authorize(context, caller, action, &target).await {
        Ok(permit) => permit,
        Err(Denied::Refused(refusal)) => {
            let visible = engine.may(context, caller, Action::CredentialView, &target).await?;
            return Err(if visible { Problem::refused(&refusal) } else { absent().decision(refusal.decision) });
        }
        Err(failed) => return Err(failed.into()),
    };
    let spec: CredentialSpec = find(context.store(), Kind::Credential, name).await?.ok_or_else(absent)?.0;
    if spec.owner == caller.principal.subject() {
        return Ok((permit, spec));
    }
    let detail = format!("{name} belongs to {}; only its owner may", spec.owner);
    Err(not_the_owner(engine, context, &permit, name, detail).await)
}

async fn find<T: DeserializeOwned>(
    store: &dyn TenantStore,
    kind: Kind,
    name: &ResourceName,
) -> Result<Option<(T, mandate_kernel::Digest)>, Problem> {
    let record = store.resource(kind.as_str(), name.as_str()).await?;
    Ok(record.and_then(|r| serde_json::from_value(r.spec).ok().map(|spec| (spec, r.digest))))
}

/// The version that a grant's next write makes: numbers go on after a deletion.
pub(super) async fn next_version(store: &dyn TenantStore, kind: &str, name: &str) -> Result<u64, Problem> {
    let all = store.inventory().await?;
    let held = all.iter().find(|state| state.kind == kind && state.name == name);
    Ok(1 + held.map_or(0, |state| state.version))
}

/// Gives a grant.
///
/// # Errors
/// [`Problem`]: not the owner's to give, or names that lead nowhere.
pub async fn give_grant(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    wanted: GrantWanted,
) -> Result<GrantSpec, Problem> {
    let (permit, credential) = owned(engine, context, caller, Action::GrantManage, &wanted.credential).await?;
    let unknown = |what: String| Problem::invalid("unknown-resource", format!("{what} does not exist"));
    let found = find::<WorkerSpec>(context.store(), Kind::Worker, &wanted.worker).await?;
    let (worker, worker_version) = found.ok_or_else(|| unknown(format!("Worker {}", wanted.worker)))?;
    if worker.bindings.get(&wanted.function) != Some(&wanted.credential) {
        let detail = format!(
            "{} does not bind {} to {}; bind it in the manifest first",
            wanted.worker, wanted.function, wanted.credential
        );
        return Err(Problem::invalid("slot-unbound", detail));
    }
    let function = wanted.function.in_project(&wanted.worker.project());
    let found = find::<serde_json::Value>(context.store(), Kind::Function, &function).await?;
    let (_, function_version) = found.ok_or_else(|| unknown(format!("function {function}")))?;
    let now = engine.ports().clock.now();
    let grant = GrantSpec {
        credential: wanted.credential,
        worker: wanted.worker,
        worker_version,
        function: wanted.function,
        function_version,
        environment: credential.environment,
        given_by: caller.principal.subject(),
        given_at: now,
        not_after: wanted.not_after,
    };
    let name = grant_name(&grant.credential, &grant.worker, &grant.function);
    let held = context.store().resource(GRANT, &name).await?.map_or(0, |r| r.version);
    let version = next_version(context.store(), GRANT, &name).await?;
    let spec = serde_json::to_value(&grant).map_err(|e| Problem::invalid("invalid-grant", e.to_string()))?;
    let mut change = Change::new(context.tenant().clone(), now, caller.principal.subject());
    change.resources.push(ResourceWrite {
        kind: GRANT.to_owned(),
        name: name.clone(),
        expected: Some(held),
        spec: Some(spec.clone()),
    });
    change.revoke.push(EpochKey::Configuration);
    let digest = canonical_json(&spec).map(|bytes| Digest::of(&bytes));
    let digest = digest.map_err(|e| Problem::invalid("invalid-grant", e.to_string()))?;
    let details = json!({
        "kind": GRANT, "resource": name, "version": version, "digest": digest,
        "name": name, "grant": spec, "credential": grant.credential, "decision": permit.decision(),
    });
    add_entry(&mut change, EventKind::GrantGiven, caller.principal.subject(), details)?;
    commit(context, change).await?;
    Ok(grant)
}

/// Revokes a grant: from the answer on, nothing is admitted on its account.
///
/// # Errors
/// [`Problem`]: not the owner's, or there is none.
pub async fn revoke_grant(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    credential: &ResourceName,
    worker: &ResourceName,
    function: &FunctionName,
) -> Result<GrantSpec, Problem> {
    let (permit, _) = owned(engine, context, caller, Action::GrantManage, credential).await?;
    let name = grant_name(credential, worker, function);
    let record =
        context.store().resource(GRANT, &name).await?.ok_or_else(|| Problem::absent(&format!("grant {name}")))?;
    let grant: GrantSpec =
        serde_json::from_value(record.spec).map_err(|e| Problem::invalid("invalid-grant", e.to_string()))?;
    let mut change = Change::new(context.tenant().clone(), engine.ports().clock.now(), caller.principal.subject());
    change.resources.push(ResourceWrite {
        kind: GRANT.to_owned(),
        name: name.clone(),
        expected: Some(record.version),
        spec: None,
    });
    change.revoke.extend([EpochKey::Grant(name.clone()), EpochKey::Configuration]);
    let details = json!({
        "kind": GRANT, "resource": name, "version": record.version + 1, "digest": null,
        "name": name, "credential": credential, "decision": permit.decision(),
    });
    add_entry(&mut change, EventKind::GrantRevoked, caller.principal.subject(), details)?;
    commit(context, change).await?;
    Ok(grant)
}

/// Why a grant does not cover what is current, or `None` when it does.
///
/// # Errors
/// [`Problem`] when the store can't be read.
pub async fn stale(store: &dyn TenantStore, grant: &GrantSpec) -> Result<Option<&'static str>, Problem> {
    let function = grant.function.in_project(&grant.worker.project());
    let worker = store.resource(Kind::Worker.as_str(), grant.worker.as_str()).await?;
    let function = store.resource(Kind::Function.as_str(), function.as_str()).await?;
    Ok(match (worker, function) {
        (None, _) => Some("the Worker is gone"),
        (_, None) => Some("the function is gone"),
        (Some(worker), Some(function)) => grant.stale(&worker.digest, &function.digest),
    })
}
