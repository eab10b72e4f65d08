//! Benchmarks of the shipped path: `mandate-bench steps --json`.
//!
//! A step is a call of a registered in-process function that does nothing, with decision, envelope, hop
//! token and lease like any other. Beside it, in the same run and on the same disk, the store's raw
//! group-commit ceiling, and a peer where one is given. Afterwards the work is audited: decisions, tokens and
//! leases counted, and the ledger hashed again in full.

mod audit;
mod cpu;
#[expect(dead_code, reason = "what is measured is the file")]
#[path = "../house/database.rs"]
mod database;
mod fairness;
#[cfg(debug_assertions)]
#[path = "../house/full_disk.rs"]
mod full_disk;
mod growth;
mod house;
mod load;
mod peer;
mod postgres;
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the server that the store's tests start, whole"
)]
#[path = "../../../store/tests/postgres/server.rs"]
mod server;
mod steps;
mod waiting;
#[path = "../house/wiring.rs"]
mod wiring;
mod witness;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;

#[derive(Parser)]
#[command(name = "mandate-bench", about = "Measures the shipped path")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Steps of a 10-step Worker through the whole pipeline
    Steps {
        /// Print JSON alone
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: steps::Options,
    },
    /// A quiet tenant alone, and beside a noisy one
    Fairness,
    /// Runs that wait: memory, and waking all of them
    Waiting {
        /// How many
        #[arg(default_value_t = 100_000)]
        runs: usize,
    },
    /// The first half of `waiting`, in a process of its own
    #[command(hide = true)]
    WaitingFill { folder: PathBuf, runs: usize },
    /// The second half of `waiting`, in a process of its own
    #[command(hide = true)]
    WaitingWake { folder: PathBuf, runs: usize },
    /// What a step costs late in a long run, and in a store full of finished runs
    Growth {
        #[command(flatten)]
        options: growth::Options,
    },
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    let report = match Arguments::parse().what {
        What::Steps { json, options } => {
            let report = runtime.block_on(steps::measure(&options))?;
            if !json {
                writeln!(out, "{}", steps::table(&report, &options))?;
            }
            report
        }
        What::Fairness => runtime.block_on(fairness::measure())?,
        What::Waiting { runs } => waiting::measure(runs)?,
        What::WaitingFill { folder, runs } => runtime.block_on(waiting::fill(&folder, runs))?,
        What::WaitingWake { folder, runs } => runtime.block_on(waiting::wake(&folder, runs))?,
        What::Growth { options } => runtime.block_on(growth::measure(&options))?,
    };
    writeln!(out, "{report}")?;
    Ok(())
}
