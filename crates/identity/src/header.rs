//! Headers that a request may have besides those that it always has.

use crate::RequestError;
use std::collections::BTreeMap;

/// Headers that are not a request's own to set: they frame the message (RFC 9110 §7.6.1), belong to the
/// connection, carry credentials, or are set by whoever sends it.
const NOT_ITS_OWN: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "dpop",
    "expect",
    "host",
    "idempotency-key",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "txn-token",
    "upgrade",
    "user-agent",
];

/// The most further headers.
const MAX_HEADERS: usize = 32;

/// Whether these are a request's own to set, and in normal form.
///
/// # Errors
/// [`RequestError::Header`], for the first that is not.
pub(crate) fn check(headers: &BTreeMap<String, String>) -> Result<(), RequestError> {
    let wrong = |name: &str, why| Err(RequestError::Header { name: name.chars().take(64).collect(), why });
    for (at, (name, value)) in headers.iter().enumerate() {
        let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
        if at >= MAX_HEADERS {
            return wrong(name, "is one too many: at most 32 are sent");
        }
        if !(1..=64).contains(&name.len()) || !name.bytes().all(token) {
            return wrong(name, "is not a lower-case header name of 1 to 64 characters (RFC 9110)");
        }
        if NOT_ITS_OWN.contains(&name.as_str()) {
            return wrong(name, "is not for the request to set");
        }
        let plain = value.trim() == value && value.bytes().all(|b| matches!(b, 0x20..=0x7e));
        if !plain || !(1..=1024).contains(&value.len()) {
            return wrong(name, "does not hold 1 to 1024 visible ASCII characters");
        }
    }
    Ok(())
}
