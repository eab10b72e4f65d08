//! Between rows and types. What does not fit its type on the way out is `Corrupt`, never guessed.

use super::fault::Reading;
use mandate_journal::{CommitError, StoreError};
use mandate_kernel::Digest;
use rusqlite::{Connection, Params, Row};
use serde::{Serialize, de::DeserializeOwned};

/// A number as SQLite stores it. Nothing stored ever reaches the ceiling, so one that would exceed it
/// simply matches no row.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored number that is never negative.
pub(super) fn nat<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what} is {value}, which is out of range")))
}

/// A stored text with rules of its own.
pub(super) fn named<T: TryFrom<String>>(text: String, what: &'static str) -> Result<T, StoreError>
where
    T::Error: std::fmt::Display,
{
    T::try_from(text).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// A stored digest.
pub(super) fn digest(bytes: &[u8], what: &'static str) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt(format!("{what} is not 32 bytes long")))?;
    Ok(Digest::from_bytes(bytes))
}

/// A stored JSON value.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// A value as JSON, to be stored.
pub(super) fn json<T: Serialize>(value: &T, what: &'static str) -> Result<Vec<u8>, CommitError> {
    serde_json::to_vec(value).map_err(|e| CommitError::Invalid(format!("{what} can't be written: {e}")))
}

/// Every row of a query.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Reading<T>,
) -> Reading<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

/// The row of a query, if there is one.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Reading<T>,
) -> Reading<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Writes exactly one row. A database that takes the statement and keeps no row was tampered with: what is
/// said to be durable must be.
pub(super) fn put(conn: &Connection, sql: &str, params: impl Params, what: &'static str) -> Reading<()> {
    match run(conn, sql, params)? {
        1 => Ok(()),
        rows => Err(StoreError::Corrupt(format!("{what} was written to {rows} rows, not to one")).into()),
    }
}

/// Changes rows; gives their number.
pub(super) fn run(conn: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}
