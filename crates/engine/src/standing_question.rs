//! Whether a question still stands, and whether an answer fits it.

use crate::{Answer, AnswerError};
use mandate_journal::{ApprovalRecord, ApprovalState, Declined, EventBody, JournalEvent};
use mandate_kernel::{ApprovalId, Timestamp};
use serde_json::Value;

/// How an approval was answered, if its run's journal holds an answer to it.
pub(crate) fn settled_before(journal: &[JournalEvent], id: &ApprovalId) -> Option<ApprovalState> {
    journal.iter().find_map(|event| match &event.body {
        EventBody::Approved { approval, .. } if approval == id => Some(ApprovalState::Approved),
        EventBody::Declined { approval, why: Declined::Denied, .. } if approval == id => Some(ApprovalState::Denied),
        EventBody::Declined { approval, why: Declined::Expired, .. } if approval == id => Some(ApprovalState::Expired),
        EventBody::Answered { approval, approved, .. } if approval == id => {
            Some(if *approved { ApprovalState::Approved } else { ApprovalState::Denied })
        }
        _ => None,
    })
}

/// Whether an answer is to what waits, and in time.
pub(crate) fn check(
    record: &ApprovalRecord,
    shown: &Value,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), AnswerError> {
    if record.state != ApprovalState::Pending {
        return Err(AnswerError::Settled(record.state));
    }
    if record.expires_at <= now {
        return Err(AnswerError::Late(record.expires_at));
    }
    if answer.digest != record.binding {
        return Err(AnswerError::Mismatch);
    }
    match (&answer.form, shown.get("form").filter(|form| !form.is_null())) {
        (Some(_), None) => Err(AnswerError::Form("nothing was asked but yes or no".to_owned())),
        (None, Some(_)) if answer.approve => Err(AnswerError::Form("fill in what was asked".to_owned())),
        (Some(given), Some(form)) => {
            mandate_flow::Schema::of(form).and_then(|form| form.check(given)).map_err(AnswerError::Form)
        }
        (None, _) => Ok(()),
    }
}
