//! `mandate grants`: who lets which Worker use which credential.

use crate::cli::args::{GrantArgs, GrantsCommand};
use crate::cli::client::Call;
use crate::cli::output::{cell, items, shown, table, text};
use crate::cli::{CliError, Exit, Session, time};
use serde_json::{Value, json};

pub(in crate::cli) async fn grants(session: &Session<'_>, command: GrantsCommand) -> Result<Exit, CliError> {
    let (client, out) = (session.client()?, session.out());
    match command {
        GrantsCommand::List => {
            let found = client.json(Call::get("/v1/grants")).await?;
            out.value(&found, |found| listed(items(found)))?;
        }
        GrantsCommand::Give { grant, not_after } => {
            let mut body = named(&grant);
            if let (Value::Object(map), Some(text)) = (&mut body, not_after) {
                let until = time::parse_utc(&text).ok_or_else(|| {
                    CliError::usage(format!(
                        "--not-after `{text}` is not a time: write it as 2026-12-31 or 2026-12-31T17:00:00Z"
                    ))
                })?;
                map.insert("not_after".to_owned(), json!(until));
            }
            let given = client.json(Call::post("/v1/grants", &body)).await?;
            out.value(&given, |given| {
                let until = text(given, "not_after").map(|until| format!(" until {until}")).unwrap_or_default();
                shown(&format!(
                    "{} may use {} through {} in {}{until}; an edit of the Worker or the function ends that",
                    cell(given, "worker"),
                    cell(given, "credential"),
                    cell(given, "function"),
                    cell(given, "environment"),
                ))
            })?;
        }
        GrantsCommand::Revoke { grant } => {
            let body = named(&grant);
            let revoked = client.json(Call::post("/v1/grants/revoke", &body)).await?;
            out.value(&revoked, |_| {
                format!("{} may no longer use {} through {}", grant.worker, grant.credential, grant.function)
            })?;
        }
    }
    Ok(Exit::Done)
}

fn named(grant: &GrantArgs) -> Value {
    json!({"credential": grant.credential, "worker": grant.worker, "function": grant.function})
}

fn listed(grants: &[Value]) -> String {
    let row = |grant: &Value| {
        let mut row: Vec<String> = ["credential", "worker", "function", "environment", "given_by", "given_at"]
            .iter()
            .map(|key| cell(grant, key))
            .collect();
        row.push(text(grant, "not_after").unwrap_or_else(|| "no end".to_owned()));
        row.push(text(grant, "stale").map_or_else(|| "in force".to_owned(), |why| format!("lapsed: {why}")));
        row
    };
    let header = ["credential", "worker", "function", "environment", "given by", "given at", "until", "state"];
    table(&header, grants.iter().map(row), "no grants that you may see")
}
