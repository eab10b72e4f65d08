//! Rolling a run back: what would be undone, and the run that undoes it.

use super::runs::allowed;
use crate::auth::Authenticated;
use crate::body::{Body, Named};
use crate::{ApiState, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_engine::RollbackPlan;
use mandate_kernel::{Action, RunId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackBody {
    /// Why, in words a reviewer will understand.
    reason: String,
}

fn view(plan: &RollbackPlan, rollback: Option<&RunId>) -> Value {
    json!({"run": plan.run, "steps": plan.steps, "rollbacks": plan.rollbacks, "rollback": rollback})
}

pub(crate) async fn plan(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
) -> Result<Json<Value>, Problem> {
    let (record, _) = allowed(&state, &who, &run, Action::RunRollback).await?;
    let plan = state.engine.rollback_plan(&who.context, &record).await?;
    Ok(Json(view(&plan, None)))
}

pub(crate) async fn start(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
    Body(body): Body<RollbackBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (record, permit) = allowed(&state, &who, &run, Action::RunRollback).await?;
    let (rollback, plan) = state.engine.rollback(&who.context, &permit, &record, &body.reason).await?;
    Ok((StatusCode::CREATED, Json(view(&plan, Some(&rollback)))))
}
