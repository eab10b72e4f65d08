//! `call: asyncapi` as a document spells it out: one message published, or a bounded number of them taken, over
//! HTTP, server-sent events or a WebSocket, at the function's connection.

mod document;
mod events;
mod subscription;
mod websocket;

pub(crate) use document::check;
pub(crate) use subscription::Subscription;

use crate::authorization::{self, Authorized};
use crate::dial::Dialer;
use crate::http::{Answer, Outgoing, Output, Transport, base, checked_url, echoes, failure};
use crate::reach;
use async_trait::async_trait;
use document::{Named, Over, Way};
use events::Events;
use mandate_directory::{CallTarget, ConnectionSpec, Endpoint, FunctionSpec};
use mandate_gate::{Call, Claimed, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Spent};
use mandate_identity::CanonicalRequest;
use mandate_kernel::{EffectClass, Limits, canonical_json};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subscription::{Basket, Taken};
use tokio::time::timeout_at;
use websocket::Socket;

/// What a request over a WebSocket has for a method. It is none of HTTP's.
const WEBSOCKET: &str = "WEBSOCKET";

/// Arguments of the call.
const ARGUMENTS: [&str; 8] =
    ["document", "channel", "operation", "server", "protocol", "message", "subscription", "authentication"];

/// A function that publishes and subscribes as documents spell it out.
pub(crate) struct MessagesEffect {
    pub(crate) function: FunctionSpec,
    pub(crate) target: CallTarget,
    pub(crate) connection: Option<ConnectionSpec>,
    pub(crate) transport: Arc<Transport>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) limits: Limits,
}

impl MessagesEffect {
    /// The request, or whose fault it is that there is none.
    fn request(&self, endpoint: &Endpoint, call: &Call) -> Result<CanonicalRequest, String> {
        let given = call.arguments.as_object().ok_or("the arguments of `call: asyncapi` are an object")?;
        if let Some(other) = given.keys().find(|name| !ARGUMENTS.contains(&name.as_str())) {
            return Err(format!("there is no argument `{other}`; it takes: {}", ARGUMENTS.join(", ")));
        }
        self.function.check_narrowed(given)?;
        let text = |key: &str| given.get(key).and_then(Value::as_str);
        let named = Named {
            operation: text("operation"),
            channel: text("channel"),
            server: given.get("server").and_then(|server| server.get("name")).and_then(Value::as_str),
            protocol: text("protocol"),
        };
        let subscription = given.get("subscription").map(Subscription::read).transpose()?;
        let way = if subscription.is_some() { Way::Subscribe } else { Way::Publish };
        let pinned = self.target.document.as_ref().ok_or("the function pins no document")?;
        let operation = document::operation(&pinned.content, &named, way)?;
        if !self.target.operations.is_empty() && !self.target.operations.contains(&operation.name) {
            return Err("the function does not list this operation".to_owned());
        }
        let timeout = Duration::from_millis(self.function.timeout_ms.max(1));
        if subscription.as_ref().and_then(Subscription::period).is_some_and(|period| period >= timeout) {
            return Err("`for` is longer than an attempt of the function may take (timeoutMs)".to_owned());
        }
        let url = checked_url(&base(endpoint)?, &operation.path, "")
            .map_err(|why| format!("the channel's address makes no URL we send: {why}"))?;
        match way {
            Way::Publish => self.publication(operation.over, String::from(url), given, call),
            Way::Subscribe => listening(operation.over, String::from(url)),
        }
    }

    fn publication(
        &self,
        over: Over,
        url: String,
        given: &Map<String, Value>,
        call: &Call,
    ) -> Result<CanonicalRequest, String> {
        let message = given.get("message").and_then(Value::as_object).ok_or("argument `message` is an object")?;
        let payload = message.get("payload").unwrap_or(&Value::Null);
        let body = canonical_json(payload).map_err(|_| "the payload has no canonical form")?;
        let headers = headers(message.get("headers"))?;
        let kind = Some("application/json".to_owned());
        let made = match (over, self.function.effect) {
            (_, EffectClass::Read) => return Err("a function that reads does not publish; declare it once".to_owned()),
            (Over::WebSocket, EffectClass::Idempotent) => {
                return Err("a message on a WebSocket carries no key that makes it repeatable; declare once".to_owned());
            }
            (Over::WebSocket, EffectClass::Once) if !headers.is_empty() => {
                return Err("a message on a WebSocket has no headers".to_owned());
            }
            (Over::WebSocket, EffectClass::Once) => CanonicalRequest::new(WEBSOCKET, url, kind, body, None),
            (Over::Http, _) => CanonicalRequest::new("POST", url, kind, body, Some(call.step.idempotency_key())),
        };
        made.and_then(|request| request.with_headers(headers))
            .map_err(|_| "the message's headers can't be sent as they are".to_owned())
    }

    async fn over_socket(
        &self,
        spent: &Spent,
        request: &CanonicalRequest,
        credentials: &Credentials,
    ) -> Result<Reply, EffectFailure> {
        let (facts, begun) = (spent.facts(), Instant::now());
        let timeout = Duration::from_millis(self.function.timeout_ms.max(1));
        let place = facts.credential.as_ref().and_then(|credential| credential.exchange.as_ref());
        let slot = spent.prepared().slot.as_ref();
        let leased = credentials.leased.as_ref();
        let authorized = Authorized::by(&self.transport, slot, leased, place, timeout).await?;
        let header = authorization::bare(slot, leased);
        let socket = Socket {
            dialer: &self.dialer,
            url: request.url(),
            authorization: authorized.as_ref().and_then(Authorized::value).or(header.as_deref()),
            effect: facts.effect,
            limits: self.limits,
        };
        let done = match self.subscription(&facts.arguments)? {
            Some(subscription) => socket.subscribe(&subscription).await,
            None => socket.publish(request.body()).await,
        };
        let secrets: Vec<&str> = leased.map(|secret| secret.expose().as_str()).into_iter().collect();
        let result = done.and_then(|(value, observed)| {
            let secrets = secrets.into_iter().chain(authorized.iter().flat_map(Authorized::secrets));
            kept(value, observed, secrets, facts.effect, request.url().origin())
        });
        match authorized {
            Some(authorized) => authorized.end(timeout.saturating_sub(begun.elapsed()), result).await,
            None => result,
        }
    }

    fn subscription(&self, arguments: &Value) -> Result<Option<Subscription>, EffectFailure> {
        arguments.get("subscription").map(Subscription::read).transpose().map_err(failure::unsendable)
    }
}

/// The request by which messages are listened for.
fn listening(over: Over, url: String) -> Result<CanonicalRequest, String> {
    let made = match over {
        Over::WebSocket => CanonicalRequest::new(WEBSOCKET, url, None, Vec::new(), None),
        Over::Http => CanonicalRequest::new("GET", url, None, Vec::new(), None).and_then(|request| {
            request.with_headers(BTreeMap::from([("accept".to_owned(), "text/event-stream".to_owned())]))
        }),
    };
    made.map_err(|error| error.to_string())
}

/// Headers of a message: scalars, by lower-case name.
fn headers(value: Option<&Value>) -> Result<BTreeMap<String, String>, String> {
    let map = match value {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map,
        Some(_) => return Err("the message's headers are an object".to_owned()),
    };
    let mut found = BTreeMap::new();
    for (name, value) in map {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            _ => return Err("the message's headers hold something else than text, numbers and truth values".to_owned()),
        };
        if found.insert(name.to_ascii_lowercase(), text).is_some() {
            return Err("the message's headers name one twice".to_owned());
        }
    }
    Ok(found)
}

/// What a run is given, unless a credential is in it.
fn kept<'a>(
    value: Value,
    observed: mandate_kernel::Digest,
    mut secrets: impl Iterator<Item = &'a str>,
    effect: EffectClass,
    origin: &str,
) -> Result<Reply, EffectFailure> {
    if secrets.any(|secret| secret.len() >= 8 && echoes(&value, secret)) {
        return Err(failure::unreadable(effect, format!("{origin} sends a credential back, so nothing was kept")));
    }
    let mut by_remote = Map::new();
    if let Value::Array(messages) = &value {
        by_remote.insert("messages".to_owned(), json!(messages.len()));
    }
    Ok(Reply { value, observed, claimed: Claimed { by_remote } })
}

/// Takes server-sent events until the subscription has enough.
pub(crate) async fn read_events(
    mut response: reqwest::Response,
    subscription: &Subscription,
    effect: EffectClass,
    origin: &str,
    limits: Limits,
    secrets: &[&str],
) -> Result<Reply, EffectFailure> {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream")) {
        return Err(failure::unreadable(effect, format!("{origin} sends no server-sent events")));
    }
    let until = subscription.period().map(|period| tokio::time::Instant::now() + period);
    let (mut events, mut basket) = (Events::default(), Basket::new(subscription, limits));
    'reading: loop {
        let next = match until {
            Some(until) => timeout_at(until, response.chunk()).await,
            None => Ok(response.chunk().await),
        };
        let Ok(next) = next else { break };
        let chunk = next.map_err(|error| failure::unanswered(effect, failure::describe(&error, origin)))?;
        let Some(chunk) = chunk else {
            let detail = format!("{origin} ended before the subscription had enough");
            return Err(failure::unanswered(effect, detail));
        };
        for event in events.feed(&chunk) {
            let mut headers = Map::new();
            headers.extend(
                [("event", event.event), ("id", event.id)]
                    .into_iter()
                    .filter(|(_, text)| !text.is_empty())
                    .map(|(name, text)| (name.to_owned(), Value::String(text))),
            );
            match basket.offer(&event.data, Value::Object(headers)) {
                Ok(Taken::More) => {}
                Ok(Taken::Enough) => break 'reading,
                Err(why) => return Err(failure::unreadable(effect, format!("{origin} {why}"))),
            }
        }
        if events.held() > limits.reply_body {
            return Err(failure::unreadable(effect, format!("{origin} sends an event that does not end")));
        }
    }
    let (messages, observed) = basket.into_messages();
    kept(Value::Array(messages), observed, secrets.iter().copied(), effect, origin)
}

#[async_trait]
impl Effect for MessagesEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let request = self
            .request(endpoint, call)
            .map_err(|why| PrepareError::Arguments { function: call.function.clone(), why })?;
        let takes_token = endpoint.audience.is_some();
        if takes_token && request.method() == WEBSOCKET {
            return Err(definition("a WebSocket takes no hop token; its connection names no audience".to_owned()));
        }
        if takes_token && !request.headers().is_empty() {
            return Err(definition("its receiver checks a digest that knows no headers; name no audience".to_owned()));
        }
        let policy = call.arguments.get("authentication").filter(|policy| !policy.is_null());
        let slot = authorization::slot(connection, takes_token, policy).map_err(definition)?;
        if request.method() == WEBSOCKET {
            authorization::fits_a_handshake(slot.as_ref()).map_err(definition)?;
        }
        Ok(Prepared {
            destination: request.url().origin().to_owned(),
            request: Request::Http(request),
            audience: endpoint.audience.clone(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, prepared) = (spent.facts(), spent.prepared());
        let Request::Http(request) = &prepared.request else {
            return Err(failure::unsendable("the permit is for another kind of effect".to_owned()));
        };
        if request.method() == WEBSOCKET {
            return self.over_socket(spent, request, &credentials).await;
        }
        let subscription = self.subscription(&facts.arguments)?;
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
                listens: subscription.as_ref(),
                answer: Answer::Call(Output::Content),
                takes_redirects: false,
            })
            .await
    }
}

#[cfg(test)]
mod tests;
