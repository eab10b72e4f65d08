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

fn arguments(what: &Benchmark) -> Vec<&'static str> {
    let mut arguments =
        vec!["run", "--release", "-p", "mandate", "--features", "bench", "--bin", "mandate-bench", "--"];
    match what {
        Benchmark::Steps { json } => {
            arguments.push("steps");
            if *json {
                arguments.push("--json");
            }
        }
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
        assert_eq!(arguments(&Benchmark::Steps { json: false }).last(), Some(&"steps"));
    }
}
