//! A protocol call in a document: which registered function stands for it.
//!
//! A document that spells out a request still reaches only what somebody registered. The function is found by
//! where the request goes: of those the Worker lists, the one whose connection, in the run's environment, lies
//! above the URL and whose methods hold the method. It then is judged, bound and granted like any other. A call with a credential of the run's data goes by a function made for that alone.

use crate::driver::Driver;
use crate::pinned::PinnedFunction;
use crate::step::Wanted;
use mandate_directory::{CallTarget, Protocol, Target};
use mandate_flow::{ErrorKind, WorkflowError};
use mandate_kernel::{EffectClass, Environment, FunctionName, IdentityModel};
use serde_json::Value;

impl Driver {
    /// The same step, under the function that stands for a protocol call.
    pub(crate) fn as_registered(&self, wanted: Wanted) -> Result<Wanted, Box<(Wanted, WorkflowError)>> {
        // A function that bears a protocol's name is called by its name.
        if let Some(function) = self.pinned.functions.get(&wanted.function) {
            let by_protocol = is_of(function, &wanted.function);
            // What is given to a function by its name may be made of the run's data, and no data makes a policy.
            if matches!(function.spec.target, Target::Call(_))
                && !by_protocol
                && policy(&wanted.arguments.value).is_some()
            {
                let why = "an `authentication` belongs to a call by its protocol, not to the arguments of a function";
                return Err(Box::new((wanted, WorkflowError::new(ErrorKind::Configuration, why))));
            }
            return Ok(wanted);
        }
        let found = self.pinned.functions.iter();
        let mut found = found
            .filter(|(name, f)| stands_for(f, &wanted, &self.new.environment) && self.holds_secret(name, &wanted))
            .peekable();
        let Some((name, function)) = found.next() else {
            // What is no protocol's name is reported as a function that nobody listed.
            if !self.pinned.functions.values().any(|f| is_of(f, &wanted.function)) {
                return Ok(wanted);
            }
            // Address and method may be made of the run's data, and this goes into the ledger.
            let why = format!(
                "no function of this Worker reaches, in environment {}, what this call names, with the credential of the secret it names: register one with `target.call`, list it, and bind it",
                self.new.environment,
            );
            return Err(Box::new((wanted, WorkflowError::new(ErrorKind::Configuration, why))));
        };
        if let Some((other, _)) = found.peek() {
            let why = format!("both {name} and {other} reach the destination of this call; list one of them");
            return Err(Box::new((wanted, WorkflowError::new(ErrorKind::Configuration, why))));
        }
        Ok(Wanted { function: name.clone(), effect: function.spec.effect, ..wanted })
    }
}

impl Driver {
    /// Whether the function's credential is the one that the document's secret stands for, where it names one.
    fn holds_secret(&self, function: &FunctionName, wanted: &Wanted) -> bool {
        let Some(secret) = secret(&wanted.arguments.value) else { return true };
        let meant = self.pinned.spec.secrets.get(secret);
        meant.is_some() && meant == self.pinned.spec.bindings.get(function)
    }
}

/// The authentication policy of a call, wherever its protocol has it.
fn policy(arguments: &Value) -> Option<&Value> {
    let places = [arguments.get("endpoint"), arguments.get("service"), Some(arguments)];
    places.into_iter().flatten().find_map(|place| place.get("authentication"))
}

/// The secret that the call's authentication names.
fn secret(arguments: &Value) -> Option<&str> {
    policy(arguments)?.get("secret")?.as_str()
}

/// Whether the function is for that protocol at all.
fn is_of(function: &PinnedFunction, called: &FunctionName) -> bool {
    matches!(&function.spec.target, Target::Call(call) if call.protocol.as_str() == called.as_str())
}

fn stands_for(function: &PinnedFunction, wanted: &Wanted, environment: &Environment) -> bool {
    let Target::Call(call) = &function.spec.target else { return false };
    let (arguments, endpoint) = (&wanted.arguments.value, function.endpoint(environment));
    let passes_on = function.spec.model == IdentityModel::UserPassthrough;
    is_of(function, &wanted.function)
        && passes_on == supplies(arguments)
        && match call.protocol {
            Protocol::Http => {
                let (Some(address), Some(method)) = (address(arguments), method(arguments)) else { return false };
                call.methods.iter().any(|allowed| allowed.as_str() == method)
                    && endpoint.is_some_and(|endpoint| endpoint.holds(address))
            }
            Protocol::Openapi => {
                let named = arguments.get("operationId").and_then(Value::as_str);
                let method = named.and_then(|id| call.document.as_ref()?.method_of(id));
                names(call, arguments.get("document"))
                    && lists(call, named)
                    && method.is_some_and(|method| call.methods.contains(&method))
            }
            Protocol::Asyncapi => {
                let named = arguments.get("operation").or_else(|| arguments.get("channel")).and_then(Value::as_str);
                endpoint.is_some() && names(call, arguments.get("document")) && lists(call, named)
            }
            Protocol::Grpc => {
                let host = arguments.get("service").and_then(|service| service.get("host")).and_then(Value::as_str);
                let port = arguments.get("service").and_then(|service| service.get("port")).and_then(Value::as_u64);
                let service = arguments.get("service").and_then(|service| service.get("name")).and_then(Value::as_str);
                let method = arguments.get("method").and_then(Value::as_str);
                let named = service.zip(method).map(|(service, method)| format!("{service}/{method}"));
                names(call, arguments.get("proto"))
                    && lists(call, named.as_deref())
                    && endpoint.is_some_and(|endpoint| host.is_some_and(|host| endpoint.is_at(host, port)))
            }
        }
}

/// Whether a call brings a credential of the run's data with it.
pub(crate) fn supplies(arguments: &Value) -> bool {
    policy(arguments).is_some_and(|policy| policy.get("supplied").is_some())
}

/// Whether documents may use that operation through the function.
fn lists(call: &CallTarget, operation: Option<&str>) -> bool {
    operation.is_some_and(|name| call.operations.is_empty() || call.operations.contains(name))
}

/// Whether an external resource of a call is the document that the function pins.
fn names(call: &CallTarget, resource: Option<&Value>) -> bool {
    let uri = resource.and_then(|resource| resource.pointer("/endpoint/uri")).and_then(Value::as_str);
    uri.is_some() && uri == call.document.as_ref().map(|pinned| pinned.uri.as_str())
}

fn address(arguments: &Value) -> Option<&str> {
    let endpoint = arguments.get("endpoint")?;
    endpoint.as_str().or_else(|| endpoint.get("uri")?.as_str())
}

fn method(arguments: &Value) -> Option<String> {
    Some(arguments.get("method")?.as_str()?.to_ascii_uppercase())
}

/// What a step may do that has not found its function yet: the most careful class.
pub(crate) const UNKNOWN_EFFECT: EffectClass = EffectClass::Once;
