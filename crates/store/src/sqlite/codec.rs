//! Statements and their rows.

use super::fault::Reading;
use mandate_journal::StoreError;
use rusqlite::{Connection, Params, Row};

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
    one_row(run(conn, sql, params)?, what)
}

/// Refuses any number of rows but one.
pub(super) fn one_row(rows: usize, what: &'static str) -> Reading<()> {
    match rows {
        1 => Ok(()),
        rows => Err(StoreError::Corrupt(format!("{what} was written to {rows} rows, not to one")).into()),
    }
}

/// Changes rows; gives their number.
pub(super) fn run(conn: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}
