//! A legacy service: it knows one static key, and nobody's identity.

use crate::db::Db;
use crate::problem::internal;
use crate::{DevkitError, figures};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use mandate_kernel::{Digest, Entropy, Secret, base64url_encode};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::{Value, json};

/// Ledgerbook's tables. Of the key it keeps the digest.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS costs (
    quarter TEXT NOT NULL, region TEXT NOT NULL, cost_centre TEXT NOT NULL, amount_cents INTEGER NOT NULL,
    PRIMARY KEY (quarter, region, cost_centre)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS api_key (one INTEGER PRIMARY KEY CHECK (one = 1), sha256 BLOB NOT NULL);";

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

/// Whether a key was ever made.
pub(crate) fn has_key(db: &Db) -> Result<bool, DevkitError> {
    let found = db.with(|c| c.query_row("SELECT 1 FROM api_key", [], |_| Ok(())).optional());
    Ok(found.map_err(DevkitError::database("ledgerbook"))?.is_some())
}

/// Makes a new key in place of any before it, and hands it out: nobody can read it afterwards.
pub(crate) fn new_key(db: &Db, entropy: &dyn Entropy) -> Result<Secret<String>, DevkitError> {
    let mut random = [0u8; 32];
    entropy.fill(&mut random)?;
    // It has as many random bits as the digest: no salt and no slow hash would add anything.
    let key = Secret::new(format!("lbk_{}", base64url_encode(&random)));
    let digest = Digest::of(key.expose().as_bytes());
    db.with(|c| c.execute("INSERT OR REPLACE INTO api_key VALUES (1, ?1)", [digest.as_bytes()]))
        .map_err(DevkitError::database("ledgerbook"))?;
    Ok(key)
}

async fn costs(State(db): State<Db>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let mut keys = headers.get_all("x-api-key").iter();
    let digest = match (keys.next(), keys.next()) {
        (Some(key), None) => Digest::of(key.as_bytes()),
        _ => return refuse(StatusCode::UNAUTHORIZED, "one X-Api-Key is needed"),
    };
    let found = db
        .run(move |connection| {
            let known =
                connection.query_row("SELECT sha256 FROM api_key", [], |row| row.get::<_, Vec<u8>>(0)).optional()?;
            if known.as_deref() != Some(&digest.as_bytes()[..]) {
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
