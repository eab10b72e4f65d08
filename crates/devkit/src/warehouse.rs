//! The data warehouse: real rows behind hop tokens.

use crate::db::Db;
use crate::hop::{Endpoint, HopGuard, Incoming};
use crate::problem::{internal, problem};
use crate::{DevkitError, figures, incidents};
use axum::body::Bytes;
use axum::extract::{OriginalUri, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The warehouse's tables. An account manager is a desk, never a name; a note is what people at the
/// warehouse write beside a figure.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS sales (
    quarter TEXT NOT NULL, region TEXT NOT NULL, product TEXT NOT NULL, amount_cents INTEGER NOT NULL,
    account_manager TEXT NOT NULL, note TEXT, PRIMARY KEY (quarter, region, product)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS quarters (quarter TEXT PRIMARY KEY, as_of TEXT NOT NULL, holds TEXT NOT NULL)
    WITHOUT ROWID;";

struct Warehouse {
    db: Db,
    guard: HopGuard,
    revenue: Arc<Endpoint>,
    desks: Arc<Endpoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    quarter: String,
}

/// The warehouse's routes, over rows that are put in at the first start.
pub(crate) fn router(db: Db, guard: HopGuard, revenue: Endpoint, desks: Endpoint) -> Result<Router, DevkitError> {
    db.with(seed).map_err(DevkitError::database("warehouse"))?;
    let warehouse = Warehouse { db, guard, revenue: Arc::new(revenue), desks: Arc::new(desks) };
    let router = Router::new().route("/v1/revenue", get(self::revenue)).route("/v1/desks", get(self::desks));
    Ok(router.with_state(Arc::new(warehouse)))
}

fn seed(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM sales", [], |row| row.get(0))?;
    if count == 0 {
        let mut insert = transaction.prepare("INSERT INTO sales VALUES (?1, ?2, ?3, ?4, ?5, NULL)")?;
        let mut date = transaction.prepare("INSERT OR REPLACE INTO quarters VALUES (?1, ?2, ?1)")?;
        for (quarter, region, product, cents) in figures::revenue() {
            insert.execute(params![quarter, region, product, cents, figures::desk(region, product)])?;
            date.execute(params![quarter, figures::as_of(&quarter)])?;
        }
        incidents::seed(&transaction)?;
    }
    transaction.commit()
}

/// Writes a note at a row.
pub(crate) fn write_note(
    db: &Db,
    quarter: &str,
    region: &str,
    product: &str,
    note: Option<&str>,
) -> Result<bool, DevkitError> {
    let sql = "UPDATE sales SET note = ?4 WHERE quarter = ?1 AND region = ?2 AND product = ?3";
    let changed = db.with(|connection| connection.execute(sql, params![quarter, region, product, note]));
    changed.map(|rows| rows > 0).map_err(DevkitError::database("warehouse"))
}

/// Changes the day of a quarter's figures.
pub(crate) fn date_figures(db: &Db, quarter: &str, day: &str) -> Result<bool, DevkitError> {
    let sql = "UPDATE quarters SET as_of = ?2 WHERE quarter = ?1";
    let changed = db.with(|connection| connection.execute(sql, params![quarter, day]));
    changed.map(|rows| rows > 0).map_err(DevkitError::database("warehouse"))
}

/// Has a quarter's file hold another quarter's rows, as when somebody saved the wrong one under its name.
pub(crate) fn misfile(db: &Db, quarter: &str, holds: &str) -> Result<bool, DevkitError> {
    let sql = "UPDATE quarters SET holds = ?2 WHERE quarter = ?1";
    let changed = db.with(|connection| connection.execute(sql, params![quarter, holds]));
    changed.map(|rows| rows > 0).map_err(DevkitError::database("warehouse"))
}

async fn revenue(
    State(warehouse): State<Arc<Warehouse>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&warehouse, &warehouse.revenue, Incoming { method, uri, headers, body }, REVENUE, |row| {
        Ok(json!({
            "region": row.get::<_, String>(0)?,
            "product": row.get::<_, String>(1)?,
            "amount_cents": row.get::<_, i64>(2)?,
            "note": row.get::<_, Option<String>>(3)?,
        }))
    })
    .await
}

/// Who looks after whom: about people, so apart from the figures.
async fn desks(
    State(warehouse): State<Arc<Warehouse>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&warehouse, &warehouse.desks, Incoming { method, uri, headers, body }, DESKS, |row| {
        Ok(json!({
            "region": row.get::<_, String>(0)?,
            "product": row.get::<_, String>(1)?,
            "account_manager": row.get::<_, String>(2)?,
        }))
    })
    .await
}

const REVENUE: &str =
    "SELECT region, product, amount_cents, note FROM sales WHERE quarter = ?1 ORDER BY region, product";
const DESKS: &str = "SELECT region, product, account_manager FROM sales WHERE quarter = ?1 ORDER BY region, product";

/// Verifies a request, and answers with a quarter's rows.
async fn answer(
    warehouse: &Warehouse,
    endpoint: &Arc<Endpoint>,
    incoming: Incoming,
    sql: &'static str,
    row: fn(&Row<'_>) -> rusqlite::Result<Value>,
) -> Response {
    // Who may not ask is not told what a question looks like: verify first, with what was understood.
    let asked = Query::<Asked>::try_from_uri(&incoming.uri).map(|query| query.0.quarter).ok();
    let arguments = asked.as_ref().map(|quarter| json!({ "quarter": quarter }));
    if let Err(answer) = warehouse.guard.verify(&Arc::new(incoming), endpoint, arguments).await {
        return answer;
    }
    let Some(quarter) = asked else { return problem(StatusCode::BAD_REQUEST, "ask for one quarter, such as 2026-Q3") };
    match warehouse.db.run(move |connection| held(connection, &quarter, sql, row)).await {
        Ok(Some((quarter, as_of, rows))) => {
            Json(json!({"quarter": quarter, "currency": "EUR", "as_of": as_of, "rows": rows})).into_response()
        }
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no revenue of that quarter"),
        Err(cause) => internal("warehouse", &cause),
    }
}

/// What is held under a quarter's name: the quarter it says it is, the day it is of, its rows.
fn held(
    connection: &Connection,
    quarter: &str,
    sql: &str,
    row: fn(&Row<'_>) -> rusqlite::Result<Value>,
) -> rusqlite::Result<Option<(String, String, Vec<Value>)>> {
    let file = "SELECT holds, as_of FROM quarters WHERE quarter = ?1";
    let found: Option<(String, String)> =
        connection.query_row(file, [quarter], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((holds, as_of)) = found else { return Ok(None) };
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([&holds], row)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some((holds, as_of, rows)))
}
