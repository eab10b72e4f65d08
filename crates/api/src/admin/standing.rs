//! Standing grants: given by whoever lends their authority, taken back by them or by who governs the Worker.

use super::grants::next_version;
use super::{add_entry, commit};
use crate::Problem;
use axum::http::StatusCode;
use mandate_directory::{FunctionSpec, Kind, STANDING_GRANT, StandingGrantSpec, WorkerSpec, standing_epoch};
use mandate_engine::{Denied, Engine, Target, TenantContext};
use mandate_journal::{Change, EpochKey, ResourceRecord, ResourceWrite};
use mandate_kernel::{
    Action, Caller, Class, Digest, Duration, Environment, FunctionName, Limits, PrincipalKind, ResourceName, Timestamp,
    canonical_json,
};
use mandate_ledger::EventKind;
use mandate_policy::RunFacts;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;

/// How long a grant lasts when nobody says.
const USUAL: Duration = Duration::from_secs(90 * 86_400);
/// The longest: the holder's groups are those of the day it was given.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A standing grant somebody wants to give.
#[derive(Debug, Clone)]
pub struct StandingWanted {
    /// The Worker, in its current version.
    pub worker: ResourceName,
    /// The purpose of its runs.
    pub purpose: String,
    /// Where; the Worker's default when absent.
    pub environment: Option<Environment>,
    /// When it ends; in 90 days when absent.
    pub not_after: Option<Timestamp>,
}

/// The Worker, if the caller may see it.
async fn visible(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    name: &ResourceName,
) -> Result<ResourceRecord, Problem> {
    let absent = || Problem::absent(&format!("Worker {name}"));
    let target = Target::Config { kind: Kind::Worker, name };
    match engine.authorize(context, caller, Action::WorkerView, &target).await {
        Ok(_) => {}
        Err(Denied::Refused(refusal)) => return Err(absent().decision(refusal.decision)),
        Err(failed) => return Err(failed.into()),
    }
    context.store().resource(Kind::Worker.as_str(), name.as_str()).await?.ok_or_else(absent)
}

fn read<T: DeserializeOwned>(record: &ResourceRecord) -> Result<T, Problem> {
    serde_json::from_value(record.spec.clone()).map_err(Problem::internal_error)
}

/// The versions of the Worker's functions, and the class they make of a run.
async fn functions(
    context: &TenantContext,
    worker: &ResourceName,
    spec: &WorkerSpec,
) -> Result<(BTreeMap<FunctionName, Digest>, Class), Problem> {
    let (mut versions, mut class) = (BTreeMap::new(), spec.class.clone());
    for name in &spec.functions {
        let resource = name.in_project(&worker.project());
        let record = context.store().resource(Kind::Function.as_str(), resource.as_str()).await?;
        let unknown = || Problem::invalid("unknown-function", format!("function {resource} does not exist"));
        let record = record.ok_or_else(unknown)?;
        class = class.max(&read::<FunctionSpec>(&record)?.class);
        versions.insert(name.clone(), record.digest);
    }
    Ok((versions, class))
}

/// Lets a Worker start by itself, in the caller's name and with the caller's rights.
///
/// # Errors
/// [`Problem`]: they may not run it, it has no schedule, or somebody else's grant is in force.
pub async fn give_standing(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    wanted: StandingWanted,
) -> Result<StandingGrantSpec, Problem> {
    let refused = |why: &str| Problem::invalid("invalid-grant", why);
    let record = visible(engine, context, caller, &wanted.worker).await?;
    let spec: WorkerSpec = read(&record)?;
    let now = engine.ports().clock.now();
    let purpose = wanted.purpose.trim().to_owned();
    if purpose.chars().count() > Limits::DEFAULT.purpose_chars || !mandate_identity::is_purpose(&purpose) {
        return Err(refused("a standing grant needs a purpose on one line, in words a reviewer will understand"));
    }
    let environment = wanted.environment.unwrap_or_else(|| spec.default_environment.clone());
    if !spec.environments.contains(&environment) {
        return Err(refused("the Worker does not run in that environment"));
    }
    let not_after = wanted.not_after.unwrap_or_else(|| now.plus(USUAL));
    if not_after <= now || not_after > now.plus(LONGEST) {
        return Err(refused("a standing grant ends in the future, within 366 days"));
    }
    if !matches!(caller.principal.kind, PrincipalKind::User | PrincipalKind::ServiceAccount) {
        return Err(refused("only people and service accounts lend their authority"));
    }
    let (functions, class) = functions(context, &wanted.worker, &spec).await?;
    let run = RunFacts {
        initiator: caller.principal.clone(),
        environment: environment.clone(),
        purpose: purpose.clone(),
        class: class.clone(),
    };
    let target = Target::Start { worker: &wanted.worker, class, run };
    let permit = engine.authorize(context, caller, Action::RunStart, &target).await?;
    if spec.document.get("schedule").is_none() {
        let why = format!("{} has no schedule: nothing would start it", wanted.worker);
        return Err(Problem::invalid("no-schedule", why));
    }
    let grant = StandingGrantSpec {
        worker: wanted.worker,
        worker_version: record.digest,
        functions,
        environment,
        purpose,
        holder: caller.principal.clone(),
        groups: caller.groups.clone(),
        given_at: now,
        not_after,
    };
    let held = replaceable(context, &grant).await?;
    let version = next_version(context.store(), STANDING_GRANT, grant.worker.as_str()).await?;
    let spec = serde_json::to_value(&grant).map_err(|e| refused(&e.to_string()))?;
    let digest = canonical_json(&spec).map(|bytes| Digest::of(&bytes)).map_err(|e| refused(&e.to_string()))?;
    let mut change = Change::new(context.tenant().clone(), now, caller.principal.subject());
    change.resources.push(ResourceWrite {
        kind: STANDING_GRANT.to_owned(),
        name: grant.worker.to_string(),
        expected: Some(held),
        spec: Some(spec.clone()),
    });
    change.revoke.push(EpochKey::Configuration);
    let details = json!({
        "kind": STANDING_GRANT, "resource": grant.worker, "version": version, "digest": digest,
        "name": standing_epoch(&grant.worker), "grant": spec, "decision": permit.decision(),
    });
    add_entry(&mut change, EventKind::GrantGiven, caller.principal.subject(), details)?;
    commit(context, change).await?;
    Ok(grant)
}

/// The version of the grant that this one replaces, 0 for none: the holder's own, or one that has ended.
async fn replaceable(context: &TenantContext, grant: &StandingGrantSpec) -> Result<u64, Problem> {
    let Some(held) = context.store().resource(STANDING_GRANT, grant.worker.as_str()).await? else { return Ok(0) };
    let before: StandingGrantSpec = read(&held)?;
    if before.holder != grant.holder && before.not_after > grant.given_at {
        let why = format!("{} holds one; it has to be revoked first", before.holder.subject());
        let title = "Somebody else's grant is in force";
        return Err(Problem::new(StatusCode::CONFLICT, "not-the-holder", title).detail(why));
    }
    Ok(held.version)
}

/// Takes a standing grant back: no run begins under it, and nothing is admitted to those that did. Its holder
/// may, whoever edits the Worker, and who administers people's rights.
///
/// # Errors
/// [`Problem`]: not theirs to take back, or there is none.
pub async fn revoke_standing(
    engine: &Engine,
    context: &TenantContext,
    caller: &Caller,
    worker: &ResourceName,
) -> Result<StandingGrantSpec, Problem> {
    let record = context.store().resource(STANDING_GRANT, worker.as_str()).await?;
    let grant = record.as_ref().map(read::<StandingGrantSpec>).transpose()?;
    let is_holder = grant.as_ref().is_some_and(|grant| grant.holder == caller.principal);
    // A holder who may not see the Worker any more can still take back what is theirs.
    if !is_holder {
        visible(engine, context, caller, worker).await?;
    }
    let (Some(record), Some(grant)) = (record, grant) else {
        return Err(Problem::absent(&format!("a standing grant of {worker}")));
    };
    let mut decision = None;
    if !is_holder {
        let target = Target::Config { kind: Kind::Worker, name: worker };
        let people = Target::Config { kind: Kind::RoleBinding, name: worker };
        if !engine.may(context, caller, Action::DirectoryEdit, &people).await? {
            let permit = engine.authorize(context, caller, Action::WorkerEdit, &target).await?;
            decision = Some(permit.decision().clone());
        }
    }
    let mut change = Change::new(context.tenant().clone(), engine.ports().clock.now(), caller.principal.subject());
    change.resources.push(ResourceWrite {
        kind: STANDING_GRANT.to_owned(),
        name: worker.to_string(),
        expected: Some(record.version),
        spec: None,
    });
    let name = standing_epoch(worker);
    change.revoke.extend([EpochKey::Grant(name.clone()), EpochKey::Configuration]);
    let details = json!({
        "kind": STANDING_GRANT, "resource": worker, "version": record.version + 1, "digest": null, "name": name,
        "holder": grant.holder.subject(), "decision": decision,
    });
    add_entry(&mut change, EventKind::GrantRevoked, caller.principal.subject(), details)?;
    commit(context, change).await?;
    Ok(grant)
}
