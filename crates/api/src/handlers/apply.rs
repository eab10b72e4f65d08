//! Applying configuration.

use crate::auth::Authenticated;
use crate::body::Body;
use crate::{ApiState, Problem, admin};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyBody {
    manifests: Vec<Value>,
}

pub(crate) async fn apply(
    State(state): State<ApiState>,
    who: Authenticated,
    Body(body): Body<ApplyBody>,
) -> Result<Json<admin::Applied>, Problem> {
    let by = admin::Actor::Caller(&who.caller);
    Ok(Json(admin::apply(&state.engine, &who.context, by, body.manifests).await?))
}
