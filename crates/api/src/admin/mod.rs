//! Administrative acts: apply configuration, put secrets, give and revoke grants. Each is judged, then
//! made durable together with its ledger entry.

mod apply;
mod authenticated;
mod check;
mod grants;
mod secrets;
mod standing;
mod unscheduled;

pub use apply::{Applied, AppliedItem, InvalidatedGrant, Unscheduled, apply};
pub use grants::{GrantWanted, give_grant, revoke_grant, stale};
pub use secrets::put_secret;
pub use standing::{StandingWanted, give_standing, revoke_standing};

use crate::Problem;
use axum::http::StatusCode;
use mandate_engine::{Engine, TenantContext};
use mandate_gate::{Access, Permit};
use mandate_journal::Change;
use mandate_kernel::{Caller, ResourceName};
use mandate_ledger::{Event, EventKind};
use serde_json::{Value, json};

/// Who acts.
#[derive(Debug, Clone, Copy)]
pub enum Actor<'a> {
    /// A verified caller: judged for each resource.
    Caller(&'a Caller),
    /// The operator, setting up a tenant that has no role bindings yet. Refused once it has some: from
    /// then on every change is somebody's.
    Bootstrap,
}

impl Actor<'_> {
    fn subject(&self) -> String {
        match self {
            Self::Caller(caller) => caller.principal.subject(),
            Self::Bootstrap => "system:bootstrap".to_owned(),
        }
    }
}

/// Records that a permitted thing was done that changes nothing but has to be known: an export.
///
/// # Errors
/// [`Problem`] when it can't be recorded: then it must not be handed out.
pub async fn note(
    engine: &Engine,
    context: &TenantContext,
    permit: &Permit<Access>,
    kind: EventKind,
    details: Value,
) -> Result<(), Problem> {
    let by = permit.caller().principal.subject();
    let mut change = Change::new(context.tenant().clone(), engine.ports().clock.now(), by.clone());
    let mut details = details;
    if let Value::Object(map) = &mut details {
        map.insert("decision".to_owned(), json!(permit.decision()));
    }
    add_entry(&mut change, kind, by, details)?;
    commit(context, change).await
}

/// Policy would have let them, but the credential is another's: recorded, then refused.
async fn not_the_owner(
    engine: &Engine,
    context: &TenantContext,
    permit: &Permit<Access>,
    credential: &ResourceName,
    detail: String,
) -> Problem {
    let why = json!({
        "resource_kind": "Credential", "resource": credential, "reason": "not-the-owner", "summary": detail, "policies": [],
    });
    match note(engine, context, permit, EventKind::AccessDenied, why).await {
        Ok(()) => Problem::new(StatusCode::FORBIDDEN, "not-the-owner", "Only the owner may")
            .detail(detail)
            .decision(permit.decision().clone()),
        Err(unrecorded) => unrecorded,
    }
}

fn add_entry(change: &mut Change, kind: EventKind, actor: String, details: Value) -> Result<(), Problem> {
    let event = Event { time: change.at, tenant: change.tenant.clone(), kind, actor, run: None, details };
    let entry = event
        .encode()
        .map_err(|e| Problem::invalid("not-recordable", format!("this can't be recorded, so it was not done: {e}")))?;
    change.entries.push(entry);
    Ok(())
}

async fn commit(context: &TenantContext, change: Change) -> Result<(), Problem> {
    context.store().change(change).await?;
    context.entries_arrived();
    Ok(())
}
