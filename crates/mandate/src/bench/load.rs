//! Callers that start runs and wait for their end.

use crate::wiring::Node;
use anyhow::{Context, Result, bail};
use mandate_engine::{Engine, StartRequest, TenantContext};
use mandate_journal::{RunRecord, RunState};
use mandate_kernel::{Caller, Duration, ResourceName, RunId};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Runs `total` runs from `clients` callers at once. Gives seconds and the milliseconds of each run.
pub(crate) async fn load(
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
                let run = start_with(&engine, &caller).await?;
                completed(&engine.settled(&context, &run, Duration::from_secs(60)).await?)?;
                latencies.push(at.elapsed().as_secs_f64() * 1000.0);
            }
            Ok::<_, anyhow::Error>(latencies)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.context("a client failed")??);
    }
    Ok((begun.elapsed().as_secs_f64(), all))
}

/// Starts one run.
pub(crate) async fn start(node: &Node, caller: &Caller) -> Result<RunId> {
    start_with(&node.engine, caller).await
}

async fn start_with(engine: &Arc<Engine>, caller: &Caller) -> Result<RunId> {
    let request = StartRequest {
        worker: ResourceName::new("bench/noop")?,
        environment: None,
        purpose: "benchmark".to_owned(),
        input: json!({}),
        start_key: None,
    };
    Ok(engine.start(caller, request).await?.run)
}

/// Refuses a run that did not complete.
pub(crate) fn completed(record: &RunRecord) -> Result<()> {
    if record.status.state == RunState::Completed {
        return Ok(());
    }
    bail!("{} is {}: {:?}", record.run, record.status.state.as_str(), record.status.problem)
}
