//! Schemas of answers. Each names everything that is in an answer; a test holds them against real ones, so
//! that a field which appears, goes or changes its type is noticed.

use super::{problem_types, schemas_of_runs};
use crate::handlers::events;
use mandate_engine::KeyRole;
use mandate_journal::ApprovalState;
use mandate_ledger::EventKind;
use serde_json::{Map, Value, json};

/// Every schema, by name.
pub(super) fn all() -> Map<String, Value> {
    let parts = [
        vocabulary(),
        problems(),
        schemas_of_runs::runs(),
        of_events(),
        approvals(),
        workers(),
        configuration(),
        audit(),
        people(),
        super::occasions::part(),
    ];
    parts.into_iter().flatten().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

pub(super) type Part = Vec<(&'static str, Value)>;

pub(super) fn text() -> Value {
    json!({"type": "string"})
}

pub(super) fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

pub(super) fn digest() -> Value {
    json!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
}

pub(super) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

pub(super) fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

pub(super) fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object with these members, all of them there.
pub(super) fn object(about: &str, members: &[(&str, Value)]) -> Value {
    partial(about, members, &[])
}

/// An object with members that are always there, and some that may be.
pub(super) fn partial(about: &str, always: &[(&str, Value)], maybe: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        always.iter().chain(maybe).map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let required: Vec<&str> = always.iter().map(|(name, _)| *name).collect();
    json!({"type": "object", "description": about, "properties": properties, "required": required})
}

/// A page of a list.
pub(super) fn page(of: &str) -> Value {
    let next =
        json!({"type": ["string", "null"], "description": "The cursor of the next page; null when this is the last."});
    object("A page of a list.", &[("items", list(refer(of))), ("next", next)])
}

fn vocabulary() -> Part {
    let data = json!({"enum": ["internal", "financial", "personal", "regulated"]});
    let impact = json!({"enum": ["read-only", "analysis-only", "action-taking"]});
    let source = object("Where a value came from.", &[("origin", text()), ("digest", digest())]);
    let readers = json!({
        "anyOf": [
            {"const": "anyone"},
            {"type": "object", "properties": {"groups": {"type": "array", "items": {"type": "string"}}}, "required": ["groups"]},
        ],
    });
    let states = ["running", "waiting", "paused", "completed", "refused", "faulted", "cancelled"];
    let waits = ["approval", "step-up", "timer", "event", "outcome-unknown"];
    vec![
        (
            "Class",
            object(
                "What work does to the world, and with which data.",
                &[("impact", impact), ("data", list(data.clone()))],
            ),
        ),
        (
            "Labels",
            partial(
                "What is known about a value.",
                &[],
                &[
                    ("confidentiality", json!({"enum": ["public", "internal", "confidential", "restricted"]})),
                    ("integrity", json!({"enum": ["untrusted", "derived", "authoritative"]})),
                    ("readers", readers),
                    ("categories", list(data)),
                    ("sources", list(source)),
                ],
            ),
        ),
        ("RunState", json!({"enum": states})),
        ("WaitingFor", json!({"enum": waits})),
        ("Status", object("It works.", &[("status", json!({"const": "ok"}))])),
        (
            "OpenApi",
            json!({"type": "object", "description": "An OpenAPI 3.1 document.", "required": ["openapi", "paths"]}),
        ),
        ("Jwks", object("JSON Web Key Set (RFC 7517).", &[("keys", list(json!({"type": "object"})))])),
    ]
}

fn problems() -> Part {
    let field = object("A place in the request.", &[("pointer", text()), ("message", text())]);
    let of_run = partial(
        "Why a run ended, or waits.",
        &[("type", text()), ("title", text()), ("status", json!({"type": "integer"}))],
        &[("detail", text()), ("instance", text()), ("decision", text())],
    );
    let problem = partial(
        "A problem (RFC 9457).",
        &[
            ("type", json!({"enum": problem_types()})),
            ("title", text()),
            ("status", json!({"type": "integer", "minimum": 400, "maximum": 599})),
        ],
        &[
            ("detail", text()),
            ("instance", json!({"type": "string", "description": "The request."})),
            (
                "decision",
                json!({"type": "string", "description": "The decision behind a refusal; it is in the ledger."}),
            ),
            ("errors", list(refer("FieldError"))),
        ],
    );
    vec![("FieldError", field), ("Problem", problem), ("RunProblem", of_run)]
}

fn of_events() -> Part {
    let event = partial(
        "One event of a run's journal, without values: the data of `event: journal`.",
        &[("seq", json!({"type": "integer", "minimum": 1})), ("at", time()), ("type", refer("RunEventType"))],
        &[
            ("step", count()),
            ("attempt", count()),
            ("path", text()),
            ("function", text()),
            ("decision", text()),
            ("outcome", json!({"enum": ["value", "error"]})),
            ("approvals", list(text())),
            ("until", time()),
            ("waiting_for", refer("WaitingFor")),
            ("state", or_null(refer("RunState"))),
        ],
    );
    vec![
        ("RunEventType", json!({"enum": events::KINDS})),
        ("RunEvent", event),
        ("RunEnd", object("The data of `event: end`.", &[("run", text()), ("state", refer("RunState"))])),
    ]
}

fn approvals() -> Part {
    let states: Vec<&str> = ApprovalState::ALL.iter().map(|state| state.as_str()).collect();
    let anything = json!({"description": "As the step, the form or the person gave it."});
    let credential = object("A credential and its version.", &[("name", text()), ("version", count())]);
    let approval = object(
        "What waits for a person's word.",
        &[
            ("id", text()),
            ("kind", json!({"enum": ["gate", "review"]})),
            ("run", text()),
            ("worker", text()),
            ("worker_version", digest()),
            ("step", count()),
            ("path", text()),
            ("function", text()),
            ("purpose", text()),
            ("requested_by", text()),
            ("groups", list(text())),
            ("destination", text()),
            ("environment", text()),
            ("credential", or_null(credential)),
            ("arguments", anything.clone()),
            ("canonical", or_null(text())),
            ("arguments_digest", digest()),
            ("labels", refer("Labels")),
            ("title", or_null(text())),
            ("form", anything.clone()),
            ("asked_at", time()),
            ("expires_at", time()),
            ("state", json!({"enum": states})),
            ("decided_by", or_null(text())),
            ("decided_at", or_null(time())),
            ("comment", or_null(text())),
            ("answer", anything),
            ("you_may", flag()),
            ("you_may_read", flag()),
            ("why_not", or_null(text())),
        ],
    );
    vec![("Approval", approval), ("ApprovalPage", page("Approval"))]
}

fn workers() -> Part {
    let schema = json!({"description": "A JSON Schema, or null.", "type": ["object", "boolean", "null"]});
    let artifact = object("What its output becomes.", &[("name", text()), ("mediaType", text())]);
    let worker = object(
        "A published Worker.",
        &[
            ("name", text()),
            ("description", text()),
            ("version", digest()),
            ("number", count()),
            ("class", refer("Class")),
            ("environments", list(text())),
            ("default_environment", text()),
            ("functions", list(text())),
            ("artifact", or_null(artifact)),
            ("input_schema", schema.clone()),
            ("output_schema", schema),
            ("runs", json!({"type": "string", "description": "Where its runs are started."})),
        ],
    );
    vec![("Worker", worker), ("WorkerPage", page("Worker"))]
}

fn configuration() -> Part {
    let metadata = object(
        "Which version of what.",
        &[("name", text()), ("version", count()), ("digest", digest()), ("writtenBy", text()), ("writtenAt", time())],
    );
    let resource = object(
        "A resource.",
        &[("apiVersion", text()), ("kind", text()), ("metadata", metadata), ("spec", json!({"type": "object"}))],
    );
    let item = object(
        "What became of a manifest.",
        &[("kind", text()), ("name", text()), ("version", count()), ("digest", digest()), ("changed", flag())],
    );
    let lost = ["grant", "credential", "worker", "function", "why", "owner"].map(|name| (name, text()));
    let lost = object("A grant that has to be given again.", &lost);
    let secret = object(
        "A credential, without its secret.",
        &[
            ("name", text()),
            ("owner", text()),
            ("environment", text()),
            ("destinations", list(text())),
            ("versions", count()),
            ("newest_at", or_null(time())),
        ],
    );
    let applied = object(
        "What was applied.",
        &[
            ("items", list(item)),
            ("invalidated_grants", list(lost)),
            ("unscheduled", list(super::occasions::unscheduled())),
        ],
    );
    vec![
        ("Resource", resource),
        ("ResourcePage", page("Resource")),
        ("Applied", applied),
        ("Grant", super::occasions::grant()),
        ("GrantPage", page("Grant")),
        ("Secret", secret),
        ("SecretPage", page("Secret")),
        ("SecretPut", object("A secret's new version.", &[("name", text()), ("version", count())])),
    ]
}

fn audit() -> Part {
    let kinds: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let entry = object(
        "A ledger entry, decoded.",
        &[
            (
                "index",
                json!({"type": ["integer", "null"], "description": "Its place in the tree; null while it has none."}),
            ),
            ("time", time()),
            ("kind", json!({"enum": kinds})),
            ("actor", text()),
            ("run", or_null(text())),
            ("seq", or_null(count())),
            ("details", json!({"type": "object"})),
        ],
    );
    let unreadable = object("An entry that can't be decoded.", &[("index", or_null(count())), ("unreadable", text())]);
    let proof = object(
        "That an entry is in the tree.",
        &[
            ("index", count()),
            ("entry", json!({"type": "string", "contentEncoding": "base64"})),
            ("proof", list(json!({"type": "string", "contentEncoding": "base64"}))),
            ("checkpoint", text()),
        ],
    );
    let roles: Vec<&str> = KeyRole::ALL.iter().map(|role| role.as_str()).collect();
    vec![
        ("ReadableEntry", entry),
        ("UnreadableEntry", unreadable),
        ("Entry", json!({"anyOf": [refer("ReadableEntry"), refer("UnreadableEntry")]})),
        ("EntryPage", page("Entry")),
        ("Proof", proof),
        ("Export", object("What may be exported.", &[("size", count()), ("checkpoint", text())])),
        ("KeyRotated", object("The key that signs now.", &[("role", json!({"enum": roles})), ("key", text())])),
    ]
}

fn people() -> Part {
    let tenant = object(
        "A tenant, and who vouches for its people.",
        &[
            ("tenant", text()),
            ("provider", text()),
            ("issuer", text()),
            ("browser", flag()),
            ("command_line", or_null(text())),
            ("scopes", list(text())),
        ],
    );
    let me = [("subject", text()), ("tenant", text()), ("groups", list(text()))];
    let more = [("name", text()), ("csrf", text()), ("expires_at", time())];
    let session: Vec<_> = me.iter().cloned().chain(more).collect();
    vec![
        ("Tenants", object("The tenants of this server.", &[("tenants", list(tenant))])),
        ("Me", object("Who is asking.", &me)),
        ("Session", object("Who is signed in by this browser.", &session)),
    ]
}
