//! `mandate secrets`: the inventory, and the way in for a new value. A value is never an argument, and
//! never comes back.

use crate::cli::args::SecretsCommand;
use crate::cli::client::Call;
use crate::cli::output::{cell, items, table, text};
use crate::cli::{CliError, Exit, Session, files};
use serde_json::{Value, json};

/// Bytes of a secret.
const MAX_SECRET: u64 = 64 << 10;

pub(in crate::cli) async fn secrets(session: &Session<'_>, command: SecretsCommand) -> Result<Exit, CliError> {
    let out = session.out();
    match command {
        SecretsCommand::List => {
            let found = session.client()?.json(Call::get("/v1/secrets")).await?;
            out.value(&found, |found| listed(items(found)))?;
        }
        SecretsCommand::Put { name, from_file } => {
            let bytes = match &from_file {
                Some(path) => files::read(path, MAX_SECRET)?,
                None if session.io.input_is_terminal() => {
                    return Err(CliError::usage_help(
                        "the value would show on the terminal as it is typed",
                        format!("pipe it in, or name a file: mandate secrets put {name} --from-file FILE"),
                    ));
                }
                None => session.io.read_input(MAX_SECRET)?,
            };
            let body = json!({"value": value(bytes)?});
            let path = format!("/v1/secrets/{name}");
            let put = session.client()?.json(Call::put(&path, &body)).await?;
            out.value(&put, |put| format!("{} has version {}", cell(put, "name"), cell(put, "version")))?;
        }
    }
    Ok(Exit::Done)
}

/// The value, without the line break that `echo` and editors put at the end.
fn value(bytes: Vec<u8>) -> Result<String, CliError> {
    let mut text = String::from_utf8(bytes).map_err(|_| {
        CliError::usage_help("the value is not UTF-8 text", "encode a binary value first, such as in base64")
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(CliError::usage("the value is empty")) } else { Ok(text) }
}

fn listed(secrets: &[Value]) -> String {
    let row = |secret: &Value| {
        let mut row: Vec<String> =
            ["name", "owner", "environment", "destinations", "versions"].iter().map(|key| cell(secret, key)).collect();
        row.push(text(secret, "newest_at").unwrap_or_else(|| "never put in".to_owned()));
        row
    };
    let header = ["name", "owner", "environment", "destinations", "versions", "newest"];
    table(&header, secrets.iter().map(row), "no secrets that you may see")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_a_value() {
        for (given, expected) in
            [("k\n", "k"), ("k\r\n", "k"), ("k\n\n", "k\n"), ("k", "k"), (" k ", " k "), ("a\nb\n", "a\nb")]
        {
            assert_eq!(value(given.into()).unwrap(), expected);
        }
        for bad in [&b""[..], b"\n", &[0xff, 0xfe]] {
            assert_eq!(value(bad.to_vec()).unwrap_err().exit(), Exit::Usage);
        }
    }
}
