//! Runs that wait: so many of them on one node, for people, times and events; what they cost, and whether all are woken
//! after a restart. Filling and waking are processes of their own.

use crate::house::{self, open};
use crate::wiring::Node;
use anyhow::{Context, Result, bail};
use mandate_engine::{Answer, StartRequest, TenantContext};
use mandate_flow::Labelled;
use mandate_journal::{ApprovalQuery, ApprovalState, RunQuery, RunState};
use mandate_kernel::{Caller, GroupName, Integrity, Labels, Principal, ResourceName};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const CALLERS: usize = 32;
const KINDS: [&str; 3] = ["bench/time", "bench/person", "bench/event"];

/// Fills a folder in one process, and wakes everything in another.
pub(crate) fn measure(runs: usize) -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("mandate-bench-waiting-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = both(&folder, runs);
    drop(std::fs::remove_dir_all(&folder));
    measured
}

fn both(folder: &Path, runs: usize) -> Result<Value> {
    let part = |name: &str| -> Result<Value> {
        let output = Command::new(std::env::current_exe()?).arg(name).arg(folder).arg(runs.to_string()).output()?;
        let text = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            bail!("{name}: {text}{}", String::from_utf8_lossy(&output.stderr));
        }
        let last = text.lines().last().context("it said nothing")?;
        Ok(serde_json::from_str(last)?)
    };
    Ok(json!({"runs": runs, "filled": part("waiting-fill")?, "woken": part("waiting-wake")?, "fsync": true}))
}

/// Megabytes this process holds now, and the most it held.
fn memory() -> Result<(f64, f64)> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux tells")?;
    let of = |name: &str| -> Option<f64> {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    let read = |name: &str| of(name).map(|kb| (kb / 102.4).round() / 10.0).with_context(|| name.to_owned());
    Ok((read("VmRSS:")?, read("VmHWM:")?))
}

async fn house(folder: &Path) -> Result<(Node, Arc<TenantContext>, Caller)> {
    let (node, witness) = open(folder)?;
    let (context, caller) = house::tenant(&node, &witness, "waiting").await?;
    Ok((node, context, caller))
}

/// Starts them all, and sees them wait. Those that wait for a time do so until a hundredth of a second for each run
/// has passed since the beginning, and half a minute at least: where starting takes longer, the first of them are
/// woken before the restart, and `waiting_at_restart` tells.
pub(crate) async fn fill(folder: &Path, runs: usize) -> Result<Value> {
    let (node, context, caller) = house(folder).await?;
    house::apply(&node, &context, manifests()).await?;
    node.engine.recover().await?;
    let (before, _) = memory()?;
    let (left, begun) = (Arc::new(AtomicUsize::new(runs)), Instant::now());
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (engine, caller, left) = (Arc::clone(&node.engine), caller.clone(), Arc::clone(&left));
        callers.push(tokio::spawn(async move {
            while let Ok(n) = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
                let name = KINDS.get(n % KINDS.len()).copied().unwrap_or("bench/time");
                // All times are due together, well after the last run is started.
                let wait = (runs as u64 / 100).max(60).saturating_sub(begun.elapsed().as_secs());
                let request = StartRequest {
                    worker: ResourceName::new(name)?,
                    environment: None,
                    purpose: "benchmark".to_owned(),
                    input: json!({"s": wait.max(30)}),
                    start_key: None,
                };
                engine.start(&caller, request).await?;
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    loop {
        let open = context.store().open_counts().await?;
        if open.running == 0 && open.unsequenced == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let (now, most) = memory()?;
    let open = context.store().open_counts().await?;
    node.engine.close();
    node.database.close().await;
    let size = std::fs::metadata(folder.join("mandate.db")).map(|file| file.len()).unwrap_or_default();
    Ok(json!({
        "waiting": open.waiting, "approvals": open.approvals, "seconds": seconds.round(),
        "starts_per_s": (runs as f64 / seconds).round(), "rss_mb_empty": before, "rss_mb": now, "rss_mb_most": most,
        "database_mb": size / 1_000_000,
    }))
}

/// A new process: answers everybody, tells everything, and sees all of them end.
pub(crate) async fn wake(folder: &Path, runs: usize) -> Result<Value> {
    let begun = Instant::now();
    let (node, context, _) = house(folder).await?;
    node.engine.recover().await?;
    let restart = begun.elapsed().as_secs_f64() * 1_000.0;
    let (at_start, _) = memory()?;
    let waited = context.store().open_counts().await?.waiting;
    let at = Instant::now();
    tokio::try_join!(answer_all(&node, &context), tell_all(&node, &context))?;
    loop {
        let open = context.store().open_counts().await?;
        if open.running == 0 && open.waiting == 0 {
            break;
        }
        if at.elapsed().as_secs() > 3_600 {
            bail!("{} runs run and {} wait an hour after they were to be woken", open.running, open.waiting);
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let seconds = at.elapsed().as_secs_f64();
    let completed = completed(&context).await?;
    if completed != runs {
        bail!("{completed} of {runs} runs have completed");
    }
    let (now, most) = memory()?;
    node.engine.close();
    node.database.close().await;
    Ok(json!({
        "waiting_at_restart": waited, "restart_ms": restart.round(), "rss_mb_at_restart": at_start, "rss_mb": now,
        "rss_mb_most": most, "seconds": seconds.round(), "woken_per_s": (waited as f64 / seconds).round(), "completed": completed,
    }))
}

async fn completed(context: &TenantContext) -> Result<usize> {
    let (mut count, mut before) = (0, None);
    loop {
        let page = context.store().runs(RunQuery { limit: 1_000, before, ..RunQuery::default() }).await?;
        count += page.items.iter().filter(|run| run.status.state == RunState::Completed).count();
        before = page.items.last().map(|run| run.run.clone());
        if !page.more {
            return Ok(count);
        }
    }
}

async fn answer_all(node: &Node, context: &Arc<TenantContext>) -> Result<()> {
    let who =
        Caller::new(Principal::user(context.tenant().clone(), "boss"), BTreeSet::from([GroupName::new("bosses")?]));
    let mut before = None;
    loop {
        let query =
            ApprovalQuery { limit: 200, before, state: Some(ApprovalState::Pending), ..ApprovalQuery::default() };
        let page = context.store().approvals(query).await?;
        before = page.items.last().map(|item| item.approval.clone());
        let mut said = tokio::task::JoinSet::new();
        for item in page.items {
            let (engine, context, who) = (Arc::clone(&node.engine), Arc::clone(context), who.clone());
            said.spawn(async move {
                let answer =
                    Answer { approve: true, digest: item.binding, comment: None, form: Some(json!({"ok": true})) };
                engine.answer(&context, &who, &item.approval, answer).await.map(drop)
            });
        }
        while let Some(done) = said.join_next().await {
            done??;
        }
        if !page.more {
            return Ok(());
        }
    }
}

/// One event wakes as many as one event may; the next one wakes the next.
async fn tell_all(node: &Node, context: &Arc<TenantContext>) -> Result<()> {
    for number in 0.. {
        let value = json!({"specversion": "1.0", "id": format!("e{number}"), "source": "/bench", "type": "go"});
        let labels = Labels { integrity: Integrity::Untrusted, ..Labels::default() };
        let delivered = node.engine.deliver(context, &Labelled { value, labels }).await?;
        if delivered.taken == 0 {
            break;
        }
    }
    Ok(())
}

fn manifests() -> Vec<Value> {
    let form = json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}});
    let worker = |name: &str, tasks: Value| {
        let document =
            json!({"document": {"dsl": "1.0.3", "namespace": "bench", "name": name, "version": "1.0.0"}, "do": tasks});
        let spec = json!({
            "document": document, "environments": ["sandbox"], "defaultEnvironment": "sandbox", "functions": ["approval"],
            "authoritySeconds": 86_400,
        });
        house::manifest("Worker", &format!("bench/{name}"), spec)
    };
    vec![
        house::manifest(
            "Function",
            "bench/approval",
            json!({"effect": "read", "model": "workflow-bound", "returns": {"integrity": "derived"},
                "target": {"review": {"groups": ["bosses"], "expires": "P1D"}}}),
        ),
        house::manifest(
            "Entitlement",
            "bench/reviews",
            json!({"subjects": ["user:owner"], "environments": ["sandbox"], "scopes": [],
                "audiences": ["urn:mandate:review"], "functions": {"approval": {}}}),
        ),
        worker("time", json!([{"pause": {"wait": "${ { seconds: .s } }"}}, {"end": {"set": {"woke": true}}}])),
        worker(
            "person",
            json!([{"ask": {"call": "approval", "with": {"title": "May it?", "data": {"n": 1}, "form": form}}}]),
        ),
        worker(
            "event",
            json!([{"hear": {"listen": {"to": {"one": {"with": {"type": "go"}}}}}}, {"end": {"set": {"woke": true}}}]),
        ),
    ]
}
