//! A function: a registered capability that Workers call by name.

use crate::{Compensation, Protocol, ReplyChecks, ReturnLabels, Target};
use mandate_identity::Scope;
use mandate_kernel::{Class, EffectClass, IdentityModel, Impact};
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
    /// What its replies are looked at for.
    #[serde(default)]
    pub checks: ReplyChecks,
    /// How its effect is undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<Compensation>,
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
    /// Checks what can be known to be wrong before it is ever called.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub fn check(&self) -> Result<(), (String, String)> {
        let at = |pointer: &str, why: &str| Err((pointer.to_owned(), why.to_owned()));
        self.check_bounds()?;
        self.target.check()?;
        self.returns.check()?;
        self.checks.check()?;
        if let Some(inverse) = &self.compensate {
            inverse.check().map_err(|(pointer, why)| (format!("/compensate{pointer}"), why))?;
            if self.effect == EffectClass::Read {
                return at("/compensate", "what only reads leaves nothing to undo");
            }
        }
        if let Some(fixed) = self.target.arguments()
            && let Some(unknown) = self.arguments.keys().find(|name| !fixed.contains(&name.as_str()))
        {
            let why = format!("this target takes {}; there is no argument `{unknown}` to narrow", fixed.join(", "));
            return at("/arguments", &why);
        }
        match &self.target {
            Target::Call(call) if self.effect == EffectClass::Read && call.methods.iter().any(|m| !m.is_safe()) => {
                return at("/effect", "a method other than GET acts: declare idempotent or once, or leave it out");
            }
            Target::Model(_) if self.effect == EffectClass::Once => {
                return at("/effect", "a model call can be repeated: declare it read or idempotent");
            }
            Target::Mail(_) if self.effect != EffectClass::Once => {
                return at("/effect", "no mail server knows a repeated mail from a new one: declare it once");
            }
            Target::Mail(_) if self.class.impact != Impact::ActionTaking => {
                return at("/class/impact", "a mail leaves the house: declare it action-taking");
            }
            Target::Model(_) | Target::Mail(_) if self.model != IdentityModel::ServiceAccount => {
                return at("/model", "models and mail servers know static credentials only: declare service-account");
            }
            target if self.model == IdentityModel::UserPassthrough && !takes_supplied(target) => {
                return at(
                    "/model",
                    "only `target.call` over http or openapi can pass on the initiator's own credential",
                );
            }
            Target::Http(_)
            | Target::Call(_)
            | Target::Local(_)
            | Target::Model(_)
            | Target::Mail(_)
            | Target::Review(_) => {}
        }
        Ok(())
    }

    /// Checks the arguments of a call to a target that has arguments of its own ([`Target::arguments`])
    /// against what the declaration narrows.
    ///
    /// # Errors
    /// One sentence naming the argument and what is wrong with it; never its value.
    pub fn check_narrowed(&self, arguments: &Map<String, Value>) -> Result<(), String> {
        let given = |(name, spec): (&String, &ArgumentSpec)| match arguments.get(name) {
            None => Ok(()),
            Some(value) => spec.check(value).map_err(|why| format!("argument `{name}` {why}")),
        };
        self.arguments.iter().try_for_each(given)
    }

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

/// Whether calls by the target can bring a credential of the initiator's own.
const fn takes_supplied(target: &Target) -> bool {
    matches!(target, Target::Call(call) if matches!(call.protocol, Protocol::Http | Protocol::Openapi))
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
