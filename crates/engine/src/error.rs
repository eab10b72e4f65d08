//! What can go wrong with the engine itself. None of it is a refusal, and none of it lets a step pass.

use crate::EvaluatorError;
use mandate_gate::AdmitError;
use mandate_journal::{CommitError, StoreError};
use mandate_kernel::{CanonicalError, EntropyError, RunId};
use mandate_vault::VaultError;

/// Why the engine could not go on. The run stays where its journal is and can be driven again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A commit was not made.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// An allowed step was not admitted.
    #[error(transparent)]
    Admit(#[from] AdmitError),
    /// The vault could not.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A credential's provider could not.
    #[error(transparent)]
    Provider(#[from] mandate_vault::ProviderError),
    /// A key statement does not fit the key history.
    #[error(transparent)]
    KeyRing(#[from] mandate_ledger::KeyRingError),
    /// The issuer could not.
    #[error(transparent)]
    Issuer(#[from] mandate_issuer::IssueError),
    /// The envelope could not be minted.
    #[error(transparent)]
    Envelope(#[from] mandate_identity::EnvelopeError),
    /// A ledger entry could not be written.
    #[error(transparent)]
    Entry(#[from] mandate_ledger::EntryError),
    /// Evidence could not be built.
    #[error(transparent)]
    Evidence(#[from] mandate_ledger::BuildError),
    /// The machine was told something it does not expect: the journal is of another program.
    #[error(transparent)]
    Machine(#[from] mandate_flow::MachineError),
    /// A value has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
    /// Wild expressions can't be evaluated now.
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Something stored contradicts itself.
    #[error("what is stored does not fit together: {0}")]
    Inconsistent(String),
    /// The thing asked for is not here.
    #[error("{0} does not exist here")]
    Absent(String),
    /// The witness has seen a larger tree than this store holds, or another one: the store was rolled
    /// back or forked.
    #[error(
        "the ledger of tenant {tenant} is not the one the witness has seen ({why}); restore the newest data before starting"
    )]
    RolledBack {
        /// The tenant.
        tenant: String,
        /// What the witness said.
        why: String,
    },
    /// The stored configuration is not what the ledger records: somebody changed the database.
    #[error(
        "the configuration of tenant {tenant} is not what its ledger records: {found}; somebody changed the database. Restore a backup in which the two agree (`mandate audit verify --data-dir` tells) before starting"
    )]
    Unrecorded {
        /// The tenant.
        tenant: String,
        /// The resources, each with how it differs.
        found: String,
    },
    /// Entries of the ledger are missing, or not those that were written.
    #[error(
        "the ledger of tenant {tenant} is damaged: {why}; restore the newest backup whose ledger holds (`mandate audit verify --data-dir` tells)"
    )]
    LedgerDamaged {
        /// The tenant.
        tenant: String,
        /// What is wrong, and where.
        why: String,
    },
    /// A row that the core authenticates is not as the core wrote it: somebody changed the database.
    #[error("{0} is not as the server wrote it: somebody changed the database; it counts for nothing")]
    Forged(String),
    /// The witness can't be asked, or does not know this log yet.
    #[error("the witness can't be asked: {0}")]
    Witness(String),
    /// The operator turned off what the run's document needs.
    #[error("the document needs {0}, which the operator has turned off since")]
    SwitchedOff(String),
    /// Another node drives the run.
    #[error("another node drives {0}; nothing was changed here")]
    HeldElsewhere(RunId),
    /// This node is being stopped.
    #[error("this node is being stopped and begins nothing new; ask again, another node will answer")]
    Draining,
    /// It took longer than the caller wanted to wait.
    #[error("{0} did not happen in time; try again")]
    Timeout(String),
}

impl EngineError {
    /// Whether somebody else drives the run now, so that this driver has to stop without a word.
    #[must_use]
    pub const fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::Commit(CommitError::Fenced { .. })
                | Self::Admit(AdmitError::Commit(CommitError::Fenced { .. }))
                | Self::HeldElsewhere(_)
        )
    }

    /// Whether trying again later, with nothing changed, may work.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let store = |error: &StoreError| matches!(error, StoreError::Unavailable(_) | StoreError::Closed);
        let commit = |error: &CommitError| match error {
            CommitError::Store(error) => store(error),
            CommitError::Revoked { .. } => true,
            _ => false,
        };
        match self {
            Self::Store(error) | Self::Vault(VaultError::Store(error)) => store(error),
            Self::Commit(error) | Self::Admit(AdmitError::Commit(error)) | Self::Vault(VaultError::Commit(error)) => {
                commit(error)
            }
            Self::Entropy(_) | Self::Evaluator(_) | Self::Timeout(_) | Self::Provider(_) => true,
            _ => false,
        }
    }
}
