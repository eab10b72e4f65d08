//! The ledger in C2SP tlog-tiles form, proofs, search and export.

use crate::auth::Authenticated;
use crate::body::{Asked, Named};
use crate::handlers::page_size;
use crate::{ApiState, Problem, admin, view};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mandate_engine::Target;
use mandate_kernel::{Action, base64_encode};
use mandate_ledger::EventKind;
use serde::Deserialize;
use serde_json::{Value, json};

async fn may_read(state: &ApiState, who: &Authenticated) -> Result<(), Problem> {
    state.engine.authorize(&who.context, &who.caller, Action::LedgerRead, &Target::Ledger).await?;
    Ok(())
}

pub(crate) async fn checkpoint(State(state): State<ApiState>, who: Authenticated) -> Result<String, Problem> {
    may_read(&state, &who).await?;
    Ok(state.engine.checkpoint(&who.context).await?.1)
}

pub(crate) async fn tile(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(path): Named<String>,
) -> Result<Response, Problem> {
    may_read(&state, &who).await?;
    let bytes = state.engine.tile(&who.context, &format!("tile/{path}")).await?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(crate) async fn proof(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(index): Named<u64>,
) -> Result<Json<Value>, Problem> {
    may_read(&state, &who).await?;
    let found = state.engine.prove(&who.context, index).await?;
    Ok(Json(json!({
        "index": found.index,
        "entry": base64_encode(&found.entry),
        "proof": found.proof.iter().map(|d| base64_encode(d.as_bytes())).collect::<Vec<_>>(),
        "checkpoint": found.checkpoint,
    })))
}

/// Permission to export, recorded. The files are then read one by one.
pub(crate) async fn export(State(state): State<ApiState>, who: Authenticated) -> Result<Json<Value>, Problem> {
    let permit = state.engine.authorize(&who.context, &who.caller, Action::LedgerExport, &Target::Ledger).await?;
    let (size, checkpoint) = state.engine.checkpoint(&who.context).await?;
    admin::note(&state.engine, &who.context, &permit, EventKind::LedgerExported, json!({"size": size})).await?;
    Ok(Json(json!({"size": size, "checkpoint": checkpoint})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    actor: Option<String>,
    kind: Option<String>,
    run: Option<String>,
    limit: Option<usize>,
    before: Option<u64>,
}

/// Entries looked at in one request at most; the answer's cursor goes on from there.
const LOOK_AT: u64 = 5_000;

pub(crate) async fn search(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(query): Asked<SearchQuery>,
) -> Result<Json<Value>, Problem> {
    may_read(&state, &who).await?;
    let size = who.context.store().head().await?.frontier.size();
    let end = query.before.unwrap_or(size).min(size);
    let start = end.saturating_sub(LOOK_AT);
    let entries = who.context.store().entries(start, end).await?;
    let fits = |value: &Value| {
        let is = |key: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|w| value.get(key).and_then(Value::as_str) == Some(w))
        };
        is("actor", &query.actor) && is("kind", &query.kind) && is("run", &query.run)
    };
    let limit = page_size(query.limit);
    let mut items = Vec::new();
    for (back, bytes) in entries.iter().rev().enumerate() {
        let index = end - 1 - back as u64;
        let shown = view::entry(Some(index), bytes);
        if fits(&shown) {
            items.push(shown);
            if items.len() == limit {
                return Ok(Json(view::list(items, Some(index.to_string()))));
            }
        }
    }
    Ok(Json(view::list(items, (start > 0).then(|| start.to_string()))))
}
