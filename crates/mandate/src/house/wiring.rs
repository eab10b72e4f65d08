//! The ports of the engine, plugged in.

use super::database::Database;
use anyhow::Result;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_effects::Effects;
use mandate_engine::{EffectSource, Engine, EngineConfig, Evaluator, Ports, Witness};
use mandate_flow::Need;
use mandate_gate::Effect;
use mandate_kernel::{Clock, Duration, Entropy, FunctionName, Limits, SystemClock, SystemEntropy};
use mandate_vault::{RootKey, Vault};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The connectors as the engine sees them.
struct Connectors(Effects);

impl EffectSource for Connectors {
    fn effect(
        &self,
        _: &FunctionName,
        function: &FunctionSpec,
        connection: Option<&ConnectionSpec>,
    ) -> Result<Arc<dyn Effect>, String> {
        Ok(self.0.effect_for(function, connection))
    }

    fn check(&self, function: &FunctionSpec) -> Result<(), (String, String)> {
        self.0.check(function)
    }
}

/// A node's engine with its database.
pub(crate) struct Node {
    pub database: Database,
    pub engine: Arc<Engine>,
}

/// How a node is set up.
pub(crate) struct NodeConfig {
    pub database: Database,
    pub public_url: String,
    pub log_name: String,
    pub root: RootKey,
    pub witness: Arc<dyn Witness>,
    pub evaluator: Arc<dyn Evaluator>,
    /// What is on that is off otherwise.
    pub allow: BTreeSet<Need>,
    /// How runs are shared with other nodes; `None` when there are none.
    pub node: Option<mandate_engine::NodeConfig>,
}

/// Puts an engine over a database.
pub(crate) fn node(config: NodeConfig) -> Result<Node> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    for need in &config.allow {
        tracing::warn!(switch = need.switch(), "a switch is on: documents may do what is off otherwise");
    }
    let effects = Effects::new(Limits::DEFAULT)?.with_entropy(Arc::clone(&entropy))?;
    let effects = effects.with_local("noop", Arc::new(|_: &Value| Ok(Value::Null)));
    let ports = Ports {
        vault: Arc::new(Vault::new(config.root, Arc::clone(&clock), Arc::clone(&entropy))),
        clock,
        entropy,
        tenants: Arc::new(config.database.clone()),
        effects: Arc::new(Connectors(effects)),
        witness: config.witness,
        evaluator: config.evaluator,
    };
    let engine = Engine::new(
        ports,
        EngineConfig {
            public_url: config.public_url,
            log_name: config.log_name,
            sequence_every: Duration::from_millis(100),
            allow: config.allow,
            node: config.node,
        },
    );
    Ok(Node { database: config.database, engine })
}
