//! `mandate keys`: the tenant's signing keys.

use crate::cli::args::{KeyRole, KeysCommand};
use crate::cli::client::Call;
use crate::cli::output::cell;
use crate::cli::{CliError, Exit, Session};
use serde_json::json;
use std::time::Duration;

/// How long the witness may take to sign for the new key.
const SIGNING: Duration = Duration::from_secs(60);

pub(in crate::cli) async fn keys(session: &Session<'_>, command: KeysCommand) -> Result<Exit, CliError> {
    let KeysCommand::Rotate { role } = command;
    let role = match role {
        KeyRole::Log => "log",
        KeyRole::Evidence => "evidence",
        KeyRole::Token => "token",
    };
    let nothing = json!({});
    let path = format!("/v1/keys/{role}/rotate");
    let rotated = session.client()?.json(Call::post(&path, &nothing).patiently(SIGNING)).await?;
    session.out().value(&rotated, |rotated| {
        format!(
            "the {role} key is now {}; what earlier keys signed stays verifiable from the same anchor",
            cell(rotated, "key")
        )
    })?;
    Ok(Exit::Done)
}
