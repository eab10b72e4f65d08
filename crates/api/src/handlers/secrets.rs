//! The inventory of secrets, and the way in for a new one. There is no way out.

use crate::auth::Authenticated;
use crate::body::{Body, Named};
use crate::handlers::resource_name;
use crate::{ApiState, Problem, admin, view};
use axum::Json;
use axum::extract::State;
use mandate_directory::CredentialSpec;
use mandate_engine::Target;
use mandate_kernel::{Action, ResourceName, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

/// A secret on its way in: read straight into a wiped place.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutBody {
    /// The secret. There is no way to read it again.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String")]
    value: Secret<Vec<u8>>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret<Vec<u8>>, D::Error> {
    // The reader's own words would repeat the value.
    String::deserialize(deserializer)
        .map(|text| Secret::new(text.into_bytes()))
        .map_err(|_| D::Error::custom("`value` has to be a text"))
}

pub(crate) async fn list(State(state): State<ApiState>, who: Authenticated) -> Result<Json<Value>, Problem> {
    let mut items = Vec::new();
    for record in who.context.store().resources("Credential").await? {
        let Ok(name) = ResourceName::new(record.name.clone()) else { continue };
        if !state.engine.may(&who.context, &who.caller, Action::CredentialView, &Target::Credential(&name)).await? {
            continue;
        }
        let Ok(spec) = serde_json::from_value::<CredentialSpec>(record.spec) else { continue };
        let newest = who.context.store().secret("credential", name.as_str(), None).await?;
        items.push(json!({
            "name": name, "owner": spec.owner, "environment": spec.environment, "destinations": spec.destinations,
            "versions": newest.as_ref().map_or(0, |s| s.version), "newest_at": view::time(newest.map(|s| s.created_at)),
        }));
    }
    Ok(Json(view::list(items, None)))
}

pub(crate) async fn put(
    State(state): State<ApiState>,
    who: Authenticated,
    Named((project, name)): Named<(String, String)>,
    Body(body): Body<PutBody>,
) -> Result<Json<Value>, Problem> {
    let name = resource_name(&project, &name)?;
    let version = admin::put_secret(&state.engine, &who.context, &who.caller, &name, body.value).await?;
    Ok(Json(json!({"name": name, "version": version})))
}
