//! Exit codes. They are part of the public contract.

use mandate_journal::RunState;
use std::process::ExitCode;

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Something that should not happen: a fault of the server, a disk that is full.
    Failed = 1,
    /// Wrong usage, or an input that is not what it should be.
    Usage = 2,
    /// Refused by policy, or not visible.
    Refused = 3,
    /// The run waits, or is paused.
    Waiting = 4,
    /// The run faulted.
    Faulted = 5,
    /// Verification failed.
    Unverified = 6,
    /// The server can't be reached, or can't answer now.
    Unreachable = 7,
    /// The run was cancelled.
    Cancelled = 8,
}

impl Exit {
    /// For the state a run was found in.
    pub(crate) const fn of_state(state: RunState) -> Self {
        match state {
            RunState::Running | RunState::Completed => Self::Done,
            RunState::Waiting | RunState::Paused => Self::Waiting,
            RunState::Refused => Self::Refused,
            RunState::Faulted => Self::Faulted,
            RunState::Cancelled => Self::Cancelled,
        }
    }

    /// For the HTTP status of an error.
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 404 => Self::Refused,
            408 | 429 | 502..=504 => Self::Unreachable,
            400..=499 => Self::Usage,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_statuses_have_the_codes_of_the_contract() {
        for (state, code) in [
            (RunState::Running, 0),
            (RunState::Completed, 0),
            (RunState::Refused, 3),
            (RunState::Waiting, 4),
            (RunState::Paused, 4),
            (RunState::Faulted, 5),
            (RunState::Cancelled, 8),
        ] {
            assert_eq!(Exit::of_state(state) as u8, code, "{state:?}");
        }
        for (status, code) in [(401, 3), (403, 3), (404, 3), (409, 2), (413, 2), (422, 2), (500, 1), (503, 7), (429, 7)]
        {
            assert_eq!(Exit::of_status(status) as u8, code, "{status}");
        }
    }
}
