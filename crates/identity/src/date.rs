//! Moments as JWTs write them: `NumericDate`, whole seconds since the epoch (RFC 7519 §2).

use mandate_kernel::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};

/// The latest moment accepted: the end of the year 9999. It keeps every sum within range.
const MAX_SECS: i64 = 253_402_300_799;

/// The moment that a token can say: the milliseconds are dropped.
pub(crate) const fn whole_secs(moment: Timestamp) -> Timestamp {
    Timestamp::from_secs(moment.as_secs())
}

pub(crate) fn serialize<S: Serializer>(moment: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_i64(moment.as_secs())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let secs = i64::deserialize(from)?;
    in_range(secs).ok_or_else(|| serde::de::Error::custom("a moment outside the years 1970 to 9999"))
}

pub(crate) fn in_range(secs: i64) -> Option<Timestamp> {
    (0..=MAX_SECS).contains(&secs).then(|| Timestamp::from_secs(secs))
}
