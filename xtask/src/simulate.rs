//! Starts the simulator's long job: lives by seed, over the real engine.
//!
//! The simulator is a test of the engine, so that it needs no crate of its own and the chores don't build the engine.

use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Args;

/// Which seeds, and how.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Simulation {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Seeds lived at the same time
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// In the development profile: what the tests have built is used, and it is slower
    #[arg(long)]
    dev: bool,
}

/// Runs the job with this process's streams and passes its exit code on.
pub(crate) fn run(what: &Simulation) -> anyhow::Result<ExitCode> {
    let status = Command::new(crate::cargo())
        .args(arguments(what))
        .envs([("SEEDS", what.seeds), ("FROM", what.from), ("JOBS", what.jobs)].map(variable))
        .status()
        .context("cannot start cargo for the simulator; is it on the PATH?")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn variable((name, value): (&str, u64)) -> (String, String) {
    (format!("MANDATE_SIM_{name}"), value.to_string())
}

fn arguments(what: &Simulation) -> Vec<&'static str> {
    let mut arguments = vec!["test", "--quiet", "-p", "mandate-engine", "--test", "engine"];
    if !what.dev {
        arguments.push("--release");
    }
    arguments.extend(["--", "--ignored", "--exact", "simulation::as_many_seeds_as_asked", "--nocapture"]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_job_is_named_exactly_and_told_its_seeds() {
        let asked = Simulation { seeds: 5, from: 7, jobs: 1, dev: false };
        let line = arguments(&asked).join(" ");
        assert!(line.contains("--release -- --ignored --exact simulation::as_many_seeds_as_asked"), "{line}");
        assert!(!arguments(&Simulation { dev: true, ..asked }).contains(&"--release"));
        assert_eq!(variable(("FROM", 7)), ("MANDATE_SIM_FROM".to_owned(), "7".to_owned()));
    }
}
