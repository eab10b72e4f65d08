//! Changes of approvals: checked and encoded.

use crate::codec::json;
use mandate_journal::{ApprovalChange, ApprovalState, CommitError, RunStatus};
use mandate_kernel::{ApprovalId, Digest, RunId, Timestamp};

/// A change of approvals, encoded.
#[derive(Debug)]
pub(crate) enum CheckedApproval {
    Ask {
        approval: ApprovalId,
        asked: Vec<u8>,
        proof: Option<Digest>,
    },
    Settle {
        approval: ApprovalId,
        state: ApprovalState,
        by: Option<String>,
        at: Timestamp,
        answer: Option<Vec<u8>>,
        proof: Option<Digest>,
    },
}

/// Everything that can be found out without the database.
pub(crate) fn check(of: &RunId, changes: Vec<ApprovalChange>) -> Result<Vec<CheckedApproval>, CommitError> {
    let encode = |change| match change {
        ApprovalChange::Ask(record) if record.run != *of => {
            Err(CommitError::Invalid(format!("approval {} is of {}, not of {of}", record.approval, record.run)))
        }
        ApprovalChange::Ask(record) if record.state != ApprovalState::Pending => {
            Err(CommitError::Invalid(format!("approval {} begins settled", record.approval)))
        }
        ApprovalChange::Ask(record) => {
            let asked = json(&record, "an approval")?;
            Ok(CheckedApproval::Ask { approval: record.approval, asked, proof: record.proof })
        }
        ApprovalChange::Settle { state: ApprovalState::Pending, approval, .. } => {
            Err(CommitError::Invalid(format!("approval {approval} can't be settled as pending")))
        }
        ApprovalChange::Settle { approval, state, by, at, answer, proof } => {
            let answer = answer.map(|answer| json(&answer, "an answer")).transpose()?;
            Ok(CheckedApproval::Settle { approval, state, by, at, answer, proof })
        }
    };
    changes.into_iter().map(encode).collect()
}

/// When the run ends with this status, if it does.
pub(crate) fn end_of(status: Option<&RunStatus>) -> Option<Timestamp> {
    status.filter(|status| status.state.is_terminal()).map(|status| status.since)
}
