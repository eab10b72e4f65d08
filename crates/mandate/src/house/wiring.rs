//! The ports of the engine, plugged in.

use anyhow::{Context, Result};
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_effects::Effects;
use mandate_engine::{EffectSource, Engine, EngineConfig, Evaluator, Ports, Tenants, Witness};
use mandate_gate::Effect;
use mandate_journal::{System, TenantStore};
use mandate_kernel::{Caller, Clock, Duration, Entropy, FunctionName, Limits, SystemClock, SystemEntropy};
use mandate_store::{Store, StoreConfig};
use mandate_vault::{RootKey, Vault};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// The store as the engine sees it.
struct Stores(Store);

impl Tenants for Stores {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        Arc::new(self.0.of(caller))
    }
    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.0.system())
    }
}

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
}

/// A node's engine with the store it owns.
pub(crate) struct Node {
    pub store: Store,
    pub engine: Arc<Engine>,
}

/// How a node is set up.
pub(crate) struct NodeConfig<'a> {
    pub data_dir: &'a Path,
    pub public_url: String,
    pub log_name: String,
    pub root: RootKey,
    pub witness: Arc<dyn Witness>,
    pub evaluator: Arc<dyn Evaluator>,
}

/// Opens the store in the folder and puts an engine over it.
pub(crate) fn node(config: NodeConfig<'_>) -> Result<Node> {
    let store = StoreConfig::new(config.data_dir.join("mandate.db"));
    #[cfg(debug_assertions)]
    let store = super::full_disk::limited(store);
    let store = Store::open(store).context("the database can't be opened")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let effects = Effects::new(Limits::DEFAULT)?.with_local("noop", Arc::new(|_: &Value| Ok(Value::Null)));
    let ports = Ports {
        vault: Arc::new(Vault::new(config.root, Arc::clone(&clock), Arc::clone(&entropy))),
        clock,
        entropy,
        tenants: Arc::new(Stores(store.clone())),
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
        },
    );
    Ok(Node { store, engine })
}
