//! Reading an answer within bounds.

use super::failure;
use super::transport::Outgoing;
use mandate_gate::{Claimed, EffectFailure, Reply};
use mandate_kernel::{Digest, Limits, base64_encode, crash};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use serde_json::{Map, Value, json};

/// Headers kept as the remote end's word. Never one that could hold a secret.
const CLAIMS: &[&str] = &["date", "server", "x-request-id", "etag", "idempotency-replayed"];

/// Longest header value kept, in characters.
const MAX_CLAIM: usize = 200;

/// What of an answer a run is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The body, which must be JSON: a registered function.
    Json,
    /// What `output` of a `call: http` asks for.
    Call(Output),
}

/// `output` of a `call: http`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The body: JSON by its content type, else text.
    Content,
    /// The body's bytes in base64.
    Raw,
    /// Request, status, headers and body.
    Response,
}

/// Reads an answer with a success status: bounded bytes, bounded depth, and nothing in it of what was
/// injected: a receiver that sends a credential back must not carry it into the run.
pub(super) async fn read(
    mut response: reqwest::Response,
    outgoing: &Outgoing<'_>,
    limits: &Limits,
    injected: &[&str],
) -> Result<Reply, EffectFailure> {
    let (effect, origin) = (outgoing.effect, outgoing.request.url().origin());
    let claimed = claimed(&response);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limits.reply_body => body.extend_from_slice(&chunk),
            Ok(Some(_)) => {
                let detail = format!("the answer of {origin} is longer than {} bytes", limits.reply_body);
                return Err(failure::unreadable(effect, detail));
            }
            Ok(None) => break,
            Err(error) => return Err(failure::unanswered(effect, failure::describe(&error, origin))),
        }
    }
    crash::point("effects.after-reply");
    let observed = Digest::of(&body);
    let unreadable = |why: &str| failure::unreadable(effect, format!("the answer of {origin} {why}"));
    let value = match outgoing.answer {
        Answer::Json => json(response.headers(), &body, limits.depth),
        Answer::Call(Output::Content) => content(response.headers(), &body, limits.depth),
        Answer::Call(Output::Raw) => Ok(Value::String(base64_encode(&body))),
        Answer::Call(Output::Response) => content(response.headers(), &body, limits.depth).map(|content| {
            json!({
                "request": {
                    "method": outgoing.request.method(),
                    "uri": outgoing.request.url().as_str(),
                    "headers": outgoing.request.headers(),
                },
                "statusCode": response.status().as_u16(),
                "headers": told(response.headers()),
                "content": content,
            })
        }),
    }
    .map_err(unreadable)?;
    if injected.iter().any(|secret| echoes(&value, secret) || claimed.by_remote.values().any(|v| echoes(v, secret))) {
        return Err(unreadable("sends a credential back, so nothing of it was kept"));
    }
    Ok(Reply { value, observed, claimed })
}

/// Headers of an answer that a run is not given: they hold secrets, or speak of this connection alone.
const WITHHELD: &[&str] =
    &["set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "connection", "keep-alive"];

/// The most headers of an answer that a run is given.
const MAX_TOLD: usize = 64;

/// An answer's headers as a run is given them: text, bounded; the first of each name.
fn told(headers: &HeaderMap) -> Map<String, Value> {
    let names = headers.keys().filter(|name| !WITHHELD.contains(&name.as_str())).take(MAX_TOLD);
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let cut = |text: &str| text.chars().take(1024).collect::<String>();
    names.filter_map(|name| Some((name.to_string(), Value::String(cut(text(name)?))))).collect()
}

/// A body as JSON; null for none.
fn json(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Value, &'static str> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    check_form(headers)?;
    parse(body, depth)
}

/// A body as its content type says: JSON, else text in UTF-8; null for none.
fn content(headers: &HeaderMap, body: &[u8], depth: usize) -> Result<Value, &'static str> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    match check_form(headers) {
        Ok(()) => parse(body, depth),
        Err(COMPRESSED) => Err(COMPRESSED),
        Err(_) => {
            let text = std::str::from_utf8(body).map_err(|_| "is neither JSON nor text; ask for `output: raw`")?;
            Ok(Value::String(text.to_owned()))
        }
    }
}

fn claimed(response: &reqwest::Response) -> Claimed {
    let mut by_remote = Map::new();
    by_remote.insert("status".to_owned(), response.status().as_u16().into());
    for name in CLAIMS {
        let text = response.headers().get(*name).and_then(|value| value.to_str().ok());
        if let Some(text) = text {
            by_remote.insert((*name).to_owned(), text.chars().take(MAX_CLAIM).collect::<String>().into());
        }
    }
    Claimed { by_remote }
}

/// Why a compressed answer is refused.
const COMPRESSED: &str = "is compressed, which was not asked for";

/// JSON by its content type, not compressed.
fn check_form(headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if text(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(COMPRESSED);
    }
    let media_type = text(CONTENT_TYPE).unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_json = media_type == "application/json"
        || media_type.strip_prefix("application/").is_some_and(|subtype| subtype.ends_with("+json"));
    if is_json { Ok(()) } else { Err("is not JSON by its content type") }
}

/// Reads JSON that nests no deeper than that and names no member twice.
pub(crate) fn parse(body: &[u8], depth: usize) -> Result<Value, &'static str> {
    if is_deeper(body, depth) {
        return Err("nests too deeply");
    }
    let value = serde_json::from_slice(body).map_err(|_| "is not JSON")?;
    mandate_identity::unambiguous(body).map_err(|_| "names a member twice")?;
    Ok(value)
}

/// Whether any text of a value holds the secret. Decoded texts: an escape does not hide it.
pub(crate) fn echoes(value: &Value, secret: &str) -> bool {
    match value {
        Value::String(text) => text.contains(secret),
        Value::Array(items) => items.iter().any(|item| echoes(item, secret)),
        Value::Object(map) => map.iter().any(|(key, item)| key.contains(secret) || echoes(item, secret)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether brackets outside texts nest deeper than `limit`. Looks before anything recurses.
fn is_deeper(body: &[u8], limit: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn depth_of(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth_of).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[\\[\\]{}\"\\\\a]{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[\"\\[{a]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_the_parser(value in json(), limit in 0usize..8) {
            let bytes = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(is_deeper(&bytes, limit), depth_of(&value) > limit);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, 64);
        }
    }

    #[test]
    fn deep_nesting_does_not_recurse() {
        assert_eq!(parse(&b"[".repeat(4 << 20), 64), Err("nests too deeply"));
    }
}
