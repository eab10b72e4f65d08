//! `mandate apply`: manifests from files, all of them or none.

use crate::cli::args::ApplyArgs;
use crate::cli::client::Call;
use crate::cli::error::{FieldError, Finding, Problem};
use crate::cli::manifests::{self, Loaded};
use crate::cli::output::{cell, items, table};
use crate::cli::{CliError, Exit, Session};
use serde_json::{Value, json};
use std::time::Duration;

/// How long compiling and storing may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::cli) async fn apply(session: &Session<'_>, args: ApplyArgs) -> Result<Exit, CliError> {
    let loaded = manifests::load(&args.file, args.project.as_ref())?;
    let body = json!({"manifests": loaded.iter().map(|l| &l.manifest).collect::<Vec<_>>()});
    let call = Call::post("/v1/apply", &body).patiently(PATIENCE);
    let applied = session.client()?.json(call).await.map_err(|error| located(error, &loaded))?;
    session.out().value(&applied, shown)?;
    Ok(Exit::Done)
}

fn shown(applied: &Value) -> String {
    let row = |item: &Value| {
        let changed = item.get("changed").and_then(Value::as_bool) != Some(false);
        let what = if changed { "changed" } else { "as it was" };
        vec![cell(item, "kind"), cell(item, "name"), cell(item, "version"), what.to_owned()]
    };
    let mut text = table(&["kind", "name", "version", ""], items(applied).iter().map(row), "nothing was applied");
    let lapsed = applied.get("invalidated_grants").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for grant in lapsed {
        let (credential, worker, function) =
            (cell(grant, "credential"), cell(grant, "worker"), cell(grant, "function"));
        let told = format!(
            "\n\nA grant lapsed: {worker} may no longer use {credential} through {function}, because {}.\n{} can give it again: mandate grants give {credential} --worker {worker} --function {function}",
            cell(grant, "why"),
            cell(grant, "owner"),
        );
        text.push_str(&crate::cli::output::shown(&told));
    }
    let waiting = applied.get("unscheduled").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for worker in waiting {
        let (name, why) = (cell(worker, "worker"), cell(worker, "why"));
        let told = format!(
            "\n\n{name} has a schedule and does not start by it: {why}.\nWhoever may run it can give one: mandate schedules grant {name} --purpose TEXT"
        );
        text.push_str(&crate::cli::output::shown(&told));
    }
    text
}

/// Shows what the server found where it was written, if the server says where.
fn located(error: CliError, loaded: &[Loaded]) -> CliError {
    let CliError::Problem(problem) = error else { return error };
    let findings: Option<Vec<Finding>> = problem.errors.iter().map(|error| place(error, loaded)).collect();
    match findings {
        Some(findings) if problem.status == 422 && !findings.is_empty() => {
            let Problem { title, detail, decision, .. } = *problem;
            let bare = Problem { title, detail, decision, ..Problem::default() };
            CliError::Findings { headline: bare.to_string(), findings }
        }
        _ => CliError::Problem(problem),
    }
}

/// `/manifests/N/…` is a place in the N-th manifest sent.
fn place(error: &FieldError, loaded: &[Loaded]) -> Option<Finding> {
    let rest = error.pointer.strip_prefix("/manifests/")?;
    let (index, pointer) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    Some(loaded.get(index.parse::<usize>().ok()?)?.finding(pointer, &error.message))
}
