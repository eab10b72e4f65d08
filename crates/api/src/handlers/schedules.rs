//! Schedules, and the standing grants under which Workers start by themselves.

use crate::auth::Authenticated;
use crate::body::Body;
use crate::{ApiState, Problem, admin, view};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_directory::{Kind, StandingGrantSpec};
use mandate_engine::{ScheduleView, Target};
use mandate_kernel::{Environment, ResourceName, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingBody {
    /// `PROJECT/NAME` of the Worker, in its present version.
    #[schemars(with = "String")]
    worker: ResourceName,
    /// Why, in words a reviewer will understand: the purpose of each run.
    purpose: String,
    /// Where; the Worker's default when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    environment: Option<Environment>,
    /// When it ends, in milliseconds since 1970; in 90 days when absent, in 366 at most.
    #[serde(default)]
    #[schemars(with = "Option<i64>")]
    not_after: Option<Timestamp>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StandingRevocation {
    /// `PROJECT/NAME` of the Worker.
    #[schemars(with = "String")]
    worker: ResourceName,
}

pub(crate) async fn list(State(state): State<ApiState>, who: Authenticated) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for found in state.engine.schedules(&who.context).await? {
        let target = Target::Config { kind: Kind::Worker, name: &found.worker };
        if state.engine.may(&who.context, &who.caller, Kind::Worker.view(), &target).await? {
            items.push(shown(&found));
        }
    }
    Ok(Json(view::list(items, None)))
}

fn shown(found: &ScheduleView) -> Value {
    let state = match (&found.grant, found.lapsed, &found.trouble) {
        (None, ..) => "no-grant",
        (Some(_), Some(_), _) => "lapsed",
        (Some(_), None, Some(_)) => "in-trouble",
        (Some(_), None, None) => "in-force",
    };
    let trouble =
        found.trouble.as_ref().map(|(code, detail, at)| json!({"code": code, "detail": detail, "at": at.to_string()}));
    json!({
        "worker": found.worker, "schedule": found.schedule, "state": state, "lapsed": found.lapsed,
        "grant": found.grant.as_ref().map(grant), "next": view::time(found.next), "last_run": found.last_run,
        "trouble": trouble,
    })
}

fn grant(grant: &StandingGrantSpec) -> Value {
    json!({
        "worker": grant.worker, "worker_version": grant.worker_version, "environment": grant.environment,
        "purpose": grant.purpose, "holder": grant.holder.subject(), "given_at": grant.given_at.to_string(),
        "not_after": grant.not_after.to_string(),
    })
}

pub(crate) async fn give(
    State(state): State<ApiState>,
    who: Authenticated,
    Body(body): Body<StandingBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let StandingBody { worker, purpose, environment, not_after } = body;
    let wanted = admin::StandingWanted { worker, purpose, environment, not_after };
    let given = admin::give_standing(&state.engine, &who.context, &who.caller, wanted).await?;
    Ok((StatusCode::CREATED, Json(grant(&given))))
}

pub(crate) async fn revoke(
    State(state): State<ApiState>,
    who: Authenticated,
    Body(body): Body<StandingRevocation>,
) -> Result<Json<Value>, Problem> {
    let revoked = admin::revoke_standing(&state.engine, &who.context, &who.caller, &body.worker).await?;
    Ok(Json(grant(&revoked)))
}
