//! Expressions: a bounded subset of jq, and values with such expressions inside.

mod builtin;
mod eval;
mod node;
mod order;
mod parse;
mod uri;
mod value;

pub(crate) use parse::{Refusal, Scope};
pub(crate) use uri::UriPart;
pub(crate) use value::{fits, shallow};

use crate::machine::Evaluation;
use eval::Evaluator;
use node::Node;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use value::{Item, Meter};

/// Why an expression has no value. Never holds a value other than a text given to `error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ExprError {
    /// The expression failed on this data.
    #[error("{0}")]
    Failed(String),
    /// The expression went past a bound: steps, memory, value size or nesting.
    #[error("the expression went past the limit of {0}")]
    Limit(String),
}

/// A compiled expression, or a value with expressions inside.
#[derive(Debug)]
pub struct Expression {
    template: Template,
    variables: BTreeSet<String>,
}

#[derive(Debug)]
enum Template {
    Constant(Value),
    Jq(Node),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
    Uri(Vec<UriPart>),
}

impl Expression {
    /// Compiles one bare expression.
    pub(crate) fn jq(text: &str, scope: &Scope) -> Result<Self, Vec<Refusal>> {
        let (node, variables) = parse::parse(text, scope)?;
        Ok(Self { template: Template::Jq(node), variables })
    }

    /// A value without expressions.
    pub(crate) const fn constant(value: Value) -> Self {
        Self { template: Template::Constant(value), variables: BTreeSet::new() }
    }

    /// An array of expressions.
    pub(crate) fn array(items: Vec<Self>) -> Self {
        let variables = items.iter().flat_map(|item| item.variables.iter().cloned()).collect();
        if let Some(items) = items.iter().map(|item| item.as_constant().cloned()).collect() {
            return Self::constant(Value::Array(items));
        }
        Self { template: Template::Array(items.into_iter().map(|item| item.template).collect()), variables }
    }

    /// An object of expressions.
    pub(crate) fn object(members: Vec<(String, Self)>) -> Self {
        let variables = members.iter().flat_map(|(_, item)| item.variables.iter().cloned()).collect();
        let constant: Option<Map<_, _>> =
            members.iter().map(|(key, item)| Some((key.clone(), item.as_constant()?.clone()))).collect();
        if let Some(map) = constant {
            return Self::constant(Value::Object(map));
        }
        let members = members.into_iter().map(|(key, item)| (key, item.template)).collect();
        Self { template: Template::Object(members), variables }
    }

    /// A URI template, filled from the members of its input.
    pub(crate) const fn uri(parts: Vec<UriPart>) -> Self {
        Self { template: Template::Uri(parts), variables: BTreeSet::new() }
    }

    /// The value, when nothing needs evaluating.
    pub(crate) const fn as_constant(&self) -> Option<&Value> {
        match &self.template {
            Template::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The variables it takes from outside, without `$`.
    #[must_use]
    pub const fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether it can look at its input. One that can't is not lent it.
    pub(crate) fn reads_input(&self) -> bool {
        self.template.reads_input()
    }

    /// The constant texts inside, for the check on literal credentials.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.template.texts(&mut found);
        found
    }
}

impl Template {
    fn reads_input(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Jq(node) => node.reads_input(),
            Self::Array(items) => items.iter().any(Self::reads_input),
            Self::Object(members) => members.iter().any(|(_, item)| item.reads_input()),
            Self::Uri(_) => true,
        }
    }

    fn texts<'t>(&'t self, found: &mut Vec<&'t str>) {
        match self {
            Self::Constant(_) | Self::Uri(_) => {}
            Self::Jq(node) => node.texts(found),
            Self::Array(items) => items.iter().for_each(|item| item.texts(found)),
            Self::Object(members) => members.iter().for_each(|(_, item)| item.texts(found)),
        }
    }
}

/// Evaluates in-process. Pure, deterministic, and bounded in steps, memory and result: an expression
/// that goes past a bound ends with [`ExprError::Limit`]. The result depends on the canonical form of
/// what it was given only (RFC 8785), so that a replay from a journal gives the same.
///
/// An expression has exactly one result; none or several are an error.
///
/// # Errors
/// [`ExprError`].
pub fn evaluate(evaluation: &Evaluation) -> Result<Value, ExprError> {
    let evaluator = Evaluator { meter: Meter::new(), variables: &evaluation.variables };
    let value = fill(&evaluator, &evaluation.expression.template, &Item::Lent(&evaluation.input))?;
    fits(&value).map_err(|limit| ExprError::Limit(limit.to_owned()))?;
    Ok(value)
}

fn fill<'a>(evaluator: &Evaluator<'a>, template: &'a Template, input: &Item<'a>) -> Result<Value, ExprError> {
    match template {
        Template::Constant(value) => evaluator.meter.copy(value),
        Template::Jq(node) => {
            let mut items = evaluator.run(node, input, None).all()?;
            if let Some(limit) = evaluator.meter.exhausted() {
                return Err(limit);
            }
            match (items.pop(), items.len()) {
                (Some(item), 0) => evaluator.meter.own(item),
                (None, _) => {
                    Err(ExprError::Failed("the expression gave no value; it must give exactly one".to_owned()))
                }
                (Some(_), more) => Err(ExprError::Failed(format!(
                    "the expression gave {} values; it must give exactly one (collect them with [ ])",
                    more + 1
                ))),
            }
        }
        Template::Array(items) => {
            items.iter().map(|item| fill(evaluator, item, input)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Template::Uri(parts) => uri::expand(parts, input),
        Template::Object(members) => members
            .iter()
            .map(|(key, item)| Ok((key.clone(), fill(evaluator, item, input)?)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
    }
}

#[cfg(test)]
mod tests;
