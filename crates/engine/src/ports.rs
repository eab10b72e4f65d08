//! What the engine needs from outside itself.

use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_gate::Effect;
use mandate_journal::{System, TenantStore};
use mandate_kernel::{Caller, Clock, Entropy, FunctionName};
use mandate_ledger::{Dsse, VerifierKey};
use mandate_vault::Vault;
use std::sync::Arc;

/// Gives the store of a caller's tenant (I5).
pub trait Tenants: Send + Sync {
    /// The store, confined to the caller's tenant.
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore>;
    /// The closed list of queries without a tenant.
    fn system(&self) -> Arc<dyn System>;
}

/// Gives the effect behind a function.
pub trait EffectSource: Send + Sync {
    /// The effect, or one sentence on why there is none.
    ///
    /// # Errors
    /// What is wrong with the definition.
    fn effect(
        &self,
        name: &FunctionName,
        function: &FunctionSpec,
        connection: Option<&ConnectionSpec>,
    ) -> Result<Arc<dyn Effect>, String>;
}

/// Why the witness did not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// It can't be reached now.
    #[error("{0}")]
    Unreachable(String),
    /// It has seen another size than the request builds on (C2SP tlog-witness: 409).
    #[error("the witness has seen size {known}")]
    Conflict {
        /// The size it has seen.
        known: u64,
    },
    /// It knows no such log yet (404).
    #[error("the witness does not know this log: {0}")]
    UnknownLog(String),
    /// It refuses: the tree does not extend what it has seen, or is not signed as it should be.
    #[error("{0}")]
    Refused(String),
}

/// The witness, in another process with a key of its own.
#[async_trait]
pub trait Witness: Send + Sync {
    /// The witness's verifier keys.
    fn keys(&self) -> Vec<VerifierKey>;

    /// Sends a C2SP tlog-witness `add-checkpoint` request; gives the cosignature lines.
    ///
    /// # Errors
    /// [`WitnessError`].
    async fn add_checkpoint(&self, request: &str) -> Result<String, WitnessError>;

    /// Has a DSSE key statement signed: gives the statement with the witness's signature added.
    ///
    /// # Errors
    /// [`WitnessError`].
    async fn sign_key(&self, statement: &Dsse) -> Result<Dsse, WitnessError>;
}

/// Everything from outside.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Storage.
    pub tenants: Arc<dyn Tenants>,
    /// Effects.
    pub effects: Arc<dyn EffectSource>,
    /// Secrets.
    pub vault: Arc<Vault>,
    /// The witness.
    pub witness: Arc<dyn Witness>,
}
