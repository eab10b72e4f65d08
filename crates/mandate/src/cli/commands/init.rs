//! `mandate init`: the first folder of a real server, and what to do with it.

use super::super::args::InitArgs;
use super::super::output::{cell, fields, text};
use super::super::{CliError, Exit, Session};
use serde_json::Value;

pub(in crate::cli) async fn init(session: &Session<'_>, args: InitArgs) -> Result<Exit, CliError> {
    let made = crate::house::init(&args).await.map_err(CliError::of)?;
    session.out().value(&made, told)?;
    Ok(Exit::Done)
}

fn told(made: &Value) -> String {
    let witness = made.get("witness").cloned().unwrap_or_default();
    let made_now =
        text(&witness, "folder").map(|folder| format!("{folder} (run it elsewhere for it to prove anything)"));
    let head = fields(&[
        ("Configuration", text(made, "config")),
        ("Data", text(made, "dataDir")),
        ("Root key", text(made, "rootKey").map(|path| format!("{path} (keep a copy apart from the backups)"))),
        ("Witness", made_now.or_else(|| text(&witness, "url"))),
        ("Redirect URI", Some(cell(made, "callback"))),
    ]);
    let steps = made.get("next").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let steps: Vec<String> =
        steps.iter().filter_map(Value::as_str).zip(1..).map(|(step, n)| format!("{n}. {step}")).collect();
    format!("{head}\n\nNext:\n{}", steps.join("\n"))
}
