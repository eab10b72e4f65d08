//! `mandate runs explain`: a run told from its ledger entries.

use crate::cli::client::Call;
use crate::cli::output::{cell, fields, items, plain, text};
use crate::cli::{CliError, Exit, Session};
use mandate_kernel::RunId;
use mandate_ledger::EventKind;
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(super) async fn explain(session: &Session<'_>, run: &RunId) -> Result<Exit, CliError> {
    let client = session.client()?;
    let object = client.json(Call::get(&format!("/v1/runs/{run}"))).await?;
    let entries = client.json(Call::get(&format!("/v1/runs/{run}/entries"))).await?;
    let found = client.json(Call::get(&format!("/v1/runs/{run}/forensics"))).await?;
    let findings = found.get("findings").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let told = json!({"run": object, "findings": findings, "entries": items(&entries)});
    session.out().value(&told, |_| {
        let causes: Vec<String> = findings.iter().map(cause).collect();
        [causes.join("\n"), story(&object, items(&entries))].join("\n\n").trim_start().to_owned()
    })?;
    Ok(Exit::Done)
}

/// A cause that the entries show, and which of them.
fn cause(finding: &Value) -> String {
    let evidence = finding.get("evidence").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let places: Vec<String> = evidence.iter().filter_map(|place| text(place, "entry")).collect();
    // The newest entries are in the tree a moment later.
    let shown_by = if places.is_empty() { String::new() } else { format!(" (ledger entries {})", places.join(", ")) };
    let shown = format!("{}: {}{shown_by}", cell(finding, "cause"), cell(finding, "says"));
    crate::cli::output::shown(&shown)
}

/// One line about an entry.
pub(super) fn headline(entry: &Value) -> String {
    let details = details(entry);
    let mut line = format!("{}  {}", cell(entry, "time"), sentence(entry));
    for (name, key) in [("", "function"), ("attempt ", "attempt"), ("", "reason")] {
        if let Some(text) = text(details, key).filter(|text| !(key == "attempt" && text == "1")) {
            // Writing into a String can't fail.
            let _ = write!(line, "  {name}{text}");
        }
    }
    crate::cli::output::shown(&line)
}

/// What happened, and to which function or resource.
pub(super) fn what(entry: &Value) -> String {
    let details = details(entry);
    let named = ["function", "resource", "name"].iter().find_map(|key| text(details, key));
    named.map_or_else(|| sentence(entry), |named| format!("{}  {named}", sentence(entry)))
}

/// What happened, in words.
fn sentence(entry: &Value) -> String {
    let (kind, details) = (cell(entry, "kind"), details(entry));
    let step = text(details, "step").map(|step| format!("step {step} ")).unwrap_or_default();
    match EventKind::parse(&kind) {
        Some(EventKind::StepDecided) => format!("{step}was judged: {}", cell(details, "status")),
        Some(EventKind::StepSucceeded) => format!("{step}succeeded"),
        Some(EventKind::StepFailed) if details.get("final") == Some(&Value::Bool(false)) => {
            format!("{step}failed, and is to be asked for again")
        }
        Some(EventKind::StepFailed) => format!("{step}failed"),
        Some(EventKind::StepInDoubt) => format!("{step}is in doubt: nobody knows whether it happened"),
        Some(EventKind::ApprovalRequested) => format!("{step}waits for an approval"),
        Some(EventKind::ApprovalGiven) => format!("{step}was approved"),
        Some(EventKind::ApprovalDenied) => format!("{step}was not approved"),
        Some(EventKind::ApprovalExpired) => format!("{step}was not approved in time"),
        Some(EventKind::ApprovalRefused) => format!("an answer to {step}was refused"),
        Some(EventKind::StepResolved) => format!("{step}was resolved by a person"),
        Some(EventKind::LeaseEnded) => "a credential lease ended".to_owned(),
        Some(EventKind::ArtifactSigned) => "the result was signed".to_owned(),
        Some(EventKind::RunStarted) => "the run was started".to_owned(),
        Some(EventKind::RunRefused) => "the run was refused".to_owned(),
        Some(EventKind::RunWaiting) => format!("the run waits for {}", cell(details, "waiting_for")),
        Some(EventKind::RunResumed) => "the run goes on".to_owned(),
        Some(EventKind::RunRecovered) => "the run goes on after its process ended".to_owned(),
        Some(EventKind::RunCompleted) => "the run completed".to_owned(),
        Some(EventKind::RunFaulted) => "the run faulted".to_owned(),
        Some(EventKind::RunCancelled) => "the run was cancelled".to_owned(),
        Some(EventKind::RunKilled) => "the run was stopped, its authority revoked".to_owned(),
        _ => kind,
    }
}

fn details(entry: &Value) -> &Value {
    entry.get("details").unwrap_or(&Value::Null)
}

fn story(run: &Value, entries: &[Value]) -> String {
    let mut parts = vec![super::state::one(run)];
    for entry in entries {
        let facts = fields(&facts(entry));
        let indented: Vec<String> =
            facts.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}")).collect();
        parts.push(format!("{}\n{}", headline(entry), indented.join("\n")));
    }
    parts.join("\n\n")
}

/// Who, by what authority, to where, and why, as far as an entry says.
fn facts(entry: &Value) -> Vec<(&'static str, Option<String>)> {
    let details = details(entry);
    let at = |pointer: &str| details.pointer(pointer).and_then(plain).filter(|text| !text.is_empty());
    let place = match text(entry, "index") {
        Some(index) => format!("entry {index} of the ledger"),
        None => "not in the tree yet".to_owned(),
    };
    vec![
        ("who", text(entry, "actor")),
        ("on behalf of", at("/on_behalf_of")),
        (
            "identity",
            at("/model").map(|model| {
                if at("/legacy").as_deref() == Some("true") { format!("{model} (legacy)") } else { model }
            }),
        ),
        ("authority", authority(details)),
        ("scopes", at("/scopes")),
        ("environment", at("/environment")),
        ("groups", at("/groups")),
        ("destination", destination(details)),
        ("credential", at("/credential/name")),
        ("decision", at("/decision")),
        ("because", at("/policy/summary").or_else(|| at("/reason"))),
        ("policies", policies(details)),
        ("arguments", labels(details.pointer("/arguments/labels"))),
        ("input", labels(details.pointer("/input/labels"))),
        ("output", labels(details.pointer("/output/labels"))),
        ("claimed by remote", details.get("claimed_by_remote").filter(|v| !v.is_null()).map(Value::to_string)),
        ("problem", at("/problem/detail").or_else(|| at("/problem/title"))),
        ("detail", at("/detail")),
        ("digest", at("/digest")),
        ("proof", Some(place)),
    ]
}

fn authority(details: &Value) -> Option<String> {
    let authority = details.get("authority")?;
    match authority.get("root").and_then(Value::as_str)? {
        "initiator" => Some(format!("the initiator's own ({})", cell(authority, "subject"))),
        "grant" => Some(match (text(authority, "grant"), text(authority, "owner")) {
            (Some(grant), Some(owner)) => format!("grant {grant}, given by {owner}"),
            _ => "an embedded grant that is not there".to_owned(),
        }),
        other => Some(other.to_owned()),
    }
}

fn destination(details: &Value) -> Option<String> {
    let request = details.get("request")?;
    let method = cell(request, "method");
    text(request, "destination").map(|to| format!("{method} {to}").trim().to_owned())
}

fn policies(details: &Value) -> Option<String> {
    let named = |policy: &Value| match (text(policy, "id"), text(policy, "file")) {
        (Some(id), Some(file)) => Some(format!("{id} ({file})")),
        (id, _) => id.or_else(|| plain(policy)),
    };
    let list = details.pointer("/policy/determining").or_else(|| details.get("policies"))?.as_array()?;
    let names: Vec<String> = list.iter().filter_map(named).collect();
    if names.is_empty() { None } else { Some(names.join(", ")) }
}

pub(super) fn labels(labels: Option<&Value>) -> Option<String> {
    let labels = labels?;
    let mut parts: Vec<String> = ["confidentiality", "integrity"].iter().filter_map(|key| text(labels, key)).collect();
    match labels.get("readers") {
        Some(Value::Object(groups)) => {
            let groups = groups.get("groups").and_then(plain).unwrap_or_default();
            parts.push(if groups.is_empty() { "readers: nobody".to_owned() } else { format!("readers: {groups}") });
        }
        Some(other) => parts.extend(plain(other).map(|who| format!("readers: {who}"))),
        None => {}
    }
    parts.extend(text(labels, "categories").filter(|data| !data.is_empty()).map(|data| format!("data: {data}")));
    let sources: Vec<String> = labels
        .get("sources")
        .and_then(Value::as_array)
        .map(|sources| sources.iter().filter_map(|source| text(source, "origin")).collect())
        .unwrap_or_default();
    if !sources.is_empty() {
        parts.push(format!("from: {}", sources.join(", ")));
    }
    if parts.is_empty() { None } else { Some(parts.join("; ")) }
}
