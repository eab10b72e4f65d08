//! The description of the interface (OpenAPI 3.1), made from code: paths from the table of endpoints,
//! parameters and bodies from the very types that are read ([`operations`]), answers from
//! [`schemas`], which tests hold against real answers.

mod occasions;
mod operations;
mod rollback;
mod schemas;
mod schemas_of_runs;

use crate::endpoints::{Asks, Endpoint, endpoints};
use crate::{ApiState, PROBLEM_TYPES, conditional};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use operations::{Answer, OPERATIONS, Operation};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static DESCRIPTION: LazyLock<(Value, String)> = LazyLock::new(|| {
    let description = description();
    let tag = conditional::tag_of(&description);
    (description, tag)
});

/// Hands out the description.
pub(crate) async fn openapi(State(_): State<ApiState>, headers: HeaderMap) -> Response {
    let (description, tag) = &*DESCRIPTION;
    let mut response = conditional::answer(&headers, tag, description.clone());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The description as a file: pretty, with a newline at its end.
#[must_use]
pub fn openapi_document() -> String {
    format!("{:#}\n", DESCRIPTION.0)
}

/// Endpoints of the table that no operation describes, and operations without an endpoint.
#[must_use]
pub fn undescribed() -> Vec<String> {
    let described = |method: &str, path: &str| OPERATIONS.iter().any(|o| (o.method, o.path) == (method, path));
    let served = |method: &str, path: &str| endpoints().iter().any(|e| (e.method, e.path) == (method, path));
    let missing = endpoints().iter().filter(|e| !described(e.method, e.path)).map(|e| (e.method, e.path));
    let idle = OPERATIONS.iter().filter(|o| !served(o.method, o.path)).map(|o| (o.method, o.path));
    missing.chain(idle).map(|(method, path)| format!("{method} {path}")).collect()
}

fn description() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints() {
        let Some(operation) = OPERATIONS.iter().find(|o| (o.method, o.path) == (endpoint.method, endpoint.path)) else {
            continue;
        };
        // OpenAPI knows no wildcard over several segments.
        let path = paths.entry(endpoint.path.replace("{*", "{")).or_insert_with(|| json!({}));
        if let Value::Object(path) = path {
            path.insert(endpoint.method.to_ascii_lowercase(), described(operation, endpoint));
        }
    }
    let mut components = schemas::all();
    components.extend([rollback::schema()]);
    for (name, make) in operations::BODIES {
        components.insert((*name).to_owned(), schema_of(*make));
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Mandate",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": operations::TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of the tenant's provider."},
                "session": {"type": "apiKey", "in": "cookie", "name": "mandate_session_PORT", "description": "A session begun at /auth/login; the cookie's name depends on the server's address. What changes something also takes X-CSRF-Token and Origin."},
            },
            "responses": {"Problem": {
                "description": "Refused or failed; `type` says why.",
                "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }},
            "headers": {
                "RequestId": {"description": "Names the request, also in the server's log.", "schema": {"type": "string"}},
                "ETag": {"description": "The version of what was answered.", "schema": {"type": "string"}},
            },
        },
    })
}

const ABOUT: &str = "Runs of Workers, decided step by step and recorded in a ledger that can be verified. Errors are \
problems (RFC 9457) from a closed list of types. Lists give `next`, a cursor for the same list under the same filters. \
Every answer has `x-request-id`. A change of configuration may say which version it has to find (`If-Match`, or \
`metadata.version` in a manifest).";

fn described(operation: &Operation, endpoint: &Endpoint) -> Value {
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters(operation, endpoint.path),
        "responses": responses(operation, endpoint),
        "security": security(endpoint.asks),
    });
    let Value::Object(map) = &mut described else { return described };
    if let Some(body) = operation.body {
        let schema = json!({"$ref": format!("#/components/schemas/{body}")});
        let content = match body {
            "CloudEvent" => json!({
                "application/cloudevents+json": {"schema": schema},
                "application/cloudevents-batch+json": {"schema": {"$ref": "#/components/schemas/CloudEvents"}},
            }),
            _ => json!({"application/json": {"schema": schema}}),
        };
        map.insert("requestBody".to_owned(), json!({"required": true, "content": content}));
    }
    if let Asks::Action(actions) = endpoint.asks {
        map.insert("x-mandate-actions".to_owned(), actions.iter().map(|a| json!(a.as_str())).collect());
    }
    described
}

fn security(asks: Asks) -> Value {
    match asks {
        Asks::Nothing => json!([]),
        Asks::SignedIn | Asks::Sender | Asks::Action(_) => json!([{"token": []}, {"session": []}]),
    }
}

fn parameters(operation: &Operation, path: &str) -> Vec<Value> {
    let mut all: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let name = name.trim_start_matches('*');
            let (about, schema) = operations::path_parameter(name);
            json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
        })
        .collect();
    if let Some(query) = operation.query {
        all.extend(query_parameters(&schema_of(query)));
    }
    all.extend(operation.headers.iter().map(|(name, about)| {
        json!({"name": name, "in": "header", "required": false, "description": about, "schema": {"type": "string"}})
    }));
    all
}

/// Each property of the type that a query string is read into.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let one = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|map| map.remove("description")).unwrap_or(Value::Null);
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            // In a query string what is null is absent.
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                if let Some(slot) = schema.get_mut("type") {
                    *slot = only;
                }
            }
        }
        let required = required.contains(&name.as_str());
        json!({"name": name, "in": "query", "required": required, "description": about, "schema": schema})
    };
    properties.into_iter().flatten().map(one).collect()
}

fn responses(operation: &Operation, endpoint: &Endpoint) -> Value {
    let mut all = Map::new();
    for (status, answer) in operation.answers {
        all.insert(status.to_string(), answered(answer));
    }
    let mut problems: Vec<u16> = operation.problems.to_vec();
    problems.extend([421, 500, 503]);
    if endpoint.asks != Asks::Nothing {
        problems.extend([400, 401, 403, 429]);
    }
    if endpoint.path.contains('{') {
        problems.push(404);
    }
    if operation.query.is_some() || operation.body.is_some() {
        problems.push(422);
    }
    if operation.body.is_some() {
        problems.extend([413, 415]);
    }
    for status in problems {
        all.entry(status.to_string()).or_insert_with(|| json!({"$ref": "#/components/responses/Problem"}));
    }
    Value::Object(all)
}

fn answered(answer: &Answer) -> Value {
    let of = |media: &str, schema: Value, about: &str| {
        json!({
            "description": about,
            "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}},
            "content": {media: {"schema": schema}},
        })
    };
    let named = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    match answer {
        Answer::Json(name) => of("application/json", named(name), "Done."),
        Answer::Versioned(name) => {
            let mut versioned = of("application/json", named(name), "Done.");
            if let Some(headers) = versioned.get_mut("headers").and_then(Value::as_object_mut) {
                headers.insert("etag".to_owned(), json!({"$ref": "#/components/headers/ETag"}));
            }
            versioned
        }
        Answer::Text(media) => of(media, json!({"type": "string"}), "Done."),
        Answer::Bytes(media) => of(media, json!({"type": "string", "contentMediaType": media}), "Done."),
        Answer::Events => of(
            "text/event-stream",
            json!({"type": "string", "description": "Server-sent events. `event: journal` has a RunEvent as data and its sequence number as id; `event: end` has a RunEnd, and is the last."}),
            "A stream of events.",
        ),
        Answer::Empty(about) => {
            json!({"description": about, "headers": {"x-request-id": {"$ref": "#/components/headers/RequestId"}}})
        }
    }
}

/// The JSON Schema of a type, with everything it refers to in it.
fn schema_of(make: operations::Make) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = make(&mut SchemaGenerator::new(settings)).to_value();
    plain(&mut schema);
    schema
}

/// Anything at all as `{}`: generators of clients stumble over `true`. Rust's names of number types go.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("title");
            let rusty = |format: &str| format.starts_with("uint") || format.starts_with("int");
            if map.get("format").and_then(Value::as_str).is_some_and(rusty) {
                map.remove("format");
            }
            if let Some(Value::Object(properties)) = map.get_mut("properties") {
                for property in properties.values_mut() {
                    plain(property);
                }
            }
            for key in ["items", "additionalProperties"] {
                if let Some(inner) = map.get_mut(key).filter(|inner| inner.is_object() || **inner == json!(true)) {
                    plain(inner);
                }
            }
        }
        Value::Bool(true) => *schema = json!({}),
        _ => {}
    }
}

/// Codes of problems, for their schema.
fn problem_types() -> Vec<String> {
    PROBLEM_TYPES.iter().map(|(code, _)| format!("https://mandate.dev/problems/{code}")).collect()
}
