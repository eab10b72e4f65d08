//! What arrived, kept and listed.

use crate::db::Db;
use crate::problem::internal;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use mail_parser::MessageParser;
use mandate_kernel::Timestamp;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

/// The sink's tables. A mail that arrives twice is two mails.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS mails (
    seq INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, message_id TEXT NOT NULL, sender TEXT NOT NULL,
    recipients TEXT NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, raw BLOB NOT NULL);";

/// A mail as its envelope and its bytes say.
pub(crate) struct Mail {
    pub(crate) received_at: Timestamp,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) raw: Vec<u8>,
}

/// Keeps a mail; gives its number.
pub(super) fn keep(connection: &Connection, mail: &Mail) -> rusqlite::Result<i64> {
    let message = MessageParser::default().parse(&mail.raw);
    let message = message.as_ref();
    let text = message.and_then(|m| m.body_text(0)).unwrap_or_default().replace("\r\n", "\n");
    connection.execute(
        "INSERT INTO mails (received_at, message_id, sender, recipients, subject, body, raw)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            mail.received_at.as_millis(),
            message.and_then(|m| m.message_id()).unwrap_or_default(),
            mail.from,
            json!(mail.to).to_string(),
            message.and_then(|m| m.subject()).unwrap_or_default(),
            text,
            mail.raw
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// The list's route, without sign-in.
pub(crate) fn router(db: Db) -> Router {
    Router::new().route("/v1/mails", get(list)).with_state(db)
}

/// Every mail, in the order of arrival.
async fn list(State(db): State<Db>) -> Response {
    let items = db.run(|connection| {
        let sql = "SELECT message_id, sender, recipients, subject, body, received_at FROM mails ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(json!({
                "message_id": row.get::<_, String>(0)?,
                "from": row.get::<_, String>(1)?,
                "to": serde_json::from_str::<Value>(&row.get::<_, String>(2)?).unwrap_or_default(),
                "subject": row.get::<_, String>(3)?,
                "body": row.get::<_, String>(4)?,
                "received_at": Timestamp::from_millis(row.get(5)?).to_string(),
            }))
        })?;
        rows.collect::<rusqlite::Result<Vec<Value>>>()
    });
    match items.await {
        Ok(items) => Json(items).into_response(),
        Err(cause) => internal("mails", &cause),
    }
}
