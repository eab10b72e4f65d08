//! Published Workers, each with an endpoint of its own: what it takes, what it gives, and a way to run it.

use crate::auth::Authenticated;
use crate::body::{Asked, Body, Named};
use crate::cursor::Listing;
use crate::handlers::runs::{self, Wait};
use crate::handlers::{page_size, resource_name};
use crate::{ApiState, Problem, conditional, view};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use mandate_directory::{FunctionSpec, Kind, WorkerSpec};
use mandate_engine::{Denied, StartRequest, Target};
use mandate_flow::Schema;
use mandate_journal::ResourceRecord;
use mandate_kernel::{Class, Environment, ResourceName};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let limit = page_size(query.limit);
    let listing = Listing { tenant: who.context.tenant(), list: "workers", filters: String::new() };
    let after = listing.position(query.cursor.as_deref())?;
    let classes = classes(&who).await?;
    let (mut items, mut last) = (Vec::new(), None);
    for record in who.context.store().resources(Kind::Worker.as_str()).await? {
        if after.as_ref().is_some_and(|after| record.name <= *after) {
            continue;
        }
        let Ok(name) = ResourceName::new(record.name.clone()) else { continue };
        let target = Target::Config { kind: Kind::Worker, name: &name };
        if !state.engine.may(&who.context, &who.caller, Kind::Worker.view(), &target).await? {
            continue;
        }
        if items.len() == limit {
            let next = last.map(|last: String| listing.after(&last));
            return Ok(Json(view::list(items, next)));
        }
        items.push(shown(&name, &record, &read(&record)?, &classes));
        last = Some(record.name);
    }
    Ok(Json(view::list(items, None)))
}

pub(crate) async fn one(
    State(state): State<ApiState>,
    who: Authenticated,
    headers: HeaderMap,
    Named((project, name)): Named<(String, String)>,
) -> Result<Response, Problem> {
    let (name, record) = visible(&state, &who, &project, &name).await?;
    let body = shown(&name, &record, &read(&record)?, &classes(&who).await?);
    Ok(conditional::answer(&headers, &conditional::tag_of(&body), body))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunBody {
    /// Why, in words a reviewer will understand.
    purpose: String,
    /// Where; the Worker's default when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    environment: Option<Environment>,
    /// What the Worker works on; fits its input schema.
    #[serde(default)]
    input: Value,
}

/// Starts a run, as `POST /v1/runs` does; input that does not fit is told before anything begins.
pub(crate) async fn run(
    State(state): State<ApiState>,
    who: Authenticated,
    Named((project, name)): Named<(String, String)>,
    Asked(wait): Asked<Wait>,
    headers: HeaderMap,
    Body(body): Body<RunBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (worker, record) = visible(&state, &who, &project, &name).await?;
    fits(&read(&record)?, &body.input)?;
    let request = StartRequest {
        worker,
        environment: body.environment,
        purpose: body.purpose,
        input: body.input,
        start_key: runs::start_key(&headers)?,
    };
    runs::begin(&state, &who, wait, request).await
}

/// The Worker, if the caller may see it. A refusal is in the ledger, and looks like absence.
async fn visible(
    state: &ApiState,
    who: &Authenticated,
    project: &str,
    name: &str,
) -> Result<(ResourceName, ResourceRecord), Problem> {
    let name = resource_name(project, name)?;
    let absent = || Problem::absent(&format!("Worker {name}"));
    let target = Target::Config { kind: Kind::Worker, name: &name };
    match state.engine.authorize(&who.context, &who.caller, Kind::Worker.view(), &target).await {
        Ok(_) => {}
        Err(Denied::Refused(refusal)) => return Err(absent().decision(refusal.decision)),
        Err(failed) => return Err(failed.into()),
    }
    let record = who.context.store().resource(Kind::Worker.as_str(), name.as_str()).await?;
    record.ok_or_else(absent).map(|record| (name.clone(), record))
}

fn read(record: &ResourceRecord) -> Result<WorkerSpec, Problem> {
    serde_json::from_value(record.spec.clone()).map_err(Problem::internal_error)
}

/// What functions imply about the class of a run.
async fn classes(who: &Authenticated) -> Result<BTreeMap<String, Class>, Problem> {
    let functions = who.context.store().resources(Kind::Function.as_str()).await?;
    let class = |record: ResourceRecord| {
        serde_json::from_value::<FunctionSpec>(record.spec).ok().map(|spec| (record.name, spec.class))
    };
    Ok(functions.into_iter().filter_map(class).collect())
}

fn shown(name: &ResourceName, record: &ResourceRecord, spec: &WorkerSpec, classes: &BTreeMap<String, Class>) -> Value {
    let of = |function: &mandate_kernel::FunctionName| classes.get(function.in_project(&name.project()).as_str());
    let class = spec.functions.iter().filter_map(of).fold(spec.class.clone(), |class, other| class.max(other));
    json!({
        "name": name,
        "description": spec.description,
        "version": record.digest,
        "number": record.version,
        "class": class,
        "environments": spec.environments,
        "default_environment": spec.default_environment,
        "functions": spec.functions,
        "artifact": spec.artifact,
        "input_schema": schema(spec, "input"),
        "output_schema": schema(spec, "output"),
        "runs": format!("/v1/workers/{name}/runs"),
    })
}

/// The JSON Schema of a Worker's input or output, as its document gives it.
fn schema<'a>(spec: &'a WorkerSpec, end: &str) -> Option<&'a Value> {
    spec.document.pointer(&format!("/{end}/schema/document"))
}

fn fits(spec: &WorkerSpec, input: &Value) -> Result<(), Problem> {
    let Some(schema) = schema(spec, "input") else { return Ok(()) };
    let schema = Schema::of(schema).map_err(Problem::internal_error)?;
    schema.check(input).map_err(|why| {
        let at = format!("/input{}", place(&why));
        Problem::invalid("input-mismatch", "the input does not fit the Worker's schema; no run was started")
            .error(at, why)
    })
}

/// The JSON pointer with which a message of [`Schema::check`] begins; empty for the whole value.
fn place(why: &str) -> &str {
    if !why.starts_with('/') {
        return "";
    }
    let end = [" must ", " is "].iter().filter_map(|words| why.find(words)).min();
    end.and_then(|end| why.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_told_where_it_does_not_fit() {
        let schema = json!({
            "type": "object", "required": ["quarter"], "additionalProperties": false,
            "properties": {"quarter": {"type": "string", "pattern": "^Q[1-4]$"}, "rows": {"items": {"maximum": 3}}},
        });
        let spec: WorkerSpec = serde_json::from_value(json!({
            "document": {"input": {"schema": {"document": schema}}}, "environments": ["sandbox"],
            "defaultEnvironment": "sandbox", "functions": [],
        }))
        .unwrap();
        fits(&spec, &json!({"quarter": "Q1", "rows": [1, 2]})).unwrap();
        for (input, at) in [
            (json!(null), "/input"),
            (json!({}), "/input"),
            (json!({"quarter": 1}), "/input/quarter"),
            (json!({"quarter": "Q5"}), "/input/quarter"),
            (json!({"quarter": "Q1", "rows": [1, 9]}), "/input/rows/1"),
            (json!({"quarter": "Q1", "more": 1}), "/input/more"),
        ] {
            let problem = fits(&spec, &input).unwrap_err();
            assert_eq!((problem.status, problem.errors[0].pointer.as_str()), (422, at), "{input}");
        }
    }
}
