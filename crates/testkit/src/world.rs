//! What outlives a process, and processes.

use crate::{Faults, SimClock, SimEffects, SimEntropy, SimStore, SimWitness};
use mandate_engine::{Engine, EngineConfig, Ports};
use mandate_kernel::{Clock, Duration, Entropy, Secret};
use mandate_vault::{RootKey, Vault};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The longest a process may take, in simulated time.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(6 * 3600);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended<T> {
    /// Its script was done.
    Done(T),
    /// It crashed.
    Crashed,
}

impl<T> Ended<T> {
    /// The script's result.
    ///
    /// # Panics
    /// When it crashed.
    pub fn done(self) -> T {
        match self {
            Self::Done(value) => value,
            Self::Crashed => panic!("the process crashed"),
        }
    }
}

/// Disk, receivers, witness, clock and root key.
pub struct World {
    /// Time.
    pub clock: Arc<SimClock>,
    /// Randomness.
    pub entropy: Arc<SimEntropy>,
    /// What goes wrong.
    pub faults: Arc<Faults>,
    /// The disk.
    pub store: SimStore,
    /// The receivers.
    pub effects: SimEffects,
    /// The witness.
    pub witness: Arc<SimWitness>,
    root: [u8; 32],
}

impl World {
    /// A world from a seed, calm at first.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let (clock, entropy, faults) =
            (Arc::new(SimClock::default()), Arc::new(SimEntropy::new(seed)), Arc::new(Faults::default()));
        let store = SimStore::new(Arc::clone(&faults));
        let mut root = [0u8; 32];
        entropy.fill(&mut root).unwrap();
        Self {
            effects: SimEffects::new(store.clone(), Arc::clone(&faults)),
            witness: Arc::new(SimWitness::new(&entropy, Arc::clone(&faults), Arc::clone(&clock))),
            clock,
            entropy,
            faults,
            store,
            root,
        }
    }

    /// Another world that begins where this one stands, and goes on by a seed of its own: the same disk, receivers,
    /// witness and root key. Nothing that happens in it reaches this one.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        let (clock, faults) = (Arc::new(SimClock::default()), Arc::new(Faults::default()));
        clock.set(self.clock.now());
        let store = SimStore::new(Arc::clone(&faults));
        store.restore(&self.store);
        Self {
            effects: self.effects.beside(store.clone(), Arc::clone(&faults)),
            witness: Arc::new(self.witness.again(Arc::clone(&faults), Arc::clone(&clock))),
            entropy: Arc::new(SimEntropy::new(seed)),
            root: self.root,
            clock,
            faults,
            store,
        }
    }

    /// An engine's ports into this world, as a new process opens them.
    ///
    /// # Panics
    /// When the root key is refused.
    #[must_use]
    pub fn ports(&self) -> Ports {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let entropy: Arc<dyn Entropy> = self.entropy.clone();
        let root = RootKey::from_bytes(Secret::new(self.root)).unwrap();
        Ports {
            vault: Arc::new(Vault::new(root, clock.clone(), entropy.clone())),
            clock,
            entropy,
            tenants: Arc::new(self.store.clone()),
            effects: Arc::new(self.effects.clone()),
            witness: self.witness.clone(),
            evaluator: Arc::new(mandate_engine::TameOnly),
        }
    }

    /// Runs a process: a runtime of one thread with paused time, an engine in it, and a script that
    /// uses it. When the script is done, or the plan has the process crash, the runtime is dropped with
    /// every task in it.
    ///
    /// # Panics
    /// When the script takes longer than six simulated hours.
    pub fn process<T>(&self, script: impl AsyncFnOnce(Arc<Engine>) -> T) -> Ended<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        self.faults.revive();
        runtime.block_on(async {
            self.clock.attach();
            let config = EngineConfig {
                allow: BTreeSet::default(),
                public_url: "https://mandate.example".to_owned(),
                log_name: "mandate.example".to_owned(),
                sequence_every: Duration::from_millis(200),
                node: None,
            };
            let engine = Engine::new(self.ports(), config);
            let ended = tokio::select! {
                biased;
                () = self.faults.crashed() => Ended::Crashed,
                done = tokio::time::timeout(PATIENCE, script(engine)) => match done {
                    Ok(value) => Ended::Done(value),
                    Err(_) => panic!("the process did not end"),
                },
            };
            self.clock.freeze();
            if matches!(ended, Ended::Crashed) {
                self.store.shared.crashed();
            }
            ended
        })
    }
}
