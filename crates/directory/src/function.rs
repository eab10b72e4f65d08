//! A function: a registered capability that Workers call by name.

use mandate_identity::Scope;
use mandate_kernel::{Category, Class, Confidentiality, EffectClass, IdentityModel, Integrity, Labels, Readers};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The content of a `Function` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FunctionSpec {
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// What a call does to the world.
    pub effect: EffectClass,
    /// As whom it is called.
    pub model: IdentityModel,
    /// Declared when the receiver knows neither short lifetimes nor per-action checks.
    #[serde(default)]
    pub legacy: bool,
    /// The class it implies for every Worker that may call it.
    #[serde(default)]
    pub class: Class,
    /// Scopes that a hop token for it carries.
    #[serde(default)]
    pub scopes: BTreeSet<Scope>,
    /// The arguments it takes, by name. Others are refused.
    #[serde(default)]
    pub arguments: BTreeMap<String, ArgumentSpec>,
    /// The labels of what it returns.
    #[serde(default)]
    pub returns: ReturnLabels,
    /// How it is reached.
    pub target: Target,
    /// How often, and after how long, a transient failure asks again.
    #[serde(default)]
    pub retry: RetrySpec,
    /// How long one attempt may take, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
}

fn default_timeout() -> u64 {
    10_000
}

/// How a function is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Target {
    /// Over HTTP, at the connection's endpoint for the run's environment.
    Http(HttpTemplate),
    /// A function registered inside the process. It reaches nothing outside.
    Local(LocalTarget),
}

/// A function registered inside the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LocalTarget {
    /// The name it is registered under.
    pub name: String,
    /// Whether it takes a credential, leased for each call like any other.
    #[serde(default)]
    pub credential: bool,
}

/// The HTTP request a call becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpTemplate {
    /// The connection, by its name in the same project.
    pub connection: String,
    /// The method.
    pub method: Method,
    /// The path below the connection's URL; `{name}` stands for an argument, percent-encoded.
    pub path: String,
    /// Arguments sent as query parameters. What is in neither path nor query is the JSON body.
    #[serde(default)]
    pub query: Vec<String>,
}

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Read.
    Get,
    /// Act.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// The method's token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArgumentType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// A map.
    Object,
}

/// What an argument must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ArgumentSpec {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: ArgumentType,
    /// Whether a call may leave it out.
    #[serde(default)]
    pub optional: bool,
    /// Values allowed; empty allows any of the type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<Value>,
    /// Most characters of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
}

/// The labels of what a function returns, before its source is added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct ReturnLabels {
    /// How confidential.
    pub confidentiality: Confidentiality,
    /// How far it may be relied on. What is not said to be more is untrusted.
    pub integrity: Option<Integrity>,
    /// Groups that may read it; absent for anyone.
    pub readers: Option<BTreeSet<String>>,
    /// Kinds of data.
    pub data: BTreeSet<Category>,
}

impl ReturnLabels {
    /// As labels, without a source.
    #[must_use]
    pub fn labels(&self) -> Labels {
        Labels {
            confidentiality: self.confidentiality,
            integrity: self.integrity.unwrap_or(Integrity::Untrusted),
            readers: self.readers.clone().map_or(Readers::Anyone, Readers::Groups),
            categories: self.data.clone(),
            sources: BTreeSet::new(),
        }
    }
}

/// Attempts after transient failures. Each asks the gate again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct RetrySpec {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Milliseconds before the second attempt; doubled before each further one.
    pub first_delay_ms: u64,
    /// The longest delay in milliseconds.
    pub max_delay_ms: u64,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self { attempts: 4, first_delay_ms: 250, max_delay_ms: 30_000 }
    }
}

impl RetrySpec {
    /// Milliseconds to wait after `failed` attempts, or `None` when there is no further one.
    #[must_use]
    pub fn delay_after(&self, failed: u32) -> Option<u64> {
        (failed < self.attempts).then(|| {
            let doubled =
                self.first_delay_ms.saturating_mul(1u64.checked_shl(failed.saturating_sub(1)).unwrap_or(u64::MAX));
            doubled.min(self.max_delay_ms)
        })
    }
}

impl FunctionSpec {
    /// Checks the arguments of a call against the declaration.
    ///
    /// # Errors
    /// One sentence naming the argument and what is wrong with it; never its value.
    pub fn check_arguments<'a>(&self, arguments: &'a Value) -> Result<&'a Map<String, Value>, String> {
        let map = arguments.as_object().ok_or("arguments must be an object of named values")?;
        if let Some(unknown) = map.keys().find(|name| !self.arguments.contains_key(*name)) {
            let known = self.arguments.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(format!("there is no argument `{unknown}`; it takes: {known}"));
        }
        for (name, spec) in &self.arguments {
            match map.get(name) {
                None if spec.optional => {}
                None => return Err(format!("argument `{name}` is missing")),
                Some(value) => spec.check(value).map_err(|why| format!("argument `{name}` {why}"))?,
            }
        }
        Ok(map)
    }
}

impl ArgumentSpec {
    fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match self.type_ {
            ArgumentType::String => value.is_string(),
            ArgumentType::Integer => value.is_i64() || value.is_u64(),
            ArgumentType::Number => value.is_number(),
            ArgumentType::Boolean => value.is_boolean(),
            ArgumentType::Array => value.is_array(),
            ArgumentType::Object => value.is_object(),
        };
        if !fits {
            return Err(format!("is not of type {:?}", self.type_).to_lowercase());
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) {
            return Err("is not one of the values allowed".to_owned());
        }
        match (self.max_length, value.as_str()) {
            (Some(max), Some(text)) if text.chars().count() > max => Err(format!("is longer than {max} characters")),
            _ => Ok(()),
        }
    }
}
