//! Embedded grants of credentials.

use crate::auth::Authenticated;
use crate::body::Body;
use crate::{ApiState, Problem, admin, view};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use mandate_directory::GrantSpec;
use mandate_engine::Target;
use mandate_kernel::{Action, FunctionName, ResourceName, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantBody {
    /// `PROJECT/NAME` of the credential.
    #[schemars(with = "String")]
    credential: ResourceName,
    /// `PROJECT/NAME` of the Worker.
    #[schemars(with = "String")]
    worker: ResourceName,
    /// The function, as the Worker names it.
    #[schemars(with = "String")]
    function: FunctionName,
    /// When it ends, in milliseconds since 1970; until revoked when absent.
    #[serde(default)]
    #[schemars(with = "Option<i64>")]
    not_after: Option<Timestamp>,
}

pub(crate) async fn list(State(state): State<ApiState>, who: Authenticated) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for record in who.context.store().resources("Grant").await? {
        let Ok(grant) = serde_json::from_value::<GrantSpec>(record.spec) else { continue };
        let target = Target::Credential(&grant.credential);
        if state.engine.may(&who.context, &who.caller, Action::CredentialView, &target).await? {
            let stale = admin::stale(who.context.store(), &grant).await?;
            items.push(shown(&grant, stale));
        }
    }
    Ok(Json(view::list(items, None)))
}

fn shown(grant: &GrantSpec, stale: Option<&str>) -> Value {
    json!({
        "credential": grant.credential, "worker": grant.worker, "worker_version": grant.worker_version,
        "function": grant.function, "function_version": grant.function_version, "environment": grant.environment,
        "given_by": grant.given_by, "given_at": grant.given_at.to_string(), "not_after": view::time(grant.not_after),
        "stale": stale,
    })
}

pub(crate) async fn give(
    State(state): State<ApiState>,
    who: Authenticated,
    Body(body): Body<GrantBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wanted = admin::GrantWanted {
        credential: body.credential,
        worker: body.worker,
        function: body.function,
        not_after: body.not_after,
    };
    let grant = admin::give_grant(&state.engine, &who.context, &who.caller, wanted).await?;
    Ok((StatusCode::CREATED, Json(shown(&grant, None))))
}

pub(crate) async fn revoke(
    State(state): State<ApiState>,
    who: Authenticated,
    Body(body): Body<GrantBody>,
) -> Result<Json<Value>, Problem> {
    let grant =
        admin::revoke_grant(&state.engine, &who.context, &who.caller, &body.credential, &body.worker, &body.function)
            .await?;
    Ok(Json(shown(&grant, Some("revoked"))))
}
