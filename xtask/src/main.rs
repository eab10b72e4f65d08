//! Repository chores: `cargo xtask layers`, `cargo xtask tidy`, `cargo xtask bench`, `profile` and `simulate`.
//!
//! Only what a check of the tree needs lives here, so that the chores build in seconds.

mod bench;
mod layers;
mod metadata;
mod profile;
mod simulate;
mod tidy;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Compare each crate's dependencies with the edge table in xtask/src/layers/table.rs
    Layers,
    /// Check headers, sizes, words, paths and Markdown links of every file git knows
    Tidy,
    /// Run a benchmark of the shipped path, in release
    Bench {
        #[command(subcommand)]
        what: bench::Benchmark,
    },
    /// Count instructions of the shipped path, in release, under valgrind
    Profile {
        #[command(subcommand)]
        what: profile::Profiled,
    },
    /// Live seeds in the simulator: the real engine, with everything else going wrong
    Simulate(simulate::Simulation),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Layers => report("layers", &layers::check(&metadata::read(&root()?)?)),
        Chore::Tidy => report("tidy", &tidy::check(&root()?)?),
        Chore::Bench { what } => bench::run(&what, &root()?),
        Chore::Profile { what } => profile::run(&what, &root()?),
        Chore::Simulate(what) => simulate::run(&what),
    }
}

/// Prints every finding on stderr, or one line that says there was none.
fn report(chore: &str, findings: &[String]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stderr().lock();
    for finding in findings {
        writeln!(out, "{chore}: {finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "{chore}: ok")?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{chore}: {} finding(s)", findings.len())?;
    Ok(ExitCode::FAILURE)
}

/// The workspace's root: the parent of this package, as cargo tells it to the process it starts.
fn root() -> anyhow::Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("start me as `cargo xtask`")?;
    let package = PathBuf::from(package);
    Ok(package.parent().context("the package has no parent folder")?.to_path_buf())
}

/// The cargo that started this process, so that a pinned toolchain stays pinned.
fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
