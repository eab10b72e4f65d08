//! Where the instructions of a step go: callgrind over the release benchmark binary.
//!
//! Two runs that differ in nothing but how many runs of a 10-step Worker they do are subtracted, so that start and
//! set-up fall out. Instructions don't depend on what else the machine does, so two versions of the code can be
//! compared with them. What they don't show: waiting, and that valgrind's processor has no SHA instructions, so that
//! digests weigh more here than on a machine that has them.

mod callgrind;
mod parts;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use callgrind::Costs;
use clap::Subcommand;

/// Steps of the benchmark's Worker.
const STEPS: u64 = 10;
/// Runs of the shorter and of the longer measurement.
const RUNS: (u64, u64) = (40, 120);

/// What can be profiled.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Profiled {
    /// Instructions per step of a 10-step Worker through the whole pipeline, by part
    Steps {
        /// How many runs are under way at once
        #[arg(long, default_value_t = 32)]
        clients: usize,
        /// Also list this many of the costliest functions
        #[arg(long, default_value_t = 0)]
        functions: usize,
    },
}

/// Builds, measures and prints the tables.
pub(crate) fn run(what: &Profiled, root: &Path) -> anyhow::Result<ExitCode> {
    let Profiled::Steps { clients, functions } = what;
    let built = Command::new(crate::cargo())
        .args(["build", "--release", "-p", "mandate", "--features", "bench", "--bin", "mandate-bench"])
        .status()
        .context("cannot start cargo for the benchmark; is it on the PATH?")?;
    ensure!(built.success(), "the benchmark does not build");
    let less = measured(root, *clients, RUNS.0)?;
    let costs = measured(root, *clients, RUNS.1)?.beyond(&less);
    let mut out = std::io::stdout().lock();
    write!(out, "{}", parts::tables(&costs, (RUNS.1 - RUNS.0) * STEPS))?;
    if *functions > 0 {
        write!(out, "\n{}", parts::costliest(&costs, (RUNS.1 - RUNS.0) * STEPS, *functions))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn measured(root: &Path, clients: usize, runs: u64) -> anyhow::Result<Costs> {
    let folder = root.join("target/profile");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("steps-{clients}-{runs}.callgrind"));
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=no", "--fair-sched=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(root.join("target/release/mandate-bench"))
        .args(["steps", "--bare", "--clients"])
        .arg(clients.to_string())
        .arg("--runs")
        .arg(runs.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .context("cannot start valgrind; install it to profile")?;
    ensure!(status.success(), "the benchmark failed under valgrind: {status}");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Costs::parse(&text))
}
