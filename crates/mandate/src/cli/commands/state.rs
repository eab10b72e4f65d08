//! A run as the server shows it, and what its state means for whoever asked.

use crate::cli::error::Problem;
use crate::cli::output::{cell, fields, shortened, table, text};
use crate::cli::{CliError, Exit};
use mandate_journal::{RunState, WaitingFor};
use miette::Diagnostic;
use serde::Deserialize;
use serde_json::Value;
use std::fmt;

/// What the client needs to understand of a run object; the rest is passed on as it is.
#[derive(Debug, Deserialize)]
pub(super) struct RunView {
    /// Its id.
    pub(super) run: String,
    /// Its state.
    pub(super) state: RunState,
    /// What it waits for.
    #[serde(default)]
    pub(super) waiting_for: Option<WaitingFor>,
    /// What went wrong.
    #[serde(default)]
    problem: Option<Problem>,
}

impl RunView {
    /// Reads a run object.
    pub(super) fn of(object: &Value) -> Result<Self, CliError> {
        Self::deserialize(object).map_err(|e| CliError::failed(format!("the server's answer is not a run: {e}")))
    }

    /// Why the run is not simply going on or done, and what to do; `None` where there is nothing to say.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        let RunView { run, state, waiting_for, problem } = self;
        let because = problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        let explain = format!("`mandate runs explain {run}` tells what led to it");
        let (text, help) = match (state, waiting_for) {
            (RunState::Running | RunState::Completed, _) => return None,
            (RunState::Refused, _) => (format!("run {run} was refused{because}"), explain),
            (RunState::Faulted, _) => (format!("run {run} faulted{because}"), explain),
            (RunState::Cancelled, _) => (format!("run {run} was cancelled{because}"), explain),
            (RunState::Paused, _) => (format!("run {run} is paused{because}"), explain),
            (RunState::Waiting, Some(WaitingFor::OutcomeUnknown)) => (
                format!("run {run} waits: nobody knows whether a step happened{because}"),
                format!("find out at the receiver, then `mandate runs resolve {run} --happened` or `--did-not-happen`"),
            ),
            (RunState::Waiting, what) => (
                format!("run {run} waits for {}{because}", what.map_or("something", WaitingFor::as_str)),
                format!("`mandate runs watch {run}` follows it"),
            ),
        };
        Some(Verdict { text, help })
    }

    /// The exit code for the state.
    pub(super) const fn exit(&self) -> Exit {
        Exit::of_state(self.state)
    }
}

/// What is to be said about a state. Not an error of the command: the command did what it was asked.
#[derive(Debug)]
pub(super) struct Verdict {
    text: String,
    help: String,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Verdict {}

impl Diagnostic for Verdict {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }
}

/// One run for people.
pub(super) fn one(run: &Value) -> String {
    let class = run.get("class");
    let data = class.and_then(|class| text(class, "data")).filter(|data| !data.is_empty());
    let impact = class.and_then(|class| text(class, "impact"));
    let problem = run.get("problem").filter(|problem| !problem.is_null());
    fields(&[
        ("Run", text(run, "run")),
        ("State", text(run, "state")),
        ("Waiting for", text(run, "waiting_for")),
        ("Worker", text(run, "worker")),
        ("Version", text(run, "worker_version")),
        ("Environment", text(run, "environment")),
        ("Initiator", text(run, "initiator")),
        ("Purpose", text(run, "purpose")),
        ("Class", impact.map(|impact| data.map_or_else(|| impact.clone(), |data| format!("{impact} ({data})")))),
        ("Started", text(run, "started_at")),
        ("Since", text(run, "since")),
        ("Problem", problem.and_then(|p| text(p, "detail").or_else(|| text(p, "title")))),
        ("Decision", problem.and_then(|p| text(p, "decision"))),
    ])
}

/// Runs for people.
pub(super) fn many(runs: &[Value]) -> String {
    let header = ["run", "state", "waiting for", "worker", "environment", "initiator", "started", "purpose"];
    let row = |run: &Value| {
        let mut row: Vec<String> = ["run", "state", "waiting_for", "worker", "environment", "initiator", "started_at"]
            .iter()
            .map(|key| cell(run, key))
            .collect();
        row.push(shortened(&cell(run, "purpose").replace('\n', " "), 40));
        row
    };
    table(&header, runs.iter().map(row), "no runs that you may see")
}
