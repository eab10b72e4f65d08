//! Whether a step costs the same late in a long run as early, and in a store full of finished runs as in an empty one.

use crate::database::Database;
use crate::house::{House, STEPS};
use crate::load::{self, load};
use crate::{audit, cpu};
use anyhow::{Context, Result, bail};
use mandate_journal::{Page, RunQuery, RunRecord, TenantStore};
use mandate_kernel::{ResourceName, RunId};
use mandate_store::bench::fill_with_finished_runs;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const CLIENTS: usize = 32;
/// Journal events of one step: admitted, returned.
const EVENTS: u64 = 2;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Steps of the long run
    #[arg(long, default_value_t = 10_000)]
    steps: usize,
    /// Finished runs in the full store
    #[arg(long, default_value_t = 1_000_000)]
    finished: usize,
    /// Runs measured in the empty and in the full store
    #[arg(long, default_value_t = 300)]
    runs: usize,
    /// Pages listed of each kind
    #[arg(long, default_value_t = 200)]
    pages: usize,
}

/// Measures both.
pub(crate) async fn measure(options: &Options) -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("mandate-bench-growth-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("long"))?;
    std::fs::create_dir_all(folder.join("full"))?;
    let measured = async {
        let long = long_run(&folder.join("long"), options).await?;
        let full = full_store(&folder.join("full"), options).await?;
        Ok(json!({"long_run": long, "finished_runs": full, "fsync": true}))
    };
    let measured = measured.await;
    drop(std::fs::remove_dir_all(&folder));
    measured
}

/// Processor time of a step by how far the run is.
async fn long_run(folder: &Path, options: &Options) -> Result<Value> {
    let house = House::open(folder, Database::in_folder(folder)?, options.steps).await?;
    let store = house.context.store();
    let run = load::start(&house.node, &house.owner).await?;
    let mut marks: Vec<(u64, f64)> = Vec::new();
    let begun = Instant::now();
    loop {
        let record = store.run(&run).await?.context("the run is gone")?;
        let steps = record.journal_seq.saturating_sub(1) / EVENTS;
        if marks.last().is_none_or(|(before, _)| steps >= before + 500) && steps >= 10 {
            marks.push((steps, cpu::seconds()?));
        }
        if record.status.state.is_terminal() {
            load::completed(&record)?;
            break;
        }
        if begun.elapsed() > Duration::from_secs(300) {
            bail!("the long run has not ended after 300 s");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    house.close().await;
    let per_step = |a: &(u64, f64), b: &(u64, f64)| (b.1 - a.1) * 1e6 / (b.0 - a.0).max(1) as f64;
    let windows: Vec<(u64, f64)> = marks.iter().zip(marks.iter().skip(1)).map(|(a, b)| (b.0, per_step(a, b))).collect();
    let third = (windows.len() / 3).max(1);
    let mean = |part: &[(u64, f64)]| part.iter().map(|(_, cost)| cost).sum::<f64>() / part.len().max(1) as f64;
    let early = mean(windows.get(..third).unwrap_or_default());
    let late = mean(windows.get(windows.len() - third.min(windows.len())..).unwrap_or_default());
    Ok(
        json!({"steps": options.steps, "early_cpu_us": early.round(), "late_cpu_us": late.round(), "ratio": round(late / early)}),
    )
}

/// A step, and a page of the list of runs, beside none and beside many finished runs.
async fn full_store(folder: &Path, options: &Options) -> Result<Value> {
    let house = House::open(folder, Database::in_folder(folder)?, STEPS).await?;
    let empty = steps(&house, options.runs).await?;
    let Database::Sqlite(store) = &house.node.database else { bail!("the full store is SQLite's") };
    let begun = Instant::now();
    fill_with_finished_runs(&store.of(&house.owner), house.context.tenant(), options.finished).await?;
    let filled = options.finished as f64 / begun.elapsed().as_secs_f64();
    let full = steps(&house, options.runs).await?;
    let lists = lists(house.context.store(), options.pages).await?;
    house.close().await;
    Ok(json!({
        "finished": options.finished, "filled_per_s": filled.round(), "empty_cpu_us": empty.round(),
        "full_cpu_us": full.round(), "ratio": round(full / empty), "list_p99_ms": lists,
    }))
}

async fn steps(house: &House, runs: usize) -> Result<f64> {
    audit::until_sequenced(&house.context).await?;
    let before = cpu::seconds()?;
    load(&house.node, &house.context, &house.owner, CLIENTS, runs).await?;
    audit::until_sequenced(&house.context).await?;
    Ok((cpu::seconds()? - before) * 1e6 / (runs * STEPS) as f64)
}

/// The 99th percentile of reading a page, by where it lies and whose runs it holds.
async fn lists(store: &dyn TenantStore, pages: usize) -> Result<Value> {
    let mut all = serde_json::Map::new();
    let rarely = ResourceName::new("bench/rarely")?;
    for (name, worker, walks) in
        [("newest", None, false), ("any_page", None, true), ("of_a_rare_worker", Some(&rarely), true)]
    {
        let (mut times, mut before): (Vec<f64>, Option<RunId>) = (Vec::new(), None);
        for n in 0..pages {
            // Cursors all over the list: its runs are of one second after another.
            let at = 1_600_000_000_000 + (n as i64 * 7919) % 1_000_000;
            if walks {
                before =
                    Some(RunId::generate(mandate_kernel::Timestamp::from_millis(at), &mandate_kernel::SystemEntropy)?);
            }
            let query = RunQuery { limit: 50, before: before.clone(), worker: worker.cloned() };
            let begun = Instant::now();
            let page: Page<RunRecord> = store.runs(query).await?;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            if !walks && page.items.is_empty() {
                bail!("a list of runs is empty");
            }
        }
        times.sort_by(f64::total_cmp);
        let p99 = times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
        all.insert(name.to_owned(), json!(round(p99)));
    }
    Ok(Value::Object(all))
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
