//! `mandate runs`: look at runs, follow them, stop them, say what became of them.

use super::run::WAIT;
use super::state::{self, RunView};
use super::{explain, more, rollback};
use crate::cli::args::RunsCommand;
use crate::cli::client::{Call, is_passing};
use crate::cli::output::{cell, items, table, text};
use crate::cli::{CliError, Exit, Session, files};
use mandate_kernel::{ResourceName, RunId};
use serde_json::{Value, json};
use std::time::Duration;

/// How long stopping may take: it waits for permits that are still alive.
const STOPPING: Duration = Duration::from_secs(60);
/// Between two looks at a run that is followed.
const LOOK: Duration = Duration::from_secs(1);

pub(in crate::cli) async fn runs(session: &Session<'_>, command: RunsCommand) -> Result<Exit, CliError> {
    match command {
        RunsCommand::List { limit, cursor, worker } => list(session, limit, cursor, worker).await,
        RunsCommand::Get { run } => get(session, &run).await,
        RunsCommand::Watch { run } => watch(session, &run).await,
        RunsCommand::Kill { run } => kill(session, &run).await,
        RunsCommand::Resolve { run, step, happened, value, did_not_happen: _ } => {
            resolve(session, &run, step, happened, value).await
        }
        RunsCommand::Tasks { run, limit, cursor } => tasks(session, &run, limit, cursor).await,
        RunsCommand::Rollback { run, yes: _, reason } => rollback::rollback(session, &run, reason).await,
        RunsCommand::Explain { run } => explain::explain(session, &run).await,
    }
}

async fn list(
    session: &Session<'_>,
    limit: Option<u32>,
    cursor: Option<String>,
    worker: Option<ResourceName>,
) -> Result<Exit, CliError> {
    let call = Call::get("/v1/runs").query("limit", limit).query("cursor", cursor).query("worker", worker);
    let found = session.client()?.json(call).await?;
    let out = session.out();
    out.value(&found, |found| state::many(items(found)))?;
    more(&out, &found, "--cursor");
    Ok(Exit::Done)
}

async fn get(session: &Session<'_>, run: &RunId) -> Result<Exit, CliError> {
    let found = session.client()?.json(Call::get(&format!("/v1/runs/{run}"))).await?;
    session.out().value(&found, state::one)?;
    Ok(Exit::Done)
}

/// Which tasks ran, in the order in which they began.
async fn tasks(
    session: &Session<'_>,
    run: &RunId,
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<Exit, CliError> {
    let path = format!("/v1/runs/{run}/tasks");
    let call = Call::get(&path).query("limit", limit).query("cursor", cursor);
    let found = session.client()?.json(call).await?;
    let out = session.out();
    out.value(&found, |found| {
        let row = |task: &Value| ["began", "ended", "state", "name", "path"].map(|key| cell(task, key)).to_vec();
        let told = table(&["began", "ended", "state", "task", "path"], items(found).iter().map(row), "no task began");
        if found.get("partial").and_then(Value::as_bool) == Some(true) {
            format!("{told}\nonly tasks that no data decided on; the others are for whoever may read the run's results")
        } else {
            told
        }
    })?;
    more(&out, &found, "--cursor");
    Ok(Exit::Done)
}

/// Follows a run until it has ended: for people each entry as it comes, otherwise the run at the end.
async fn watch(session: &Session<'_>, run: &RunId) -> Result<Exit, CliError> {
    let (client, out) = (session.client()?, session.out());
    let path = format!("/v1/runs/{run}");
    let entries_path = format!("{path}/entries");
    let mut told = 0;
    loop {
        let asked = if told == 0 { Call::get(&path) } else { Call::get(&path).wait(WAIT) };
        let object = match client.json(asked).await {
            Err(error) if told > 0 && is_passing(&error) => {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            other => other?,
        };
        let view = RunView::of(&object)?;
        if out.is_table() {
            let entries = client.json(Call::get(&entries_path)).await?;
            for entry in items(&entries).iter().skip(told) {
                out.line(&explain::headline(entry))?;
            }
            told = told.max(items(&entries).len()).max(1);
        } else {
            told = 1;
        }
        if view.state.is_terminal() {
            if !out.is_table() {
                out.value(&object, state::one)?;
            }
            if let Some(verdict) = view.verdict() {
                out.report(&verdict);
            }
            return Ok(view.exit());
        }
        if out.is_closed() {
            return Ok(view.exit());
        }
        // A run that waits for somebody answers at once.
        tokio::time::sleep(LOOK).await;
    }
}

async fn kill(session: &Session<'_>, run: &RunId) -> Result<Exit, CliError> {
    let nothing = json!({});
    let path = format!("/v1/runs/{run}/kill");
    let stopped = session.client()?.json(Call::post(&path, &nothing).patiently(STOPPING)).await?;
    session.out().value(&stopped, killed)?;
    Ok(Exit::Done)
}

fn killed(stopped: &Value) -> String {
    if stopped.get("already_ended").and_then(Value::as_bool) == Some(true) {
        return format!("{} had ended before; it is {}", cell(stopped, "run"), cell(stopped, "state"));
    }
    let in_flight = stopped.get("in_flight").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let head = format!("{} is stopped since {}", cell(stopped, "run"), cell(stopped, "stopped_at"));
    let row = |permit: &Value| {
        let on_wire = permit.get("on_wire").and_then(Value::as_bool) == Some(true);
        let step = permit.get("step").and_then(|step| text(step, "seq").or_else(|| text(permit, "step")));
        vec![
            step.unwrap_or_default(),
            cell(permit, "function"),
            cell(permit, "destination"),
            if on_wire { "sent: its effect is in doubt".to_owned() } else { "not sent".to_owned() },
            cell(permit, "token_valid_until"),
            cell(permit, "decision"),
        ]
    };
    let header = ["step", "function", "destination", "request", "token valid until", "decision"];
    format!("{head}\n{}", table(&header, in_flight.iter().map(row), "nothing was in flight"))
}

async fn resolve(
    session: &Session<'_>,
    run: &RunId,
    step: Option<u32>,
    happened: bool,
    value: Option<String>,
) -> Result<Exit, CliError> {
    let mut body = json!({"happened": happened});
    if let Value::Object(map) = &mut body {
        if let Some(step) = step {
            map.insert("step".to_owned(), json!(step));
        }
        if let Some(value) = value {
            map.insert("value".to_owned(), files::json_argument("--value", &value, session.io)?);
        }
    }
    let path = format!("/v1/runs/{run}/resolve");
    let object = session.client()?.json(Call::post(&path, &body).patiently(WAIT)).await?;
    session.out().value(&object, state::one)?;
    Ok(Exit::Done)
}
