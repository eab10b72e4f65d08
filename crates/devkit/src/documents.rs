//! The documents service: minutes of meetings, and drafts about them, behind hop tokens.

use crate::DevkitError;
use crate::db::Db;
use crate::hop::{Endpoint, HopGuard, Incoming};
use crate::inbox::{self, Given};
use crate::problem::{internal, problem};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use mandate_kernel::Clock;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use std::sync::Arc;

/// The service's tables, besides that of what it is given. A file has a name and holds a document, which says
/// itself which one it is: people sometimes save the wrong one.
pub(crate) const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;";

/// Longest title in characters.
const MAX_TITLE: usize = 200;

struct Documents {
    db: Db,
    guard: HopGuard,
    clock: Arc<dyn Clock>,
    read: Arc<Endpoint>,
    draft: Arc<Endpoint>,
}

/// The service's routes, over documents that are put in at the first start.
pub(crate) fn router(
    db: Db,
    guard: HopGuard,
    read: Endpoint,
    draft: Endpoint,
    clock: Arc<dyn Clock>,
) -> Result<Router, DevkitError> {
    db.with(seed).map_err(DevkitError::database("documents"))?;
    let documents = Documents { db, guard, clock, read: Arc::new(read), draft: Arc::new(draft) };
    Ok(Router::new()
        .route("/v1/documents/{document}", get(document))
        .route("/v1/drafts", get(drafts).post(file_draft))
        .with_state(Arc::new(documents)))
}

async fn document(
    State(documents): State<Arc<Documents>>,
    Path(name): Path<String>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    if let Err(answer) = documents.guard.verify(&incoming, &documents.read, Some(json!({"document": name}))).await {
        return answer;
    }
    let found = documents.db.run(move |connection| {
        let sql = "SELECT document FROM files WHERE name = ?1";
        connection.query_row(sql, [name], |row| row.get::<_, String>(0)).optional()
    });
    match found.await {
        Ok(Some(document)) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "there is no document of that name"),
        Err(cause) => internal("document", &cause),
    }
}

async fn file_draft(
    State(documents): State<Arc<Documents>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content = serde_json::from_slice::<Value>(&body).ok().filter(Value::is_object);
    let incoming = Arc::new(Incoming { method, uri, headers, body });
    let verified = match documents.guard.verify(&incoming, &documents.draft, content.clone()).await {
        Ok(verified) => verified,
        Err(answer) => return answer,
    };
    let text = |name: &str| content.as_ref().and_then(|content| content.get(name)).and_then(Value::as_str);
    let title = text("title").filter(|title| (1..=MAX_TITLE).contains(&title.chars().count()));
    let (Some(about), Some(_)) = (text("document"), title) else {
        return problem(StatusCode::BAD_REQUEST, "a draft names its document and has a title of 1 to 200 characters");
    };
    let given = match Given::read("draft", about, &verified, &incoming, documents.clock.now()) {
        Ok(given) => given,
        Err(answer) => return *answer,
    };
    let kept = documents.db.run(move |connection| given.keep(connection, |_| Ok(Ok(()))));
    inbox::answer("draft", kept.await)
}

async fn drafts(State(documents): State<Arc<Documents>>) -> Response {
    inbox::list(&documents.db, "draft").await
}

fn seed(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let count: i64 = transaction.query_row("SELECT count(*) FROM files", [], |row| row.get(0))?;
    if count == 0 {
        let (autumn, november) = (autumn(), november());
        // The file of 13 October holds the minutes of 29 September: somebody saved the wrong one.
        for (name, document) in
            [("minutes-2026-09-29", &autumn), ("minutes-2026-10-13", &autumn), ("minutes-2026-11-03", &november)]
        {
            let row = params![name, document.to_string()];
            transaction.execute("INSERT INTO files VALUES (?1, ?2)", row)?;
        }
    }
    transaction.commit()
}

fn autumn() -> Value {
    json!({
        "document": "minutes-2026-09-29", "title": "Product weekly", "held_on": "2026-09-29",
        "attendees": ["product lead", "design lead", "support lead"],
        "items": [
            {"topic": "Onboarding", "notes": "Half of the new customers stop at the import of their data."},
            {"topic": "Support", "notes": "Questions about invoices doubled since the last release."},
        ],
        "decisions": ["The import gets a preview before anything is written."],
        "tasks": [{"task": "Sketch the preview of the import", "owner": "design lead", "due": "2026-10-09"}],
    })
}

fn november() -> Value {
    json!({
        "document": "minutes-2026-11-03", "title": "Product weekly", "held_on": "2026-11-03",
        "attendees": ["product lead", "design lead", "platform lead", "support lead"],
        "items": [
            {"topic": "Import preview", "notes": "The preview is out for a tenth of the customers, and far fewer of them stop."},
            {"topic": "Pricing", "notes": "Two proposals were compared. Neither changes what existing customers pay."},
            {"topic": "Reliability", "notes": "The export failed twice at the end of the month because of its size."},
        ],
        "decisions": [
            "The preview of the import goes to all customers in November.",
            "Prices stay as they are until the spring.",
        ],
        "tasks": [
            {"task": "Roll the preview out to all customers", "owner": "product lead", "due": "2026-11-17"},
            {"task": "Write the export in parts", "owner": "platform lead", "due": "2026-11-24"},
        ],
    })
}
