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
#[cfg(debug_assertions)]
#[path = "../house/full_disk.rs"]
mod full_disk;
mod steps;
#[path = "../house/wiring.rs"]
mod wiring;
mod witness;

use anyhow::{Result, bail};
use std::io::Write;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some("steps") {
        bail!("usage: mandate-bench steps [--json]");
    }
    let json = args.any(|arg| arg == "--json");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(steps::measure(&[1, 32, 256]))?;
    let mut out = std::io::stdout();
    if !json {
        writeln!(out, "{}", steps::table(&report))?;
    }
    writeln!(out, "{report}")?;
    Ok(())
}
