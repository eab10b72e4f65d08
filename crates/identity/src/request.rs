//! One outgoing request in a form that sender and receiver digest alike.

use mandate_kernel::{Digest, canonical_json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The longest URL, content type and idempotency key, in bytes.
const MAX_URL: usize = 8 << 10;
const MAX_FIELD: usize = 255;

/// Why a request has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not 1 to 16 upper-case letters.
    #[error("the method is not 1 to 16 upper-case letters")]
    Method,
    /// A URL that is not in normal form; says which rule it breaks.
    #[error("the URL is not in normal form: {0}")]
    Url(&'static str),
    /// A content type with control or non-ASCII characters, empty or too long.
    #[error("the content type is not 1 to 255 visible ASCII characters and single spaces")]
    ContentType,
    /// An idempotency key with control or non-ASCII characters, empty or too long.
    #[error("the idempotency key is not 1 to 255 visible ASCII characters")]
    IdempotencyKey,
    /// A header that is not in normal form, or not the request's own to set.
    #[error("header `{}` {}", .name.escape_debug(), .why)]
    Header {
        /// Its name as given, cut to 64 characters.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The canonical form could not be written.
    #[error("the request has no canonical form")]
    Unrepresentable,
}

/// An `http` or `https` URL that has one spelling only, so that equal texts and equal destinations are
/// the same thing.
///
/// Refused: upper-case scheme or host, userinfo, fragment, a port that is the scheme's default or has
/// leading zeros, an empty path, an empty or dot segment (also when percent-encoded), `\`, lower-case
/// or needless percent-encoding, and characters outside RFC 3986.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CanonicalUrl {
    text: String,
    /// Where the path begins.
    path: usize,
    /// Where the path ends: at `?`, or at the end.
    path_end: usize,
}

impl CanonicalUrl {
    /// Checks and wraps a URL.
    ///
    /// # Errors
    /// [`RequestError::Url`] with the rule it breaks.
    pub fn new(url: impl Into<String>) -> Result<Self, RequestError> {
        let text = url.into();
        if text.len() > MAX_URL {
            return Err(RequestError::Url("longer than 8192 bytes"));
        }
        let (scheme, rest) = text.split_once("://").ok_or(RequestError::Url("no scheme"))?;
        let default_port = match scheme {
            "https" => "443",
            "http" => "80",
            _ => return Err(RequestError::Url("the scheme is not http or https in lower case")),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        check_authority(authority, default_port).map_err(RequestError::Url)?;
        let after = rest.get(authority.len()..).unwrap_or("");
        let (path, query) = after.split_once('?').map_or((after, None), |(path, query)| (path, Some(query)));
        check_path(path).map_err(RequestError::Url)?;
        check_characters(query.unwrap_or(""), b"/?").map_err(RequestError::Url)?;
        let start = text.len() - after.len();
        Ok(Self { path: start, path_end: start + path.len(), text })
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port: `https://warehouse.example:8443`.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.text.get(..self.path).unwrap_or("")
    }

    /// The path: `/v1/revenue`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.text.get(self.path..self.path_end).unwrap_or("")
    }

    /// The URL without its query: what a proof of possession names (`htu`, RFC 9449 §4.2).
    #[must_use]
    pub fn without_query(&self) -> &str {
        self.text.get(..self.path_end).unwrap_or("")
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl TryFrom<String> for CanonicalUrl {
    type Error = RequestError;
    fn try_from(text: String) -> Result<Self, RequestError> {
        Self::new(text)
    }
}
impl From<CanonicalUrl> for String {
    fn from(url: CanonicalUrl) -> Self {
        url.text
    }
}

fn check_authority(authority: &str, default_port: &str) -> Result<(), &'static str> {
    if authority.contains('@') {
        return Err("it holds userinfo");
    }
    let (host, port) = if authority.starts_with('[') {
        let (inner, after) =
            authority.get(1..).and_then(|rest| rest.split_once(']')).ok_or("the IPv6 address has no end")?;
        let address: std::net::Ipv6Addr = inner.parse().map_err(|_| "not an IPv6 address")?;
        if address.to_string() != inner {
            return Err("the IPv6 address has a shorter or lower-case spelling");
        }
        (inner, after.strip_prefix(':').or(after.is_empty().then_some("")).map(|_| after.strip_prefix(':')))
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        check_host(host)?;
        (host, Some(port))
    };
    let port = port.ok_or("something follows the IPv6 address")?;
    if host.is_empty() {
        return Err("no host");
    }
    match port {
        None => Ok(()),
        Some(p) if p == default_port => Err("the scheme's default port is written out"),
        Some(p) if p.parse::<u16>().is_ok_and(|n| n > 0 && n.to_string() == p) => Ok(()),
        Some(_) => Err("the port is not a number from 1 to 65535 without leading zeros"),
    }
}

/// A DNS name in lower case, or a dotted IPv4 address.
fn check_host(host: &str) -> Result<(), &'static str> {
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(label_ok) {
        return Err("the host is not a lower-case DNS name or an address");
    }
    // Resolvers read 127.1, 0x7f000001 and 2130706433 as addresses too: only the dotted form is one.
    let last = host.rsplit('.').next().unwrap_or("");
    let numeric = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err("the host is an address in an unusual spelling");
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(inner) = path.strip_prefix('/') else { return Err("the path does not begin with /") };
    check_characters(inner, b"/")?;
    let mut segments = inner.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if matches!(segment, "." | "..") {
            return Err("the path holds a dot segment");
        }
        if segment.is_empty() && !last {
            return Err("the path holds an empty segment");
        }
    }
    Ok(())
}

/// RFC 3986 `pchar` and `extra`; percent-encoding in upper case, and only where it is needed. That
/// also refuses an encoded dot.
fn check_characters(text: &str, extra: &[u8]) -> Result<(), &'static str> {
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let (high, low) = (bytes.next().and_then(upper_hex), bytes.next().and_then(upper_hex));
            let (Some(high), Some(low)) = (high, low) else {
                return Err("percent-encoding is not two upper-case hexadecimal digits");
            };
            if is_unreserved(high << 4 | low) {
                return Err("a character is percent-encoded without need");
            }
        } else if !is_unreserved(b) && !b"!$&'()*+,;=:@".contains(&b) && !extra.contains(&b) {
            return Err("it holds a fragment, a backslash or a character that must be percent-encoded");
        }
    }
    Ok(())
}

const fn is_unreserved(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')
}

const fn upper_hex(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// A request exactly as it will be sent. What it is made of can't change, so its digest is computed
/// once.
#[derive(Clone, PartialEq, Eq)]
pub struct CanonicalRequest {
    method: String,
    url: CanonicalUrl,
    content_type: Option<String>,
    body: Vec<u8>,
    idempotency_key: Option<String>,
    headers: BTreeMap<String, String>,
    digest: Digest,
}

/// What the digest is taken over, as canonical JSON (RFC 8785). An absent field is `null`.
#[derive(Serialize)]
struct Digested<'a> {
    method: &'a str,
    url: &'a str,
    content_type: Option<&'a str>,
    body_sha256: String,
    idempotency_key: Option<&'a str>,
    /// Absent, not empty, for a request without further headers: receivers of hop tokens know of none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: &'a BTreeMap<String, String>,
}

impl CanonicalRequest {
    /// Checks a request and computes its digest.
    ///
    /// # Errors
    /// [`RequestError`], naming the part that is not in normal form.
    pub fn new(
        method: impl Into<String>,
        url: impl Into<String>,
        content_type: Option<String>,
        body: Vec<u8>,
        idempotency_key: Option<String>,
    ) -> Result<Self, RequestError> {
        let method = method.into();
        let url = CanonicalUrl::new(url)?;
        check_method(&method)?;
        check_fields(content_type.as_deref(), idempotency_key.as_deref())?;
        let none = BTreeMap::new();
        let digest = digest_of(&method, &url, content_type.as_deref(), &body, idempotency_key.as_deref(), &none)?;
        Ok(Self { method, url, content_type, body, idempotency_key, headers: none, digest })
    }

    /// The same request with further headers; they are part of its digest.
    ///
    /// # Errors
    /// [`RequestError::Header`] for one that frames the message, carries a credential, is set by the sender
    /// itself, or is not in normal form: lower-case name, visible ASCII and single spaces.
    pub fn with_headers(self, headers: BTreeMap<String, String>) -> Result<Self, RequestError> {
        crate::header::check(&headers)?;
        let Self { method, url, content_type, body, idempotency_key, .. } = self;
        let (kind, key) = (content_type.as_deref(), idempotency_key.as_deref());
        let digest = digest_of(&method, &url, kind, &body, key, &headers)?;
        Ok(Self { method, url, content_type, body, idempotency_key, headers, digest })
    }

    /// The digest that a receiver computes from the same parts without owning them.
    ///
    /// # Errors
    /// As [`CanonicalRequest::new`].
    pub fn digest_received(
        method: &str,
        url: &CanonicalUrl,
        content_type: Option<&str>,
        body: &[u8],
        idempotency_key: Option<&str>,
    ) -> Result<Digest, RequestError> {
        check_method(method)?;
        check_fields(content_type, idempotency_key)?;
        digest_of(method, url, content_type, body, idempotency_key, &BTreeMap::new())
    }

    /// The method, in upper case.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL.
    #[must_use]
    pub const fn url(&self) -> &CanonicalUrl {
        &self.url
    }

    /// The content type, if there is one.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The body; empty when there is none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The idempotency key, if there is one.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// Further headers, by lower-case name.
    #[must_use]
    pub const fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    /// SHA-256 over the canonical JSON of method, URL, content type, the body's SHA-256, the idempotency
    /// key and, where there are any, further headers.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Leaves the body out: it may be confidential.
impl fmt::Debug for CanonicalRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes, {})", self.method, self.url, self.body.len(), self.digest)
    }
}

fn check_method(method: &str) -> Result<(), RequestError> {
    let ok = (1..=16).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase());
    if ok { Ok(()) } else { Err(RequestError::Method) }
}

fn check_fields(content_type: Option<&str>, idempotency_key: Option<&str>) -> Result<(), RequestError> {
    let sized = |text: &str| (1..=MAX_FIELD).contains(&text.len());
    let type_ok = |text: &str| {
        sized(text) && text.trim() == text && !text.contains("  ") && text.bytes().all(|b| matches!(b, 0x20..=0x7e))
    };
    let key_ok = |text: &str| sized(text) && text.bytes().all(|b| b.is_ascii_graphic());
    if !content_type.is_none_or(type_ok) {
        return Err(RequestError::ContentType);
    }
    if !idempotency_key.is_none_or(key_ok) {
        return Err(RequestError::IdempotencyKey);
    }
    Ok(())
}

fn digest_of(
    method: &str,
    url: &CanonicalUrl,
    content_type: Option<&str>,
    body: &[u8],
    idempotency_key: Option<&str>,
    headers: &BTreeMap<String, String>,
) -> Result<Digest, RequestError> {
    let body_sha256 = Digest::of(body).to_string();
    let digested = Digested { method, url: url.as_str(), content_type, body_sha256, idempotency_key, headers };
    canonical_json(&digested).map(|bytes| Digest::of(&bytes)).map_err(|_| RequestError::Unrepresentable)
}
