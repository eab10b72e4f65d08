//! Benchmarks of the shipped path: `mandate-bench steps --json`.
//!
//! A step is a call of a registered in-process function that does nothing, with decision, envelope, hop
//! token and lease like any other. Beside it, in the same run and on the same disk, the store's raw
//! group-commit ceiling. Afterwards the work is audited: decisions, tokens and leases counted, and the
//! ledger hashed again in full.

mod audit;
#[expect(dead_code, reason = "what is measured is the file")]
#[path = "../house/database.rs"]
mod database;
mod fairness;
#[cfg(debug_assertions)]
#[path = "../house/full_disk.rs"]
mod full_disk;
mod steps;
mod waiting;
#[path = "../house/wiring.rs"]
mod wiring;
mod witness;

use anyhow::{Context as _, Result, bail};
use std::io::Write;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (what, rest) = (args.next().unwrap_or_default(), args.collect::<Vec<_>>());
    let json = rest.iter().any(|arg| arg == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let folder = || rest.first().map(std::path::PathBuf::from).context("no folder");
    let number = |at: usize| rest.get(at).and_then(|text| text.parse().ok());
    let report = match what.as_str() {
        "steps" => None,
        "fairness" => Some(runtime.block_on(fairness::measure())?),
        "waiting" => Some(waiting::measure(number(0).unwrap_or(100_000))?),
        "waiting-fill" => Some(runtime.block_on(waiting::fill(&folder()?, number(1).context("no number")?))?),
        "waiting-wake" => Some(runtime.block_on(waiting::wake(&folder()?, number(1).context("no number")?))?),
        _ => bail!("usage: mandate-bench steps|fairness|waiting [RUNS] [--json]"),
    };
    if let Some(report) = report {
        writeln!(std::io::stdout(), "{report}")?;
        return Ok(());
    }
    let report = runtime.block_on(steps::measure(&[1, 32, 256]))?;
    let mut out = std::io::stdout();
    if !json {
        writeln!(out, "{}", steps::table(&report))?;
    }
    writeln!(out, "{report}")?;
    Ok(())
}
