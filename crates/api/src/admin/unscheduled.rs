//! Which of the Workers that were applied have a schedule and no standing grant that covers them.

use super::apply::{Planned, Unscheduled};
use crate::Problem;
use mandate_directory::{Kind, STANDING_GRANT, Spec, StandingGrantSpec, WorkerSpec};
use mandate_engine::TenantContext;
use mandate_kernel::{Digest, ResourceName};

/// Those among them that do not start by themselves, and those whose grant lapses because a function of theirs
/// was edited. Asked after everything was written.
pub(super) async fn find(context: &TenantContext, planned: &[Planned]) -> Result<Vec<Unscheduled>, Problem> {
    let mut found = Vec::new();
    for plan in planned {
        if let Spec::Worker(worker) = &plan.spec
            && worker.document.get("schedule").is_some()
        {
            let name = &plan.manifest.metadata.name;
            let grant = context.store().resource(STANDING_GRANT, name.as_str()).await?;
            let why = match grant.and_then(|record| serde_json::from_value::<StandingGrantSpec>(record.spec).ok()) {
                None => Some("nobody has given it a standing grant"),
                Some(grant) if grant.worker_version != plan.digest => Some("it was edited after its standing grant"),
                Some(grant) => stale(context, name, worker, &grant).await?,
            };
            found.extend(why.map(|why| Unscheduled { worker: name.clone(), why }));
        }
    }
    if planned.iter().any(|plan| plan.manifest.kind == Kind::Function && plan.changed()) {
        for record in context.store().resources(STANDING_GRANT).await? {
            let Ok(grant) = serde_json::from_value::<StandingGrantSpec>(record.spec) else { continue };
            let edited = |plan: &Planned| {
                let is_own = |name: &mandate_kernel::FunctionName| {
                    name.in_project(&grant.worker.project()) == plan.manifest.metadata.name
                };
                plan.manifest.kind == Kind::Function && plan.changed() && grant.functions.keys().any(is_own)
            };
            let is_told = found.iter().any(|told| told.worker == grant.worker);
            if !is_told && planned.iter().any(edited) {
                let why = "a function of it was edited after its standing grant";
                found.push(Unscheduled { worker: grant.worker, why });
            }
        }
    }
    Ok(found)
}

/// Whether its functions are not those that the grant was given for.
async fn stale(
    context: &TenantContext,
    name: &ResourceName,
    worker: &WorkerSpec,
    grant: &StandingGrantSpec,
) -> Result<Option<&'static str>, Problem> {
    for function in &worker.functions {
        let resource = function.in_project(&name.project());
        let record = context.store().resource(Kind::Function.as_str(), resource.as_str()).await?;
        let now: Option<Digest> = record.map(|record| record.digest);
        if now != grant.functions.get(function).copied() {
            return Ok(Some("a function of it was edited after its standing grant"));
        }
    }
    Ok(None)
}
