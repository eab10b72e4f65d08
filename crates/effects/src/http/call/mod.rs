//! Calls that a document spells out itself: one request below the connection's URL.

mod described;
mod spelled;
mod supplied;

use super::reply::{Answer, Output};
use super::transport::{Outgoing, Transport};
use crate::{authorization, reach};
use async_trait::async_trait;
use mandate_directory::{CallTarget, ConnectionSpec, Endpoint, FunctionSpec, Method, Protocol};
use mandate_gate::{Call, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent};
use mandate_identity::{CanonicalRequest, CanonicalUrl, RequestError};
use mandate_kernel::{EffectClass, IdentityModel};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::{sync::Arc, time::Duration};
use supplied::Supplied;

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
    authentication: Option<&'a Value>,
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

    /// What the arguments ask for, by the target's protocol.
    fn read<'a>(&self, arguments: &'a Value, endpoint: &Endpoint) -> Result<Asked<'a>, String> {
        match (self.target.protocol, &self.target.document) {
            (Protocol::Http, _) => spelled::read(arguments),
            (Protocol::Openapi, Some(pinned)) => described::read(arguments, &self.target, pinned, endpoint),
            _ => Err("the function is not for calls over HTTP".to_owned()),
        }
    }

    /// Whether the receiver is sent a token of ours.
    fn takes_token(&self, endpoint: &Endpoint) -> bool {
        endpoint.audience.is_some() && self.function.model != IdentityModel::UserPassthrough
    }

    fn request(&self, asked: &Asked<'_>, endpoint: &Endpoint, call: &Call) -> Result<CanonicalRequest, String> {
        if !self.target.methods.contains(&asked.method) {
            let may: Vec<&str> = self.target.methods.iter().map(|method| method.as_str()).collect();
            return Err(format!("the method is {}; {} are allowed", asked.method.as_str(), may.join(", ")));
        }
        if !endpoint.holds(asked.url.as_str()) {
            return Err(format!("the call leads outside {}", endpoint.url));
        }
        if self.takes_token(endpoint) && !asked.headers.is_empty() {
            return Err("headers can't be given: the receiver checks a digest that knows none".to_owned());
        }
        self.function.check_narrowed(asked.all)?;
        let key = (self.function.effect != EffectClass::Read).then(|| call.step.idempotency_key());
        let (method, url) = (asked.method.as_str(), String::from(asked.url.clone()));
        let request = CanonicalRequest::new(method, url, asked.content_type.clone(), asked.body.clone(), key)
            .map_err(|e| e.to_string())?;
        request.with_headers(asked.headers.clone()).map_err(|error| match error {
            // A header's name may be made of the run's data, and this goes into the ledger.
            RequestError::Header { why, .. } => format!("one of the headers {why}"),
            other => other.to_string(),
        })
    }

    /// The credential out of the run's data; only a function made for that takes one, and it takes nothing else.
    fn supplied(&self, authentication: Option<&Value>) -> Result<Option<Supplied>, String> {
        let passes_on = self.function.model == IdentityModel::UserPassthrough;
        match (supplied::read(authentication)?, passes_on) {
            (Some(supplied), true) => Ok(Some(supplied)),
            (None, false) => Ok(None),
            (Some(_), false) => {
                Err("a credential of the run's data goes by functions of model user-passthrough alone".to_owned())
            }
            (None, true) => {
                Err("a user-passthrough function passes on a credential, and the call gives none".to_owned())
            }
        }
    }
}

#[async_trait]
impl Effect for CallEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let arguments = |why: String| PrepareError::Arguments { function: call.function.clone(), why };
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let asked = self.read(&call.arguments, endpoint).map_err(arguments)?;
        answer(asked.all).map_err(arguments)?;
        let supplied = self.supplied(asked.authentication).map_err(arguments)?;
        let takes_token = self.takes_token(endpoint);
        let slot = match supplied {
            Some(_) if connection.slot.is_some() => {
                let why = "its connection has a slot, and the caller supplies the credential";
                return Err(definition(why.to_owned()));
            }
            Some(_) => None,
            None => authorization::slot(connection, takes_token, asked.authentication).map_err(definition)?,
        };
        if let Some(Slot::Header { name, .. }) = &slot
            && asked.headers.contains_key(name)
        {
            return Err(arguments(format!("the call sets header `{name}`, which is the credential's")));
        }
        let request = self.request(&asked, endpoint, call).map_err(arguments)?;
        Ok(Prepared {
            destination: request.url().origin().to_owned(),
            request: Request::Http(request),
            audience: endpoint.audience.clone(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, mut credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, prepared) = (spent.facts(), spent.prepared());
        let definite = |detail: String| EffectFailure::Definite { status: 500, detail };
        let Request::Http(request) = &prepared.request else {
            return Err(definite("the permit is for another kind of effect".to_owned()));
        };
        let given = facts.arguments.as_object().ok_or_else(|| definite("the arguments are no object".to_owned()))?;
        let (output, takes_redirects) = answer(given).map_err(definite)?;
        let mut slot = prepared.slot.clone();
        if let Some(supplied) = self.supplied(authentication_of(given)).map_err(definite)? {
            if credentials.leased.is_some() || credentials.hop.is_some() {
                return Err(definite("a credential was made for a call that supplies its own".to_owned()));
            }
            (slot, credentials.leased) = (Some(supplied.slot), Some(supplied.secret));
        }
        self.transport
            .send(Outgoing {
                function: &facts.function,
                effect: facts.effect,
                request,
                slot: slot.as_ref(),
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

/// What a call says of authentication, whatever its protocol.
fn authentication_of(arguments: &Map<String, Value>) -> Option<&Value> {
    let of_endpoint = arguments.get("endpoint").and_then(|endpoint| endpoint.get("authentication"));
    arguments.get("authentication").or(of_endpoint).filter(|value| !value.is_null())
}

/// The arguments as an object with no others than those of the protocol.
fn object(arguments: &Value, protocol: Protocol) -> Result<&Map<String, Value>, String> {
    let (name, known) = (protocol.as_str(), protocol.arguments());
    let all = arguments.as_object().ok_or_else(|| format!("the arguments of `call: {name}` are an object"))?;
    match all.keys().find(|key| !known.contains(&key.as_str())) {
        Some(other) => Err(format!("there is no argument `{other}`; it takes: {}", known.join(", "))),
        None => Ok(all),
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
mod tests;
