//! What can stop a piece of SQL: the database, or something the caller is told.

use mandate_journal::{CommitError, StoreError};

/// Why a piece of work ended early: an error of the database or of the way there, or an answer of type `E`.
#[derive(Debug)]
pub(super) enum Halt<E> {
    /// The driver's word.
    Sql(sqlx::Error),
    /// Ours.
    Told(E),
}

/// The result of a read.
pub(super) type Reading<T> = Result<T, Halt<StoreError>>;

/// The result of work that may be refused.
pub(super) type Writing<T> = Result<T, Halt<CommitError>>;

impl<E> From<sqlx::Error> for Halt<E> {
    fn from(error: sqlx::Error) -> Self {
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

/// The SQLSTATE, when the database said it.
fn state(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|told| told.code()).map(|code| code.into_owned())
}

/// Whether the same transaction may pass when it is tried again at once: it lost against another one.
pub(super) fn lost_a_race(error: &sqlx::Error) -> bool {
    matches!(state(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether a text held a NUL character, which PostgreSQL keeps nowhere.
pub(super) fn holds_nul(error: &sqlx::Error) -> bool {
    state(error).as_deref() == Some("22021")
}

/// Whether the connection is gone, or the server is about to close it.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match state(error) {
        // 57P01 and 57P02 end sessions; 25P03 and 57P05 ended one that was idle.
        Some(code) => matches!(code.as_str(), "57P01" | "57P02" | "25P03" | "57P05") || code.starts_with("08"),
        None => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed),
    }
}

/// Whether an error of `COMMIT` means that nothing was written. Any other one leaves that open.
pub(super) fn certainly_undone(error: &sqlx::Error) -> bool {
    state(error).is_some_and(|code| code.starts_with("23") || code.starts_with("40"))
}

/// Sorts errors: what may pass by itself, or when an operator mends it, is `Unavailable`, all else is
/// `Corrupt`. PostgreSQL's primary messages name tables, columns and constraints; the values stand in the
/// detail, which is left out.
pub(super) fn sql_error(error: &sqlx::Error) -> StoreError {
    let Some(told) = error.as_database_error() else {
        return match error {
            sqlx::Error::PoolClosed => StoreError::Closed,
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::RowNotFound => StoreError::Corrupt(error.to_string()),
            sqlx::Error::PoolTimedOut => StoreError::Unavailable("no connection to PostgreSQL in time".to_owned()),
            // Settings of a connection may hold a password: their errors are not repeated.
            sqlx::Error::Configuration(_) => {
                StoreError::Unavailable("the settings of the connection can't be used".to_owned())
            }
            _ => StoreError::Unavailable(error.to_string()),
        };
    };
    let code = told.code().unwrap_or_default();
    let what = format!("{} (SQLSTATE {code})", told.message());
    let class = code.get(..2).unwrap_or_default();
    // 08 connection, 25 wrong kind of transaction (a standby), 28 and 42501 rights, 3D no such database,
    // 40 lost a race, 53 out of resources, 55 locked, 57 the operator, 58 the system.
    let passing = matches!(class, "08" | "25" | "28" | "3D" | "40" | "53" | "55" | "57" | "58") || code == "42501";
    if passing { StoreError::Unavailable(what) } else { StoreError::Corrupt(what) }
}
