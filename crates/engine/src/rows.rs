//! The rows that decisions rest on, authenticated by the core (I10): who can write to the database alone can't
//! make one that counts.

use crate::EngineError;
use mandate_directory::SessionRecord;
use mandate_journal::ApprovalRecord;
use mandate_kernel::Digest;
use mandate_vault::{RowKey, TenantVault};

/// The keys of one tenant's rows.
#[derive(Debug, Clone)]
pub struct Rows {
    sessions: RowKey,
    approvals: RowKey,
}

impl Rows {
    pub(crate) async fn open(vault: &TenantVault) -> Result<Self, EngineError> {
        Ok(Self { sessions: vault.row_key("sessions").await?, approvals: vault.row_key("approvals").await? })
    }

    /// The code of a session that begins.
    ///
    /// # Errors
    /// [`EngineError`] for one that has no canonical form.
    pub fn prove_session(&self, session: &SessionRecord) -> Result<Digest, EngineError> {
        Ok(self.sessions.proof(&session.authenticated().map_err(EngineError::Inconsistent)?))
    }

    /// Whether the session is as it was begun.
    #[must_use]
    pub fn session_holds(&self, session: &SessionRecord) -> bool {
        session.authenticated().is_ok_and(|row| self.sessions.holds(&row, session.proof.as_ref()))
    }

    pub(crate) fn prove_approval(&self, approval: &ApprovalRecord) -> Result<Digest, EngineError> {
        Ok(self.approvals.proof(&approval.authenticated().map_err(EngineError::Inconsistent)?))
    }

    pub(crate) fn approval_holds(&self, approval: &ApprovalRecord) -> bool {
        approval.authenticated().is_ok_and(|row| self.approvals.holds(&row, approval.proof.as_ref()))
    }
}
