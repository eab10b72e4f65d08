//! A node with one tenant, one Worker of as many steps as asked, and everything they need.

use crate::database::Database;
use crate::wiring::{Node, NodeConfig, node};
use crate::witness::LocalWitness;
use anyhow::{Result, anyhow};
use mandate_api::admin::{self, Actor};
use mandate_engine::{TameOnly, TenantContext};
use mandate_kernel::{Caller, Ed25519Signer, Principal, ResourceName, Secret, SystemEntropy, Tenant};
use mandate_vault::RootKey;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// A node that runs.
pub(crate) struct House {
    pub node: Node,
    pub context: Arc<TenantContext>,
    pub owner: Caller,
}

/// Steps of the Worker, where nothing else is said.
pub(crate) const STEPS: usize = 10;

/// A node over a folder, with a witness beside it whose key is kept there.
pub(crate) fn open(folder: &Path) -> Result<(Node, Arc<LocalWitness>)> {
    over(folder, Database::in_folder(folder)?)
}

/// A node over a database, its keys in a folder.
fn over(folder: &Path, database: Database) -> Result<(Node, Arc<LocalWitness>)> {
    let (signer, _) = Ed25519Signer::generate(&SystemEntropy)?;
    let witness = Arc::new(LocalWitness::new(signer)?);
    let node = node(NodeConfig {
        database,
        public_url: "https://bench.invalid".to_owned(),
        log_name: "bench.invalid".to_owned(),
        root: RootKey::from_file(&folder.join("root.key"), Some(&SystemEntropy))?,
        witness: Arc::clone(&witness) as _,
        evaluator: Arc::new(TameOnly),
        allow: BTreeSet::new(),
        node: None,
    })?;
    Ok((node, witness))
}

/// A tenant with the Worker that does nothing ten times, and whose owner may run it. Opened again, it is as it was.
pub(crate) async fn tenant(node: &Node, witness: &LocalWitness, name: &str) -> Result<(Arc<TenantContext>, Caller)> {
    tenant_with(node, witness, name, STEPS).await
}

async fn tenant_with(
    node: &Node,
    witness: &LocalWitness,
    name: &str,
    steps: usize,
) -> Result<(Arc<TenantContext>, Caller)> {
    let context = node.engine.open_tenant(&Tenant::new(name)?).await?;
    witness.trust(context.anchor().await?.log);
    let owner = Caller::new(Principal::user(context.tenant().clone(), "owner"), BTreeSet::new());
    if context.store().resource("Worker", "bench/noop").await?.is_none() {
        set_up(node, &context, &owner, steps).await?;
    }
    node.engine.keep_ledger(&context).await?;
    Ok((context, owner))
}

impl House {
    /// Opens a node over this database, its keys in `folder`, with a Worker `bench/noop` of `steps` steps.
    pub(crate) async fn open(folder: &Path, database: Database, steps: usize) -> Result<Self> {
        let (node, witness) = over(folder, database)?;
        let (context, owner) = tenant_with(&node, &witness, "bench", steps).await?;
        node.engine.recover().await?;
        Ok(Self { node, context, owner })
    }

    /// Stops it and closes its database.
    pub(crate) async fn close(self) {
        self.node.engine.close();
        self.node.database.close().await;
    }
}

async fn set_up(node: &Node, context: &TenantContext, owner: &Caller, steps: usize) -> Result<()> {
    let calls: Vec<Value> =
        (0..steps).map(|i| json!({format!("step{i}"): {"call": "noop", "with": {"n": i}}})).collect();
    let document =
        json!({"document": {"dsl": "1.0.3", "namespace": "bench", "name": "noop", "version": "1.0.0"}, "do": calls});
    let manifests = vec![
        manifest(
            "Credential",
            "bench/key",
            json!({"owner": "user:owner", "environment": "sandbox", "destinations": ["local:noop"]}),
        ),
        manifest(
            "Function",
            "bench/noop",
            json!({
                "effect": "read", "model": "delegated", "scopes": ["noop"], "arguments": {"n": {"type": "integer"}},
                "returns": {"integrity": "authoritative"}, "target": {"local": {"name": "noop", "credential": true}},
            }),
        ),
        manifest(
            "Entitlement",
            "bench/owner",
            json!({
                "subjects": ["user:owner"], "environments": ["sandbox"], "scopes": ["noop"],
                "audiences": ["urn:mandate:local:noop"], "functions": {"noop": {}},
            }),
        ),
        manifest("RoleBinding", "bench/owner", json!({"subjects": ["user:owner"], "role": "owner", "on": "tenant"})),
        manifest(
            "RoleBinding",
            "bench/key-owner",
            json!({"subjects": ["user:owner"], "role": "credential-owner", "on": "tenant"}),
        ),
        manifest(
            "Worker",
            "bench/noop",
            json!({
                "document": document, "environments": ["sandbox"], "defaultEnvironment": "sandbox",
                "functions": ["noop"], "bindings": {"noop": "bench/key"},
            }),
        ),
    ];
    let said = |p: mandate_api::Problem| anyhow!("{p:?}");
    apply(node, context, manifests).await?;
    let secret = Secret::new(b"not-a-real-key".to_vec());
    admin::put_secret(&node.engine, context, owner, &ResourceName::new("bench/key")?, secret).await.map_err(said)?;
    Ok(())
}

pub(crate) fn manifest(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": mandate_directory::API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// Applies manifests as whoever sets the tenant up.
pub(crate) async fn apply(node: &Node, context: &TenantContext, manifests: Vec<Value>) -> Result<()> {
    let applied = admin::apply(&node.engine, context, Actor::Bootstrap, manifests).await;
    applied.map(drop).map_err(|p| anyhow!("{p:?}"))
}
