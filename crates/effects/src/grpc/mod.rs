//! `call: grpc` as a document spells it out: one method of a definition that the function pins, called once at the
//! function's connection.

mod proto;
mod wire;

pub(crate) use proto::compile;

use crate::authorization::{self, Authorized};
use crate::dial::Dialer;
use crate::http::{Transport, base, checked_url, echoes, failure};
use crate::reach;
use async_trait::async_trait;
use mandate_directory::{CallTarget, ConnectionSpec, Endpoint, FunctionSpec};
use mandate_gate::{
    Call, Claimed, Credentials, Effect, EffectFailure, PrepareError, Prepared, Reply, Request, Slot, Spent,
};
use mandate_identity::CanonicalRequest;
use mandate_kernel::{Digest, EffectClass, Limits};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use wire::GrpcCall;

/// Arguments of the call.
const ARGUMENTS: [&str; 4] = ["proto", "service", "method", "arguments"];

/// A function that calls methods as documents spell them out.
pub(crate) struct GrpcEffect {
    function: FunctionSpec,
    target: CallTarget,
    connection: Option<ConnectionSpec>,
    transport: Arc<Transport>,
    dialer: Arc<Dialer>,
    limits: Limits,
    /// The definition, compiled when it is first needed.
    pool: OnceLock<Result<DescriptorPool, String>>,
}

impl GrpcEffect {
    pub(crate) const fn new(
        function: FunctionSpec,
        target: CallTarget,
        connection: Option<ConnectionSpec>,
        transport: Arc<Transport>,
        dialer: Arc<Dialer>,
        limits: Limits,
    ) -> Self {
        Self { function, target, connection, transport, dialer, limits, pool: OnceLock::new() }
    }

    /// The method that a call names, by its place in the definition: `package.Service/Method`.
    fn method(&self, arguments: &Value) -> Result<(String, MethodDescriptor), String> {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let service = text(arguments.get("service").and_then(|service| service.get("name")));
        let service = service.ok_or("argument `service` needs a `name`")?;
        let method = text(arguments.get("method")).ok_or("argument `method` is a text")?;
        let pool = self.pool.get_or_init(|| {
            let pinned = self.target.document.as_ref().and_then(|pinned| pinned.content.as_str());
            compile(pinned.ok_or("the function pins no definition")?)
        });
        let pool = pool.as_ref().map_err(Clone::clone)?;
        let found = proto::method(pool, &service, &method)?;
        let name = format!("{service}/{method}");
        if !self.target.operations.is_empty() && !self.target.operations.contains(&name) {
            return Err("the function does not list this method".to_owned());
        }
        Ok((name, found))
    }

    fn request(&self, endpoint: &Endpoint, call: &Call) -> Result<CanonicalRequest, String> {
        let given = call.arguments.as_object().ok_or("the arguments of `call: grpc` are an object")?;
        if let Some(other) = given.keys().find(|name| !ARGUMENTS.contains(&name.as_str())) {
            return Err(format!("there is no argument `{other}`; it takes: {}", ARGUMENTS.join(", ")));
        }
        self.function.check_narrowed(given)?;
        let (name, method) = self.method(&call.arguments)?;
        let none = Value::Object(Map::new());
        let message = proto::encode(method.input(), given.get("arguments").unwrap_or(&none))?;
        let body = wire::framed(&message).ok_or("the message is too long")?;
        let url = checked_url(&base(endpoint)?, &format!("/{name}"), "")
            .map_err(|why| format!("service and method make no URL we send: {why}"))?;
        let key = (self.function.effect != EffectClass::Read).then(|| call.step.idempotency_key());
        CanonicalRequest::new("POST", String::from(url), Some("application/grpc".to_owned()), body, key)
            .map_err(|error| error.to_string())
    }

    /// Metadata made for this permit.
    fn metadata(
        &self,
        slot: Option<&Slot>,
        credentials: &Credentials,
        authorized: Option<&Authorized>,
    ) -> Vec<(String, String)> {
        let mut all = Vec::new();
        if let Some(hop) = &credentials.hop {
            all.push(("authorization".to_owned(), format!("DPoP {}", hop.token.expose())));
            all.push(("dpop".to_owned(), hop.proof.expose().clone()));
        }
        if let (true, Some(envelope)) = (self.connection.as_ref().is_some_and(|c| c.envelope), &credentials.envelope) {
            all.push(("txn-token".to_owned(), envelope.expose().clone()));
        }
        if let (Some(Slot::Header { name, prefix }), Some(secret)) = (slot, &credentials.leased) {
            all.push((name.clone(), format!("{prefix}{}", secret.expose())));
        }
        let value = authorized.and_then(Authorized::value);
        all.extend(value.map(|value| ("authorization".to_owned(), value.to_owned())));
        all
    }

    fn read(&self, bytes: &[u8], method: &MethodDescriptor) -> Result<Value, &'static str> {
        let messages = wire::messages(bytes)?;
        let mut values = Vec::new();
        for message in messages {
            values.push(proto::decode(method.output(), message)?);
        }
        match (method.is_server_streaming(), values.len()) {
            (true, _) => Ok(Value::Array(values)),
            (false, 1) => Ok(values.pop().unwrap_or_default()),
            (false, _) => Err("is not one message"),
        }
    }
}

#[async_trait]
impl Effect for GrpcEffect {
    fn prepare(&self, call: &Call) -> Result<Prepared, PrepareError> {
        let definition = |why: String| PrepareError::Definition { function: call.function.clone(), why };
        let (connection, endpoint) = reach::endpoint(self.connection.as_ref(), call)?;
        let request = self
            .request(endpoint, call)
            .map_err(|why| PrepareError::Arguments { function: call.function.clone(), why })?;
        let policy = call.arguments.get("service").and_then(|service| service.get("authentication"));
        let slot = authorization::slot(connection, endpoint.audience.is_some(), policy.filter(|p| !p.is_null()))
            .map_err(definition)?;
        authorization::without_challenge(slot.as_ref()).map_err(definition)?;
        Ok(Prepared {
            destination: request.url().origin().to_owned(),
            request: Request::Http(request),
            audience: endpoint.audience.clone(),
            slot,
        })
    }

    async fn perform(&self, spent: &Spent, credentials: Credentials) -> Result<Reply, EffectFailure> {
        let (facts, prepared, begun) = (spent.facts(), spent.prepared(), Instant::now());
        let Request::Http(request) = &prepared.request else {
            return Err(failure::unsendable("the permit is for another kind of effect".to_owned()));
        };
        let (_, method) = self.method(&facts.arguments).map_err(failure::unsendable)?;
        let timeout = Duration::from_millis(self.function.timeout_ms.max(1));
        let place = facts.credential.as_ref().and_then(|credential| credential.exchange.as_ref());
        let leased = credentials.leased.as_ref();
        let authorized = Authorized::by(&self.transport, prepared.slot.as_ref(), leased, place, timeout).await?;
        let metadata = self.metadata(prepared.slot.as_ref(), &credentials, authorized.as_ref());
        let call =
            GrpcCall { dialer: &self.dialer, request, metadata, effect: facts.effect, timeout, limits: self.limits };
        let origin = request.url().origin();
        let unreadable = |why: &str| failure::unreadable(facts.effect, format!("the answer of {origin} {why}"));
        let result = call.send().await.and_then(|bytes| {
            let value = self.read(&bytes, &method).map_err(unreadable)?;
            let hop = credentials.hop.as_ref().map(|hop| hop.token.expose().as_str());
            let secrets = authorized.iter().flat_map(Authorized::secrets).chain(hop);
            let secrets = secrets.chain(leased.map(|secret| secret.expose().as_str()));
            if secrets.filter(|secret| secret.len() >= 8).any(|secret| echoes(&value, secret)) {
                return Err(unreadable("sends a credential back, so nothing of it was kept"));
            }
            let mut by_remote = Map::new();
            by_remote.insert("grpc_status".to_owned(), 0.into());
            Ok(Reply { value, observed: Digest::of(&bytes), claimed: Claimed { by_remote } })
        });
        match authorized {
            Some(authorized) => authorized.end(timeout.saturating_sub(begun.elapsed()), result).await,
            None => result,
        }
    }
}

#[cfg(test)]
mod tests;
