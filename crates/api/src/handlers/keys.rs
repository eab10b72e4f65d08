//! Rotating the tenant's signing keys.

use crate::auth::Authenticated;
use crate::body::Named;
use crate::{ApiState, Problem};
use axum::Json;
use axum::extract::State;
use mandate_engine::{KeyRole, Target};
use mandate_kernel::Action;
use serde_json::{Value, json};

pub(crate) async fn rotate(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(role): Named<String>,
) -> Result<Json<Value>, Problem> {
    let role = KeyRole::ALL
        .iter()
        .copied()
        .find(|r| r.as_str() == role)
        .ok_or_else(|| Problem::absent("key role: use log, evidence or token"))?;
    let permit = state.engine.authorize(&who.context, &who.caller, Action::KeyRotate, &Target::Tenant).await?;
    let key = state.engine.rotate_key(&who.context, &permit, role).await?;
    Ok(Json(json!({"role": role, "key": key})))
}
