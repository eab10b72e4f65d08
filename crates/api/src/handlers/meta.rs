//! Liveness, readiness, who am I, and the public keys.

use crate::auth::Authenticated;
use crate::body::Named;
use crate::{ApiState, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_identity::Jwks;
use mandate_kernel::Tenant;
use serde_json::{Value, json};

pub(crate) async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Ready means: the store answers for every tenant, and the node is not being stopped.
pub(crate) async fn ready(State(state): State<ApiState>) -> Result<Json<Value>, Problem> {
    if state.engine.is_draining() {
        return Err(Problem::draining());
    }
    for context in state.engine.open_tenants() {
        context.catalog().await?;
    }
    Ok(Json(json!({"status": "ok"})))
}

pub(crate) async fn jwks(State(state): State<ApiState>, Named(tenant): Named<String>) -> Result<Json<Value>, Problem> {
    let tenant = Tenant::new(tenant).map_err(|_| Problem::absent("tenant"))?;
    let context = state.engine.tenant(&tenant).ok_or_else(|| Problem::absent("tenant"))?;
    Ok(Json(Jwks::new(context.token_keys()).to_json()))
}

pub(crate) async fn me(who: Authenticated) -> Json<Value> {
    Json(json!({"subject": who.caller.principal.subject(), "tenant": who.caller.tenant(), "groups": who.caller.groups}))
}

pub(crate) async fn no_such_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "no-such-method", "This path does not take that method")
}
