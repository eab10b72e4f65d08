//! From a call's arguments to the one request it becomes. Pure.

use mandate_directory::{Endpoint, FunctionSpec, HttpTemplate, Method};
use mandate_gate::{Call, PrepareError};
use mandate_identity::{CanonicalRequest, CanonicalUrl};
use mandate_kernel::{EffectClass, FunctionName, canonical_json};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Whose fault it is that there is no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The call's.
    Arguments(String),
    /// The definition's.
    Definition(String),
}

impl Fault {
    pub(super) fn of(self, function: &FunctionName) -> PrepareError {
        let function = function.clone();
        match self {
            Self::Arguments(why) => PrepareError::Arguments { function, why },
            Self::Definition(why) => PrepareError::Definition { function, why },
        }
    }
}

/// A piece of a path template.
enum Piece<'a> {
    Text(&'a str),
    Argument(&'a str),
}

/// The request of a call: placeholders in the path, then the query in its declared order, and what is
/// left as the JSON body (RFC 8785).
pub(super) fn request(
    function: &FunctionSpec,
    template: &HttpTemplate,
    endpoint: &Endpoint,
    call: &Call,
) -> Result<CanonicalRequest, Fault> {
    let arguments = function.check_arguments(&call.arguments).map_err(Fault::Arguments)?;
    let pieces = pieces(&template.path)?;
    let in_url = in_url(function, template, &pieces)?;
    let base = base(endpoint).map_err(Fault::Definition)?;
    // With a harmless value for each placeholder the URL must be good: then only a value can spoil it.
    checked_url(&base, &path(&pieces, |_| Ok("x".to_owned()))?, "").map_err(Fault::Definition)?;
    let path = path(&pieces, |name| path_value(arguments, name))?;
    let url = checked_url(&base, &path, &query(&template.query, arguments)?).map_err(Fault::Arguments)?;
    let body = body(function, template, arguments, &in_url)?;
    let key = (function.effect != EffectClass::Read).then(|| call.step.idempotency_key());
    let content_type = body.is_some().then(|| "application/json".to_owned());
    CanonicalRequest::new(template.method.as_str(), String::from(url), content_type, body.unwrap_or_default(), key)
        .map_err(|e| Fault::Definition(e.to_string()))
}

fn pieces(path: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let unbalanced = || Fault::Definition("its path has `{` and `}` that don't belong together".to_owned());
    if !path.starts_with('/') {
        return Err(Fault::Definition("its path does not begin with /".to_owned()));
    }
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, next) = after.split_once('}').ok_or_else(unbalanced)?;
        if text.contains('}') || name.contains('{') {
            return Err(unbalanced());
        }
        pieces.extend([Piece::Text(text), Piece::Argument(name)]);
        rest = next;
    }
    if rest.contains('}') {
        return Err(unbalanced());
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// The names of the arguments that go into the URL; each must be declared.
fn in_url<'a>(
    function: &FunctionSpec,
    template: &'a HttpTemplate,
    pieces: &[Piece<'a>],
) -> Result<BTreeSet<&'a str>, Fault> {
    let in_path = pieces.iter().filter_map(|piece| match piece {
        Piece::Argument(name) => Some(*name),
        Piece::Text(_) => None,
    });
    let names: BTreeSet<&str> = in_path.chain(template.query.iter().map(String::as_str)).collect();
    match names.iter().find(|name| !function.arguments.contains_key(**name)) {
        Some(name) => Err(Fault::Definition(format!("its path or query names `{name}`, which is not an argument"))),
        None => Ok(names),
    }
}

/// The endpoint's URL without a slash at its end.
pub(crate) fn base(endpoint: &Endpoint) -> Result<String, String> {
    endpoint.base().map(str::to_owned)
}

pub(crate) fn checked_url(base: &str, path: &str, query: &str) -> Result<CanonicalUrl, String> {
    let url = CanonicalUrl::new(format!("{base}{path}{query}")).map_err(|e| e.to_string())?;
    match wire_url(&url) {
        Some(_) => Ok(url),
        None => Err("the URL would be sent in another spelling than the one that is judged".to_owned()),
    }
}

/// The URL as the HTTP client takes it; `None` when that would spell it differently.
pub(crate) fn wire_url(url: &CanonicalUrl) -> Option<reqwest::Url> {
    reqwest::Url::parse(url.as_str()).ok().filter(|parsed| parsed.as_str() == url.as_str())
}

fn path(pieces: &[Piece<'_>], value: impl Fn(&str) -> Result<String, Fault>) -> Result<String, Fault> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Argument(name) => out.push_str(&percent_encoded(&value(name)?)),
        }
    }
    Ok(out)
}

fn path_value(arguments: &Map<String, Value>, name: &str) -> Result<String, Fault> {
    let value = arguments.get(name).ok_or_else(|| format!("argument `{name}` is part of the path and must be given"));
    let text = value.and_then(|value| text_of(name, value)).map_err(Fault::Arguments)?;
    if text.is_empty() {
        return Err(Fault::Arguments(format!("argument `{name}` is part of the path and must not be empty")));
    }
    Ok(text)
}

fn query(names: &[String], arguments: &Map<String, Value>) -> Result<String, Fault> {
    let mut out = String::new();
    for name in names {
        let Some(value) = arguments.get(name) else { continue };
        let text = text_of(name, value).map_err(Fault::Arguments)?;
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&percent_encoded(name));
        out.push('=');
        out.push_str(&percent_encoded(&text));
    }
    Ok(out)
}

/// A scalar as a URL holds it; numbers in their canonical form.
pub(super) fn text_of(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(_) => canonical_json(value)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or(format!("argument `{name}` has no canonical form")),
        _ => Err(format!("argument `{name}` is part of the URL and must be a text, a number or a truth value")),
    }
}

/// Everything but RFC 3986's unreserved characters percent-encoded, in upper case.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The body, for functions that declare arguments outside the URL: an object even when all of those
/// were left out, so that whether there is a body depends on the definition alone.
fn body(
    function: &FunctionSpec,
    template: &HttpTemplate,
    arguments: &Map<String, Value>,
    in_url: &BTreeSet<&str>,
) -> Result<Option<Vec<u8>>, Fault> {
    let Some(name) = function.arguments.keys().find(|name| !in_url.contains(name.as_str())) else { return Ok(None) };
    if matches!(template.method, Method::Get | Method::Delete) {
        let method = template.method.as_str();
        return Err(Fault::Definition(format!(
            "argument `{name}` would be in a body, which {method} has not; list it in `query`"
        )));
    }
    let rest: BTreeMap<&String, &Value> =
        arguments.iter().filter(|(name, _)| !in_url.contains(name.as_str())).collect();
    canonical_json(&rest).map(Some).map_err(|e| Fault::Arguments(e.to_string()))
}
