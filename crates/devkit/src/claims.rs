//! The claims system: claims, contracts, notes and payouts behind hop tokens. Reading, validating, noting
//! and paying each need a token of their own.

use crate::db::Db;
use crate::hop::{Endpoint, HopGuard, Incoming};
use crate::inbox::{self, Given};
use crate::problem::{internal, problem};
use crate::{DevkitError, casebook};
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use mandate_kernel::Clock;
use mandate_verifier::VerifiedHop;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The claims system's tables, besides that of what it is given. A claim is paid once.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS contracts (
    contract TEXT PRIMARY KEY, begins TEXT NOT NULL, ends TEXT NOT NULL, excess_cents INTEGER NOT NULL,
    limit_cents INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS claims (
    claim TEXT PRIMARY KEY, contract TEXT NOT NULL, loss_on TEXT NOT NULL, lodged_on TEXT NOT NULL,
    kind TEXT NOT NULL, claimant TEXT NOT NULL, account TEXT NOT NULL, description TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS positions (
    claim TEXT NOT NULL, item TEXT NOT NULL, amount_cents INTEGER NOT NULL, PRIMARY KEY (claim, item)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS payouts (
    claim TEXT PRIMARY KEY, amount_cents INTEGER NOT NULL) WITHOUT ROWID;";

/// Longest note in characters.
const MAX_NOTE: usize = 2_000;

struct Claims {
    db: Db,
    guard: HopGuard,
    clock: Arc<dyn Clock>,
    read: Arc<Endpoint>,
    validate: Arc<Endpoint>,
    note: Arc<Endpoint>,
    pay: Arc<Endpoint>,
}

/// What the claims system demands of each kind of call.
pub(crate) struct Demands {
    pub(crate) read: Endpoint,
    pub(crate) validate: Endpoint,
    pub(crate) note: Endpoint,
    pub(crate) pay: Endpoint,
}

/// The claims system's routes, over cases that are put in at the first start.
pub(crate) fn router(db: Db, guard: HopGuard, demands: Demands, clock: Arc<dyn Clock>) -> Result<Router, DevkitError> {
    db.with(casebook::seed).map_err(DevkitError::database("claims"))?;
    let Demands { read, validate, note, pay } = demands;
    let claims = Claims {
        db,
        guard,
        clock,
        read: Arc::new(read),
        validate: Arc::new(validate),
        note: Arc::new(note),
        pay: Arc::new(pay),
    };
    Ok(Router::new()
        .route("/v1/claims/{claim}", get(claim))
        .route("/v1/cover", get(cover))
        .route("/v1/notes", get(notes).post(file_note))
        .route("/v1/payouts", get(payouts).post(pay_out))
        .with_state(Arc::new(claims)))
}

async fn claim(
    State(claims): State<Arc<Claims>>,
    Path(name): Path<String>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    if let Err(answer) = claims.guard.verify(&incoming, &claims.read, Some(json!({"claim": name}))).await {
        return answer;
    }
    match claims.db.run(move |connection| record(connection, &name)).await {
        Ok(Some(record)) => Json(record).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no claim of that name"),
        Err(cause) => internal("claim", &cause),
    }
}

fn record(connection: &Connection, name: &str) -> rusqlite::Result<Option<Value>> {
    let sql = "SELECT contract, loss_on, lodged_on, kind, claimant, account, description FROM claims WHERE claim = ?1";
    let text = |row: &rusqlite::Row<'_>, at: usize| row.get::<_, String>(at);
    let found = connection.query_row(sql, [name], |row| {
        Ok(json!({
            "claim": name, "contract": text(row, 0)?, "loss_on": text(row, 1)?, "lodged_on": text(row, 2)?,
            "kind": text(row, 3)?, "currency": "EUR",
            "claimant": {"name": text(row, 4)?, "account": text(row, 5)?}, "description": text(row, 6)?,
        }))
    });
    let Some(mut record) = found.optional()? else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT item, amount_cents FROM positions WHERE claim = ?1 ORDER BY item")?;
    let positions = statement.query_map([name], |row| {
        Ok(json!({"item": row.get::<_, String>(0)?, "amount_cents": row.get::<_, i64>(1)?}))
    })?;
    let positions: Vec<Value> = positions.collect::<rusqlite::Result<_>>()?;
    if let Some(map) = record.as_object_mut() {
        map.insert("positions".to_owned(), Value::from(positions));
    }
    Ok(Some(record))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    contract: String,
    loss_on: String,
}

/// Whether a contract covers a day, and how far.
async fn cover(
    State(claims): State<Arc<Claims>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // Who may not ask is not told what a question looks like: verify first, with what was understood.
    let asked = Query::<Asked>::try_from_uri(&uri).map(|query| query.0).ok();
    let arguments = asked.as_ref().map(|asked| json!({"contract": asked.contract, "loss_on": asked.loss_on}));
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    if let Err(answer) = claims.guard.verify(&incoming, &claims.validate, arguments).await {
        return answer;
    }
    let Some(asked) = asked else {
        return problem(StatusCode::BAD_REQUEST, "ask for one contract and the day of the loss, 2026-10-02");
    };
    match claims.db.run(move |connection| covered(connection, &asked)).await {
        Ok(Some(cover)) => Json(cover).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no contract of that name"),
        Err(cause) => internal("cover", &cause),
    }
}

fn covered(connection: &Connection, asked: &Asked) -> rusqlite::Result<Option<Value>> {
    let sql = "SELECT begins, ends, excess_cents, limit_cents FROM contracts WHERE contract = ?1";
    let found = connection.query_row(sql, [&asked.contract], |row| {
        let (begins, ends) = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
        // Days of the form 2026-10-02 are in the order of their texts.
        let covered = (begins.as_str()..=ends.as_str()).contains(&asked.loss_on.as_str());
        let reason = if covered { "the contract covers that day" } else { "the contract does not cover that day" };
        Ok(json!({
            "contract": asked.contract, "loss_on": asked.loss_on, "covered": covered, "reason": reason,
            "currency": "EUR", "excess_cents": row.get::<_, i64>(2)?, "limit_cents": row.get::<_, i64>(3)?,
        }))
    });
    found.optional()
}

/// A note as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    claim: String,
    text: String,
}

/// A payout as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payout {
    claim: String,
    amount_cents: i64,
    currency: String,
}

async fn file_note(
    State(claims): State<Arc<Claims>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    let verified = match verified(&claims, &claims.note, &incoming).await {
        Ok(verified) => verified,
        Err(answer) => return answer,
    };
    let note = serde_json::from_slice::<Note>(&incoming.body).ok();
    let Some(note) = note.filter(|note| (1..=MAX_NOTE).contains(&note.text.chars().count())) else {
        return problem(StatusCode::BAD_REQUEST, "a note names its claim and is a text of 1 to 2000 characters");
    };
    let given = match Given::read("note", &note.claim, &verified, &incoming, claims.clock.now()) {
        Ok(given) => given,
        Err(answer) => return *answer,
    };
    let kept = claims.db.run(move |connection| {
        given.keep(connection, |transaction| Ok(exists(transaction, &note.claim)?.then_some(()).ok_or(NO_CLAIM)))
    });
    inbox::answer("note", kept.await)
}

async fn pay_out(
    State(claims): State<Arc<Claims>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    let verified = match verified(&claims, &claims.pay, &incoming).await {
        Ok(verified) => verified,
        Err(answer) => return answer,
    };
    let payout = serde_json::from_slice::<Payout>(&incoming.body).ok();
    let Some(payout) = payout.filter(|payout| payout.amount_cents > 0 && payout.currency == "EUR") else {
        return problem(StatusCode::BAD_REQUEST, "a payout names its claim and a number of cents above 0, in EUR");
    };
    let given = match Given::read("payout", &payout.claim, &verified, &incoming, claims.clock.now()) {
        Ok(given) => given,
        Err(answer) => return *answer,
    };
    let kept = claims.db.run(move |connection| given.keep(connection, |transaction| book(transaction, &payout)));
    inbox::answer("payout", kept.await)
}

const NO_CLAIM: &str = "there is no claim of that name";

async fn verified(
    claims: &Claims,
    endpoint: &Arc<Endpoint>,
    incoming: &Arc<Incoming>,
) -> Result<VerifiedHop, Response> {
    let arguments = serde_json::from_slice::<Value>(&incoming.body).ok().filter(Value::is_object);
    claims.guard.verify(incoming, endpoint, arguments).await
}

fn exists(connection: &Connection, claim: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM claims WHERE claim = ?1")?.exists([claim])
}

/// Books a payout: once for a claim, and never more than was claimed.
fn book(connection: &Connection, payout: &Payout) -> rusqlite::Result<Result<(), &'static str>> {
    if !exists(connection, &payout.claim)? {
        return Ok(Err(NO_CLAIM));
    }
    let sql = "SELECT coalesce(sum(amount_cents), 0) FROM positions WHERE claim = ?1";
    let claimed: i64 = connection.query_row(sql, [&payout.claim], |row| row.get(0))?;
    if payout.amount_cents > claimed {
        return Ok(Err("that is more than was claimed"));
    }
    let sql = "INSERT OR IGNORE INTO payouts (claim, amount_cents) VALUES (?1, ?2)";
    let booked = connection.execute(sql, params![payout.claim, payout.amount_cents])?;
    Ok(if booked == 1 { Ok(()) } else { Err("the claim has been paid") })
}

async fn notes(State(claims): State<Arc<Claims>>) -> Response {
    inbox::list(&claims.db, "note").await
}

async fn payouts(State(claims): State<Arc<Claims>>) -> Response {
    inbox::list(&claims.db, "payout").await
}
