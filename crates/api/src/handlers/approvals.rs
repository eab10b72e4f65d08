//! Approvals: what waits for a person's word, and their answer.

use crate::auth::Authenticated;
use crate::body::{Asked, Body, Named};
use crate::cursor::Listing;
use crate::handlers::page_size;
use crate::{ApiState, Problem, view};
use axum::Json;
use axum::extract::State;
use mandate_engine::{Answer, ApprovalView};
use mandate_journal::{ApprovalQuery, ApprovalState};
use mandate_kernel::{ApprovalId, Digest, RunId, is_exact};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// The most characters of a comment.
const MAX_COMMENT: usize = 2_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(alias = "before")]
    cursor: Option<String>,
    /// Only those in this state.
    #[schemars(with = "Option<String>")]
    state: Option<ApprovalState>,
    /// Only those of this run.
    run: Option<String>,
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(query): Asked<ListQuery>,
) -> Result<Json<Value>, Problem> {
    let bad = |what: &str| Problem::invalid("invalid-query", format!("`{what}` is not an id"));
    let listing = Listing {
        tenant: who.context.tenant(),
        list: "approvals",
        filters: format!("{:?} {:?}", query.state, query.run),
    };
    let query = ApprovalQuery {
        limit: page_size(query.limit),
        before: listing.parsed::<ApprovalId>(query.cursor.as_deref())?,
        state: query.state,
        run: query.run.as_deref().map(str::parse::<RunId>).transpose().map_err(|_| bad("run"))?,
    };
    let page = state.engine.approvals(&who.context, &who.caller, query).await?;
    let next = page.next.map(|last| listing.after(last.as_str()));
    Ok(Json(view::list(page.items.iter().map(shown).collect(), next)))
}

pub(crate) async fn one(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(approval): Named<String>,
) -> Result<Json<Value>, Problem> {
    let found = state.engine.approval(&who.context, &who.caller, &id(&approval)?).await?;
    Ok(Json(shown(&found)))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerBody {
    /// `arguments_digest` of the approval as it was shown.
    #[schemars(with = "String")]
    digest: Digest,
    /// A word to whoever reads it later.
    #[serde(default)]
    comment: Option<String>,
    /// The answer to a review's form.
    #[serde(default)]
    answer: Option<Value>,
}

pub(crate) async fn approve(
    state: State<ApiState>,
    who: Authenticated,
    approval: Named<String>,
    body: Body<AnswerBody>,
) -> Result<Json<Value>, Problem> {
    answer(state, who, approval, body, true).await
}

pub(crate) async fn deny(
    state: State<ApiState>,
    who: Authenticated,
    approval: Named<String>,
    body: Body<AnswerBody>,
) -> Result<Json<Value>, Problem> {
    answer(state, who, approval, body, false).await
}

async fn answer(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(approval): Named<String>,
    Body(body): Body<AnswerBody>,
    approve: bool,
) -> Result<Json<Value>, Problem> {
    if body.comment.as_ref().is_some_and(|comment| comment.chars().count() > MAX_COMMENT) {
        return Err(Problem::invalid("comment-too-long", format!("a comment has at most {MAX_COMMENT} characters")));
    }
    // It is read by people, in the ledger's evidence and on the page: nothing in it may hide.
    if body.comment.as_ref().is_some_and(|comment| mandate_gate::visible(comment.as_bytes()) != *comment) {
        let why = "a comment is plain text: no control, invisible or direction-changing characters";
        return Err(Problem::invalid("comment-not-plain", why));
    }
    if body.answer.as_ref().is_some_and(|answer| !is_exact(answer)) {
        return Err(Problem::invalid("inexact-number", "`answer` holds an integer beyond 2^53: write it as text"));
    }
    let said = Answer { approve, digest: body.digest, comment: body.comment, form: body.answer };
    let found = state.engine.answer(&who.context, &who.caller, &id(&approval)?, said).await?;
    Ok(Json(shown(&found)))
}

fn id(text: &str) -> Result<ApprovalId, Problem> {
    text.parse().map_err(|_| Problem::absent(&format!("approval {}", text.chars().take(80).collect::<String>())))
}

/// An approval, flat.
fn shown(found: &ApprovalView) -> Value {
    let record = &found.record;
    let part = |name: &str| found.shown.get(name).cloned().unwrap_or(Value::Null);
    // What it is about is for those it concerns; that it is there is for everybody who sees the run.
    let value = |name: &str| if found.may_read { part(name) } else { Value::Null };
    let said = |name: &str| {
        let said = found.said.as_ref().filter(|_| found.may_read);
        said.and_then(|said| said.get(name)).cloned().unwrap_or(Value::Null)
    };
    json!({
        "id": record.approval,
        "kind": record.kind,
        "run": record.run,
        "worker": record.worker,
        "worker_version": part("worker_version"),
        "step": record.step,
        "path": part("path"),
        "function": record.function,
        "purpose": part("purpose"),
        "requested_by": part("requested_by"),
        "groups": record.groups,
        "destination": part("destination"),
        "environment": part("environment"),
        "credential": part("credential"),
        "arguments": value("arguments"),
        "canonical": value("canonical"),
        "you_may_read": found.may_read,
        "arguments_digest": record.binding,
        "labels": record.view.labels,
        "title": value("title"),
        "form": value("form"),
        "asked_at": record.asked_at.to_string(),
        "expires_at": record.expires_at.to_string(),
        "state": record.state,
        "decided_by": record.decided_by,
        "decided_at": view::time(record.decided_at),
        "comment": said("comment"),
        "answer": said("form"),
        "you_may": found.may.is_ok(),
        "why_not": found.may.as_ref().err(),
    })
}
