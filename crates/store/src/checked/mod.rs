//! What is to be written, checked and encoded without the database: the same for each of them.

mod approvals;
mod change;
mod entries;
mod round;
mod session;
mod transition;

pub(crate) use approvals::CheckedApproval;
pub(crate) use change::{CheckedChange, Content, epoch_columns};
pub(crate) use round::CheckedRound;
pub(crate) use session::SessionPerson;
pub(crate) use transition::{CheckedTransition, Creation};
