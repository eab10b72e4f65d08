//! Runs: start, look, stop, resolve, and the evidence of one.

use crate::auth::Authenticated;
use crate::body::{Asked, Body, Named};
use crate::cursor::Listing;
use crate::handlers::page_size;
use crate::{ApiState, Problem, admin, conditional, view};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mandate_engine::{Denied, StartError, StartRequest, Target};
use mandate_gate::{Access, Permit};
use mandate_journal::{RunQuery, RunRecord};
use mandate_kernel::{Action, Duration, Environment, ResourceName, RunId, StepSeq, is_exact};
use mandate_ledger::EventKind;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest a request may wait for a run, in seconds.
const MAX_WAIT: u64 = 60;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartBody {
    /// `PROJECT/NAME` of the Worker.
    #[schemars(with = "String")]
    worker: ResourceName,
    /// Where; the Worker's default when absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    environment: Option<Environment>,
    /// Why, in words a reviewer will understand.
    purpose: String,
    /// What the Worker works on.
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    /// Answer when the run has ended or waits, or after so many seconds, 60 at most.
    wait: Option<u64>,
}

impl Wait {
    fn patience(&self) -> Option<Duration> {
        self.wait.map(|secs| Duration::from_secs(secs.min(MAX_WAIT)))
    }
}

pub(crate) async fn start(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(wait): Asked<Wait>,
    headers: HeaderMap,
    Body(body): Body<StartBody>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let start_key = start_key(&headers)?;
    let request = StartRequest {
        worker: body.worker,
        environment: body.environment,
        purpose: body.purpose,
        input: body.input,
        start_key,
    };
    begin(&state, &who, wait, request).await
}

/// The caller's word that a repetition is the same request.
pub(crate) fn start_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    headers.get("idempotency-key").map(|value| idempotency_key(value.to_str().unwrap_or_default())).transpose()
}

/// Starts a run, or finds the one that the same request started.
pub(crate) async fn begin(
    state: &ApiState,
    who: &Authenticated,
    wait: Wait,
    request: StartRequest,
) -> Result<(StatusCode, Json<Value>), Problem> {
    state.door.throttle.start(&who.caller, state.engine.ports().clock.now())?;
    let asked = request.clone();
    let (run, again) = match state.engine.start(&who.caller, request).await {
        Ok(started) => (started.run, false),
        // The same request again: the answer is the run it started.
        Err(StartError::Duplicate(run)) => (run, true),
        Err(other) => return Err(other.into()),
    };
    let patience = wait.patience().unwrap_or(Duration::from_millis(0));
    let record = state.engine.settled(&who.context, &run, patience).await?;
    if again && !(is_of(&record, &asked) && same_input(state, who, &record, &asked.input).await?) {
        return Err(StartError::Duplicate(run).into());
    }
    Ok((StatusCode::CREATED, Json(shown(state, who, &record).await?)))
}

/// Whether the run is what this request asks for, as far as a run tells.
fn is_of(record: &RunRecord, asked: &StartRequest) -> bool {
    let environment = asked.environment.as_ref().is_none_or(|environment| *environment == record.new.environment);
    environment && record.new.worker == asked.worker && record.new.purpose == asked.purpose.trim()
}

/// Whether a run was started with this input. One that was refused at its start kept none.
async fn same_input(state: &ApiState, who: &Authenticated, record: &RunRecord, asked: &Value) -> Result<bool, Problem> {
    let held = state.engine.input(&who.context, record).await?;
    Ok(held.is_none_or(|held| held == *asked))
}

fn idempotency_key(text: &str) -> Result<String, Problem> {
    let fine = (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if fine {
        Ok(text.to_owned())
    } else {
        Err(Problem::invalid("invalid-idempotency-key", "Idempotency-Key takes 1 to 200 visible ASCII characters"))
    }
}

/// The run, if the caller may do `action` with it. What they may not even see is absent for them; the
/// refusal is in the ledger either way.
pub(crate) async fn allowed(
    state: &ApiState,
    who: &Authenticated,
    run: &str,
    action: Action,
) -> Result<(RunRecord, Permit<Access>), Problem> {
    let absent = || Problem::absent(&format!("run {}", run.chars().take(80).collect::<String>()));
    let id: RunId = run.parse().map_err(|_| absent())?;
    let Some(record) = who.context.store().run(&id).await? else {
        let judged = state.engine.authorize(&who.context, &who.caller, action, &Target::AbsentRun(&id)).await;
        return Err(match judged {
            Err(Denied::Failed(error)) => error.into(),
            Err(Denied::Refused(refusal)) => absent().decision(refusal.decision),
            Ok(_) => absent(),
        });
    };
    match state.engine.authorize(&who.context, &who.caller, action, &Target::Run(&record)).await {
        Ok(permit) => Ok((record, permit)),
        Err(Denied::Refused(refusal)) => {
            let visible = state.engine.may(&who.context, &who.caller, Action::RunView, &Target::Run(&record)).await?;
            Err(if visible { Problem::refused(&refusal) } else { absent().decision(refusal.decision) })
        }
        Err(failed) => Err(failed.into()),
    }
}

pub(crate) async fn one(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
    headers: HeaderMap,
    Asked(wait): Asked<Wait>,
) -> Result<Response, Problem> {
    let (mut record, _) = allowed(&state, &who, &run, Action::RunView).await?;
    if let Some(patience) = wait.patience() {
        record = state.engine.settled(&who.context, &record.run, patience).await?;
    }
    let body = shown(&state, &who, &record).await?;
    Ok(conditional::answer(&headers, &conditional::tag_of(&body), body))
}

/// A run as the caller may see it: what an error says of the run's data is for whoever started it, and for those
/// who may read its results.
async fn shown(state: &ApiState, who: &Authenticated, record: &RunRecord) -> Result<Value, Problem> {
    let mut body = view::run(record);
    let Some(Value::Object(error)) = state.engine.error_said(&who.context, record).await? else { return Ok(body) };
    let may_read = may_read(state, who, record).await?;
    if let (true, Some(Value::Object(problem))) = (may_read, body.get_mut("problem")) {
        problem.extend(error);
    }
    Ok(body)
}

/// Whether the caller may see what a run tells of its data: they started it, or may read its results.
pub(crate) async fn may_read(state: &ApiState, who: &Authenticated, record: &RunRecord) -> Result<bool, Problem> {
    Ok(who.caller.principal == record.new.initiator
        || state.engine.may(&who.context, &who.caller, Action::ArtifactRead, &Target::Run(record)).await?)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(alias = "before")]
    cursor: Option<String>,
    /// Only runs of this Worker.
    worker: Option<String>,
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let bad = |what: &str| Problem::invalid("invalid-query", format!("`{what}` is not a name"));
    let filters = query.worker.clone().unwrap_or_default();
    let listing = Listing { tenant: who.context.tenant(), list: "runs", filters };
    let mut before: Option<RunId> = listing.parsed(query.cursor.as_deref())?;
    let worker = query.worker.as_deref().map(str::parse::<ResourceName>).transpose().map_err(|_| bad("worker"))?;
    let limit = page_size(query.limit);
    let mut items = Vec::new();
    loop {
        let page = who.context.store().runs(RunQuery { limit, before: before.clone(), worker: worker.clone() }).await?;
        for record in &page.items {
            before = Some(record.run.clone());
            if state.engine.may(&who.context, &who.caller, Action::RunView, &Target::Run(record)).await? {
                items.push(view::run(record));
                if items.len() == limit {
                    return Ok(Json(view::list(items, before.map(|last| listing.after(last.as_str())))));
                }
            }
        }
        if !page.more {
            return Ok(Json(view::list(items, None)));
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntriesQuery {
    /// Only entries from this place in the run's chain on; 0 is the first.
    from: Option<u64>,
}

pub(crate) async fn entries(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
    Asked(query): Asked<EntriesQuery>,
) -> Result<Json<Value>, Problem> {
    let (record, _) = allowed(&state, &who, &run, Action::RunView).await?;
    let entries = who.context.store().run_entries(&record.run).await?;
    // A run's chain has no gaps, so that an entry's place in it is its sequence number.
    let from = query.from.unwrap_or(0);
    let wanted = entries.iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
    Ok(Json(view::list(wanted.map(|(index, bytes)| view::entry(*index, bytes)).collect(), None)))
}

pub(crate) async fn kill(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
) -> Result<Json<Value>, Problem> {
    let (record, permit) = allowed(&state, &who, &run, Action::RunKill).await?;
    let (killed, record) = state.engine.kill(&who.context, &permit, &record).await?;
    let mut answer = view::run(&record);
    if let Value::Object(map) = &mut answer {
        map.insert("stopped_at".to_owned(), json!(killed.stopped_at.to_string()));
        map.insert("in_flight".to_owned(), killed.in_flight.iter().map(view::in_flight).collect());
        map.insert("already_ended".to_owned(), json!(killed.already_ended));
    }
    Ok(Json(answer))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveBody {
    /// Which step; may be left out when only one is in doubt.
    #[serde(default)]
    #[schemars(with = "Option<u32>")]
    step: Option<StepSeq>,
    /// Whether the effect happened.
    happened: bool,
    /// The value that the run goes on with, if it happened.
    #[serde(default)]
    value: Value,
}

pub(crate) async fn resolve(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
    Body(body): Body<ResolveBody>,
) -> Result<Json<Value>, Problem> {
    let (record, permit) = allowed(&state, &who, &run, Action::RunResolve).await?;
    if !is_exact(&body.value) {
        return Err(Problem::invalid("inexact-number", "`value` holds an integer beyond 2^53: write it as text"));
    }
    let happened = body.happened.then_some(body.value);
    let record = state.engine.resolve(&who.context, &permit, &record, body.step, happened).await?;
    Ok(Json(view::run(&record)))
}

pub(crate) async fn passport(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
) -> Result<Response, Problem> {
    let (record, permit) = allowed(&state, &who, &run, Action::PassportExport).await?;
    if !record.status.state.is_terminal() {
        let detail = format!("it is {}; a passport tells a whole run", record.status.state.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, "run-not-ended", "The run has not ended").detail(detail));
    }
    let bytes = state.engine.passport(&who.context, &record, Duration::from_secs(MAX_WAIT)).await?;
    admin::note(&state.engine, &who.context, &permit, EventKind::PassportExported, json!({"name": record.run})).await?;
    Ok(file(bytes))
}

pub(crate) async fn artifact(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
) -> Result<Response, Problem> {
    let (record, permit) = allowed(&state, &who, &run, Action::ArtifactRead).await?;
    let bytes = state.engine.artifact(&who.context, &record).await?;
    admin::note(&state.engine, &who.context, &permit, EventKind::ArtifactRead, json!({"name": record.run})).await?;
    Ok(file(bytes))
}

fn file(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}
