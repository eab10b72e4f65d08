//! The tasks of a run: which began, in which order, and how they ended; also those without effects.

use crate::auth::Authenticated;
use crate::body::{Asked, Named};
use crate::cursor::Listing;
use crate::handlers::{page_size, runs};
use crate::{ApiState, Problem, view};
use axum::Json;
use axum::extract::State;
use mandate_engine::Traced;
use mandate_flow::Ending;
use mandate_journal::{RunRecord, RunState};
use mandate_kernel::Action;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TasksQuery {
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

pub(crate) async fn tasks(
    State(state): State<ApiState>,
    who: Authenticated,
    Named(run): Named<String>,
    Asked(query): Asked<TasksQuery>,
) -> Result<Json<Value>, Problem> {
    let (record, _) = runs::allowed(&state, &who, &run, Action::RunView).await?;
    let whole = runs::may_read(&state, &who, &record).await?;
    let listing = Listing { tenant: who.context.tenant(), list: "tasks", filters: format!("{}/{whole}", record.run) };
    let from: usize = listing.parsed(query.cursor.as_deref())?.unwrap_or(0);
    let limit = page_size(query.limit);
    let mut traced = state.engine.tasks(&who.context, &record).await?;
    // That a task ran tells what the data was by which it was chosen.
    traced.retain(|task| whole || !task.depends);
    let items: Vec<Value> = traced.iter().skip(from).take(limit).map(|task| shown(task, &record)).collect();
    let next = (from.saturating_add(items.len()) < traced.len()).then(|| from.saturating_add(items.len()));
    let mut page = view::list(items, next.map(|next| listing.after(&next.to_string())));
    if let Value::Object(map) = &mut page {
        map.insert("partial".to_owned(), json!(!whole));
    }
    Ok(Json(page))
}

fn shown(traced: &Traced, record: &RunRecord) -> Value {
    let task = &traced.task;
    // The machine is not told when a run is stopped from outside.
    let state = match (task.ended, record.status.state) {
        (Some((_, Ending::Completed)), _) => "completed",
        (Some((_, Ending::Faulted)), _) | (None, RunState::Faulted | RunState::Refused) => "faulted",
        (Some((_, Ending::Cancelled)), _) => "cancelled",
        (None, state) if state.is_terminal() => "cancelled",
        (None, _) => "running",
    };
    json!({
        "name": task.name, "path": task.path, "state": state,
        "began": task.began, "ended": task.ended.map(|(at, _)| at),
    })
}
