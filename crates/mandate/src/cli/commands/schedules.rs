//! `mandate schedules`: Workers that start by themselves, and in whose name.

use crate::cli::args::SchedulesCommand;
use crate::cli::client::Call;
use crate::cli::output::{cell, items, shown, table, text};
use crate::cli::{CliError, Exit, Session, time};
use serde_json::{Value, json};

pub(in crate::cli) async fn schedules(session: &Session<'_>, command: SchedulesCommand) -> Result<Exit, CliError> {
    let (client, out) = (session.client()?, session.out());
    match command {
        SchedulesCommand::List => {
            let found = client.json(Call::get("/v1/schedules")).await?;
            out.value(&found, |found| listed(items(found)))?;
        }
        SchedulesCommand::Grant(args) => {
            let mut body = json!({"worker": args.worker, "purpose": args.purpose, "environment": args.env});
            if let (Value::Object(map), Some(text)) = (&mut body, args.not_after) {
                let until = time::parse_utc(&text).ok_or_else(|| {
                    CliError::usage(format!(
                        "--not-after `{text}` is not a time: write it as 2026-12-31 or 2026-12-31T17:00:00Z"
                    ))
                })?;
                map.insert("not_after".to_owned(), json!(until));
            }
            let given = client.json(Call::post("/v1/schedules/grant", &body)).await?;
            out.value(&given, |given| {
                shown(&format!(
                    "{} starts by itself in {}, in the name of {}, until {}; an edit of it or of its functions ends that",
                    cell(given, "worker"),
                    cell(given, "environment"),
                    cell(given, "holder"),
                    cell(given, "not_after"),
                ))
            })?;
        }
        SchedulesCommand::Revoke { worker } => {
            let body = json!({"worker": worker});
            let revoked = client.json(Call::post("/v1/schedules/revoke", &body)).await?;
            out.value(&revoked, |_| format!("{worker} no longer starts by itself"))?;
        }
    }
    Ok(Exit::Done)
}

fn listed(found: &[Value]) -> String {
    let row = |item: &Value| {
        let holder = item.get("grant").and_then(|grant| text(grant, "holder")).unwrap_or_else(|| "nobody".to_owned());
        let why = match cell(item, "state").as_str() {
            "no-grant" => "no standing grant: mandate schedules grant".to_owned(),
            "lapsed" => format!("lapsed: {}", cell(item, "lapsed")),
            "in-trouble" => item.get("trouble").map(|trouble| cell(trouble, "detail")).unwrap_or_default(),
            _ => "in force".to_owned(),
        };
        let next = text(item, "next").unwrap_or_default();
        vec![cell(item, "worker"), holder, next, text(item, "last_run").unwrap_or_default(), why]
    };
    table(
        &["worker", "in the name of", "next", "last run", "state"],
        found.iter().map(row),
        "no schedules that you may see",
    )
}
