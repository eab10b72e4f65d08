//! Applying configuration.

use crate::auth::Authenticated;
use crate::body::Body;
use crate::{ApiState, Problem, admin, conditional};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApplyBody {
    /// 1 to 500 manifests. `metadata.version` in one is the version that its change has to find, 0 for none.
    manifests: Vec<Value>,
}

pub(crate) async fn apply(
    State(state): State<ApiState>,
    who: Authenticated,
    headers: HeaderMap,
    Body(mut body): Body<ApplyBody>,
) -> Result<Json<admin::Applied>, Problem> {
    if let Some(version) = conditional::expected(&headers)? {
        expect(&mut body.manifests, version)?;
    }
    let by = admin::Actor::Caller(&who.caller);
    Ok(Json(admin::apply(&state.engine, &who.context, by, body.manifests).await?))
}

/// Writes a precondition of the request into the one manifest it is about.
fn expect(manifests: &mut [Value], version: u64) -> Result<(), Problem> {
    let wrong = |why: &str| Problem::invalid("invalid-precondition", why);
    let [manifest] = manifests else {
        return Err(wrong("a header can speak of one manifest; write `metadata.version` into each of several"));
    };
    let metadata = manifest.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(|| wrong("the manifest has no metadata"))?;
    match metadata.insert("version".to_owned(), json!(version)) {
        Some(other) if other != json!(version) => Err(wrong("the header and `metadata.version` say different things")),
        _ => Ok(()),
    }
}
