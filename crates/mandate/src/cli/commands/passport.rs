//! `mandate passport`: export one, verify one offline, and tell a verified one in another vocabulary.

use crate::cli::args::{ExportArgs, PassportCommand, Projection, VerifyArgs};
use crate::cli::client::Call;
use crate::cli::files::{self, MAX_EVIDENCE};
use crate::cli::output::{fields, text};
use crate::cli::{CliError, Exit, Session};
use mandate_kernel::{Digest, Timestamp};
use mandate_ledger::{PassportReport, VerifiedPassport, passport, projection};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long the server may take until log and witness have signed for the run's last entry.
const SIGNING: Duration = Duration::from_secs(70);

pub(in crate::cli) async fn passport(session: &Session<'_>, command: PassportCommand) -> Result<Exit, CliError> {
    match command {
        PassportCommand::Export(args) => download(session, &args, "passport").await,
        PassportCommand::Verify(args) => verify(session, &args),
        PassportCommand::Project { verify, to, told } => project(session, &verify, to, told.as_deref()),
    }
}

/// Fetches a file of a run and writes it.
pub(super) async fn download(session: &Session<'_>, args: &ExportArgs, what: &str) -> Result<Exit, CliError> {
    let ExportArgs { run, file } = args;
    let bytes = session.client()?.bytes(Call::get(&format!("/v1/runs/{run}/{what}")).patiently(SIGNING)).await?;
    let out = session.out();
    if file == Path::new("-") {
        out.bytes(&bytes)?;
        return Ok(Exit::Done);
    }
    files::write(file, &bytes)?;
    let written =
        json!({"run": run, "file": file.display().to_string(), "bytes": bytes.len(), "digest": Digest::of(&bytes)});
    out.value(&written, |_| format!("{what} of {run} written to {} ({} bytes)", file.display(), bytes.len()))?;
    Ok(Exit::Done)
}

fn verify(session: &Session<'_>, args: &VerifyArgs) -> Result<Exit, CliError> {
    let report = verified(args)?;
    session.out().value(&shape(&report), |value| {
        format!(
            "the passport holds\n{}",
            fields(&[
                ("Run", text(value, "run")),
                ("Tenant", text(value, "tenant")),
                ("Worker", text(value, "worker")),
                ("Purpose", text(value, "purpose")),
                ("State", text(value, "state")),
                ("Started by", text(value, "started_by")),
                ("Started", text(value, "started_at")),
                ("Ended", text(value, "ended_at")),
                ("Entries", text(value, "entries")),
                ("Decisions", text(value, "decisions")),
                ("Steps", text(value, "steps")),
                ("Artefacts", text(value, "artifacts").filter(|digests| !digests.is_empty())),
                ("Log", text(value, "origin")),
                ("Log size", text(value, "checkpoint_size")),
                ("Witnesses", text(value, "witnesses")),
                ("Cosigned", text(value, "cosigned_at")),
            ])
        )
    })?;
    Ok(Exit::Done)
}

/// Verifies a passport, and writes its projection.
fn project(session: &Session<'_>, args: &VerifyArgs, to: Projection, file: Option<&Path>) -> Result<Exit, CliError> {
    let passport = opened(args)?;
    let line = |value: &Value| format!("{value}\n");
    let told = match to {
        Projection::ProvJson => line(&projection::prov_json(&passport)),
        Projection::Openlineage => projection::openlineage(&passport).iter().map(line).collect(),
    };
    let out = session.out();
    let Some(file) = file.filter(|file| *file != Path::new("-")) else {
        out.bytes(told.as_bytes())?;
        return Ok(Exit::Done);
    };
    files::write(file, told.as_bytes())?;
    let written = json!({"run": passport.report().run, "file": file.display().to_string(), "bytes": told.len()});
    out.value(&written, |_| {
        format!("the passport holds; its projection was written to {}, and proves nothing by itself", file.display())
    })?;
    Ok(Exit::Done)
}

/// Reads and verifies a passport.
pub(super) fn verified(args: &VerifyArgs) -> Result<PassportReport, CliError> {
    Ok(opened(args)?.report().clone())
}

fn opened(args: &VerifyArgs) -> Result<VerifiedPassport, CliError> {
    let anchor = files::anchor(&args.trust.trust)?;
    let bytes = files::read(&args.file, MAX_EVIDENCE)?;
    passport::open(&bytes, &anchor).map_err(|e| CliError::unverified(args.file.display().to_string(), &e))
}

/// The report with its times as text.
fn shape(report: &PassportReport) -> Value {
    let mut value = json!(report);
    if let Value::Object(map) = &mut value {
        map.insert("verified".to_owned(), json!(true));
        map.insert("started_at".to_owned(), json!(report.started_at.to_string()));
        map.insert("ended_at".to_owned(), json!(report.ended_at.to_string()));
        map.insert("cosigned_at".to_owned(), json!(seconds(report.cosigned_at)));
    }
    value
}

/// Seconds since the epoch, as text.
pub(super) fn seconds(secs: u64) -> String {
    Timestamp::from_secs(i64::try_from(secs).unwrap_or(i64::MAX)).to_string()
}
