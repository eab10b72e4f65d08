//! What a model answered: one JSON object that fits the schema, or nothing. No word of it is repeated
//! in an error, because a model's words may be what an attacker wants carried further.

use crate::http::{echoes, parse};
use mandate_flow::Schema;
use mandate_gate::{Claimed, EffectFailure, Reply};
use mandate_kernel::{Digest, Limits, canonical_json, is_exact};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Longest text kept of what a provider says about itself, in characters.
const MAX_CLAIM: usize = 100;

/// The shortest secret looked for in an answer: a shorter one stands there by chance.
const SHORTEST_LOOKED_FOR: usize = 8;

/// A model asked for a tool.
pub(super) const TOOL: &str = "the model asked for a tool; none is offered";

pub(super) fn unusable(detail: impl Into<String>) -> EffectFailure {
    EffectFailure::Definite { status: 502, detail: detail.into() }
}

fn choices(completion: &Value) -> &[Value] {
    completion.get("choices").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Whether a chat completion asks for a tool, in any of the ways there are.
pub(super) fn asks_for_tool(completion: &Value) -> bool {
    choices(completion).iter().any(|choice| {
        let named = matches!(text_at(choice, "/finish_reason"), Some("tool_calls" | "function_call"));
        let tools = choice.pointer("/message/tool_calls");
        let called = tools.is_some_and(|tools| !tools.is_null() && tools.as_array().is_none_or(|all| !all.is_empty()));
        named || called || choice.pointer("/message/function_call").is_some_and(|call| !call.is_null())
    })
}

/// Reads a chat completion that answers `question`.
pub(super) fn read(
    completion: &Value,
    question: &Value,
    limits: &Limits,
    secrets: &[&str],
) -> Result<Reply, EffectFailure> {
    if secrets.iter().any(|secret| secret.len() >= SHORTEST_LOOKED_FOR && echoes(completion, secret)) {
        return Err(unusable("the answer sends a credential back, so nothing of it was kept"));
    }
    if asks_for_tool(completion) {
        return Err(unusable(TOOL));
    }
    let text = text(completion)?;
    if text.len() > limits.value {
        return Err(unusable(format!("the answer is longer than {} bytes", limits.value)));
    }
    let value = parse(text.as_bytes(), limits.depth)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| unusable("the answer is not exactly one JSON object"))?;
    if !is_exact(&value) || canonical_json(&value).is_err() {
        return Err(unusable("the answer holds a number that can't be kept exactly"));
    }
    let unknown = || unusable("the schema of the answer can't be used");
    let schema = question.pointer("/response_format/json_schema/schema").ok_or_else(unknown)?;
    let compiled = Schema::of(schema).map_err(|_| unknown())?;
    compiled.check(&value).map_err(|why| unusable(misfit(&why, schema, &value)))?;
    // Digests are of the very bytes of the answer; the transport around it is the provider's.
    Ok(Reply { value, observed: Digest::of(text.as_bytes()), claimed: claimed(completion) })
}

/// The one finished message's text.
fn text(completion: &Value) -> Result<&str, EffectFailure> {
    let [choice] = choices(completion) else {
        return Err(unusable("the provider sent no answer, or more than one"));
    };
    match text_at(choice, "/finish_reason") {
        Some("stop") => {}
        Some("length") => return Err(unusable("the answer was cut off at its limit of tokens")),
        Some("content_filter") => return Err(unusable("the provider's filter held the answer back")),
        _ => return Err(unusable("the provider does not say that the answer is finished")),
    }
    if choice.pointer("/message/refusal").is_some_and(|refusal| !refusal.is_null()) {
        return Err(unusable("the model refused to answer"));
    }
    text_at(choice, "/message/content").ok_or_else(|| unusable("the answer is not a text"))
}

/// What does not fit: the place in the answer, by the schema's names only. A name that the model chose
/// could say anything.
fn misfit(why: &str, schema: &Value, answer: &Value) -> String {
    let (mut known, mut chosen) = (BTreeSet::new(), BTreeSet::new());
    names(schema, &mut known);
    names(answer, &mut chosen);
    // In the message a long name is cut at 80 characters.
    let told = chosen.difference(&known).any(|name| {
        let start: String = name.chars().take(80).collect();
        why.contains(&format!("/{start}"))
    });
    match told {
        true => "the answer does not fit its schema: it has a member that the schema does not name".to_owned(),
        false => format!("the answer does not fit its schema: {why}"),
    }
}

fn names<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        Value::Object(map) => map.iter().for_each(|(name, item)| {
            into.insert(name);
            names(item, into);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What the provider says about the answer.
fn claimed(completion: &Value) -> Claimed {
    let mut by_remote = Map::new();
    let plain = |text: &str| text.chars().filter(char::is_ascii_graphic).take(MAX_CLAIM).collect::<String>();
    for (name, pointer) in [
        ("model", "/model"),
        ("id", "/id"),
        ("system_fingerprint", "/system_fingerprint"),
        ("finish_reason", "/choices/0/finish_reason"),
    ] {
        if let Some(text) = text_at(completion, pointer) {
            by_remote.insert(name.to_owned(), plain(text).into());
        }
    }
    for name in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        if let Some(count) = completion.pointer(&format!("/usage/{name}")).and_then(Value::as_u64) {
            by_remote.insert(name.to_owned(), count.into());
        }
    }
    Claimed { by_remote }
}
