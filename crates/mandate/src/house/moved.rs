//! Sample systems that moved: a port was taken while the house was down. What names the old address
//! follows, and nothing else of what people have configured since is touched.

use super::seed::{account, said};
use anyhow::{Context, Result};
use mandate_api::admin::{self, Actor};
use mandate_directory::Kind;
use mandate_engine::{Engine, TenantContext};
use mandate_kernel::Caller;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Old address, new address.
type Moves = BTreeMap<String, String>;

/// Where a connection leads; the sample ones lead to the sandbox.
const URL: &str = "/environments/sandbox/url";

/// Has connections, entitlements and credentials follow the addresses in the seed's manifests.
pub(super) async fn follow(engine: &Engine, context: &TenantContext, seed: &[Value]) -> Result<()> {
    let moves = moves(context, seed).await?;
    if moves.is_empty() {
        return Ok(());
    }
    tracing::warn!(?moves, "sample systems listen on other ports than before");
    // A credential's destinations are its owner's to change. The connections come last: they say what
    // moved, so that a crash before them is mended by the next start.
    for credential in renamed(context, Kind::Credential, &moves).await? {
        let name = credential.pointer("/metadata/name").cloned();
        if let Err(error) = by_its_owner(engine, context, credential).await {
            tracing::warn!(?name, %error, "a credential still names an old address; its owner can change that");
        }
    }
    let mut rest = renamed(context, Kind::Entitlement, &moves).await?;
    rest.extend(renamed(context, Kind::Connection, &moves).await?);
    apply(engine, context, &account(context, "admin")?, rest).await
}

async fn by_its_owner(engine: &Engine, context: &TenantContext, credential: Value) -> Result<()> {
    let owner = credential.pointer("/spec/owner").and_then(Value::as_str).context("a credential has an owner")?;
    let owner = account(context, owner.strip_prefix("user:").unwrap_or(owner))?;
    apply(engine, context, &owner, vec![credential]).await
}

async fn apply(engine: &Engine, context: &TenantContext, by: &Caller, manifests: Vec<Value>) -> Result<()> {
    admin::apply(engine, context, Actor::Caller(by), manifests).await.map(|_| ()).map_err(said)
}

async fn moves(context: &TenantContext, seed: &[Value]) -> Result<Moves> {
    let mut moves = Moves::new();
    for manifest in
        seed.iter().filter(|manifest| manifest.get("kind").is_some_and(|kind| kind == Kind::Connection.as_str()))
    {
        let name = manifest.pointer("/metadata/name").and_then(Value::as_str).context("a connection has a name")?;
        let new = manifest.pointer(&format!("/spec{URL}")).and_then(Value::as_str).context("it leads somewhere")?;
        let Some(held) = context.store().resource(Kind::Connection.as_str(), name).await? else { continue };
        if let Some(old) = held.spec.pointer(URL).and_then(Value::as_str)
            && old != new
        {
            moves.insert(old.to_owned(), new.to_owned());
        }
    }
    Ok(moves)
}

/// The resources of a kind that name an old address, with the new one in its place.
async fn renamed(context: &TenantContext, kind: Kind, moves: &Moves) -> Result<Vec<Value>> {
    let mut manifests = Vec::new();
    for held in context.store().resources(kind.as_str()).await? {
        let mut spec = held.spec.clone();
        rename(&mut spec, moves);
        if spec != held.spec {
            let metadata = json!({"name": held.name});
            let kind = kind.as_str();
            manifests.push(json!({"apiVersion": "mandate.dev/v1", "kind": kind, "metadata": metadata, "spec": spec}));
        }
    }
    Ok(manifests)
}

fn rename(value: &mut Value, moves: &Moves) {
    match value {
        Value::String(text) => {
            if let Some(new) = moves.get(text.as_str()) {
                text.clone_from(new);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, moves)),
        Value::Object(map) => map.values_mut().for_each(|item| rename(item, moves)),
        _ => {}
    }
}
