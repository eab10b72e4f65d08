//! `mandate restore`: a backup becomes a data folder whose state is in quarantine, and `mandate release`, which
//! lets it work again on an administrator's word.

use super::backup::{DATABASE, FileState, Manifest, StoreKind, TRUST, beside};
use super::config::{ServeConfig, StoreSettings, TenantConfig};
use super::database::Database;
use super::oidc::Oidc;
use super::quarantine;
use super::wiring::{Node, NodeConfig, node};
use super::witness_client::WitnessClient;
use super::{files, telemetry};
use crate::cli::CliError;
use crate::cli::args::{ReleaseArgs, RestoreArgs};
use anyhow::{Context, Result, bail};
use mandate_engine::quarantine::{Quarantine, Release, ReleaseError, Seen};
use mandate_engine::{TameOnly, TenantContext};
use mandate_kernel::{Clock as _, Digest, Secret, SystemClock};
use mandate_ledger::{Frontier, leaf_hash};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Entries read at once.
const CHUNK: u64 = 512;

/// Restores a backup. Gives where it is, and what the witness says of it.
///
/// # Errors
/// What is wrong with the arguments, as usage; a backup that was changed, as unverified.
pub(crate) async fn restore(args: &RestoreArgs) -> Result<Value> {
    telemetry::start("warn");
    let config = ServeConfig::read_file(&args.config).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let root = config.root_key(false).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let manifest = Manifest::read(&args.from, &root)?;
    fits(&manifest, &config)?;
    let data_dir = std::path::absolute(&config.data_dir)?;
    if fs::read_dir(&data_dir).is_ok_and(|mut entries| entries.next().is_some()) {
        let told = format!("{} is not empty, and nothing in it is overwritten", data_dir.display());
        return Err(CliError::usage_help(told, "name a new dataDir in the configuration").into());
    }
    let beside = beside(&data_dir)?;
    files::private_folder(&beside)?;
    let restored = async {
        taken(&manifest, &args.from, &beside)?;
        let states = marked(&config, &manifest, &beside).await?;
        fs::rename(&beside, &data_dir).with_context(|| format!("{} can't be made", data_dir.display()))?;
        files::sync_folder(data_dir.parent().unwrap_or(&data_dir))?;
        Ok(json!({"dataDir": data_dir, "madeAt": manifest.made_at, "tenants": states}))
    };
    let restored: Result<Value> = restored.await;
    if restored.is_err() {
        // What was half restored is of no use; the first error is the one to tell.
        drop(fs::remove_dir_all(&beside));
    }
    restored
}

fn fits(manifest: &Manifest, config: &ServeConfig) -> Result<(), CliError> {
    let kind = match &config.store {
        StoreSettings::Sqlite(_) => StoreKind::Sqlite,
        StoreSettings::Postgres(_) => StoreKind::Postgres,
    };
    if manifest.store != kind {
        return Err(CliError::usage("the backup is of another kind of database than `store` in the configuration"));
    }
    if manifest.log_name != config.log_name {
        let told = format!("the backup is of the logs {}, and logName is {}", manifest.log_name, config.log_name);
        return Err(CliError::usage(told));
    }
    Ok(())
}

/// Copies the backup's files, and looks at the copies: nobody changes those meanwhile.
fn taken(manifest: &Manifest, from: &Path, to: &Path) -> Result<()> {
    for (name, state) in &manifest.files {
        // The manifest is authentic; that it names nothing outside its folder is cheap to see.
        if name.contains('/') || name.starts_with('.') {
            bail!("a backup's files lie in its folder");
        }
        let (source, target) = (from.join(name), to.join(name));
        fs::copy(&source, &target)
            .map_err(|e| CliError::Unverified { what: source.display().to_string(), why: e.to_string() })?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&target, private)?;
        if FileState::of(&target)? != *state {
            let (what, why) = (source.display().to_string(), "it is not what the manifest names".to_owned());
            return Err(CliError::Unverified { what, why }.into());
        }
        fs::File::open(&target)?.sync_all()?;
        if name != DATABASE && name != TRUST {
            fs::remove_file(&target)?;
        }
    }
    Ok(())
}

/// Puts every tenant into quarantine, once its state is found to be what the manifest says.
async fn marked(config: &ServeConfig, manifest: &Manifest, folder: &Path) -> Result<Value> {
    let database = match manifest.store {
        StoreKind::Sqlite => Database::in_folder(folder)?,
        StoreKind::Postgres => config.database().await?,
    };
    let node = bare(config, database)?;
    let mut states = serde_json::Map::new();
    for (tenant, state) in &manifest.tenants {
        let context = node.engine.open_tenant(tenant).await?;
        let root = root_at(&context, state.entries).await?;
        if root != Some(state.root) {
            let what = format!("the ledger of {tenant}");
            let why = format!("its first {} entries are not those of the backup", state.entries);
            return Err(CliError::Unverified { what, why }.into());
        }
        let seen = node.engine.ask_witness(&context).await?;
        let witnessed = match seen {
            Seen::More { seen, .. } => Some(seen),
            _ => None,
        };
        let mark = Quarantine {
            backup: manifest.digest()?,
            made_at: manifest.made_at,
            restored_at: SystemClock.now(),
            entries: state.entries,
            witnessed,
        };
        node.engine.quarantine(&context, &mark).await?;
        states.insert(
            tenant.to_string(),
            json!({
                "entries": state.entries, "witness": told(&seen), "running": state.running, "waiting": state.waiting,
            }),
        );
    }
    node.database.close().await;
    Ok(states.into())
}

fn told(seen: &Seen) -> String {
    match seen {
        Seen::Nothing => "has seen nothing beyond it".to_owned(),
        Seen::More { seen, here } => {
            format!("has seen {seen} entries, {} more than are here", seen.saturating_sub(*here))
        }
        Seen::Other(why) => format!("has seen another history: {why}"),
        Seen::Away(why) => format!("can't be asked now: {why}"),
    }
}

/// A node that takes up no work.
fn bare(config: &ServeConfig, database: Database) -> Result<Node> {
    let key = config.witness.vkey.parse().context("witness.vkey is not a verifier key")?;
    node(NodeConfig {
        root: config.root_key(false)?,
        database,
        public_url: config.public_url.clone(),
        log_name: config.log_name.clone(),
        witness: Arc::new(WitnessClient::new(config.witness.url.clone(), key)?),
        evaluator: Arc::new(TameOnly),
        allow: std::collections::BTreeSet::new(),
        node: None,
    })
}

/// The root of the tree of the first entries; `None` when there are fewer.
async fn root_at(context: &TenantContext, size: u64) -> Result<Option<Digest>> {
    let mut tree = Frontier::new();
    while tree.size() < size {
        let from = tree.size();
        let entries = context.store().entries(from, size.min(from + CHUNK)).await?;
        if entries.is_empty() {
            return Ok(None);
        }
        for entry in entries {
            tree.append(leaf_hash(&entry));
        }
    }
    Ok(Some(tree.root()))
}

/// The URL of the server that a configuration file is of.
pub(crate) fn public_url(path: &Path) -> Result<String> {
    Ok(ServeConfig::read_file(path)?.public_url)
}

/// Releases the restored state of the tenant that the token is of.
///
/// # Errors
/// Whatever keeps it in quarantine, with what to do.
pub(crate) async fn release(args: &ReleaseArgs, token: &Secret<String>) -> Result<Value> {
    telemetry::start("warn");
    if args.reason.trim().is_empty() || args.reason.len() > 2_000 {
        return Err(CliError::usage("--reason says why, in at most 2,000 bytes").into());
    }
    let config = ServeConfig::read_file(&args.config).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let _lock = files::lock_folder(&config.data_dir).map_err(|e| CliError::usage(format!("{e:#}")))?;
    let trusted = config.tenants.iter().map(TenantConfig::trust).collect::<Result<Vec<_>>>()?;
    let oidc = Oidc::open(trusted).await?;
    let verified = oidc.providers().verify(token.expose(), SystemClock.now());
    let caller = verified.map_err(|e| CliError::usage(format!("the token is not good: {e}")))?.caller;
    let node = bare(&config, config.database().await?)?;
    let context = node.engine.open_tenant(caller.tenant()).await?;
    let wanted = Release { reason: args.reason.clone(), accept_loss: args.accept_loss, resume_runs: args.resume_runs };
    let released = node.engine.release(&context, &caller, &wanted).await;
    let left = quarantine::marks(&node.database).await;
    node.engine.close();
    node.database.close().await;
    let released = released.map_err(refused)?;
    let left: Vec<String> = left?.into_iter().map(|(tenant, _)| tenant.to_string()).collect();
    Ok(json!({
        "tenant": caller.tenant(), "by": caller.principal.subject(), "entries": released.entries, "lost": released.lost,
        "stopped": released.stopped, "stillInQuarantine": left,
    }))
}

fn refused(error: ReleaseError) -> CliError {
    let told = error.to_string();
    match error {
        ReleaseError::NotQuarantined => CliError::usage(told),
        ReleaseError::Behind { .. } => CliError::usage_help(
            told,
            "restore a newer backup; or, if there is none, have the witness's people go back to the backup's checkpoint \
             (`mandate witness --go-back-to TENANT.checkpoint --reason TEXT`), and release with --accept-loss",
        ),
        ReleaseError::Loss { .. } => {
            CliError::usage_help(told, "--accept-loss goes on without it; the ledger keeps that it was lost")
        }
        ReleaseError::RunsBehind => CliError::usage_help(told, "release without --resume-runs: they are stopped"),
        ReleaseError::Other(_) => CliError::Unverified { what: "the restored ledger".to_owned(), why: told },
        ReleaseError::Denied(mandate_engine::Denied::Refused(refusal)) => CliError::refused(&refusal),
        ReleaseError::Denied(denied) => CliError::failed(denied.to_string()),
    }
}
