//! `mandate doctor`: whether everything is as it should be, and what to do where it is not.

mod ledger;

use crate::cli::args::DoctorArgs;
use crate::cli::client::{Answer, Call, Client};
use crate::cli::output::{items, table, text};
use crate::cli::{CliError, Exit, Session, time};
use mandate_kernel::{Clock as _, SystemClock, Timestamp};
use mandate_ledger::SignedNote;
use serde_json::{Value, json};
use std::path::Path;

/// Clocks further apart than this make fresh tokens look expired, or not yet valid.
const MAX_SKEW_SECS: u64 = 30;
/// Entries older than this should have been cosigned.
const MAX_UNSIGNED_SECS: u64 = 60;

/// One check and what came of it.
struct Check {
    name: &'static str,
    /// `None` when it could not be made.
    ok: Option<bool>,
    told: String,
    advice: Option<String>,
    /// The exit code if it failed.
    exit: Exit,
}

impl Check {
    fn good(name: &'static str, told: impl Into<String>) -> Self {
        Self { name, ok: Some(true), told: told.into(), advice: None, exit: Exit::Done }
    }

    fn bad(name: &'static str, told: impl Into<String>, advice: &str, exit: Exit) -> Self {
        Self { name, ok: Some(false), told: told.into(), advice: Some(advice.to_owned()), exit }
    }

    fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, ok: None, told: why.into(), advice: None, exit: Exit::Done }
    }

    /// From an error met on the way; its exit code is kept.
    fn error(name: &'static str, error: &CliError) -> Self {
        let advice = miette::Diagnostic::help(error).map(|help| help.to_string());
        Self { name, ok: Some(false), told: error.to_string(), advice, exit: error.exit() }
    }
}

pub(in crate::cli) async fn doctor(session: &Session<'_>, args: DoctorArgs) -> Result<Exit, CliError> {
    let client = session.client()?;
    let mut checks = Vec::new();
    match client.public("/readyz").await {
        Err(error) => checks.push(Check::error("server", &error)),
        Ok(answer) if args.ready => checks.push(ready(client, &answer)),
        Ok(answer) => {
            checks.push(ready(client, &answer));
            checks.push(clock(&answer));
            checks.push(token(client).await);
            checks.push(witness(client).await);
            checks.push(ledger::served(client).await);
        }
    }
    if let Some(folder) = &args.data_dir {
        checks.push(permissions(folder));
        checks.push(ledger::stored(folder).await);
    }
    let shape =
        |check: &Check| json!({"check": check.name, "ok": check.ok, "told": check.told, "advice": check.advice});
    let told = json!({"items": checks.iter().map(shape).collect::<Vec<_>>(), "next": null});
    session.out().value(&told, |told| {
        let row = |check: &Value| {
            let mark = match check.get("ok").and_then(Value::as_bool) {
                Some(true) => "good",
                Some(false) => "BAD",
                None => "skipped",
            };
            let advice = text(check, "advice").map(|advice| format!("\n{advice}")).unwrap_or_default();
            vec![
                text(check, "check").unwrap_or_default(),
                mark.to_owned(),
                format!("{}{advice}", text(check, "told").unwrap_or_default()),
            ]
        };
        table(&["check", "", "found"], items(told).iter().map(row), "")
    })?;
    Ok(checks.iter().find(|check| check.ok == Some(false)).map_or(Exit::Done, |check| check.exit))
}

fn ready(client: &Client, answer: &Answer) -> Check {
    if answer.status == 200 {
        return Check::good("server", format!("{} is ready", client.url()));
    }
    let told = format!("{} answers {}", client.url(), answer.status);
    Check::bad("server", told, "look into its log; its database may be locked or its disk full", Exit::Unreachable)
}

fn clock(answer: &Answer) -> Check {
    let Some(theirs) = answer.date.as_deref().and_then(time::parse_http) else {
        return Check::skipped("clock", "the server does not tell the time");
    };
    let ours = SystemClock.now();
    let apart = ours.since(theirs).as_secs().max(theirs.since(ours).as_secs());
    if apart <= MAX_SKEW_SECS {
        return Check::good("clock", format!("within {} s of the server's", apart + 1));
    }
    Check::bad(
        "clock",
        format!("{apart} s apart from the server's"),
        "set this machine's clock, such as by NTP",
        Exit::Failed,
    )
}

async fn token(client: &Client) -> Check {
    match client.json(Call::get("/v1/me")).await {
        Ok(me) => {
            let groups = text(&me, "groups").filter(|groups| !groups.is_empty()).unwrap_or_else(|| "none".to_owned());
            let who = text(&me, "subject").unwrap_or_default();
            Check::good(
                "token",
                format!("{who} of tenant {}, groups: {groups}", text(&me, "tenant").unwrap_or_default()),
            )
        }
        Err(error) => Check::error("token", &error),
    }
}

/// Whether the witness keeps up: the newest entry must not be much older than the newest cosignature.
async fn witness(client: &Client) -> Check {
    let note = match client.bytes(Call::get("/v1/audit/checkpoint")).await {
        Ok(note) => note,
        Err(error) if error.exit() == Exit::Refused || error.exit() == Exit::Usage => {
            return Check::skipped("witness", "whoever may read the ledger can check it, such as an auditor");
        }
        Err(error) => return Check::error("witness", &error),
    };
    let advice = "see that the witness process runs and that the server reaches it";
    let note = String::from_utf8(note).ok().and_then(|note| SignedNote::parse(&note).ok());
    // A cosignature begins with its time; the log's own line stands first and has none.
    let times = note.iter().flat_map(|note| note.signatures.iter().skip(1));
    let newest = times.filter_map(|line| line.signature.first_chunk::<8>().map(|time| u64::from_be_bytes(*time))).max();
    let Some(cosigned) = newest.and_then(|secs| i64::try_from(secs).ok()).map(Timestamp::from_secs) else {
        return Check::bad("witness", "the checkpoint carries no cosignature", advice, Exit::Unverified);
    };
    let newest = client.json(Call::get("/v1/audit/search").query("limit", Some(1))).await.ok();
    let newest = newest.and_then(|found| time::parse_utc(&text(items(&found).first()?, "time")?));
    let late = newest.map_or(0, |entry| entry.since(cosigned).as_secs());
    if late > MAX_UNSIGNED_SECS {
        return Check::bad(
            "witness",
            format!("the newest entry is {late} s later than the newest cosignature"),
            advice,
            Exit::Failed,
        );
    }
    let age = SystemClock.now().since(cosigned).as_secs();
    Check::good("witness", format!("cosigned {age} s ago, and nothing waits for it"))
}

/// Nobody else on the machine may read keys and data.
#[cfg(unix)]
fn permissions(folder: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.permissions().mode() & 0o777);
    let entries = match (mode(folder), std::fs::read_dir(folder)) {
        (Ok(of_folder), Ok(_)) if of_folder & 0o077 == 0 => {
            return Check::good("data folder", format!("{} is its owner's alone", folder.display()));
        }
        (Ok(_), Ok(entries)) => entries,
        (Err(e), _) | (_, Err(e)) => {
            let told = format!("{} can't be read: {e}", folder.display());
            return Check::bad(
                "data folder",
                told,
                "name the folder the server was started with, as its owner",
                Exit::Usage,
            );
        }
    };
    // The folder is open: then each file in it must be closed.
    let open = |path: &Path| mode(path).map_or(true, |mode| mode & 0o077 != 0);
    let mut exposed: Vec<_> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| open(path)).collect();
    exposed.sort();
    match exposed.first() {
        None => Check::good("data folder", format!("every file in {} is its owner's alone", folder.display())),
        Some(path) => {
            let told = format!("others on this machine may read {}", path.display());
            Check::bad("data folder", told, &format!("chmod -R go= {}", folder.display()), Exit::Failed)
        }
    }
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Check {
    Check::skipped("data folder", "permissions are looked at on Unix only")
}
