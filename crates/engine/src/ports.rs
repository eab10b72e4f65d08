//! What the engine needs from outside itself.

use async_trait::async_trait;
use mandate_directory::{ConnectionSpec, FunctionSpec};
use mandate_flow::{ExprError, Job};
use mandate_gate::Effect;
use mandate_journal::{System, TenantStore};
use mandate_kernel::{Caller, Clock, Entropy, FunctionName, RunId};
use mandate_ledger::{Dsse, VerifierKey};
use mandate_vault::Vault;
use serde_json::Value;
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

    /// Checks what a function pins, when it is applied.
    ///
    /// # Errors
    /// JSON pointer into the function's content, and what is wrong there.
    fn check(&self, _function: &FunctionSpec) -> Result<(), (String, String)> {
        Ok(())
    }
}

/// What came of wild expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum WildOutcome {
    /// They were evaluated: the values in order, or the error of the first that has none. The same again gives
    /// the same.
    Evaluated(Result<Vec<Value>, ExprError>),
    /// A limit of the process ended it, by its name; or the process ended without telling which (`None`). The
    /// same again may end otherwise, so this is recorded.
    Ended(Option<String>),
}

/// Wild expressions can't be evaluated now; it says nothing about them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluatorError(pub String);

/// Evaluates the expressions that are not safe to evaluate in this process.
#[async_trait]
pub trait Evaluator: Send + Sync {
    /// Whether there is anything that does. Otherwise no Worker with such an expression is taken.
    fn takes_wild(&self) -> bool;

    /// Evaluates a job of a run. Nothing of one run may reach another.
    ///
    /// # Errors
    /// [`EvaluatorError`] when it can't now.
    async fn evaluate(&self, run: &RunId, job: &Job) -> Result<WildOutcome, EvaluatorError>;
}

/// Takes no wild expressions.
#[derive(Debug, Clone, Copy, Default)]
pub struct TameOnly;

#[async_trait]
impl Evaluator for TameOnly {
    fn takes_wild(&self) -> bool {
        false
    }

    async fn evaluate(&self, _: &RunId, _: &Job) -> Result<WildOutcome, EvaluatorError> {
        let why = "expressions beyond the bounded subset of jq are turned off here (`expressions: tame-only`)";
        Ok(WildOutcome::Evaluated(Err(ExprError::Failed(why.to_owned()))))
    }
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
    /// Wild expressions.
    pub evaluator: Arc<dyn Evaluator>,
}
