//! Another engine with the same workload, measured right after ours: a program that is told how many runs to do and
//! from how many callers, and prints one JSON object on its last line.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How a peer is started.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Peer {
    /// A program that measures the same work on another engine: it is given a folder, callers and runs
    #[arg(long = "peer", value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// What the peer is given before that
    #[arg(long = "peer-argument", value_name = "ARGUMENT")]
    arguments: Vec<PathBuf>,
}

impl Peer {
    /// What the peer reports; `None` when there is none.
    pub(crate) async fn measure(&self, folder: &Path, clients: usize, runs: usize) -> Result<Option<Value>> {
        let Some(program) = &self.program else { return Ok(None) };
        let mut command = tokio::process::Command::new(program);
        command.args(&self.arguments).arg(folder).arg(clients.to_string()).arg(runs.to_string());
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true).output().await;
        let output = output.with_context(|| format!("{} can't be started", program.display()))?;
        ensure!(output.status.success(), "the peer ended with {}", output.status);
        let text = String::from_utf8(output.stdout).context("the peer's report is not text")?;
        let last = text.lines().last().context("the peer reported nothing")?;
        Ok(Some(serde_json::from_str(last).with_context(|| format!("the peer's last line is `{last}`"))?))
    }
}
