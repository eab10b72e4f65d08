//! `call: openapi`: the request that an operation and its parameters make, by the function's own description.

use super::Asked;
use crate::http::template::{checked_url, percent_encoded, text_of};
use mandate_directory::{
    Body, BodyForm, CallTarget, Endpoint, Operation, Parameter, PinnedDocument, Place, Protocol, Spread,
};
use mandate_kernel::canonical_json;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) fn read<'a>(
    arguments: &'a Value,
    target: &CallTarget,
    description: &PinnedDocument,
    endpoint: &Endpoint,
) -> Result<Asked<'a>, String> {
    let all = super::object(arguments, Protocol::Openapi)?;
    let named = all.get("document").and_then(|document| document.pointer("/endpoint/uri")).and_then(Value::as_str);
    if named != Some(description.uri.as_str()) {
        return Err("argument `document` names another description than the function's".to_owned());
    }
    let id = all.get("operationId").and_then(Value::as_str).ok_or("argument `operationId` is a text")?;
    if !target.operations.is_empty() && !target.operations.contains(id) {
        return Err("argument `operationId` is none of the function's `operations`".to_owned());
    }
    let operation = description.operation(id)?;
    let empty = Map::new();
    let given = match all.get("parameters") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(map)) => map,
        Some(_) => return Err("argument `parameters` is an object".to_owned()),
    };
    check_names(&operation, given)?;
    // Of the servers it names the first that the connection reaches: it can't lead elsewhere.
    let server = operation.servers.iter().find(|server| endpoint.holds(server)).ok_or_else(|| {
        format!("none of the operation's servers lies below {}, where its connection leads", endpoint.url)
    })?;
    let url = checked_url(server, &path(&operation, given)?, &pairs(&operation, given, Place::Query, "?")?)
        .map_err(|why| format!("the operation and its parameters make no URL we send: {why}"))?;
    let (content_type, body) = body(&operation, given)?;
    Ok(Asked {
        method: operation.method,
        url,
        headers: headers(&operation, given)?,
        content_type,
        body,
        authentication: super::authentication_of(all),
        all,
    })
}

/// Whether every name is known, and every required one there. A name that is given may be of the run's data.
fn check_names(operation: &Operation<'_>, given: &Map<String, Value>) -> Result<(), String> {
    let known: Vec<&str> =
        operation.parameters.iter().map(|p| p.name).chain(operation.body.iter().map(|b| b.name)).collect();
    if given.keys().any(|name| !known.contains(&name.as_str())) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(format!("argument `parameters` has one that the operation has not; it takes: {known}"));
    }
    let parameters = operation.parameters.iter().map(|p| (p.name, p.required));
    let mut all = parameters.chain(operation.body.iter().map(|body| (body.name, body.required)));
    match all.find(|(name, required)| *required && value(given, name).is_none()) {
        Some((missing, _)) => Err(format!("parameter `{missing}` is missing")),
        None => Ok(()),
    }
}

/// What is given for a name; null is nothing.
fn value<'v>(given: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    given.get(name).filter(|value| !value.is_null())
}

fn path(operation: &Operation<'_>, given: &Map<String, Value>) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), operation.path);
    while let Some((text, after)) = rest.split_once('{') {
        let (name, next) = after.split_once('}').ok_or("the operation's path has a `{` that is not closed")?;
        let parameter = operation.parameters.iter().find(|p| p.place == Place::Path && p.name == name);
        let parameter =
            parameter.ok_or_else(|| format!("`{name}` of the operation's path is none of its parameters"))?;
        let value = value(given, name).ok_or_else(|| format!("parameter `{name}` is missing"))?;
        let value = joined(parameter, value, percent_encoded)?;
        if value.is_empty() {
            return Err(format!("parameter `{name}` is part of the path and must not be empty"));
        }
        out.push_str(text);
        out.push_str(&value);
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// The parameters of a query, or of a form, in the description's order.
fn pairs(operation: &Operation<'_>, given: &Map<String, Value>, place: Place, first: &str) -> Result<String, String> {
    let mut out = String::new();
    for parameter in operation.parameters.iter().filter(|p| p.place == place) {
        let Some(value) = value(given, parameter.name) else { continue };
        for (name, text) in spread(parameter, value)? {
            out.push_str(if out.is_empty() { first } else { "&" });
            out.push_str(&format!("{}={text}", percent_encoded(&name)));
        }
    }
    Ok(out)
}

/// A parameter as names with encoded texts.
fn spread(parameter: &Parameter<'_>, value: &Value) -> Result<Vec<(String, String)>, String> {
    let name = parameter.name;
    let encoded = |value: &Value| scalar(name, value).map(|text| percent_encoded(&text));
    match (parameter.spread, value) {
        (Spread::Repeated, Value::Array(items)) => {
            items.iter().map(|item| Ok((name.to_owned(), encoded(item)?))).collect()
        }
        (Spread::Repeated, Value::Object(map)) => map.iter().map(|(key, v)| Ok((key.clone(), encoded(v)?))).collect(),
        (Spread::Deep, Value::Object(map)) => {
            map.iter().map(|(key, v)| Ok((format!("{name}[{key}]"), encoded(v)?))).collect()
        }
        (Spread::Deep, _) => Err(format!("parameter `{name}` is an object")),
        _ => Ok(vec![(name.to_owned(), joined(parameter, value, percent_encoded)?)]),
    }
}

/// A scalar, or a list of them with what the description puts between. Each item is encoded, and so is what stands
/// between where a URL can't hold it as it is.
fn joined(parameter: &Parameter<'_>, value: &Value, encode: fn(&str) -> String) -> Result<String, String> {
    let name = parameter.name;
    let Value::Array(items) = value else { return scalar(name, value).map(|text| encode(&text)) };
    let between = match parameter.spread {
        Spread::Joined(",") => ",".to_owned(),
        Spread::Joined(other) => encode(other),
        Spread::Repeated | Spread::Deep => return Err(format!("parameter `{name}` is not a list")),
    };
    let items: Vec<String> =
        items.iter().map(|item| scalar(name, item).map(|text| encode(&text))).collect::<Result<_, _>>()?;
    Ok(items.join(&between))
}

fn scalar(name: &str, value: &Value) -> Result<String, String> {
    text_of(name, value)
        .map_err(|_| format!("parameter `{name}` holds something else than text, numbers and truth values"))
}

fn headers(operation: &Operation<'_>, given: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    for parameter in operation.parameters.iter().filter(|p| p.place == Place::Header) {
        let Some(value) = value(given, parameter.name) else { continue };
        out.insert(parameter.name.to_ascii_lowercase(), joined(parameter, value, str::to_owned)?);
    }
    Ok(out)
}

fn body(operation: &Operation<'_>, given: &Map<String, Value>) -> Result<(Option<String>, Vec<u8>), String> {
    const FORM: &str = "application/x-www-form-urlencoded";
    if operation.parameters.iter().any(|p| p.place == Place::Form) {
        let form = pairs(operation, given, Place::Form, "")?;
        return Ok(if form.is_empty() { (None, Vec::new()) } else { (Some(FORM.to_owned()), form.into_bytes()) });
    }
    let Some(Body { name, form, .. }) = &operation.body else { return Ok((None, Vec::new())) };
    let Some(value) = value(given, name) else { return Ok((None, Vec::new())) };
    match form {
        BodyForm::Json(kind) => {
            let bytes = canonical_json(value).map_err(|_| format!("parameter `{name}` has no canonical form"))?;
            Ok((Some((*kind).to_owned()), bytes))
        }
        BodyForm::Text(kind) => match value {
            Value::String(text) => Ok((Some((*kind).to_owned()), text.clone().into_bytes())),
            _ => Err(format!("parameter `{name}` is a text")),
        },
        BodyForm::Form => {
            let map = value.as_object().ok_or_else(|| format!("parameter `{name}` is an object"))?;
            let pair = |(key, v): (&String, &Value)| {
                Ok(format!("{}={}", percent_encoded(key), percent_encoded(&scalar(name, v)?)))
            };
            let pairs: Vec<String> = map.iter().map(pair).collect::<Result<_, String>>()?;
            Ok((Some(FORM.to_owned()), pairs.join("&").into_bytes()))
        }
    }
}

#[cfg(test)]
#[path = "described_tests.rs"]
mod tests;
