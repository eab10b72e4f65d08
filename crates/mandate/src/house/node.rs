//! A node among others: what it goes by, how long its claims last, how it leaves.

use super::config::ServeConfig;
use super::signals;
use anyhow::{Result, bail};
use mandate_engine::{Engine, NodeConfig};
use mandate_kernel::{Duration, Entropy, SystemEntropy};
use serde::Deserialize;
use std::sync::Arc;

/// The bytes of randomness in a node's name.
const RANDOM: usize = 6;

/// How the node behaves among others, and how it ends.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema, serde::Serialize))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct NodeSettings {
    /// What it is called in logs; each start adds something of its own.
    pub name: String,
    /// How long its claims last without being renewed: so long others wait before they take over.
    pub lease_seconds: u64,
    /// How long it goes on answering after it was told to end, so that a load balancer notices.
    pub notice_seconds: u64,
    /// How long effects that are under way may take once it was told to end.
    pub drain_seconds: u64,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self { name: "node".to_owned(), lease_seconds: 10, notice_seconds: 0, drain_seconds: 25 }
    }
}

impl NodeSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(2..=300).contains(&self.lease_seconds) {
            bail!("node: leaseSeconds is 2 to 300");
        }
        if self.notice_seconds > 300 || self.drain_seconds > 3600 {
            bail!("node: noticeSeconds is 300 at most, drainSeconds 3600");
        }
        let named = (1..=40).contains(&self.name.len())
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if !named {
            bail!("node: name is 1 to 40 letters, digits, `-`, `.` or `_`");
        }
        Ok(())
    }
}

impl ServeConfig {
    /// How the engine shares runs out; `None` on a database that this process has to itself. The name is of this
    /// process alone: a claim of the one before it is not its own.
    pub(crate) fn node(&self) -> Result<Option<NodeConfig>> {
        if !self.is_shared() {
            return Ok(None);
        }
        let mut random = [0; RANDOM];
        SystemEntropy.fill(&mut random)?;
        let own: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{}-{own}", self.node.name);
        Ok(Some(NodeConfig { name, lease: Duration::from_secs(self.node.lease_seconds) }))
    }
}

/// Resolves once the process was told to end and the engine has left its runs in order: callers are told to ask
/// another node meanwhile.
pub(crate) async fn left(engine: Arc<Engine>, settings: NodeSettings) {
    signals::told_to_end().await;
    engine.refuse_new();
    tracing::info!("told to end: not ready any more, runs are left in order");
    tokio::time::sleep(std::time::Duration::from_secs(settings.notice_seconds)).await;
    let drained = engine.drain(Duration::from_secs(settings.drain_seconds)).await;
    tracing::info!(cut_off = drained.cut_off, "left");
}
