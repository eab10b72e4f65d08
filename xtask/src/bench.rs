//! Starts the release benchmark binary of the `mandate` package.
//!
//! The benchmark drives the shipped path, so it lives beside the product and not here: xtask would have to
//! build the whole house for its own chores otherwise. A peer is brought here on demand: what is pinned in
//! `bench/restate` is fetched and built under `target/`, and nothing of it is in the product's graph.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, ensure};
use clap::{Subcommand, ValueEnum};

/// The benchmarks by name.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(crate) enum Benchmark {
    /// Steps of a 10-step Worker through the whole pipeline, beside the store's own group-commit ceiling
    Steps {
        /// Print one JSON object as the last line
        #[arg(long)]
        json: bool,
        /// Measure another engine with the same work, right after ours
        #[arg(long)]
        peer: Option<Peer>,
        /// Measure PostgreSQL as well, on a server of its own
        #[arg(long, value_name = "postgres")]
        store: Option<OtherStore>,
        /// How many runs are under way at once, such as `32` or `1,32,256`
        #[arg(long)]
        clients: Option<String>,
        /// Runs at each of these
        #[arg(long)]
        runs: Option<u32>,
    },
    /// 10-step runs of a quiet tenant, alone and beside one that keeps thousands of runs going; JSON on the last line
    Fairness,
    /// Runs that wait for people, times and events: memory, and waking all of them after a restart; JSON on the last line
    Waiting {
        /// How many runs
        #[arg(long, default_value_t = 100_000)]
        runs: u32,
    },
    /// What a step costs late in a long run, and in a store full of finished runs
    Growth {
        /// Finished runs in the full store
        #[arg(long)]
        finished: Option<u32>,
    },
}

/// Engines to be measured beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Restate, from `bench/restate`
    Restate,
}

/// Stores beside SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OtherStore {
    /// PostgreSQL
    Postgres,
}

/// Runs the benchmark with this process's streams and passes its exit code on.
pub(crate) fn run(what: &Benchmark, root: &Path) -> anyhow::Result<ExitCode> {
    let mut arguments = arguments(what);
    if let Benchmark::Steps { peer: Some(Peer::Restate), .. } = what {
        let restate = Restate::prepare(root)?;
        for (flag, path) in [("--peer", restate.program), ("--peer-argument", restate.server)] {
            arguments.extend([flag.into(), path.into_os_string()]);
        }
        arguments.extend(["--peer-argument".into(), root.join("bench/restate/restate.toml").into_os_string()]);
    }
    let status = Command::new(crate::cargo())
        .args(arguments)
        .status()
        .context("cannot start cargo for the benchmark; is it on the PATH?")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn arguments(what: &Benchmark) -> Vec<OsString> {
    let line = "run --release --locked -p mandate --features bench --bin mandate-bench --";
    let mut arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    let mut add = |argument: &str, value: Option<String>| {
        arguments.push(argument.into());
        arguments.extend(value.map(OsString::from));
    };
    match what {
        Benchmark::Steps { json, store, clients, runs, .. } => {
            add("steps", None);
            if *json {
                add("--json", None);
            }
            if let Some(OtherStore::Postgres) = store {
                add("--postgres", None);
            }
            if let Some(clients) = clients {
                add("--clients", Some(clients.clone()));
            }
            if let Some(runs) = runs {
                add("--runs", Some(runs.to_string()));
            }
        }
        Benchmark::Fairness => add("fairness", None),
        Benchmark::Waiting { runs } => add("waiting", Some(runs.to_string())),
        Benchmark::Growth { finished } => {
            add("growth", None);
            if let Some(finished) = finished {
                add("--finished", Some(finished.to_string()));
            }
        }
    }
    arguments
}

/// The programs of the Restate peer.
struct Restate {
    /// Ours: serves the steps, starts the runs, measures.
    program: PathBuf,
    /// Restate's.
    server: PathBuf,
}

impl Restate {
    /// Fetches the server as the lock file pins it and builds our program, unless both are there.
    fn prepare(root: &Path) -> anyhow::Result<Self> {
        let (source, folder) = (root.join("bench/restate"), root.join("target/bench/restate"));
        std::fs::create_dir_all(&folder)?;
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            std::fs::copy(source.join(file), folder.join(file)).with_context(|| format!("cannot copy {file}"))?;
        }
        let platform = format!("{}-{}", npm_os(), npm_cpu());
        let server = folder.join(format!("node_modules/@restatedev/restate-server-{platform}/bin/restate-server"));
        let pinned = std::fs::read(source.join("package-lock.json"))?;
        let installed = folder.join("installed.json");
        if !server.is_file() || std::fs::read(&installed).ok().as_deref() != Some(pinned.as_slice()) {
            // No script of a package is run: the server is a program in a package for this platform.
            done(Command::new("npm").args(["ci", "--ignore-scripts"]).current_dir(&folder))?;
            ensure!(server.is_file(), "Restate has no server for {platform}");
            std::fs::write(&installed, pinned)?;
        }
        let manifest = source.join("Cargo.toml");
        let build = ["build", "--quiet", "--release", "--locked", "--manifest-path"].map(OsStr::new);
        done(Command::new(crate::cargo()).args(build).arg(manifest).arg("--target-dir").arg(folder.join("build")))?;
        Ok(Self { program: folder.join("build/release/restate-peer"), server })
    }
}

fn npm_os() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

fn npm_cpu() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Runs a command whose report, if any, is for people: the last line on stdout is the benchmark's.
fn done(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}; is it on the PATH?"))?;
    ensure!(output.status.success(), "{program} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(json: bool, store: Option<OtherStore>, clients: Option<&str>) -> String {
        let clients = clients.map(str::to_owned);
        let what = Benchmark::Steps { json, peer: None, store, clients, runs: Some(7) };
        arguments(&what).join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn steps_runs_the_release_binary_and_passes_its_options_on() {
        let base = "run --release --locked -p mandate --features bench --bin mandate-bench -- steps";
        assert_eq!(line(true, None, None), format!("{base} --json --runs 7"));
        let all = line(false, Some(OtherStore::Postgres), Some("1,32"));
        assert_eq!(all, format!("{base} --postgres --clients 1,32 --runs 7"));
        let waiting = arguments(&Benchmark::Waiting { runs: 5 }).join(OsStr::new(" "));
        assert!(waiting.into_string().unwrap().ends_with("-- waiting 5"));
        let growth = arguments(&Benchmark::Growth { finished: Some(9) }).join(OsStr::new(" "));
        assert!(growth.into_string().unwrap().ends_with("mandate-bench -- growth --finished 9"));
    }
}
