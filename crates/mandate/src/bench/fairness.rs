//! A quiet tenant beside a noisy one: 10-step runs one by one, alone and while another tenant keeps thousands of runs
//! going, with work shared out and without.

use crate::house::{self, open};
use crate::wiring::Node;
use anyhow::{Result, bail};
use mandate_engine::{Shares, StartError, StartRequest, TenantContext};
use mandate_journal::RunState;
use mandate_kernel::{Caller, Duration, ResourceName};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// Runs of the quiet tenant in each part.
const QUIET: usize = 100;
/// Runs that the noisy tenant keeps going.
const NOISE: usize = 2_000;
/// Callers that start them.
const CALLERS: usize = 32;

/// Measures the three parts in one process, one after the other.
pub(crate) async fn measure() -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("mandate-bench-fairness-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = parts(&folder).await;
    drop(std::fs::remove_dir_all(&folder));
    measured
}

async fn parts(folder: &std::path::Path) -> Result<Value> {
    let (node, witness) = open(folder)?;
    let (quiet, caller) = house::tenant(&node, &witness, "quiet").await?;
    let (noisy, other) = house::tenant(&node, &witness, "noisy").await?;
    node.engine.recover().await?;
    let shares = Shares { runs_per_tenant: NOISE, runs_per_worker: NOISE, ..Shares::default() };
    node.engine.share(shares);
    one_by_one(&node, &quiet, &caller, 10).await?;
    let alone = one_by_one(&node, &quiet, &caller, QUIET).await?;
    let (shared, rate, refused) = beside(&node, (&noisy, &other), (&quiet, &caller)).await?;
    // As if nothing was shared out: everybody works at once.
    node.engine.share(Shares { turns: 1_000_000, shared: 1_000_000, ..shares });
    let (unshared, rate_unshared, _) = beside(&node, (&noisy, &other), (&quiet, &caller)).await?;
    node.engine.close();
    node.database.close().await;
    let ratio = |of: &Percentiles| (of.p99 / alone.p99 * 10.0).round() / 10.0;
    Ok(json!({
        "quiet_alone_ms": alone.json(), "quiet_beside_noise_ms": shared.json(), "quiet_unshared_ms": unshared.json(),
        "ratio_p99": ratio(&shared), "ratio_p99_unshared": ratio(&unshared),
        "noise_runs": NOISE, "noise_steps_per_s": rate, "noise_steps_per_s_unshared": rate_unshared,
        "noise_starts_refused": refused, "quiet_runs": QUIET, "steps_per_run": house::STEPS, "fsync": true,
    }))
}

struct Percentiles {
    p50: f64,
    p99: f64,
}

impl Percentiles {
    fn json(&self) -> Value {
        json!({"p50": (self.p50 * 10.0).round() / 10.0, "p99": (self.p99 * 10.0).round() / 10.0})
    }
}

/// The noisy tenant works at full strength, and the quiet one runs beside it. Gives the noisy one's steps per second,
/// and how many of its starts were refused.
async fn beside(
    node: &Node,
    noisy: (&Arc<TenantContext>, &Caller),
    quiet: (&Arc<TenantContext>, &Caller),
) -> Result<(Percentiles, f64, usize)> {
    let (stop, started, refused) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (engine, caller, stop) = (Arc::clone(&node.engine), noisy.1.clone(), Arc::clone(&stop));
        let (started, refused): (Arc<AtomicUsize>, Arc<AtomicUsize>) = (Arc::clone(&started), Arc::clone(&refused));
        callers.push(tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                match engine.start(&caller, request()?).await {
                    Ok(_) => started.fetch_add(1, Ordering::SeqCst),
                    Err(StartError::Busy(_)) => {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                    Err(error) => return Err(error.into()),
                };
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    // Until as many run as may.
    let begun = Instant::now();
    while refused.load(Ordering::SeqCst) == 0 && begun.elapsed().as_secs() < 120 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let (at, before) = (Instant::now(), started.load(Ordering::SeqCst));
    let measured = one_by_one(node, quiet.0, quiet.1, QUIET).await;
    // Every place that a run leaves is taken by a start: so many runs were finished.
    let runs = started.load(Ordering::SeqCst) - before;
    let rate = (runs * house::STEPS) as f64 / at.elapsed().as_secs_f64();
    stop.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.await??;
    }
    while noisy.0.store().open_counts().await?.running > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Ok((measured?, rate.round(), refused.load(Ordering::SeqCst)))
}

fn request() -> Result<StartRequest> {
    Ok(StartRequest {
        worker: ResourceName::new("bench/noop")?,
        environment: None,
        purpose: "benchmark".to_owned(),
        input: json!({}),
        start_key: None,
    })
}

async fn one_by_one(node: &Node, context: &Arc<TenantContext>, caller: &Caller, runs: usize) -> Result<Percentiles> {
    let mut took = Vec::new();
    for _ in 0..runs {
        let at = Instant::now();
        let run = node.engine.start(caller, request()?).await?.run;
        let record = node.engine.settled(context, &run, Duration::from_secs(600)).await?;
        if record.status.state != RunState::Completed {
            bail!("{run} is {}: {:?}", record.status.state.as_str(), record.status.problem);
        }
        took.push(at.elapsed().as_secs_f64() * 1_000.0);
    }
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took.get((took.len() * share / 100).min(took.len().saturating_sub(1))).copied();
    Ok(Percentiles { p50: at(50).unwrap_or_default(), p99: at(99).unwrap_or_default() })
}
