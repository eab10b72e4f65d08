//! `call: http` as a document spells it out: one request below the connection's URL.

use super::reply::{Answer, Output};
use super::template::checked_url;
use super::transport::{Outgoing, Transport};
use crate::{authorization, reach};
use async_trait::async_trait;
use mandate_directory::{CallTarget, ConnectionSpec, Endpoint, FunctionSpec, Method};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use mandate_identity::{CanonicalRequest, CanonicalUrl, RequestError};
use mandate_kernel::{EffectClass, canonical_json};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::{sync::Arc, time::Duration};

/// A function that performs what documents spell out.
pub(crate) struct CallEffect {
    function: FunctionSpec,
    target: CallTarget,
    connection: Option<ConnectionSpec>,
    transport: Arc<Transport>,
}

/// What a document asks for, read.
struct Asked<'a> {
    method: Method,
    url: CanonicalUrl,
    headers: BTreeMap<String, String>,
    content_type: Option<String>,
    body: Vec<u8>,
    policy: Option<&'a Value>,
    all: &'a Map<String, Value>,
}

impl CallEffect {
    pub(crate) const fn new(
        function: FunctionSpec,
        target: CallTarget,
        connection: Option<ConnectionSpec>,
        transport: Arc<Transport>,
    ) -> Self {
        Self { function, target, connection, transport }
    }

    fn request(&self, asked: &Asked<'_>, endpoint: &Endpoint, call: &Call) -> Result<CanonicalRequest, String> {
        if !self.target.methods.contains(&asked.method) {
            let may: Vec<&str> = self.target.methods.iter().map(|method| method.as_str()).collect();
            return Err(format!("argument `method` is {}; {} are allowed", asked.method.as_str(), may.join(", ")));
        }
        if !endpoint.holds(asked.url.as_str()) {
            return Err(format!("argument `endpoint` leads outside {}", endpoint.url));
        }
        if endpoint.audience.is_some() && !asked.headers.is_empty() {
            return Err("argument `headers` can't be given: the receiver checks a digest that knows none".to_owned());
        }
        self.function.check_narrowed(asked.all)?;
        let key = (self.function.effect != EffectClass::Read).then(|| call.step.idempotency_key());
        let (method, url) = (asked.method.as_str(), String::from(asked.url.clone()));
        let request = CanonicalRequest::new(method, url, asked.content_type.clone(), asked.body.clone(), key)
            .map_err(|e| e.to_string())?;
        request.with_headers(asked.headers.clone()).map_err(|error| match error {
            // A header's name may be made of the run's data, and this goes into the ledger.
            RequestError::Header { why, .. } => format!("one of argument `headers` {why}"),
            other => other.to_string(),
        })
    }
}

#[async_trait]
impl Effect for CallEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let asked = Asked::read(&call.arguments).map_err(arguments)?;
        answer(asked.all).map_err(arguments)?;
        let takes_token = endpoint.audience.is_some();
        let slot = authorization::slot(connection, takes_token, asked.policy).map_err(definition)?;
        if let Some(Slot::Header { name, .. }) = &slot
            && asked.headers.contains_key(name)
        {
            return Err(arguments(format!("argument `headers` sets `{name}`, which is the credential's")));
        }
        let request = self.request(&asked, endpoint, call).map_err(arguments)?;
        Ok(Prepared {
            destination: request.url().origin().to_owned(),
            request: Request::Http(request),
            audience: endpoint.audience.clone(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, prepared) = (spent.facts(), spent.prepared());
        let definite = |detail: String| EffectFailure::Definite { status: 500, detail };
        let Request::Http(request) = &prepared.request else {
            return Err(definite("the permit is for another kind of effect".to_owned()));
        };
        let given = facts.arguments.as_object().ok_or_else(|| definite("the arguments are no object".to_owned()))?;
        let (output, takes_redirects) = answer(given).map_err(definite)?;
        self.transport
            .send(Outgoing {
                function: &facts.function,
                effect: facts.effect,
                request,
                slot: prepared.slot.as_ref(),
                takes_envelope: self.connection.as_ref().is_some_and(|connection| connection.envelope),
                timeout: Duration::from_millis(self.function.timeout_ms.max(1)),
                credentials,
                exchange: facts.credential.as_ref().and_then(|credential| credential.exchange.as_ref()),
                listens: None,
                answer: Answer::Call(output),
                takes_redirects,
            })
            .await
    }
}

impl<'a> Asked<'a> {
    fn read(arguments: &'a Value) -> Result<Self, String> {
        let all = arguments.as_object().ok_or("the arguments of `call: http` are an object")?;
        let known = ["method", "endpoint", "headers", "query", "body", "output", "redirect"];
        if let Some(other) = all.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is no argument `{other}`; it takes: {}", known.join(", ")));
        }
        let (uri, policy) = endpoint(all.get("endpoint"))?;
        let mut headers = texts(all.get("headers"), "headers")?;
        let mut lower = BTreeMap::new();
        while let Some((name, value)) = headers.pop_first() {
            if lower.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err("argument `headers` names a header twice".to_owned());
            }
        }
        let content_type = lower.remove("content-type");
        let (content_type, body) = body(all.get("body"), content_type)?;
        Ok(Self {
            method: method(all.get("method"))?,
            url: url(uri, &texts(all.get("query"), "query")?)?,
            headers: lower,
            content_type,
            body,
            policy,
            all,
        })
    }
}

fn method(value: Option<&Value>) -> Result<Method, String> {
    let text = value.and_then(Value::as_str).ok_or("argument `method` is a text")?.to_ascii_uppercase();
    serde_json::from_value(Value::String(text)).map_err(|_| "argument `method` is no method we send".to_owned())
}

/// The address, and the policy that it is authenticated by.
fn endpoint(value: Option<&Value>) -> Result<(&str, Option<&Value>), String> {
    match value {
        Some(Value::String(uri)) => Ok((uri, None)),
        Some(Value::Object(map)) => {
            let uri = map.get("uri").and_then(Value::as_str).ok_or("argument `endpoint` needs a `uri`")?;
            Ok((uri, map.get("authentication").filter(|value| !value.is_null())))
        }
        _ => Err("argument `endpoint` is a URL, or an object with a `uri`".to_owned()),
    }
}

fn url(uri: &str, query: &BTreeMap<String, String>) -> Result<CanonicalUrl, String> {
    let (before, given) = uri.split_once('?').map_or((uri, None), |(before, query)| (before, Some(query)));
    let more = query.iter().map(|(name, value)| {
        format!("{}={}", super::template::percent_encoded(name), super::template::percent_encoded(value))
    });
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
        super::template::text_of(key, value)
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

/// What of the answer is wanted, and whether a redirect is an answer.
fn answer(arguments: &Map<String, Value>) -> Result<(Output, bool), String> {
    let output = match arguments.get("output").unwrap_or(&Value::Null) {
        Value::Null => Output::Content,
        Value::String(text) if text == "content" => Output::Content,
        Value::String(text) if text == "raw" => Output::Raw,
        Value::String(text) if text == "response" => Output::Response,
        _ => return Err("argument `output` is content, raw or response".to_owned()),
    };
    match arguments.get("redirect").unwrap_or(&Value::Null) {
        Value::Null => Ok((output, false)),
        Value::Bool(taken) => Ok((output, *taken)),
        _ => Err("argument `redirect` is true or false".to_owned()),
    }
}

#[cfg(test)]
#[path = "call_tests.rs"]
mod tests;
