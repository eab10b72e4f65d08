//! The data warehouse: real rows behind hop tokens.

use crate::db::Db;
use crate::hop::{Endpoint, HopGuard, Incoming};
use crate::problem::{internal, problem};
use crate::{DevkitError, figures};
use axum::body::Bytes;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The warehouse's tables.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS revenue (
    quarter TEXT NOT NULL, region TEXT NOT NULL, product TEXT NOT NULL, amount_cents INTEGER NOT NULL,
    PRIMARY KEY (quarter, region, product)) WITHOUT ROWID;";

struct Warehouse {
    db: Db,
    guard: HopGuard,
    endpoint: Arc<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    quarter: String,
}

/// The warehouse's routes, over rows that are put in at the first start.
pub(crate) fn router(db: Db, guard: HopGuard, endpoint: Endpoint) -> Result<Router, DevkitError> {
    db.with(seed).map_err(DevkitError::database("warehouse"))?;
    let warehouse = Warehouse { db, guard, endpoint: Arc::new(endpoint) };
    Ok(Router::new().route("/v1/revenue", get(revenue)).with_state(Arc::new(warehouse)))
}

fn seed(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM revenue", [], |row| row.get(0))?;
    if count == 0 {
        let mut insert = transaction.prepare("INSERT INTO revenue VALUES (?1, ?2, ?3, ?4)")?;
        for (quarter, region, product, cents) in figures::revenue() {
            insert.execute(params![quarter, region, product, cents])?;
        }
    }
    transaction.commit()
}

async fn revenue(
    State(warehouse): State<Arc<Warehouse>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Who may not ask is not told what a question looks like: verify first, with what was understood.
    let asked = Query::<Asked>::try_from_uri(&uri).map(|query| query.0.quarter).ok();
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    let arguments = asked.as_ref().map(|quarter| json!({ "quarter": quarter }));
    if let Err(answer) = warehouse.guard.verify(&incoming, &warehouse.endpoint, arguments).await {
        return answer;
    }
    let Some(quarter) = asked else { return problem(StatusCode::BAD_REQUEST, "ask for one quarter, such as 2026-Q3") };
    let asked = quarter.clone();
    match warehouse.db.run(move |connection| rows(connection, &asked)).await {
        Ok(rows) if rows.is_empty() => problem(StatusCode::NOT_FOUND, "there is no revenue of that quarter"),
        Ok(rows) => Json(json!({"quarter": quarter, "currency": "EUR", "rows": rows})).into_response(),
        Err(cause) => internal("revenue", &cause),
    }
}

fn rows(connection: &mut Connection, quarter: &str) -> rusqlite::Result<Vec<Value>> {
    let sql = "SELECT region, product, amount_cents FROM revenue WHERE quarter = ?1 ORDER BY region, product";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([quarter], |row| {
        Ok(json!({
            "region": row.get::<_, String>(0)?,
            "product": row.get::<_, String>(1)?,
            "amount_cents": row.get::<_, i64>(2)?,
        }))
    })?;
    rows.collect()
}
