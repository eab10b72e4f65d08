//! `mandate backup`, `mandate restore` and `mandate release`: what an operator does on the server's machine.

use crate::cli::args::{BackupArgs, ReleaseArgs, RestoreArgs};
use crate::cli::output::{cell, fields, table, text};
use crate::cli::{CliError, Exit, Session};
use serde_json::Value;

pub(in crate::cli) async fn backup(session: &Session<'_>, args: BackupArgs) -> Result<Exit, CliError> {
    let made = crate::house::backup(&args).await.map_err(CliError::of)?;
    session.out().value(&made, |made| {
        let manifest = made.get("manifest").cloned().unwrap_or_default();
        let tenants = manifest.get("tenants").and_then(Value::as_object).cloned().unwrap_or_default();
        let row = |(name, state): (&String, &Value)| {
            let mut row = vec![name.clone()];
            row.extend(["entries", "witnessed", "running", "waiting"].map(|key| cell(state, key)));
            row
        };
        let header = ["tenant", "entries", "witnessed", "running", "waiting"];
        let told = table(&header, tenants.iter().map(row), "no tenants");
        let dump = "\nThe database itself is not in it: dump it now (docs/guide/15-operations.md)";
        let more = if text(&manifest, "store").as_deref() == Some("postgres") { dump } else { "" };
        format!("{}\n{told}{more}", cell(made, "backup"))
    })?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn restore(session: &Session<'_>, args: RestoreArgs) -> Result<Exit, CliError> {
    let restored = crate::house::restore(&args).await.map_err(CliError::of)?;
    session.out().value(&restored, |restored| {
        let tenants = restored.get("tenants").and_then(Value::as_object).cloned().unwrap_or_default();
        let row = |(name, state): (&String, &Value)| vec![name.clone(), cell(state, "entries"), cell(state, "witness")];
        let told = table(&["tenant", "entries", "the witness"], tenants.iter().map(row), "no tenants");
        let head = "is in quarantine: it can be served and looked at, and does nothing until it is released";
        format!("{} {head}\n{told}", cell(restored, "dataDir"))
    })?;
    Ok(Exit::Done)
}

pub(in crate::cli) async fn release(session: &Session<'_>, args: ReleaseArgs) -> Result<Exit, CliError> {
    let url = crate::house::public_url(&args.config).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let token = session.token_for(&url).await?;
    let released = crate::house::release(&args, &token).await.map_err(CliError::of)?;
    session.out().value(&released, |released| {
        let left = released.get("stillInQuarantine").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let left: Vec<&str> = left.iter().filter_map(Value::as_str).collect();
        fields(&[
            ("Released", text(released, "tenant")),
            ("By", text(released, "by")),
            ("Entries", text(released, "entries")),
            ("Lost", text(released, "lost")),
            ("Runs stopped", text(released, "stopped")),
            ("Still in quarantine", (!left.is_empty()).then(|| left.join(", "))),
        ])
    })?;
    Ok(Exit::Done)
}
