//! The ledger in C2SP tlog-tiles form, proofs and export.

use crate::auth::Authenticated;
use crate::body::Named;
use crate::{ApiState, Problem, admin};
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use mandate_engine::Target;
use mandate_journal::TenantStore;
use mandate_kernel::{Action, base64_encode};
use mandate_ledger::{EventKind, leaf_hash};
use serde_json::{Value, json};

pub(crate) async fn may_read(state: &ApiState, who: &Authenticated) -> Result<(), Problem> {
    state.engine.authorize(&who.context, &who.caller, Action::LedgerRead, &Target::Ledger).await?;
    Ok(())
}

pub(crate) async fn checkpoint(State(state): State<ApiState>, who: Authenticated) -> Result<String, Problem> {
    may_read(&state, &who).await?;
    Ok(state.engine.checkpoint(&who.context).await.map_err(Problem::of_ledger)?.1)
}

pub(crate) async fn tile(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(path): Named<String>,
) -> Result<Response, Problem> {
    may_read(&state, &who).await?;
    let bytes = state.engine.tile(&who.context, &format!("tile/{path}")).await.map_err(Problem::of_ledger)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

pub(crate) async fn proof(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(index): Named<u64>,
) -> Result<Json<Value>, Problem> {
    may_read(&state, &who).await?;
    let found = state.engine.prove(&who.context, index).await.map_err(Problem::of_ledger)?;
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
    let (size, checkpoint) = state.engine.checkpoint(&who.context).await.map_err(Problem::of_ledger)?;
    admin::note(&state.engine, &who.context, &permit, EventKind::LedgerExported, json!({"size": size})).await?;
    Ok(Json(json!({"size": size, "checkpoint": checkpoint})))
}

/// Entries of the tree, all of them there and each the one its leaf was made of.
pub(crate) async fn whole(store: &dyn TenantStore, start: u64, end: u64) -> Result<Vec<Vec<u8>>, Problem> {
    let entries = store.entries(start, end).await.map_err(Problem::of_ledger)?;
    let places: Vec<_> = (start..end).map(|index| (0, index)).collect();
    let leaves = store.nodes(&places).await.map_err(Problem::of_ledger)?;
    for (at, (_, index)) in places.iter().enumerate() {
        let Some(bytes) = entries.get(at) else {
            return Err(Problem::ledger_damaged(&format!("entry {index} is missing")));
        };
        if leaves.get(at).copied().flatten() != Some(leaf_hash(bytes)) {
            return Err(Problem::ledger_damaged(&format!("entry {index} is not the one its tree was made of")));
        }
    }
    Ok(entries)
}
