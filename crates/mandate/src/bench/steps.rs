//! Steps of a 10-step Worker through the whole pipeline, beside the store's raw ceiling.

use crate::audit;
use crate::wiring::{Node, NodeConfig, node};
use crate::witness::LocalWitness;
use anyhow::{Context, Result, anyhow, bail};
use mandate_api::admin::{self, Actor};
use mandate_engine::{StartRequest, TameOnly, TenantContext};
use mandate_journal::RunState;
use mandate_kernel::{Caller, Duration, Ed25519Signer, Principal, ResourceName, Secret, SystemEntropy, Tenant};
use mandate_vault::RootKey;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) const STEPS: usize = 10;
/// Runs at each concurrency; enough for a second or more of work at each.
const RUNS: usize = 600;
const WARM_UP: usize = 20;

/// Measures at each concurrency.
pub(crate) async fn measure(concurrencies: &[usize]) -> Result<Value> {
    let (mut rates, mut ceilings, mut ratios, mut latencies) = (Map::new(), Map::new(), Map::new(), Map::new());
    let mut audits = Map::new();
    for clients in concurrencies {
        let folder = std::env::temp_dir().join(format!("mandate-bench-{}-{clients}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let measured = one(&folder, *clients).await;
        let ceiling = match &measured {
            Ok(_) => {
                mandate_store::bench::group_commit_ceiling(&folder.join("ceiling.db"), *clients, 11 * RUNS).await?
            }
            Err(_) => 0.0,
        };
        drop(std::fs::remove_dir_all(&folder));
        let (rate, p50, audited) = measured?;
        let key = clients.to_string();
        rates.insert(key.clone(), json!(round(rate)));
        ceilings.insert(key.clone(), json!(round(ceiling)));
        ratios.insert(key.clone(), json!((rate / ceiling * 1000.0).round() / 1000.0));
        latencies.insert(key.clone(), json!(round(p50)));
        audits.insert(key, audited);
    }
    Ok(
        json!({"steps_per_s": rates, "ceiling": ceilings, "ratio": ratios, "p50_ms": latencies, "audited": audits, "steps_per_run": STEPS, "fsync": true}),
    )
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A node over a folder, with a witness beside it whose key is kept there.
pub(crate) fn open(folder: &Path) -> Result<(Node, Arc<LocalWitness>)> {
    let (signer, _) = Ed25519Signer::generate(&SystemEntropy)?;
    let witness = Arc::new(LocalWitness::new(signer)?);
    let node = node(NodeConfig {
        database: super::database::Database::in_folder(folder)?,
        public_url: "https://bench.invalid".to_owned(),
        log_name: "bench.invalid".to_owned(),
        root: RootKey::from_file(&folder.join("root.key"), Some(&SystemEntropy))?,
        witness: Arc::clone(&witness) as _,
        evaluator: Arc::new(TameOnly),
        node: None,
        allow: BTreeSet::new(),
    })?;
    Ok((node, witness))
}

/// A tenant with the Worker that does nothing ten times, and whose owner may run it. Opened again, it is as it was.
pub(crate) async fn tenant(node: &Node, witness: &LocalWitness, name: &str) -> Result<(Arc<TenantContext>, Caller)> {
    let context = node.engine.open_tenant(&Tenant::new(name)?).await?;
    witness.trust(context.anchor().await?.log);
    let owner = Caller::new(Principal::user(context.tenant().clone(), "owner"), BTreeSet::new());
    if context.store().resource("Worker", "bench/noop").await?.is_none() {
        set_up(node, &context, &owner).await?;
    }
    node.engine.keep_ledger(&context).await?;
    Ok((context, owner))
}

async fn one(folder: &Path, clients: usize) -> Result<(f64, f64, Value)> {
    let (node, witness) = open(folder)?;
    let (context, owner) = tenant(&node, &witness, "bench").await?;
    node.engine.recover().await?;
    load(&node, &context, &owner, 1, WARM_UP).await?;
    let (elapsed, mut latencies) = load(&node, &context, &owner, clients, RUNS).await?;
    latencies.sort_by(f64::total_cmp);
    let p50 = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    let audited = audit::audit(&node, &context, (RUNS + WARM_UP) * STEPS).await?;
    node.engine.close();
    node.database.close().await;
    Ok(((RUNS * STEPS) as f64 / elapsed, p50, audited))
}

/// Runs `total` runs from `clients` callers at once. Gives seconds and the milliseconds of each run.
async fn load(
    node: &Node,
    context: &Arc<TenantContext>,
    caller: &Caller,
    clients: usize,
    total: usize,
) -> Result<(f64, Vec<f64>)> {
    let left = Arc::new(AtomicUsize::new(total));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..clients {
        let (engine, context, caller, left) =
            (Arc::clone(&node.engine), Arc::clone(context), caller.clone(), Arc::clone(&left));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                let at = Instant::now();
                let request = StartRequest {
                    worker: ResourceName::new("bench/noop")?,
                    environment: None,
                    purpose: "benchmark".to_owned(),
                    input: json!({}),
                    start_key: None,
                };
                let run = engine.start(&caller, request).await?.run;
                let record = engine.settled(&context, &run, Duration::from_secs(60)).await?;
                if record.status.state != RunState::Completed {
                    bail!("{run} is {}: {:?}", record.status.state.as_str(), record.status.problem);
                }
                latencies.push(at.elapsed().as_secs_f64() * 1000.0);
            }
            Ok(latencies)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.context("a client failed")??);
    }
    Ok((begun.elapsed().as_secs_f64(), all))
}

async fn set_up(node: &Node, context: &TenantContext, owner: &Caller) -> Result<()> {
    let calls: Vec<Value> =
        (0..STEPS).map(|i| json!({format!("step{i}"): {"call": "noop", "with": {"n": i}}})).collect();
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

/// The report for people.
pub(crate) fn table(report: &Value) -> String {
    let cell = |key: &str, clients: &str| {
        report.get(key).and_then(|m| m.get(clients)).cloned().unwrap_or_default().to_string()
    };
    let mut text = "clients  steps/s   ceiling   ratio   p50 of a run (ms)\n".to_owned();
    for clients in ["1", "32", "256"] {
        text += &format!(
            "{clients:>7}  {:>8}  {:>8}  {:>6}  {:>8}\n",
            cell("steps_per_s", clients),
            cell("ceiling", clients),
            cell("ratio", clients),
            cell("p50_ms", clients)
        );
    }
    text
}
