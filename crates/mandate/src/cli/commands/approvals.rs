//! `mandate approvals`: what waits for a person's word, and the word.

use crate::cli::args::{AnswerArgs, ApprovalsCommand};
use crate::cli::client::Call;
use crate::cli::output::{cell, fields, items, shown, table, text};
use crate::cli::{CliError, Exit, Session, files};
use serde_json::{Value, json};

pub(in crate::cli) async fn approvals(session: &Session<'_>, command: ApprovalsCommand) -> Result<Exit, CliError> {
    match command {
        ApprovalsCommand::List { state, run, limit, cursor } => {
            let call = Call::get("/v1/approvals")
                .query("state", state)
                .query("run", run)
                .query("limit", limit)
                .query("cursor", cursor);
            let found = session.client()?.json(call).await?;
            let out = session.out();
            out.value(&found, |found| listed(items(found)))?;
            super::more(&out, &found, "--cursor");
            Ok(Exit::Done)
        }
        ApprovalsCommand::Get { approval } => {
            let found = session.client()?.json(Call::get(&format!("/v1/approvals/{approval}"))).await?;
            session.out().value(&found, told)?;
            Ok(Exit::Done)
        }
        ApprovalsCommand::Approve { answer, form } => say(session, "approve", &answer, form).await,
        ApprovalsCommand::Deny { answer } => say(session, "deny", &answer, None).await,
    }
}

/// Shows what waits, asks a person who is there whether they mean it, and submits the digest that was
/// shown: what changes in between is refused.
async fn say(session: &Session<'_>, word: &str, asked: &AnswerArgs, form: Option<String>) -> Result<Exit, CliError> {
    let (client, out) = (session.client()?, session.out());
    let path = format!("/v1/approvals/{}", asked.approval);
    let found = client.json(Call::get(&path)).await?;
    let digest = match &asked.digest {
        Some(digest) => digest.to_string(),
        None => cell(&found, "arguments_digest"),
    };
    if session.io.input_is_terminal() && !asked.yes {
        out.ask(&format!("{}\n\n{word} this? [y/N] ", told(&found)));
        let said = session.io.read_line()?;
        if !matches!(said.trim(), "y" | "Y" | "yes") {
            return Err(CliError::usage(format!("nothing was said to {}", asked.approval)));
        }
    }
    let mut body = json!({"digest": digest, "comment": asked.comment});
    if let (Value::Object(map), Some(form)) = (&mut body, form) {
        map.insert("answer".to_owned(), files::json_argument("--answer", &form, session.io)?);
    }
    let answered = client.json(Call::post(&format!("{path}/{word}"), &body)).await?;
    out.value(&answered, |answered| {
        shown(&format!(
            "{} of {} in {} is {}",
            cell(answered, "function"),
            cell(answered, "worker"),
            cell(answered, "run"),
            cell(answered, "state"),
        ))
    })?;
    Ok(Exit::Done)
}

fn listed(approvals: &[Value]) -> String {
    let row = |approval: &Value| {
        ["id", "state", "worker", "function", "destination", "requested_by", "groups", "expires_at", "run"]
            .iter()
            .map(|key| cell(approval, key))
            .collect()
    };
    let header = ["id", "state", "worker", "function", "destination", "asked by", "may answer", "until", "run"];
    table(&header, approvals.iter().map(row), "no approvals that you may see")
}

/// Everything about one, its exact bytes last.
fn told(approval: &Value) -> String {
    let at = |key: &str| text(approval, key);
    let labels = super::explain::labels(approval.get("labels"));
    let head = fields(&[
        ("approval", at("id")),
        ("state", at("state")),
        ("title", at("title")),
        ("function", at("function")),
        ("destination", at("destination")),
        ("asked by", at("requested_by")),
        ("purpose", at("purpose")),
        ("worker", at("worker")),
        ("run", at("run")),
        ("environment", at("environment")),
        ("data", labels),
        ("may answer", at("groups")),
        ("until", at("expires_at")),
        ("decided by", at("decided_by")),
        ("comment", at("comment")),
        ("you may not", at("why_not")),
        ("digest", at("arguments_digest")),
    ]);
    // The server made control and invisible characters visible; line feeds are the only ones left.
    let canonical: Vec<String> =
        cell(approval, "canonical").lines().map(|line| format!("    {}", shown(line))).collect();
    format!("{head}\n\n{}", canonical.join("\n"))
}
