//! Between rows and types. What does not fit its type on the way out is `Corrupt`, never guessed.

use mandate_journal::{CommitError, JournalEvent, StoreError};
use mandate_kernel::{Digest, RunId};
use serde::{Serialize, de::DeserializeOwned};

/// No listing gives more at once.
pub(crate) const PAGE: usize = 1_000;

/// A number as both databases store it. Nothing stored ever reaches the ceiling, so one that would exceed it
/// simply matches no row.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored number that is never negative.
pub(crate) fn nat<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what} is {value}, which is out of range")))
}

/// A stored text with rules of its own.
pub(crate) fn named<T: TryFrom<String>>(text: String, what: &'static str) -> Result<T, StoreError>
where
    T::Error: std::fmt::Display,
{
    T::try_from(text).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// A stored digest.
pub(crate) fn digest(bytes: &[u8], what: &'static str) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Corrupt(format!("{what} is not 32 bytes long")))?;
    Ok(Digest::from_bytes(bytes))
}

/// A stored JSON value.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("{what}: {e}")))
}

/// A value as JSON, to be stored.
pub(crate) fn json<T: Serialize>(value: &T, what: &'static str) -> Result<Vec<u8>, CommitError> {
    serde_json::to_vec(value).map_err(|e| CommitError::Invalid(format!("{what} can't be written: {e}")))
}

/// A digest as a parameter.
pub(crate) fn blob(digest: Option<&Digest>) -> Option<&[u8]> {
    digest.map(|digest| digest.as_bytes().as_slice())
}

/// A journal's events, each with the number it is stored under: every one of them from `first` on.
pub(crate) fn without_gaps(
    run: &RunId,
    first: u64,
    rows: Vec<(u64, JournalEvent)>,
) -> Result<Vec<JournalEvent>, StoreError> {
    let mut events = Vec::with_capacity(rows.len());
    for ((seq, event), expected) in rows.into_iter().zip(first..) {
        if seq != expected || event.seq != expected {
            return Err(StoreError::Corrupt(format!("journal of {run} has {seq} where {expected} belongs")));
        }
        events.push(event);
    }
    Ok(events)
}
