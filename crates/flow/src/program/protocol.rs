//! Compiles calls by a protocol: `http`, `openapi`, `grpc`, `asyncapi`.
//!
//! Such a call is a call of the registered function of that name, so that the gate judges it as any other.
//! Its arguments are the members of `with` in a canonical form: an endpoint is `{uri, authentication?}`,
//! defaults are written out, a literal method is in capitals.

use super::{
    compile::{Compiler, with as with_names},
    process::Need,
    reader::{Ptr, enclosed},
    task::Kind,
};
use crate::expr::{Expression, Scope};
use mandate_kernel::FunctionName;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Headers that carry credentials, in lower case.
const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "x-api-key"];

/// Protocols of AsyncAPI that the language knows.
const MESSAGING: [&str; 19] = [
    "amqp",
    "amqp1",
    "anypointmq",
    "googlepubsub",
    "http",
    "ibmmq",
    "jms",
    "kafka",
    "mercure",
    "mqtt",
    "mqtt5",
    "nats",
    "pulsar",
    "redis",
    "sns",
    "solace",
    "sqs",
    "stomp",
    "ws",
];

/// A `call: openapi` whose description's address the document writes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedCall {
    /// JSON pointer (RFC 6901) of `with`.
    pub pointer: String,
    /// The description's address.
    pub uri: String,
    /// Its `operationId`.
    pub operation: String,
}

type Members = Vec<(String, Expression)>;

impl Compiler<'_> {
    pub(super) fn protocol(&mut self, ptr: Ptr<'_>, name: &str, with: Option<&Value>, scope: &Scope) -> Option<Kind> {
        if matches!(name, "mcp" | "a2a") {
            self.reader.unsupported(ptr.key("call"), format!("`call: {name}`"));
            return None;
        }
        let Some(value) = with else {
            self.reader.report("flow.missing", ptr, "`with` is missing", None);
            return None;
        };
        let at = ptr.key("with");
        let map = self.reader.object(at, value)?;
        let scope = with_names(scope, &["authorization"]);
        let members = match name {
            "http" => self.http(at, map, &scope),
            "openapi" => self.openapi(at, map, &scope),
            "grpc" => self.grpc(at, map, &scope),
            _ => self.asyncapi(at, map, &scope),
        };
        let mut members = members?;
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        let function =
            FunctionName::new(name).map_err(|e| self.reader.report("flow.name", at, e.to_string(), None)).ok()?;
        self.code.functions.insert(function.clone());
        Some(Kind::Call { function, arguments: Arc::new(Expression::object(members)) })
    }

    fn http(&mut self, at: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Members> {
        let known = ["method", "endpoint", "headers", "query", "body", "output", "redirect"];
        self.reader.keys(at, map, &known, &[]);
        let method = self.reader.required(at, map, "method").and_then(|v| self.method(at.key("method"), v, scope));
        let endpoint = self.reader.required(at, map, "endpoint");
        let endpoint = endpoint.and_then(|v| self.endpoint(at.key("endpoint"), v, scope, &["http", "https"]));
        let mut found = vec![("method", method), ("endpoint", endpoint)];
        for key in ["headers", "query"] {
            found.extend(map.get(key).map(|value| (key, self.pairs(at.key(key), key, value, scope))));
        }
        found.extend(map.get("body").map(|body| ("body", self.reader.template(at.key("body"), body, scope))));
        let mut members = self.answer(at, map)?;
        // Everything is read before anything is given up, so that all findings come at once.
        for (key, value) in found {
            members.push((key.to_owned(), value?));
        }
        Some(members)
    }

    fn method(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let text = self.reader.text(at, value)?;
        if enclosed(text).is_some() {
            return self.reader.template(at, value, scope);
        }
        if text.is_empty() || text.len() > 32 || !text.bytes().all(|b| b.is_ascii_alphabetic()) {
            self.reader.report("flow.value", at, "a method is letters, such as GET or POST", None);
            return None;
        }
        Some(Expression::constant(Value::String(text.to_ascii_uppercase())))
    }

    /// `output` and `redirect`, with their defaults.
    fn answer(&mut self, at: Ptr<'_>, map: &Map<String, Value>) -> Option<Members> {
        let output = match map.get("output") {
            Some(value) => self.reader.one_of(at.key("output"), value, &["raw", "content", "response"]),
            None => Some("content"),
        };
        let redirect = match map.get("redirect") {
            Some(value) => self.reader.boolean(at.key("redirect"), value),
            None => Some(false),
        };
        Some(vec![
            ("output".to_owned(), Expression::constant(Value::String(output?.to_owned()))),
            ("redirect".to_owned(), Expression::constant(Value::Bool(redirect?))),
        ])
    }

    /// Headers or a query: names with texts, or an expression that gives them.
    fn pairs(&mut self, at: Ptr<'_>, what: &str, value: &Value, scope: &Scope) -> Option<Expression> {
        let Some(map) = value.as_object() else {
            if value.as_str().is_some_and(|text| enclosed(text).is_some()) {
                return self.reader.template(at, value, scope);
            }
            self.reader.report("flow.type", at, "this must be an object, or one expression in ${ }", None);
            return None;
        };
        for (name, value) in map {
            let fits = value.is_string() || (what == "query" && (value.is_number() || value.is_boolean()));
            if !fits {
                self.reader.report("flow.type", at.key(name), "this must be text", None);
            }
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if what == "headers" && (name.is_empty() || !name.bytes().all(token)) {
                self.reader.report_key("flow.value", at.key(name), "this is not the name of a header", None);
            }
            let sensitive = CREDENTIAL_HEADERS.contains(&name.to_ascii_lowercase().as_str());
            if what == "headers" && sensitive && value.as_str().is_some_and(|text| enclosed(text).is_some()) {
                self.code.needs.insert(Need::CallerSuppliedCredentials);
                self.code.later.push((at.key(name).to_string(), "a credential in a header out of the run's data"));
            }
        }
        self.reader.template(at, value, scope)
    }

    fn openapi(&mut self, at: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Members> {
        let known = ["document", "operationId", "parameters", "authentication", "output", "redirect"];
        self.reader.keys(at, map, &known, &[]);
        let document = self.reader.required(at, map, "document");
        let document = document.and_then(|value| self.resource(at.key("document"), value, scope));
        let operation = self.fixed_text(at, map, "operationId");
        if let (Some(uri), Some(id)) =
            (literal_uri(map.get("document")), map.get("operationId").and_then(Value::as_str))
        {
            let described = DescribedCall { pointer: at.to_string(), uri: uri.to_owned(), operation: id.to_owned() };
            self.code.described.push(described);
        }
        let mut members = self.answer(at, map)?;
        let parameters = match map.get("parameters") {
            Some(value) => self.open(at.key("parameters"), value, scope)?,
            None => Expression::constant(Value::Object(Map::new())),
        };
        members.push(("parameters".to_owned(), parameters));
        if let Some(value) = map.get("authentication") {
            members.push(("authentication".to_owned(), self.authentication(at.key("authentication"), value, scope)?));
        }
        members.push(("document".to_owned(), document?));
        members.push(("operationId".to_owned(), operation?));
        Some(members)
    }

    fn grpc(&mut self, at: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Members> {
        self.reader.keys(at, map, &["proto", "service", "method", "arguments"], &[]);
        let proto = self.reader.required(at, map, "proto");
        let proto = proto.and_then(|value| self.resource(at.key("proto"), value, scope));
        let method = self.fixed_text(at, map, "method");
        let arguments = match map.get("arguments") {
            Some(value) => self.open(at.key("arguments"), value, scope)?,
            None => Expression::constant(Value::Object(Map::new())),
        };
        let ptr = at.key("service");
        let service = self.reader.required(at, map, "service").and_then(|value| self.reader.object(ptr, value))?;
        self.reader.keys(ptr, service, &["name", "host", "port", "authentication"], &[]);
        let (name, host) = (self.fixed_text(ptr, service, "name"), self.fixed_text(ptr, service, "host"));
        let mut inner = Members::new();
        if let Some(value) = service.get("authentication") {
            inner.push(("authentication".to_owned(), self.authentication(ptr.key("authentication"), value, scope)?));
        }
        if let Some(host) = service.get("host").and_then(Value::as_str)
            && !is_host(host)
        {
            self.reader.report("flow.value", ptr.key("host"), "this is not the name of a host", None);
        }
        if let Some(port) = service.get("port") {
            if port.as_u64().is_none_or(|port| port > 65_535) {
                self.reader.report("flow.value", ptr.key("port"), "a port is a whole number from 0 to 65535", None);
            }
            inner.push(("port".to_owned(), Expression::constant(port.clone())));
        }
        inner.extend([("host".to_owned(), host?), ("name".to_owned(), name?)]);
        inner.sort_by(|(a, _), (b, _)| a.cmp(b));
        let service = Expression::object(inner);
        Some(vec![
            ("proto".to_owned(), proto?),
            ("method".to_owned(), method?),
            ("arguments".to_owned(), arguments),
            ("service".to_owned(), service),
        ])
    }

    fn asyncapi(&mut self, at: Ptr<'_>, map: &Map<String, Value>, scope: &Scope) -> Option<Members> {
        let known =
            ["document", "channel", "operation", "server", "protocol", "message", "subscription", "authentication"];
        self.reader.keys(at, map, &known, &[]);
        for (a, b) in [("channel", "operation"), ("message", "subscription")] {
            if map.contains_key(a) == map.contains_key(b) {
                self.reader.report("flow.call", at, format!("this needs either `{a}` or `{b}`"), None);
                return None;
            }
        }
        let document = self.reader.required(at, map, "document")?;
        let mut members = vec![("document".to_owned(), self.resource(at.key("document"), document, scope)?)];
        for key in ["channel", "operation"] {
            if map.contains_key(key) {
                members.push((key.to_owned(), self.fixed_text(at, map, key)?));
            }
        }
        if let Some(protocol) = map.get("protocol") {
            let name = self.reader.one_of(at.key("protocol"), protocol, &MESSAGING)?;
            if !matches!(name, "http" | "ws") {
                self.reader.unsupported(at.key("protocol"), format!("AsyncAPI over {name}"));
            }
            members.push(("protocol".to_owned(), Expression::constant(protocol.clone())));
        }
        for (key, known) in [("server", ["name", "variables"]), ("message", ["payload", "headers"])] {
            let ptr = at.key(key);
            let Some(inner) = map.get(key) else { continue };
            let inner_map = self.reader.object(ptr, inner)?;
            self.reader.keys(ptr, inner_map, &known, &[]);
            if key == "server" {
                self.fixed_text(ptr, inner_map, "name")?;
            }
            for (name, value) in inner_map.iter().filter(|(name, _)| *name != "name") {
                self.open(ptr.key(name), value, scope);
            }
            members.push((key.to_owned(), self.reader.template(ptr, inner, scope)?));
        }
        if let Some(subscription) = map.get("subscription") {
            members.push(("subscription".to_owned(), self.subscription(at.key("subscription"), subscription, scope)?));
        }
        if let Some(value) = map.get("authentication") {
            members.push(("authentication".to_owned(), self.authentication(at.key("authentication"), value, scope)?));
        }
        Some(members)
    }

    /// A required text without expressions.
    fn fixed_text(&mut self, at: Ptr<'_>, map: &Map<String, Value>, key: &str) -> Option<Expression> {
        let value = self.reader.required(at, map, key)?;
        let text = self.reader.text(at.key(key), value)?;
        if text.is_empty() || text.contains("${") {
            let why = format!("`{key}` must be text, not empty and without expressions");
            self.reader.report("flow.value", at.key(key), why, None);
            return None;
        }
        Some(Expression::constant(value.clone()))
    }

    /// An object with expressions inside, or one expression.
    fn open(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        if !value.is_object() && value.as_str().and_then(enclosed).is_none() {
            self.reader.report("flow.type", at, "this must be an object, or one expression in ${ }", None);
            return None;
        }
        self.reader.template(at, value, scope)
    }
}

/// The address of an external resource, where no expression makes it.
fn literal_uri(resource: Option<&Value>) -> Option<&str> {
    let endpoint = resource?.get("endpoint")?;
    let uri = endpoint.as_str().or_else(|| endpoint.get("uri")?.as_str())?;
    (!uri.contains(['{', '$'])).then_some(uri)
}

fn is_host(host: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = host.as_bytes();
    bytes.len() <= 253
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b))
}
