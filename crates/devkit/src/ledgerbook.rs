//! A legacy service: it knows one static key, and nobody's identity.

use crate::credential::fits;
use crate::db::Db;
use crate::problem::internal;
use crate::{DevkitError, figures};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use mandate_kernel::Digest;
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Value, json};

/// Ledgerbook's tables, besides that of its key.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS costs (
    quarter TEXT NOT NULL, region TEXT NOT NULL, cost_centre TEXT NOT NULL, amount_cents INTEGER NOT NULL,
    PRIMARY KEY (quarter, region, cost_centre)) WITHOUT ROWID;";

/// What its key begins with.
pub(crate) const KEY: &str = "lbk_";

#[derive(Deserialize)]
struct Asked {
    quarter: Option<String>,
}

/// Ledgerbook's routes, over rows that are put in at the first start.
pub(crate) fn router(db: Db) -> Result<Router, DevkitError> {
    db.with(seed).map_err(DevkitError::database("ledgerbook"))?;
    Ok(Router::new().route("/costs", get(costs)).with_state(db))
}

fn seed(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM costs", [], |row| row.get(0))?;
    if count == 0 {
        let mut insert = transaction.prepare("INSERT INTO costs VALUES (?1, ?2, ?3, ?4)")?;
        for (quarter, region, centre, cents) in figures::costs() {
            insert.execute(params![quarter, region, centre, cents])?;
        }
    }
    transaction.commit()
}

async fn costs(State(db): State<Db>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let mut keys = headers.get_all("x-api-key").iter();
    let digest = match (keys.next(), keys.next()) {
        (Some(key), None) => Digest::of(key.as_bytes()),
        _ => return refuse(StatusCode::UNAUTHORIZED, "one X-Api-Key is needed"),
    };
    let found = db
        .run(move |connection| {
            if !fits(connection, digest)? {
                return Ok(None);
            }
            let quarter = asked.quarter.unwrap_or_default();
            Ok(Some((rows(connection, &quarter)?, quarter)))
        })
        .await;
    match found {
        Ok(None) => refuse(StatusCode::UNAUTHORIZED, "the X-Api-Key is not known"),
        Ok(Some((rows, _))) if rows.is_empty() => refuse(StatusCode::NOT_FOUND, "no costs of that quarter"),
        Ok(Some((rows, quarter))) => Json(json!({"quarter": quarter, "currency": "EUR", "rows": rows})).into_response(),
        Err(cause) => internal("costs", &cause),
    }
}

/// It predates problem details.
fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

fn rows(connection: &Connection, quarter: &str) -> rusqlite::Result<Vec<Value>> {
    let sql = "SELECT region, cost_centre, amount_cents FROM costs WHERE quarter = ?1 ORDER BY region, cost_centre";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([quarter], |row| {
        Ok(json!({
            "region": row.get::<_, String>(0)?,
            "cost_centre": row.get::<_, String>(1)?,
            "amount_cents": row.get::<_, i64>(2)?,
        }))
    })?;
    rows.collect()
}
