//! `mandate artifact`: fetch a run's signed result, and verify one offline.

use super::passport;
use crate::cli::args::{ArtifactCommand, TrustArg, VerifyArgs};
use crate::cli::files::{self, MAX_EVIDENCE};
use crate::cli::output::{fields, text};
use crate::cli::{CliError, Exit, Session};
use mandate_ledger::{ArtifactReport, artifact};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(in crate::cli) async fn artifact(session: &Session<'_>, command: ArtifactCommand) -> Result<Exit, CliError> {
    match command {
        ArtifactCommand::Get(args) => passport::download(session, &args, "artifact").await,
        ArtifactCommand::Verify { verify: args, passport } => verify(session, &args, passport),
    }
}

fn verify(session: &Session<'_>, args: &VerifyArgs, passport: Option<PathBuf>) -> Result<Exit, CliError> {
    let anchor = files::anchor(&args.trust.trust)?;
    let bytes = files::read(&args.file, MAX_EVIDENCE)?;
    let name = args.file.display().to_string();
    let report = artifact::verify(&bytes, &anchor).map_err(|e| CliError::unverified(name.clone(), &e))?;
    if let Some(passport) = &passport {
        belongs(&report, passport, &args.trust, &name)?;
    }
    let mut value = json!(report);
    if let Value::Object(map) = &mut value {
        map.insert("verified".to_owned(), json!(true));
        map.insert("in_passport".to_owned(), json!(passport.is_some()));
        map.insert("produced_at".to_owned(), json!(report.produced_at.to_string()));
    }
    session.out().value(&value, |value| table(value, passport.is_some()))?;
    Ok(Exit::Done)
}

/// The passport must be of the same run and name this very file.
fn belongs(report: &ArtifactReport, passport: &Path, trust: &TrustArg, name: &str) -> Result<(), CliError> {
    let args = VerifyArgs { file: passport.to_owned(), trust: TrustArg { trust: trust.trust.clone() } };
    let told = passport::verified(&args)?;
    let fail = |why: String| CliError::Unverified { what: name.to_owned(), why };
    if (&told.tenant, &told.run) != (&report.tenant, &report.run) {
        return Err(fail(format!("it is of {}, the passport of {}", report.run, told.run)));
    }
    if !told.artifacts.contains(&report.digest.to_string()) {
        return Err(fail("the run's passport does not name this file among what the run signed".to_owned()));
    }
    Ok(())
}

fn table(value: &Value, proven: bool) -> String {
    let head = if proven {
        "the artefact holds, and the passport proves when it was signed"
    } else {
        "the artefact holds; --passport FILE also proves when it was signed"
    };
    let facts = fields(&[
        ("Run", text(value, "run")),
        ("Tenant", text(value, "tenant")),
        ("Worker", text(value, "worker")),
        ("Version", text(value, "worker_version")),
        ("Name", text(value, "name")),
        ("Type", text(value, "media_type")),
        ("Produced", text(value, "produced_at")),
        ("Confidentiality", value.pointer("/labels/confidentiality").and_then(crate::cli::output::plain)),
        ("Integrity", value.pointer("/labels/integrity").and_then(crate::cli::output::plain)),
        ("Digest", text(value, "digest")),
    ]);
    format!("{head}\n{facts}")
}
