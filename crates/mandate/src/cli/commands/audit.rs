//! `mandate audit`: verify, export, prove and search the ledger.

use super::audit_files::{self, Names};
use super::passport::seconds;
use super::{audit_data, explain, more};
use crate::cli::args::{AuditCommand, AuditVerifyArgs};
use crate::cli::client::Call;
use crate::cli::output::{cell, fields, items, plain, table, text};
use crate::cli::{CliError, Exit, Session, files};
use mandate_kernel::{Digest, Tenant, base64_decode};
use mandate_ledger::{
    Checkpoint, LogReport, SignedNote, TlogProof, TrustAnchor, leaf_hash, verify_export, verify_inclusion,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(in crate::cli) async fn audit(session: &Session<'_>, command: AuditCommand) -> Result<Exit, CliError> {
    match command {
        AuditCommand::Verify(args) => verify(session, args).await,
        AuditCommand::Export { dir } => export(session, &dir).await,
        AuditCommand::Proof { index, file } => proof(session, index, file).await,
        AuditCommand::Search { person, function, since, until, actor, kind, run, limit, cursor } => {
            let call = Call::get("/v1/audit/search")
                .query("person", person)
                .query("function", function)
                .query("since", since)
                .query("until", until)
                .query("actor", actor)
                .query("kind", kind)
                .query("run", run)
                .query("limit", limit)
                .query("cursor", cursor);
            let found = session.client()?.json(call).await?;
            let out = session.out();
            out.value(&found, |found| {
                let row = |entry: &Value| {
                    let what = explain::what(entry);
                    vec![cell(entry, "index"), cell(entry, "time"), what, cell(entry, "actor"), cell(entry, "run")]
                };
                table(&["index", "time", "what", "actor", "run"], items(found).iter().map(row), "no entries like that")
            })?;
            more(&out, &found, "--cursor");
            Ok(Exit::Done)
        }
    }
}

/// A ledger that holds.
pub(super) struct Held {
    /// What verification found in it.
    pub(super) report: LogReport,
    /// Resources stored beside it that are what it records, where they are at hand.
    pub(super) configuration: Option<usize>,
}

/// What was found out about the ledgers of a place.
pub(super) struct Verified {
    /// Each ledger that is there, and holds.
    pub(super) reports: Vec<Held>,
    /// Tenants of the anchor without a ledger there.
    pub(super) absent: Vec<Tenant>,
}

async fn verify(session: &Session<'_>, args: AuditVerifyArgs) -> Result<Exit, CliError> {
    let anchor = files::anchor(&args.trust.trust)?;
    if let Some(tenant) = &args.tenant {
        anchor.tenant(tenant).map_err(|e| CliError::usage(e.to_string()))?;
    }
    let verified = match (&args.data_dir, &args.dir) {
        (Some(folder), _) => audit_data::verify(folder, anchor, args.tenant.as_ref()).await?,
        (None, Some(folder)) => one(exported(folder, &anchor, args.tenant.as_ref())?),
        (None, None) => one(served(session, &anchor, args.tenant.as_ref()).await?),
    };
    let shape = |Held { report, configuration }: &Held| {
        let mut value = json!(report);
        if let Value::Object(map) = &mut value {
            map.insert("cosigned_at".to_owned(), json!(seconds(report.cosigned_at)));
            map.insert("configuration".to_owned(), json!(configuration));
        }
        value
    };
    let told = json!({
        "verified": true,
        "items": verified.reports.iter().map(shape).collect::<Vec<_>>(),
        "absent": verified.absent,
        "next": null,
    });
    session.out().value(&told, |told| {
        let mut parts: Vec<String> = items(told).iter().map(ledger).collect();
        parts.extend(verified.absent.iter().map(|tenant| format!("there is no ledger of {tenant} here")));
        parts.join("\n\n")
    })?;
    Ok(Exit::Done)
}

fn one(report: LogReport) -> Verified {
    Verified { reports: vec![Held { report, configuration: None }], absent: Vec::new() }
}

fn ledger(report: &Value) -> String {
    let kinds = report.get("kinds").and_then(Value::as_object).map(|kinds| {
        kinds.iter().filter_map(|(kind, n)| Some(format!("{kind} {}", plain(n)?))).collect::<Vec<_>>().join(", ")
    });
    let facts = fields(&[
        ("Log", text(report, "origin")),
        ("Entries", text(report, "size")),
        ("Not signed yet", text(report, "beyond").filter(|n| n != "0")),
        ("Runs", text(report, "runs")),
        ("Ended", text(report, "ended")),
        ("Root", text(report, "root")),
        ("Log keys", text(report, "log_keys")),
        ("Witnesses", text(report, "witnesses")),
        ("Cosigned", text(report, "cosigned_at")),
        ("Kinds", kinds),
        ("Resources as recorded", text(report, "configuration")),
    ]);
    format!("the ledger of {} holds\n{facts}", cell(report, "tenant"))
}

/// Verifies an exported folder.
fn exported(folder: &Path, anchor: &TrustAnchor, tenant: Option<&Tenant>) -> Result<LogReport, CliError> {
    let found = audit_files::read_folder(folder)?;
    check(&found, &folder.display().to_string(), anchor, tenant)
}

/// Fetches the whole ledger of the caller's tenant from a running server, and verifies it here.
async fn served(session: &Session<'_>, anchor: &TrustAnchor, tenant: Option<&Tenant>) -> Result<LogReport, CliError> {
    let client = session.client()?;
    let note = client.bytes(Call::get("/v1/audit/checkpoint")).await?;
    let note = String::from_utf8(note).map_err(|_| CliError::failed("the server's checkpoint is not text"))?;
    let found = audit_files::fetch(client, &session.out(), note).await?;
    check(&found, client.url(), anchor, tenant)
}

fn check(
    found: &BTreeMap<String, Vec<u8>>,
    place: &str,
    anchor: &TrustAnchor,
    tenant: Option<&Tenant>,
) -> Result<LogReport, CliError> {
    let fail = |why: &str| CliError::Unverified { what: place.to_owned(), why: why.to_owned() };
    // Whose log it says it is only chooses the keys it is then held against.
    let tenant = match tenant {
        Some(tenant) => tenant,
        None => {
            let note = found.get("checkpoint").and_then(|note| std::str::from_utf8(note).ok());
            let note = note.ok_or_else(|| fail("there is no checkpoint"))?;
            let claimed = SignedNote::parse(note).and_then(|note| Checkpoint::parse(&note.text));
            let claimed = claimed.map_err(|e| fail(&format!("checkpoint: {e}")))?;
            let owner = anchor.tenants().iter().find(|(_, known)| known.origin == claimed.origin);
            owner.map(|(tenant, _)| tenant).ok_or_else(|| fail("the trust anchor does not know this log"))?
        }
    };
    verify_export(found, anchor, tenant).map_err(|e| CliError::unverified(place, &e))
}

async fn export(session: &Session<'_>, folder: &Path) -> Result<Exit, CliError> {
    let names = Names::prepare(folder)?;
    let client = session.client()?;
    let nothing = json!({});
    let given = client.json(Call::post("/v1/audit/exports", &nothing)).await?;
    let note = text(&given, "checkpoint").ok_or_else(|| CliError::failed("the server gave no checkpoint to export"))?;
    let found = audit_files::fetch(client, &session.out(), note).await?;
    names.write(&found)?;
    let told = json!({"dir": folder.display().to_string(), "size": given.get("size"), "files": found.len()});
    session.out().value(&told, |told| {
        format!("{} entries written to {} in {} files", cell(told, "size"), folder.display(), found.len())
    })?;
    Ok(Exit::Done)
}

async fn proof(session: &Session<'_>, index: u64, file: Option<PathBuf>) -> Result<Exit, CliError> {
    let found = session.client()?.json(Call::get(&format!("/v1/audit/proof/{index}"))).await?;
    let (leaf, size) = included(&found, index)?;
    let out = session.out();
    match file {
        Some(file) => {
            files::write(&file, &proof_file(&found, index, &file)?)?;
            let told = json!({"index": index, "size": size, "leaf": leaf, "file": file.display().to_string()});
            out.value(&told, |_| {
                format!("entry {index} is in the log of {size} entries; proof written to {}", file.display())
            })?;
        }
        None => out.value(&found, |found| {
            let entry = text(found, "entry").and_then(|entry| base64_decode(&entry).ok()).unwrap_or_default();
            let entry = crate::cli::output::shown(&String::from_utf8_lossy(&entry));
            let hashes = found.get("proof").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let hashes: Vec<String> = hashes.iter().filter_map(plain).collect();
            format!(
                "entry {index} is in the log of {size} entries\n\n{entry}\n\n{}\n\n{}",
                hashes.join("\n"),
                cell(found, "checkpoint")
            )
        })?,
    }
    Ok(Exit::Done)
}

/// A proof as a file: in C2SP's form when its name says so, else as the server gave it.
fn proof_file(found: &Value, index: u64, file: &Path) -> Result<Vec<u8>, CliError> {
    if file.extension().is_none_or(|extension| extension != "tlog-proof") {
        return serde_json::to_vec_pretty(found).map_err(|e| CliError::failed(e.to_string()));
    }
    let (entry, hashes, checkpoint) = parts_of(found).ok_or_else(|| CliError::failed("not of the form of a proof"))?;
    Ok(TlogProof { index, entry, hashes, checkpoint }.to_string().into_bytes())
}

/// Entry, hashes and checkpoint of a proof.
fn parts_of(found: &Value) -> Option<(Vec<u8>, Vec<Digest>, String)> {
    let hash = |value: &Value| {
        let bytes: [u8; 32] = base64_decode(value.as_str()?).ok()?.try_into().ok()?;
        Some(Digest::from_bytes(bytes))
    };
    let hashes = found.get("proof")?.as_array()?.iter().map(hash).collect::<Option<_>>()?;
    Some((base64_decode(&text(found, "entry")?).ok()?, hashes, text(found, "checkpoint")?))
}

/// Whether the proof leads from the entry to the checkpoint's root. Who signed the checkpoint is for the
/// holder of an anchor to check.
pub(super) fn included(found: &Value, index: u64) -> Result<(Digest, u64), CliError> {
    let fail = |why: String| CliError::Unverified { what: format!("the proof of entry {index}"), why };
    let form = || fail("it is not of the form of a proof".to_owned());
    let (entry, hashes, note) = parts_of(found).ok_or_else(form)?;
    let claimed =
        SignedNote::parse(&note).and_then(|note| Checkpoint::parse(&note.text)).map_err(|e| fail(e.to_string()))?;
    let leaf = leaf_hash(&entry);
    verify_inclusion(&leaf, index, claimed.size, &hashes, &claimed.root).map_err(|e| fail(e.to_string()))?;
    Ok((leaf, claimed.size))
}
