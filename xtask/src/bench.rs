//! Starts the release benchmark binary of the `mandate` package.
//!
//! The benchmark drives the shipped path, so it lives beside the product and not here: xtask would have to
//! build the whole house for its own chores otherwise.

use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Subcommand;

/// The benchmarks by name.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Benchmark {
    /// Steps of a 10-step Worker through the whole pipeline, beside the store's own group-commit ceiling
    Steps {
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
    },
    /// 10-step runs of a quiet tenant, alone and beside one that keeps thousands of runs going; JSON on the last line
    Fairness,
    /// Runs that wait for people, times and events: memory, and waking all of them after a restart; JSON on the last line
    Waiting {
        /// How many runs
        #[arg(long, default_value_t = 100_000)]
        runs: u32,
    },
}

/// Runs the benchmark with this process's streams and passes its exit code on.
pub(crate) fn run(what: &Benchmark) -> anyhow::Result<ExitCode> {
    let status = Command::new(crate::cargo())
        .args(arguments(what))
        .status()
        .context("cannot start cargo for the benchmark; is it on the PATH?")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn arguments(what: &Benchmark) -> Vec<String> {
    let start = ["run", "--release", "-p", "mandate", "--features", "bench", "--bin", "mandate-bench", "--"];
    let mut arguments = start.map(str::to_owned).to_vec();
    match what {
        Benchmark::Steps { json } => {
            arguments.push("steps".to_owned());
            if *json {
                arguments.push("--json".to_owned());
            }
        }
        Benchmark::Fairness => arguments.push("fairness".to_owned()),
        Benchmark::Waiting { runs } => arguments.extend(["waiting".to_owned(), runs.to_string()]),
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_runs_the_release_binary_and_passes_json_on() {
        let line = arguments(&Benchmark::Steps { json: true }).join(" ");
        assert_eq!(line, "run --release -p mandate --features bench --bin mandate-bench -- steps --json");
        assert_eq!(arguments(&Benchmark::Steps { json: false }).last().unwrap(), "steps");
        assert!(arguments(&Benchmark::Waiting { runs: 5 }).join(" ").ends_with("-- waiting 5"));
    }
}
