//! What a new development house begins with: applied through the same code as anything else, each act
//! by the account whose act it is.

use super::{files, moved};
use crate::cli::manifests;
use anyhow::{Context, Result, anyhow};
use mandate_api::admin::{self, Actor, GrantWanted};
use mandate_devkit::{ACCOUNTS, DEMO, Devkit, sample_worker_files};
use mandate_engine::{Engine, TenantContext};
use mandate_journal::{Change, ResourceWrite};
use mandate_kernel::{Caller, Clock, FunctionName, GroupName, Principal, ResourceName, Secret, SystemClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The credential the sample Worker's legacy function needs.
const KEY: &str = "finance/ledgerbook-key";
const WORKER: &str = "finance/quarterly-summary";
const LEGACY: &str = "ledgerbook.costs";

/// The resource kind that remembers what was seeded.
const MARKER: &str = "DevSeed";

/// Seeds a tenant: roles, connections and, in tenant `demo`, the sample Worker with its key and grant.
/// Each part is done when it is missing, so that a crash in the middle is mended by the next start.
pub(crate) async fn seed(engine: &Engine, context: &TenantContext, devkit: &Devkit, folder: &Path) -> Result<()> {
    let tenant = context.tenant().as_str();
    let mut wanted = devkit.seed_manifests(tenant);
    if context.store().resources("RoleBinding").await?.is_empty() {
        if tenant == DEMO {
            wanted.extend(sample(folder)?);
        }
        admin::apply(engine, context, Actor::Bootstrap, wanted).await.map_err(said)?;
    } else {
        moved::follow(engine, context, &wanted).await?;
    }
    if tenant == DEMO {
        give_key(engine, context, devkit).await?;
    }
    Ok(())
}

pub(super) fn said(problem: mandate_api::Problem) -> anyhow::Error {
    let errors: Vec<String> = problem.errors.iter().map(|e| format!("{}: {}", e.pointer, e.message)).collect();
    anyhow!("{}: {} {}", problem.title, problem.detail.unwrap_or_default(), errors.join("; "))
}

/// The sample Worker's files, laid out in the data folder where people can read and change them.
fn sample(folder: &Path) -> Result<Vec<Value>> {
    let root = folder.join("workers/finance/quarterly-summary");
    for (path, text) in sample_worker_files() {
        let path = root.join(path);
        files::private_folder(path.parent().context("a file is in a folder")?)?;
        files::write_whole(&path, text.as_bytes())?;
    }
    let loaded = manifests::load(&[root], None)?;
    Ok(loaded.into_iter().map(|loaded| loaded.manifest).collect())
}

/// The vault gets ledgerbook's key from its owner, who lets the Worker use it.
async fn give_key(engine: &Engine, context: &TenantContext, devkit: &Devkit) -> Result<()> {
    let director = account(context, "finance-director")?;
    let (key, worker) = (ResourceName::new(KEY)?, ResourceName::new(WORKER)?);
    let function = FunctionName::new(LEGACY)?;
    if context.store().secret("credential", KEY, None).await?.is_none() {
        let value = match devkit.take_ledgerbook_key() {
            Some(value) => value,
            None => devkit.rotate_ledgerbook_key()?,
        };
        let bytes = Secret::new(value.expose().clone().into_bytes());
        admin::put_secret(engine, context, &director, &key, bytes).await.map_err(said)?;
    }
    let name = mandate_directory::grant_name(&key, &worker, &function);
    // Given once: a grant that its owner revoked is not given again at the next start.
    if context.store().resource(MARKER, &name).await?.is_some() {
        return Ok(());
    }
    let wanted = GrantWanted { credential: key, worker, function, not_after: None };
    admin::give_grant(engine, context, &director, wanted).await.map_err(said)?;
    let mut marker = Change::new(context.tenant().clone(), SystemClock.now(), director.principal.subject());
    marker.resources.push(ResourceWrite { kind: MARKER.to_owned(), name, expected: Some(0), spec: Some(json!({})) });
    context.store().change(marker).await?;
    Ok(())
}

/// An account of the development provider as a caller, as its token would say.
pub(crate) fn account(context: &TenantContext, name: &str) -> Result<Caller> {
    let found = ACCOUNTS.iter().find(|a| a.tenant == context.tenant().as_str() && a.name == name);
    let found = found.with_context(|| format!("no account {name}"))?;
    let groups: Result<BTreeSet<GroupName>, _> = found.groups.iter().map(|g| GroupName::new(*g)).collect();
    Ok(Caller::new(Principal::user(context.tenant().clone(), found.name), groups?))
}
