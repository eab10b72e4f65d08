//! Configuration resources, as far as the caller may see them.

use crate::auth::Authenticated;
use crate::body::{Asked, Named};
use crate::cursor::Listing;
use crate::handlers::{page_size, resource_name};
use crate::{ApiState, Problem, conditional, view};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use mandate_directory::Kind;
use mandate_engine::{Denied, Target};
use mandate_kernel::ResourceName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(alias = "after")]
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(kind): Named<String>,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let kind: Kind = kind.parse().map_err(|e| Problem::absent(&format!("{e}")))?;
    let limit = page_size(query.limit);
    let listing = Listing { tenant: who.context.tenant(), list: "resources", filters: kind.as_str().to_owned() };
    let after = listing.position(query.cursor.as_deref())?;
    let mut items = Vec::new();
    let mut last = None;
    for record in who.context.store().resources(kind.as_str()).await? {
        if after.as_ref().is_some_and(|after| record.name <= *after) {
            continue;
        }
        let Ok(name) = ResourceName::new(record.name.clone()) else { continue };
        let target = Target::Config { kind, name: &name };
        if state.engine.may(&who.context, &who.caller, kind.view(), &target).await? {
            if items.len() == limit {
                let next = last.map(|last: String| listing.after(&last));
                return Ok(Json(view::list(items, next)));
            }
            items.push(view::resource(&record));
            last = Some(record.name);
        }
    }
    Ok(Json(view::list(items, None)))
}

pub(crate) async fn one(
    State(state): State<ApiState>,
    who: Authenticated,
    headers: HeaderMap,
    Named((kind, project, name)): Named<(String, String, String)>,
) -> Result<Response, Problem> {
    let kind: Kind = kind.parse().map_err(|e| Problem::absent(&format!("{e}")))?;
    let name = resource_name(&project, &name)?;
    let absent = || Problem::absent(&format!("{} {name}", kind.as_str()));
    match state.engine.authorize(&who.context, &who.caller, kind.view(), &Target::Config { kind, name: &name }).await {
        Ok(_) => {}
        Err(Denied::Refused(refusal)) => return Err(absent().decision(refusal.decision)),
        Err(failed) => return Err(failed.into()),
    }
    let record = who.context.store().resource(kind.as_str(), name.as_str()).await?.ok_or_else(absent)?;
    Ok(conditional::answer(&headers, &record.version.to_string(), view::resource(&record)))
}
