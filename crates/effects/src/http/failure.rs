//! What a failure means for what may happen next.
//!
//! | what happened                          | read      | idempotent | once      |
//! |----------------------------------------|-----------|------------|-----------|
//! | not sent: no address, refused, TLS     | transient | transient  | transient |
//! | sent, no whole answer                  | transient | transient  | unknown   |
//! | 425, 429                               | transient | transient  | transient |
//! | 408, 502, 503, 504                     | transient | transient  | unknown   |
//! | other 4xx, 501, 505, redirect          | definite  | definite   | definite  |
//! | 303                                    | definite  | unknown    | unknown   |
//! | other 5xx                              | definite  | transient  | unknown   |
//! | 2xx that can't be read                 | definite  | unknown    | unknown   |
//!
//! *Idempotent* may be repeated because the same key goes with it, under a new decision. A 303 after
//! an action usually means that it was done; so does a 2xx, readable or not.

use mandate_gate::EffectFailure;
use mandate_journal::Doubt;
use mandate_kernel::EffectClass;
use reqwest::header::{HeaderMap, LOCATION, WWW_AUTHENTICATE};
use std::{error::Error, io};

/// Longest error code repeated from a receiver.
const MAX_CODE: usize = 64;

/// The request was never sent.
pub(crate) const fn not_sent(detail: String) -> EffectFailure {
    EffectFailure::Transient(detail)
}

/// The request can't be sent as it is.
pub(crate) const fn unsendable(detail: String) -> EffectFailure {
    EffectFailure::Definite { status: 500, detail }
}

/// The request may have been sent, and no whole answer came.
pub(crate) const fn unanswered(effect: EffectClass, detail: String) -> EffectFailure {
    match effect {
        EffectClass::Read | EffectClass::Idempotent => EffectFailure::Transient(detail),
        EffectClass::Once => doubt(detail),
    }
}

/// The receiver said that it did it, in an answer that can't be used.
pub(crate) const fn unreadable(effect: EffectClass, detail: String) -> EffectFailure {
    match effect {
        EffectClass::Read => EffectFailure::Definite { status: 502, detail },
        EffectClass::Idempotent | EffectClass::Once => doubt(detail),
    }
}

/// The receiver answered with a status other than success.
pub(crate) const fn refused(effect: EffectClass, status: u16, detail: String) -> EffectFailure {
    match (status, effect) {
        (425 | 429, _) => EffectFailure::Later { status, detail },
        (408 | 502..=504, _) => later(effect, status, detail),
        (303, EffectClass::Idempotent | EffectClass::Once) => doubt(detail),
        (500..=599, EffectClass::Idempotent | EffectClass::Once) if !matches!(status, 501 | 505) => {
            later(effect, status, detail)
        }
        _ => EffectFailure::Definite { status, detail },
    }
}

/// The receiver has failed; what repeats nothing twice may be asked again.
const fn later(effect: EffectClass, status: u16, detail: String) -> EffectFailure {
    match effect {
        EffectClass::Read | EffectClass::Idempotent => EffectFailure::Later { status, detail },
        EffectClass::Once => doubt(detail),
    }
}

const fn doubt(detail: String) -> EffectFailure {
    EffectFailure::Unknown { why: Doubt::Connection, detail }
}

/// What an error of the HTTP client was, without URL, headers or anything of the message.
pub(crate) fn describe(error: &reqwest::Error, origin: &str) -> String {
    let cause = io_kind(error).map(|kind| format!(" ({kind})")).unwrap_or_default();
    if error.is_dns() {
        format!("the host of {origin} can't be found")
    } else if error.is_connect() {
        format!("no connection to {origin}{cause}")
    } else if error.is_timeout() {
        format!("{origin} gave no whole answer in time")
    } else {
        format!("the connection to {origin} broke before its answer was whole{cause}")
    }
}

fn io_kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(kind) if kind != io::ErrorKind::Other => return Some(kind),
            _ => cause = error.source(),
        }
    }
    None
}

/// What a status other than success says: the number, the error code of a challenge, where a redirect
/// points. Nothing of the body.
pub(crate) fn describe_status(status: u16, headers: &HeaderMap, origin: &str) -> String {
    match status {
        300..=399 => {
            let target = redirect_origin(headers).map(|to| format!(" to {to}")).unwrap_or_default();
            format!("{origin} answered {status}, a redirect{target}; redirects are not followed")
        }
        401 | 403 => {
            let code = challenge_code(headers).map(|code| format!(" ({code})")).unwrap_or_default();
            format!("{origin} did not accept the call: {status}{code}")
        }
        _ => format!("{origin} answered {status}"),
    }
}

/// The origin of `Location`; its path and query may hold anything and are left out.
fn redirect_origin(headers: &HeaderMap) -> Option<String> {
    let url = reqwest::Url::parse(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    url.origin().is_tuple().then(|| url.origin().ascii_serialization())
}

/// `error="…"` of `WWW-Authenticate` (RFC 6750 §3), if it has the form of a code.
fn challenge_code(headers: &HeaderMap) -> Option<&str> {
    let challenges = headers.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
    challenges
        .filter_map(|text| text.split_once("error=\"")?.1.split_once('"').map(|(code, _)| code))
        .find(|code| (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
}
