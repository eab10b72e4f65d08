//! Starts the simulator's long job: lives by seed, over the real engine.
//!
//! The simulator is a test of the engine, so that it needs no crate of its own and the chores don't build the engine.
//! It is built beside the other tests, optimised: of what they have built, only this workspace's own crates are built again.

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
    /// As the tests are built: nothing is built again, and it is slower
    #[arg(long)]
    dev: bool,
}

/// Runs the job with this process's streams and passes its exit code on.
pub(crate) fn run(what: &Simulation) -> anyhow::Result<ExitCode> {
    let status = Command::new(crate::cargo())
        .args(ARGUMENTS)
        .envs(variables(what))
        .status()
        .context("cannot start cargo for the simulator; is it on the PATH?")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

const ARGUMENTS: [&str; 12] = [
    "test",
    "--quiet",
    "--locked",
    "-p",
    "mandate-engine",
    "--test",
    "engine",
    "--",
    "--ignored",
    "--exact",
    "simulation::as_many_seeds_as_asked",
    "--nocapture",
];

/// The seeds for the test, and how cargo builds it. The release profile would build every dependency again, and
/// link for minutes; this keeps the development profile, whose dependencies are optimised already.
fn variables(what: &Simulation) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("MANDATE_SIM_SEEDS", what.seeds.to_string()),
        ("MANDATE_SIM_FROM", what.from.to_string()),
        ("MANDATE_SIM_JOBS", what.jobs.to_string()),
    ];
    if !what.dev {
        variables.push(("CARGO_PROFILE_DEV_OPT_LEVEL", "2".to_owned()));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_job_is_named_exactly_and_told_its_seeds() {
        assert!(ARGUMENTS.join(" ").contains("-- --ignored --exact simulation::as_many_seeds_as_asked"));
        assert!(!ARGUMENTS.contains(&"--release"), "the release profile builds every dependency again");
        let asked = Simulation { seeds: 5, from: 7, jobs: 1, dev: false };
        let optimised = ("CARGO_PROFILE_DEV_OPT_LEVEL", "2".to_owned());
        assert!(variables(&asked).contains(&("MANDATE_SIM_FROM", "7".to_owned())));
        assert!(variables(&asked).contains(&optimised));
        assert!(!variables(&Simulation { dev: true, ..asked }).contains(&optimised));
    }
}
