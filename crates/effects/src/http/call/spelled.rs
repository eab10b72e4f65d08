//! `call: http`: the request as the document spells it out.

use super::Asked;
use crate::http::template::{checked_url, percent_encoded, text_of};
use mandate_directory::{Method, Protocol};
use mandate_identity::CanonicalUrl;
use mandate_kernel::canonical_json;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) fn read(arguments: &Value) -> Result<Asked<'_>, String> {
    let all = super::object(arguments, Protocol::Http)?;
    let mut headers = texts(all.get("headers"), "headers")?;
    let mut lower = BTreeMap::new();
    while let Some((name, value)) = headers.pop_first() {
        if lower.insert(name.to_ascii_lowercase(), value).is_some() {
            return Err("argument `headers` names a header twice".to_owned());
        }
    }
    let content_type = lower.remove("content-type");
    let (content_type, body) = body(all.get("body"), content_type)?;
    Ok(Asked {
        method: method(all.get("method"))?,
        url: url(address(all.get("endpoint"))?, &texts(all.get("query"), "query")?)?,
        headers: lower,
        content_type,
        body,
        authentication: super::authentication_of(all),
        all,
    })
}

fn method(value: Option<&Value>) -> Result<Method, String> {
    let text = value.and_then(Value::as_str).ok_or("argument `method` is a text")?.to_ascii_uppercase();
    serde_json::from_value(Value::String(text)).map_err(|_| "argument `method` is no method we send".to_owned())
}

fn address(value: Option<&Value>) -> Result<&str, String> {
    match value {
        Some(Value::String(uri)) => Ok(uri),
        Some(Value::Object(map)) => {
            map.get("uri").and_then(Value::as_str).ok_or_else(|| "argument `endpoint` needs a `uri`".to_owned())
        }
        _ => Err("argument `endpoint` is a URL, or an object with a `uri`".to_owned()),
    }
}

fn url(uri: &str, query: &BTreeMap<String, String>) -> Result<CanonicalUrl, String> {
    let (before, given) = uri.split_once('?').map_or((uri, None), |(before, query)| (before, Some(query)));
    let more = query.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
    let parts: Vec<String> =
        given.filter(|given| !given.is_empty()).map(str::to_owned).into_iter().chain(more).collect();
    let query = if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) };
    checked_url(before, "", &query).map_err(|why| format!("argument `endpoint` is no URL we send: {why}"))
}

/// The scalars of a map, as text.
fn texts(value: Option<&Value>, name: &str) -> Result<BTreeMap<String, String>, String> {
    let map = match value {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(format!("argument `{name}` is an object")),
    };
    let text = |(key, value): (&String, &Value)| {
        text_of(key, value)
            .map(|text| (key.clone(), text))
            .map_err(|_| format!("argument `{name}` holds something else than text, numbers and truth values"))
    };
    map.iter().map(text).collect()
}

/// JSON, unless the document says that its text is something else.
fn body(value: Option<&Value>, content_type: Option<String>) -> Result<(Option<String>, Vec<u8>), String> {
    match (value, content_type) {
        (None | Some(Value::Null), None) => Ok((None, Vec::new())),
        (None | Some(Value::Null), Some(_)) => Err("there is a content type, but no body".to_owned()),
        (Some(Value::String(text)), Some(kind)) if !kind.contains("json") => {
            Ok((Some(kind), text.clone().into_bytes()))
        }
        (Some(value), kind) => {
            let bytes = canonical_json(value).map_err(|e| format!("argument `body`: {e}"))?;
            Ok((Some(kind.unwrap_or_else(|| "application/json".to_owned())), bytes))
        }
    }
}
