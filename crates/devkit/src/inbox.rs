//! What a service was given, once for each idempotency key: the same request again gets the first answer
//! again, another one under the same key is refused.

use crate::db::Db;
use crate::hop::Incoming;
use crate::problem::{internal, problem};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use mandate_identity::IdentityModel;
use mandate_kernel::{Digest, Timestamp};
use mandate_verifier::VerifiedHop;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde_json::{Value, json};

/// The table of what was given. The first answer is kept.
pub(crate) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS given (
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, idempotency_key TEXT NOT NULL, kind TEXT NOT NULL,
    about TEXT NOT NULL, received_at INTEGER NOT NULL, sha256 TEXT NOT NULL, run TEXT NOT NULL,
    subject TEXT NOT NULL, client TEXT NOT NULL, body BLOB NOT NULL, answer TEXT NOT NULL,
    UNIQUE (tenant, idempotency_key));";

/// Something that may be kept.
pub(crate) struct Given {
    tenant: String,
    key: String,
    kind: &'static str,
    about: String,
    received_at: Timestamp,
    digest: Digest,
    run: String,
    subject: String,
    client: String,
    body: Vec<u8>,
}

/// What became of it.
pub(crate) enum Kept {
    /// It is new.
    First(String),
    /// The same was kept before; this was the answer.
    Again(String),
    /// Another one was kept under this key.
    Conflict,
    /// It is understood, and not taken.
    Refused(&'static str),
}

impl Given {
    /// What came with a verified call, about something that has a name. Only a Worker that is bound to its
    /// run may give, and only under an idempotency key.
    ///
    /// # Errors
    /// The answer for the caller.
    pub(crate) fn read(
        kind: &'static str,
        about: &str,
        verified: &VerifiedHop,
        incoming: &Incoming,
        received_at: Timestamp,
    ) -> Result<Self, Box<Response>> {
        let claims = verified.claims();
        if claims.mandate.model != IdentityModel::WorkflowBound {
            let why = "this is written by a Worker bound to its run";
            return Err(Box::new(problem(StatusCode::FORBIDDEN, why)));
        }
        let Some(key) = incoming.headers.get("idempotency-key").and_then(|value| value.to_str().ok()) else {
            return Err(Box::new(problem(StatusCode::BAD_REQUEST, "an Idempotency-Key is needed")));
        };
        Ok(Self {
            tenant: claims.mandate.tenant.to_string(),
            key: key.to_owned(),
            kind,
            about: about.to_owned(),
            received_at,
            digest: Digest::of(&incoming.body),
            run: claims.txn.to_string(),
            subject: claims.sub.clone(),
            client: claims.client_id.clone(),
            body: incoming.body.to_vec(),
        })
    }

    /// Keeps it, together with what else is to be done; that may refuse it, and then nothing is kept.
    pub(crate) fn keep(
        &self,
        connection: &mut Connection,
        with: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<(), &'static str>>,
    ) -> rusqlite::Result<Kept> {
        let transaction = connection.transaction()?;
        let digest = self.digest.to_string();
        let before = transaction
            .query_row(
                "SELECT sha256, kind, answer FROM given WHERE tenant = ?1 AND idempotency_key = ?2",
                params![self.tenant, self.key],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)),
            )
            .optional()?;
        if let Some((kept, kind, answer)) = before {
            return Ok(if kept == digest && kind == self.kind { Kept::Again(answer) } else { Kept::Conflict });
        }
        if let Err(why) = with(&transaction)? {
            return Ok(Kept::Refused(why));
        }
        let answer = json!({"received_at": self.received_at.to_string(), "sha256": digest}).to_string();
        transaction.execute(
            "INSERT INTO given (tenant, idempotency_key, kind, about, received_at, sha256, run, subject, client, body, answer)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                self.tenant,
                self.key,
                self.kind,
                self.about,
                self.received_at.as_millis(),
                digest,
                self.run,
                self.subject,
                self.client,
                self.body,
                answer
            ],
        )?;
        transaction.commit()?;
        Ok(Kept::First(answer))
    }
}

/// What the caller is told.
pub(crate) fn answer(what: &'static str, kept: rusqlite::Result<Kept>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    match kept {
        Ok(Kept::First(answer)) => (StatusCode::CREATED, json, answer).into_response(),
        Ok(Kept::Again(answer)) => (json, [("idempotency-replayed", "true")], answer).into_response(),
        Ok(Kept::Conflict) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "this idempotency key came before, with something else")
        }
        Ok(Kept::Refused(why)) => problem(StatusCode::CONFLICT, why),
        Err(cause) => internal(what, &cause),
    }
}

/// Everything of a kind that was kept, in the order in which it came; without its content.
pub(crate) async fn list(db: &Db, kind: &'static str) -> Response {
    let items = db.run(move |connection| {
        let sql = "SELECT idempotency_key, about, received_at, sha256, run, subject, client FROM given
                   WHERE kind = ?1 ORDER BY seq";
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map([kind], |row| {
            Ok(json!({
                "idempotency_key": row.get::<_, String>(0)?,
                "about": row.get::<_, String>(1)?,
                "received_at": Timestamp::from_millis(row.get(2)?).to_string(),
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
        Err(cause) => internal("list", &cause),
    }
}
