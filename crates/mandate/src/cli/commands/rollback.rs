//! `mandate runs rollback`: what of a run can be undone, and the run that undoes it.

use crate::cli::client::Call;
use crate::cli::output::{cell, table, text};
use crate::cli::{CliError, Exit, Session};
use mandate_kernel::RunId;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a start may take: the ledger has to hold the run that is undone.
const STARTING: Duration = Duration::from_secs(60);

pub(super) async fn rollback(session: &Session<'_>, run: &RunId, reason: Option<String>) -> Result<Exit, CliError> {
    let path = format!("/v1/runs/{run}/rollback");
    let client = session.client()?;
    let told = match reason {
        None => client.json(Call::get(&path).patiently(STARTING)).await?,
        Some(reason) => client.json(Call::post(&path, &json!({"reason": reason})).patiently(STARTING)).await?,
    };
    session.out().value(&told, |told| {
        let rows = told.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let row = |step: &Value| vec![cell(step, "step"), cell(step, "function"), fate(step)];
        let plan = table(&["step", "function", "what can be done"], rows.iter().map(row), "it did nothing that lasts");
        match text(told, "rollback") {
            Some(rollback) => format!("{plan}\nundone by {rollback}; `mandate runs watch {rollback}` follows it"),
            None => format!("{plan}\nnothing was done; `mandate runs rollback {run} --yes --reason TEXT` does it"),
        }
    })?;
    Ok(Exit::Done)
}

fn fate(step: &Value) -> String {
    let (by, run) = (cell(step, "by"), cell(step, "run"));
    match cell(step, "fate").as_str() {
        "undo" => format!("undone by {by}"),
        "no-inverse" => "can't be undone: its function declares no inverse".to_owned(),
        "not-listed" => format!("can't be undone: the Worker does not list {by}"),
        "unfilled" => format!("can't be undone: nothing for argument {} of {by}", cell(step, "argument")),
        "in-doubt" => "in doubt: nobody knows whether it happened".to_owned(),
        "undone" => format!("was undone by {run}"),
        "undo-in-doubt" => format!("in doubt: nobody knows whether {run} undid it"),
        other => other.to_owned(),
    }
}
