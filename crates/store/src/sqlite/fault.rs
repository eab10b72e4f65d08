//! What can stop a piece of SQL: the database, or something the caller is told.

use mandate_journal::{CommitError, StoreError};
use rusqlite::ErrorCode;

/// Why a piece of work ended early: an error of SQLite, or an answer of type `E`.
#[derive(Debug)]
pub(super) enum Halt<E> {
    /// SQLite's word.
    Sql(rusqlite::Error),
    /// Ours.
    Told(E),
}

/// The result of a read.
pub(super) type Reading<T> = Result<T, Halt<StoreError>>;

/// The result of a job that may be refused.
pub(super) type Writing<T> = Result<T, Halt<CommitError>>;

impl<E> From<rusqlite::Error> for Halt<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}
impl From<StoreError> for Halt<StoreError> {
    fn from(error: StoreError) -> Self {
        Self::Told(error)
    }
}
impl From<StoreError> for Halt<CommitError> {
    fn from(error: StoreError) -> Self {
        Self::Told(error.into())
    }
}
impl From<CommitError> for Halt<CommitError> {
    fn from(error: CommitError) -> Self {
        Self::Told(error)
    }
}
impl From<Halt<StoreError>> for Halt<CommitError> {
    fn from(halt: Halt<StoreError>) -> Self {
        match halt {
            Halt::Sql(error) => Self::Sql(error),
            Halt::Told(error) => Self::Told(error.into()),
        }
    }
}
impl From<Halt<StoreError>> for StoreError {
    fn from(halt: Halt<StoreError>) -> Self {
        match halt {
            Halt::Sql(error) => sql_error(&error),
            Halt::Told(error) => error,
        }
    }
}

/// Sorts SQLite's errors: what may pass by itself is `Unavailable`, all else is `Corrupt`. Messages
/// name tables and columns, never values.
pub(super) fn sql_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::OutOfMemory
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::OperationInterrupted
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::Corrupt(error.to_string()),
    }
}
