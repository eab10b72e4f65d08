//! The receiver of `report.publish`: it accepts one report for each idempotency key, and remembers.

use crate::ReportFaults;
use crate::db::Db;
use crate::hop::{Endpoint, HopGuard, Incoming};
use crate::problem::{internal, problem};
use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use mandate_identity::IdentityModel;
use mandate_kernel::{Clock, Digest, Timestamp};
use mandate_verifier::VerifiedHop;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The receiver's tables. The first answer is kept: a repeated request gets it again.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS reports (
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, idempotency_key TEXT NOT NULL, received_at INTEGER NOT NULL,
    title TEXT NOT NULL, sha256 TEXT NOT NULL, run TEXT NOT NULL, subject TEXT NOT NULL, client TEXT NOT NULL,
    body BLOB NOT NULL, answer TEXT NOT NULL, UNIQUE (tenant, idempotency_key));";

/// Longest title in characters.
const MAX_TITLE: usize = 200;

struct Reports {
    db: Db,
    guard: HopGuard,
    endpoint: Arc<Endpoint>,
    clock: Arc<dyn Clock>,
    delay: std::time::Duration,
    fail_before: AtomicU32,
    fail_after: AtomicU32,
}

/// A report that may be kept.
struct Report {
    tenant: String,
    key: String,
    received_at: Timestamp,
    title: String,
    digest: Digest,
    run: String,
    subject: String,
    client: String,
    body: Vec<u8>,
}

/// What became of a report.
enum Kept {
    /// It is new.
    First(String),
    /// The same was kept before; this was the answer.
    Again(String),
    /// Another one was kept under this key.
    Conflict,
}

/// The receiver's routes.
pub(crate) fn router(
    db: Db,
    guard: HopGuard,
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    faults: ReportFaults,
) -> Router {
    let reports = Reports {
        db,
        guard,
        endpoint: Arc::new(endpoint),
        clock,
        delay: faults.delay,
        fail_before: AtomicU32::new(faults.before_commit),
        fail_after: AtomicU32::new(faults.after_commit),
    };
    Router::new().route("/v1/reports", get(list).post(publish)).with_state(Arc::new(reports))
}

async fn publish(
    State(reports): State<Arc<Reports>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    tokio::time::sleep(reports.delay).await;
    let content = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    let verified = match reports.guard.verify(&incoming, &reports.endpoint, content.clone()).await {
        Ok(verified) => verified,
        Err(answer) => return answer,
    };
    let report = match report(&verified, &incoming, content.as_ref(), reports.clock.now()) {
        Ok(report) => report,
        Err(answer) => return *answer,
    };
    if take(&reports.fail_before) {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "failed on purpose, before anything was kept");
    }
    let kept = reports.db.run(move |connection| keep(connection, &report)).await;
    if take(&reports.fail_after) {
        return problem(StatusCode::GATEWAY_TIMEOUT, "failed on purpose, after the report was kept");
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    match kept {
        Ok(Kept::First(answer)) => (StatusCode::CREATED, json, answer).into_response(),
        Ok(Kept::Again(answer)) => (json, [("idempotency-replayed", "true")], answer).into_response(),
        Ok(Kept::Conflict) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "this idempotency key came before, with another report")
        }
        Err(cause) => internal("report", &cause),
    }
}

/// Checks what the token does not: the model, the key, the report itself.
fn report(
    verified: &VerifiedHop,
    incoming: &Incoming,
    content: Option<&Value>,
    received_at: Timestamp,
) -> Result<Report, Box<Response>> {
    let refuse = |status, detail| Err(Box::new(problem(status, detail)));
    let claims = verified.claims();
    if claims.mandate.model != IdentityModel::WorkflowBound {
        return refuse(StatusCode::FORBIDDEN, "a report is published by a Worker bound to its run");
    }
    let Some(key) = incoming.headers.get("idempotency-key").and_then(|value| value.to_str().ok()) else {
        return refuse(StatusCode::BAD_REQUEST, "an Idempotency-Key is needed");
    };
    let title = content.and_then(|content| content.get("title")).and_then(Value::as_str);
    let Some(title) = title.filter(|title| (1..=MAX_TITLE).contains(&title.chars().count())) else {
        return refuse(StatusCode::BAD_REQUEST, "a report is a JSON object with a title of 1 to 200 characters");
    };
    Ok(Report {
        tenant: claims.mandate.tenant.to_string(),
        key: key.to_owned(),
        received_at,
        title: title.to_owned(),
        digest: Digest::of(&incoming.body),
        run: claims.txn.to_string(),
        subject: claims.sub.clone(),
        client: claims.client_id.clone(),
        body: incoming.body.to_vec(),
    })
}

fn keep(connection: &mut Connection, report: &Report) -> rusqlite::Result<Kept> {
    let transaction = connection.transaction()?;
    let digest = report.digest.to_string();
    let before = transaction
        .query_row(
            "SELECT sha256, answer FROM reports WHERE tenant = ?1 AND idempotency_key = ?2",
            params![report.tenant, report.key],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    if let Some((kept, answer)) = before {
        return Ok(if kept == digest { Kept::Again(answer) } else { Kept::Conflict });
    }
    let answer = json!({"received_at": report.received_at.to_string(), "sha256": digest}).to_string();
    transaction.execute(
        "INSERT INTO reports (tenant, idempotency_key, received_at, title, sha256, run, subject, client, body, answer)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            report.tenant,
            report.key,
            report.received_at.as_millis(),
            report.title,
            digest,
            report.run,
            report.subject,
            report.client,
            report.body,
            answer
        ],
    )?;
    transaction.commit()?;
    Ok(Kept::First(answer))
}

/// Every accepted report, in the order of acceptance; without its content.
async fn list(State(reports): State<Arc<Reports>>) -> Response {
    let items = reports.db.run(|connection| {
        let sql = "SELECT idempotency_key, received_at, title, sha256, run, subject, client FROM reports ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(json!({
                "idempotency_key": row.get::<_, String>(0)?,
                "received_at": Timestamp::from_millis(row.get(1)?).to_string(),
                "title": row.get::<_, String>(2)?,
                "sha256": row.get::<_, String>(3)?,
                "run": row.get::<_, String>(4)?,
                "subject": row.get::<_, String>(5)?,
                "client": row.get::<_, String>(6)?,
            }))
        })?;
        rows.collect::<rusqlite::Result<Vec<Value>>>()
    });
    match items.await {
        Ok(items) => Json(json!({ "items": items })).into_response(),
        Err(cause) => internal("reports", &cause),
    }
}

/// Whether one of the faults left is to happen now.
fn take(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
