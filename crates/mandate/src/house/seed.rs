//! What a new development house begins with: applied through the same code as anything else, each act
//! by the account whose act it is.

use super::{files, moved};
use crate::cli::manifests;
use anyhow::{Context, Result, anyhow};
use mandate_api::admin::{self, Actor, GrantWanted};
use mandate_devkit::{ACCOUNTS, DEMO, Devkit, DevkitError, SAMPLES};
use mandate_directory::Kind;
use mandate_engine::{Engine, TenantContext};
use mandate_flow::yaml;
use mandate_journal::{Change, ResourceWrite};
use mandate_kernel::{Caller, Clock, FunctionName, GroupName, Principal, ResourceName, Secret, SystemClock};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A key of a sample system: the credentials that hold it with the accounts that own them, and how the system
/// gives it out: once as it is, and anew later.
struct Key {
    credentials: &'static [(&'static str, &'static str)],
    take: fn(&Devkit) -> Option<Secret<String>>,
    renew: fn(&Devkit) -> Result<Secret<String>, DevkitError>,
}

/// The keys that the sample Workers' functions need.
const KEYS: [Key; 3] = [
    Key {
        credentials: &[("finance/ledgerbook-key", "finance-director")],
        take: Devkit::take_ledgerbook_key,
        renew: Devkit::rotate_ledgerbook_key,
    },
    Key {
        credentials: &[
            ("finance/model-key", "finance-director"),
            ("claims/model-key", "claims-lead"),
            ("product/model-key", "product-lead"),
        ],
        take: Devkit::take_model_key,
        renew: Devkit::rotate_model_key,
    },
    Key {
        credentials: &[("finance/smtp-login", "finance-director")],
        take: Devkit::take_smtp_password,
        renew: Devkit::rotate_smtp_password,
    },
];

/// The resource kind that remembers what was seeded.
const MARKER: &str = "DevSeed";

/// Seeds a tenant: roles, connections and, in tenant `demo`, the sample Workers with their keys and grants.
/// Each part is done when it is missing, so that a crash in the middle is mended by the next start.
pub(crate) async fn seed(engine: &Engine, context: &TenantContext, devkit: &Devkit, folder: &Path) -> Result<()> {
    let tenant = context.tenant().as_str();
    let mut wanted = devkit.seed_manifests(tenant);
    if context.store().resources("RoleBinding").await?.is_empty() {
        if tenant == DEMO {
            wanted.extend(samples(folder)?);
        }
        admin::apply(engine, context, Actor::Bootstrap, wanted).await.map_err(said)?;
    } else {
        moved::follow(engine, context, &wanted).await?;
    }
    if tenant == DEMO {
        for key in &KEYS {
            give_key(engine, context, devkit, key).await?;
        }
        give_grants(engine, context).await?;
    }
    Ok(())
}

pub(super) fn said(problem: mandate_api::Problem) -> anyhow::Error {
    let errors: Vec<String> = problem.errors.iter().map(|e| format!("{}: {}", e.pointer, e.message)).collect();
    anyhow!("{}: {} {}", problem.title, problem.detail.unwrap_or_default(), errors.join("; "))
}

/// The samples' files, laid out in the data folder where people can read and change them. Until what they
/// hold is applied, each start lays them out again.
fn samples(folder: &Path) -> Result<Vec<Value>> {
    let mut roots = Vec::new();
    for sample in SAMPLES {
        let root = folder.join("workers").join(sample.folder);
        for (path, text) in sample.files {
            let path = root.join(path);
            files::private_folder(path.parent().context("a file is in a folder")?)?;
            lay_out(&path, text).with_context(|| format!("{} can't be written", path.display()))?;
        }
        roots.push(root);
    }
    let loaded = manifests::load(&roots, None)?;
    Ok(loaded.into_iter().map(|loaded| loaded.manifest).collect())
}

fn lay_out(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// The vault gets a key from the owners of the credentials that hold it: one key, the same in each.
async fn give_key(engine: &Engine, context: &TenantContext, devkit: &Devkit, of: &Key) -> Result<()> {
    let (mut held, mut missing) = (Vec::new(), false);
    for (credential, owner) in of.credentials {
        if is_there(context, Kind::Credential, credential).await? {
            held.push((ResourceName::new(*credential)?, owner));
            missing |= context.store().secret("credential", credential, None).await?.is_none();
        }
    }
    if !missing {
        return Ok(());
    }
    let value = match (of.take)(devkit) {
        Some(value) => value,
        None => (of.renew)(devkit)?,
    };
    for (name, owner) in held {
        let owner = account(context, owner)?;
        let bytes = Secret::new(value.expose().clone().into_bytes());
        admin::put_secret(engine, context, &owner, &name, bytes).await.map_err(said)?;
    }
    Ok(())
}

/// A house that an earlier version seeded lacks what has come since.
async fn is_there(context: &TenantContext, kind: Kind, name: &str) -> Result<bool> {
    Ok(context.store().resource(kind.as_str(), name).await?.is_some())
}

/// What a sample Worker's manifest binds: a credential to a function's slot.
struct Binding {
    worker: ResourceName,
    function: FunctionName,
    credential: ResourceName,
}

/// The bindings of the samples as they are shipped: what people bind later, they grant themselves.
fn bindings() -> Result<Vec<Binding>> {
    let mut all = Vec::new();
    let files = SAMPLES.iter().flat_map(|sample| sample.files);
    for (path, text) in files.filter(|(path, _)| path.ends_with("manifest.yaml")) {
        let parsed = yaml::parse(path, text).map_err(|_| anyhow!("a sample's manifest is no YAML"))?.into_value();
        let name = parsed.pointer("/metadata/name").and_then(Value::as_str).context("a sample has a name")?;
        let bound = parsed.pointer("/spec/bindings").and_then(Value::as_object);
        for (function, credential) in bound.into_iter().flatten() {
            let credential = credential.as_str().context("a binding names a credential")?;
            all.push(Binding {
                worker: ResourceName::new(name)?,
                function: FunctionName::new(function.as_str())?,
                credential: ResourceName::new(credential)?,
            });
        }
    }
    Ok(all)
}

/// The owners of the credentials let the sample Workers use them. Each grant is given once: one that its owner
/// revoked is not given again at the next start. What was given is remembered at the end, for all at once.
async fn give_grants(engine: &Engine, context: &TenantContext) -> Result<()> {
    let mut given = Vec::new();
    for binding in bindings()? {
        let name = mandate_directory::grant_name(&binding.credential, &binding.worker, &binding.function);
        if context.store().resource(MARKER, &name).await?.is_none() && can_be_given(context, &binding).await? {
            give_grant(engine, context, binding).await?;
            given.push(name);
        }
    }
    if given.is_empty() {
        return Ok(());
    }
    let by = account(context, "admin")?.principal.subject();
    let mut markers = Change::new(context.tenant().clone(), SystemClock.now(), by);
    let marker = |name| ResourceWrite { kind: MARKER.to_owned(), name, expected: Some(0), spec: Some(json!({})) };
    markers.resources.extend(given.into_iter().map(marker));
    context.store().change(markers).await?;
    Ok(())
}

async fn can_be_given(context: &TenantContext, binding: &Binding) -> Result<bool> {
    let Binding { worker, function, credential } = binding;
    let function = format!("{}/{function}", worker.project());
    let needed =
        [(Kind::Worker, worker.as_str()), (Kind::Function, &function), (Kind::Credential, credential.as_str())];
    for (kind, name) in needed {
        if !is_there(context, kind, name).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn give_grant(engine: &Engine, context: &TenantContext, binding: Binding) -> Result<()> {
    let Binding { worker, function, credential } = binding;
    let owned = KEYS.iter().flat_map(|key| key.credentials).find(|(held, _)| *held == credential.as_str());
    let (_, owner) = owned.with_context(|| format!("no key is known for {credential}"))?;
    let owner = account(context, owner)?;
    let wanted = GrantWanted { credential, worker, function, not_after: None };
    admin::give_grant(engine, context, &owner, wanted).await.map_err(said)?;
    Ok(())
}

/// An account of the development provider as a caller, as its token would say.
pub(crate) fn account(context: &TenantContext, name: &str) -> Result<Caller> {
    let found = ACCOUNTS.iter().find(|a| a.tenant == context.tenant().as_str() && a.name == name);
    let found = found.with_context(|| format!("no account {name}"))?;
    let groups: Result<BTreeSet<GroupName>, _> = found.groups.iter().map(|g| GroupName::new(*g)).collect();
    Ok(Caller::new(Principal::user(context.tenant().clone(), found.name), groups?))
}
