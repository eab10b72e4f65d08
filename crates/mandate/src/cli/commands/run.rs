//! `mandate run`: start a run and wait until it has ended or waits.

use super::state::{self, RunView};
use crate::cli::args::RunArgs;
use crate::cli::client::{Call, Client, is_passing};
use crate::cli::{CliError, Exit, Session, files};
use mandate_journal::RunState;
use mandate_kernel::{Clock as _, DecisionId, SystemClock, SystemEntropy};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long one request waits for news of a run.
pub(super) const WAIT: Duration = Duration::from_secs(30);
/// How long a server may be away, such as for a restart, before waiting for a run is given up.
const AWAY: Duration = Duration::from_secs(60);
/// Between two tries to reach it again.
const PAUSE: Duration = Duration::from_millis(500);

pub(in crate::cli) async fn run(session: &Session<'_>, args: RunArgs) -> Result<Exit, CliError> {
    let (client, out) = (session.client()?, session.out());
    let mut body = json!({"worker": args.worker, "purpose": args.purpose});
    if let Value::Object(map) = &mut body {
        if let Some(input) = &args.input {
            map.insert("input".to_owned(), files::json_argument("--input", input, session.io)?);
        }
        if let Some(environment) = &args.env {
            map.insert("environment".to_owned(), json!(environment));
        }
    }
    let key = match args.idempotency_key {
        Some(key) => key,
        None => fresh_key()?,
    };
    let mut call = Call::post("/v1/runs", &body).key(&key);
    if !args.detach {
        call = call.wait(WAIT);
    }
    let mut object = client.json(call).await.map_err(|error| lost(error, &key))?;
    let mut view = RunView::of(&object)?;
    if !args.detach && view.state == RunState::Running {
        out.progress(&format!(
            "{} runs; waiting for it (stop waiting with Ctrl-C, stop it with `mandate runs kill`)",
            view.run
        ));
        (object, view) = settled(client, &view.run).await?;
    }
    out.value(&object, state::one)?;
    // How far it has come by now is chance: whoever does not wait learns only of an end.
    if args.detach && !view.state.is_terminal() {
        return Ok(Exit::Done);
    }
    if let Some(verdict) = view.verdict() {
        out.report(&verdict);
    }
    Ok(view.exit())
}

/// Waits until a run no longer runs. A server that is away for a moment is waited for: the run goes on
/// when it is back.
async fn settled(client: &Client, run: &str) -> Result<(Value, RunView), CliError> {
    let path = format!("/v1/runs/{run}");
    let mut away_since: Option<Instant> = None;
    loop {
        match client.json(Call::get(&path).wait(WAIT)).await {
            Ok(object) => {
                away_since = None;
                let view = RunView::of(&object)?;
                if view.state != RunState::Running {
                    return Ok((object, view));
                }
            }
            Err(error) if is_passing(&error) => {
                if away_since.get_or_insert_with(Instant::now).elapsed() > AWAY {
                    return Err(later(error, run));
                }
            }
            Err(error) => return Err(error),
        }
        // A server that answers at once, instead of waiting, is not to be asked at every moment.
        tokio::time::sleep(PAUSE).await;
    }
}

/// A key nobody used before: 80 random bits.
fn fresh_key() -> Result<String, CliError> {
    let id = DecisionId::generate(SystemClock.now(), &SystemEntropy).map_err(|e| CliError::failed(e.to_string()))?;
    Ok(format!("cli-{}", id.as_str().trim_start_matches("dec_").to_ascii_lowercase()))
}

/// Whether the run was started is not known when the answer got lost.
fn lost(error: CliError, key: &str) -> CliError {
    match error {
        CliError::Unreachable { url, why, help } => CliError::Unreachable {
            url,
            why,
            help: format!("{help}; to repeat without starting it twice, add --idempotency-key {key}"),
        },
        other => other,
    }
}

fn later(error: CliError, run: &str) -> CliError {
    match error {
        CliError::Unreachable { url, why, .. } => CliError::Unreachable {
            url,
            why,
            help: format!("the run goes on when the server is back: look with `mandate runs get {run}`"),
        },
        other => other,
    }
}
