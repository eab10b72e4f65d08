//! What each endpoint takes and gives, beside what its line in the table of endpoints says.

use crate::handlers::{
    apply, approvals, auth, events, grants, resources, rollback, runs, schedules, search, secrets, tasks, workers,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

/// Makes the schema of a type.
pub(super) type Make = fn(&mut SchemaGenerator) -> Schema;

/// What an operation answers when all goes well.
pub(super) enum Answer {
    /// JSON of a schema.
    Json(&'static str),
    /// The same, with an `ETag`.
    Versioned(&'static str),
    /// Text of a media type.
    Text(&'static str),
    /// A file of a media type.
    Bytes(&'static str),
    /// Events of a run.
    Events,
    /// Nothing, or a redirection.
    Empty(&'static str),
}

/// One operation.
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    pub query: Option<Make>,
    pub body: Option<&'static str>,
    pub headers: &'static [(&'static str, &'static str)],
    pub answers: &'static [(u16, Answer)],
    /// Problems beyond those that follow from what it takes and asks.
    pub problems: &'static [u16],
}

pub(super) const TAGS: &[(&str, &str)] = &[
    ("workers", "Published Workers, each with its own way to run it."),
    ("runs", "Runs: start, watch, stop, resolve, and their evidence."),
    ("events", "Events that come in, and Workers that start by themselves."),
    ("approvals", "What waits for a person's word."),
    ("configuration", "Resources, secrets and grants."),
    ("audit", "The ledger: search, proofs, export."),
    ("sign-in", "Browsers and who they belong to."),
    ("system", "The state of this server."),
];

/// Bodies of requests, by the name of their schema.
pub(super) const BODIES: &[(&str, Make)] = &[
    ("StartRun", runs::StartBody::json_schema),
    ("StartWorkerRun", workers::RunBody::json_schema),
    ("ResolveRun", runs::ResolveBody::json_schema),
    ("RollBackRun", rollback::RollbackBody::json_schema),
    ("ApprovalAnswer", approvals::AnswerBody::json_schema),
    ("Apply", apply::ApplyBody::json_schema),
    ("GrantRequest", grants::GrantBody::json_schema),
    ("PutSecret", secrets::PutBody::json_schema),
    ("StandingGrantRequest", schedules::StandingBody::json_schema),
    ("StandingGrantRevocation", schedules::StandingRevocation::json_schema),
];

const NONE_MATCH: (&str, &str) = ("If-None-Match", "The ETag held already: the answer is 304 when it is still that.");
const KEY: (&str, &str) = (
    "Idempotency-Key",
    "1 to 200 visible characters, unique for this request of yours: a repetition is answered with the run that the first one started.",
);
const UNCHANGED: (u16, Answer) = (304, Answer::Empty("What is held is still current."));

const PLAIN: Operation = Operation {
    method: "GET",
    path: "",
    id: "",
    tag: "",
    summary: "",
    query: None,
    body: None,
    headers: &[],
    answers: &[],
    problems: &[],
};

macro_rules! operation {
    ($method:literal $path:literal, $id:literal, $tag:literal, $summary:literal, $answers:expr $(, $field:ident: $value:expr)*) => {{
        #[allow(unused_mut, reason = "some have nothing beyond what all have")]
        let mut operation =
            Operation { method: $method, path: $path, id: $id, tag: $tag, summary: $summary, answers: $answers, ..PLAIN };
        $(operation.$field = $value;)*
        operation
    }};
}

use Answer::{Bytes, Empty, Events, Json, Text, Versioned};

/// Every operation.
pub(super) const OPERATIONS: &[Operation] = &[
    operation!("GET" "/livez", "live", "system", "Whether the process answers.", &[(200, Json("Status"))]),
    operation!("GET" "/readyz", "ready", "system", "Whether every tenant's store answers.", &[(200, Json("Status"))]),
    operation!("GET" "/metrics", "metrics", "system", "Metrics: of everything for a peer on the loopback address that names nobody, else of the caller's tenant.", &[(200, Text("text/plain"))]),
    operation!("GET" "/v1/openapi.json", "openapi", "system", "This description.", &[(200, Versioned("OpenApi")), UNCHANGED], headers: &[NONE_MATCH]),
    operation!("GET" "/t/{tenant}/.well-known/jwks.json", "jwks", "system", "The public keys of a tenant's tokens.", &[(200, Json("Jwks"))]),
    operation!("GET" "/auth/tenants", "tenants", "sign-in", "The tenants of this server, and who vouches for their people.", &[(200, Json("Tenants"))]),
    operation!("GET" "/auth/login", "login", "sign-in", "Sends a browser to its tenant's provider.", &[(303, Empty("Go there."))], query: Some(auth::Login::json_schema), problems: &[400, 404, 429]),
    operation!("GET" "/auth/callback", "callback", "sign-in", "Where the provider sends the browser back to.", &[(303, Empty("Signed in; go on."))], query: Some(auth::Callback::json_schema), problems: &[400, 429]),
    operation!("POST" "/auth/logout", "logout", "sign-in", "Ends the session.", &[(204, Empty("Signed out."))]),
    operation!("GET" "/v1/session", "session", "sign-in", "Who is signed in by this browser.", &[(200, Json("Session"))]),
    operation!("GET" "/v1/me", "me", "sign-in", "Who is asking.", &[(200, Json("Me"))]),
    operation!("POST" "/v1/apply", "apply", "configuration", "Applies manifests, all or none.", &[(200, Json("Applied"))], body: Some("Apply"),
        headers: &[("If-Match", "The ETag that the one manifest's resource has to have."), ("If-None-Match", "`*`: the one manifest's resource must not exist.")], problems: &[409, 412]),
    operation!("GET" "/v1/resources/{kind}", "listResources", "configuration", "Resources of a kind, by name.", &[(200, Json("ResourcePage"))], query: Some(resources::ListQuery::json_schema)),
    operation!("GET" "/v1/resources/{kind}/{project}/{name}", "getResource", "configuration", "One resource.", &[(200, Versioned("Resource")), UNCHANGED], headers: &[NONE_MATCH]),
    operation!("GET" "/v1/workers", "listWorkers", "workers", "Workers the caller may see, by name.", &[(200, Json("WorkerPage"))], query: Some(workers::ListQuery::json_schema)),
    operation!("GET" "/v1/workers/{project}/{name}", "getWorker", "workers", "One Worker: what it takes and gives.", &[(200, Versioned("Worker")), UNCHANGED], headers: &[NONE_MATCH]),
    operation!("POST" "/v1/workers/{project}/{name}/runs", "runWorker", "workers", "Starts a run of this Worker. Input that does not fit its schema starts none.", &[(201, Json("Run"))], query: Some(runs::Wait::json_schema), body: Some("StartWorkerRun"), headers: &[KEY], problems: &[409]),
    operation!("POST" "/v1/runs", "startRun", "runs", "Starts a run.", &[(201, Json("Run"))], query: Some(runs::Wait::json_schema), body: Some("StartRun"), headers: &[KEY], problems: &[404, 409]),
    operation!("GET" "/v1/runs", "listRuns", "runs", "Runs the caller may see, newest first.", &[(200, Json("RunPage"))], query: Some(runs::ListQuery::json_schema)),
    operation!("GET" "/v1/runs/{run}", "getRun", "runs", "One run.", &[(200, Versioned("Run")), UNCHANGED], query: Some(runs::Wait::json_schema), headers: &[NONE_MATCH]),
    operation!("GET" "/v1/runs/{run}/entries", "getRunEntries", "runs", "What the ledger says about a run, in order.", &[(200, Json("EntryPage"))], query: Some(runs::EntriesQuery::json_schema)),
    operation!("GET" "/v1/runs/{run}/forensics", "getRunForensics", "runs", "Why a run went wrong, with the entries that show it.", &[(200, Json("Forensics"))]),
    operation!("GET" "/v1/runs/{run}/tasks", "getRunTasks", "runs", "The tasks of a run that began, in that order, also those without effects. Whoever may not read the run's results is shown those alone that no data decided on.", &[(200, Json("TaskPage"))], query: Some(tasks::TasksQuery::json_schema)),
    operation!("GET" "/v1/runs/{run}/events", "watchRun", "runs", "A run as it happens. The id of an event is its place in the run's journal.", &[(200, Events)], query: Some(events::EventsQuery::json_schema),
        headers: &[("Last-Event-ID", "The last event that was seen: the stream goes on after it.")]),
    operation!("POST" "/v1/runs/{run}/kill", "killRun", "runs", "Stops a run: nothing of it is admitted once this is answered.", &[(200, Json("Killed"))], problems: &[409]),
    operation!("POST" "/v1/runs/{run}/resolve", "resolveRun", "runs", "Says what became of a step whose outcome is unknown.", &[(200, Json("Run"))], body: Some("ResolveRun"), problems: &[409]),
    operation!("GET" "/v1/runs/{run}/rollback", "planRollback", "runs", "What of a run can be undone, newest effect first.", &[(200, Json("Rollback"))], problems: &[409]),
    operation!("POST" "/v1/runs/{run}/rollback", "rollBackRun", "runs", "Starts a run that undoes what can be undone, each step judged like any.", &[(201, Json("Rollback"))], body: Some("RollBackRun"), problems: &[409]),
    operation!("GET" "/v1/runs/{run}/passport", "getPassport", "runs", "The passport of a run that has ended: its evidence in one file.", &[(200, Json("Passport"))], problems: &[409]),
    operation!("GET" "/v1/runs/{run}/artifact", "getArtifact", "runs", "The signed artefact of a run.", &[(200, Json("Artifact"))], problems: &[409]),
    operation!("GET" "/v1/approvals", "listApprovals", "approvals", "Approvals the caller may see, newest first.", &[(200, Json("ApprovalPage"))], query: Some(approvals::ListQuery::json_schema)),
    operation!("GET" "/v1/approvals/{approval}", "getApproval", "approvals", "One approval, with exactly what waits.", &[(200, Json("Approval"))]),
    operation!("POST" "/v1/approvals/{approval}/approve", "approve", "approvals", "Says yes to exactly what the digest names.", &[(200, Json("Approval"))], body: Some("ApprovalAnswer"), problems: &[409]),
    operation!("POST" "/v1/approvals/{approval}/deny", "deny", "approvals", "Says no to exactly what the digest names.", &[(200, Json("Approval"))], body: Some("ApprovalAnswer"), problems: &[409]),
    operation!("POST" "/v1/events", "sendEvents", "events", "Takes CloudEvents of a registered source in, all or none: one, a batch, or one whose attributes are `ce-` headers. They are durable once this is answered.", &[(202, Json("Taken"))], body: Some("CloudEvent")),
    operation!("GET" "/v1/schedules", "listSchedules", "events", "Workers with a schedule that the caller may see, by name.", &[(200, Json("SchedulePage"))]),
    operation!("POST" "/v1/schedules/grant", "giveStandingGrant", "events", "Lets a Worker, in its present version, start by itself in the caller's name.", &[(201, Json("StandingGrant"))], body: Some("StandingGrantRequest"), problems: &[404, 409]),
    operation!("POST" "/v1/schedules/revoke", "revokeStandingGrant", "events", "Takes a standing grant back, at once.", &[(200, Json("StandingGrant"))], body: Some("StandingGrantRevocation"), problems: &[404, 409]),
    operation!("GET" "/v1/grants", "listGrants", "configuration", "Grants of credentials the caller may see.", &[(200, Json("GrantPage"))]),
    operation!("POST" "/v1/grants", "giveGrant", "configuration", "Lets a Worker use a credential through a function, in their present versions.", &[(201, Json("Grant"))], body: Some("GrantRequest"), problems: &[404, 409]),
    operation!("POST" "/v1/grants/revoke", "revokeGrant", "configuration", "Takes a grant back, at once.", &[(200, Json("Grant"))], body: Some("GrantRequest"), problems: &[404, 409]),
    operation!("GET" "/v1/secrets", "listSecrets", "configuration", "Credentials the caller may see, without their secrets.", &[(200, Json("SecretPage"))]),
    operation!("PUT" "/v1/secrets/{project}/{name}", "putSecret", "configuration", "Puts a new version of a credential's secret in.", &[(200, Json("SecretPut"))], body: Some("PutSecret"), problems: &[409]),
    operation!("POST" "/v1/keys/{role}/rotate", "rotateKey", "system", "Has a successor of a signing key introduced.", &[(200, Json("KeyRotated"))], problems: &[409]),
    operation!("GET" "/v1/audit/checkpoint", "getCheckpoint", "audit", "The newest cosigned checkpoint (C2SP tlog-checkpoint).", &[(200, Text("text/plain; charset=utf-8"))]),
    operation!("GET" "/v1/audit/tile/{*path}", "getTile", "audit", "A tile of the tree, or of entries (C2SP tlog-tiles).", &[(200, Bytes("application/octet-stream"))]),
    operation!("GET" "/v1/audit/proof/{index}", "getProof", "audit", "That an entry is in the ledger.", &[(200, Json("Proof"))]),
    operation!("GET" "/v1/audit/search", "searchAudit", "audit", "Entries, newest first, as the tree was made of them.", &[(200, Json("EntryPage"))], query: Some(search::SearchQuery::json_schema)),
    operation!("POST" "/v1/audit/exports", "exportAudit", "audit", "Permission to export, recorded; the files are then read one by one.", &[(200, Json("Export"))]),
];

/// What a part of a path is.
pub(super) fn path_parameter(name: &str) -> (&'static str, Value) {
    let text = json!({"type": "string"});
    match name {
        "tenant" => ("The tenant.", text),
        "kind" => ("The kind, such as `Worker`.", text),
        "project" => ("The project.", text),
        "name" => ("The name within the project.", text),
        "run" => ("The run.", json!({"type": "string", "pattern": "^run_[0-9A-Z]{26}$"})),
        "approval" => ("The approval.", json!({"type": "string", "pattern": "^apr_[0-9A-Z]{26}$"})),
        "role" => ("The key's role.", json!({"enum": ["log", "evidence", "token"]})),
        "index" => ("The entry's index.", json!({"type": "integer", "minimum": 0})),
        _ => ("The rest of the path.", text),
    }
}
