//! Descriptions of HTTP interfaces: OpenAPI 3.0 and 3.1, and Swagger 2.0, as far as `call: openapi` needs them.
//!
//! A description is a part of the function that stands for it, so that a run is pinned to its very text: what is
//! judged is what is done, and nobody's server changes it meanwhile.

mod parts;
mod servers;

use crate::{Method, PinnedDocument};
pub use parts::{Body, BodyForm, Parameter, Place, Spread};
use parts::{Reader, Version};
use serde_json::Value;

/// The most operations that one description may have.
const MAX_OPERATIONS: usize = 5_000;

/// The longest URI, in bytes.
const MAX_URI: usize = 2_000;

/// Methods of a path item that a call can have, by their keys.
const METHODS: [(&str, Method); 5] = [
    ("get", Method::Get),
    ("post", Method::Post),
    ("put", Method::Put),
    ("patch", Method::Patch),
    ("delete", Method::Delete),
];

/// One operation of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<'d> {
    /// The method.
    pub method: Method,
    /// The path below a server; `{name}` stands for a parameter.
    pub path: &'d str,
    /// Where it is served, in the description's order: absolute, without a slash at the end.
    pub servers: Vec<String>,
    /// Its parameters outside the body, or in a form.
    pub parameters: Vec<Parameter<'d>>,
    /// Its body.
    pub body: Option<Body<'d>>,
}

impl PinnedDocument {
    /// Checks what can be known of an OpenAPI document without knowing which operations are called.
    ///
    /// # Errors
    /// JSON pointer into the target, and what is wrong there.
    pub fn check_openapi(&self) -> Result<(), (&'static str, String)> {
        let absolute = self.uri.split_once("://").is_some_and(|(scheme, rest)| {
            matches!(scheme, "http" | "https") && !rest.is_empty() && !rest.starts_with('/')
        });
        if !absolute || self.uri.len() > MAX_URI || self.uri.contains(['?', '#']) {
            let why = "a description's uri is http:// or https:// with a host, as documents write it";
            return Err(("/document/uri", why.to_owned()));
        }
        let at = |why: String| ("/document/content", why);
        Version::of(&self.content).map_err(at)?;
        match self.operations().take(MAX_OPERATIONS + 1).count() {
            0 => Err(at("it has no operation with an operationId".to_owned())),
            many if many > MAX_OPERATIONS => Err(at(format!("at most {MAX_OPERATIONS} operations are taken"))),
            _ => Ok(()),
        }
    }

    /// Every operation with an id: path, its item, method, the operation.
    fn operations(&self) -> impl Iterator<Item = (&str, &Value, Method, &Value)> {
        let paths = self.content.get("paths").and_then(Value::as_object).into_iter().flatten();
        paths.flat_map(|(path, item)| {
            METHODS.iter().filter_map(move |(key, method)| {
                let operation = item.get(key)?;
                operation.get("operationId")?.as_str()?;
                Some((path.as_str(), item, *method, operation))
            })
        })
    }

    /// The method of an operation, if there is one by that name.
    #[must_use]
    pub fn method_of(&self, id: &str) -> Option<Method> {
        self.operations().find(|(.., operation)| is(operation, id)).map(|(_, _, method, _)| method)
    }

    /// An operation by its id.
    ///
    /// # Errors
    /// One sentence: there is none or more than one, or it has something that no call can have. It repeats the
    /// description alone.
    pub fn operation(&self, id: &str) -> Result<Operation<'_>, String> {
        let mut found = self.operations().filter(|(.., operation)| is(operation, id));
        let (path, item, method, operation) = match (found.next(), found.next()) {
            (Some(one), None) => one,
            (None, _) => return Err("the description has no operation of that operationId".to_owned()),
            (Some(_), Some(_)) => return Err("the description has two operations of that operationId".to_owned()),
        };
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return Err("the operation's path is not one: it begins with / and has no query".to_owned());
        }
        let reader = Reader { document: &self.content, version: Version::of(&self.content)? };
        let (parameters, mut body) = reader.parameters(item, operation)?;
        if let Some(request) = operation.get("requestBody") {
            body = Some(reader.request_body(request)?);
        }
        if body.is_some() && matches!(method, Method::Get | Method::Delete) {
            return Err("the operation has a body, which its method has not".to_owned());
        }
        let servers = servers::of(&self.uri, &self.content, reader.version, item, operation)?;
        Ok(Operation { method, path, servers, parameters, body })
    }
}

fn is(operation: &Value, id: &str) -> bool {
    operation.get("operationId").and_then(Value::as_str) == Some(id)
}

#[cfg(test)]
mod tests;
