//! Expressions, and values with expressions inside. An expression in the bounded subset of jq is *tame* and
//! evaluated in this process; any other is *wild* and evaluated by a process that can be killed.

mod builtin;
mod eval;
mod interpreter;
mod library;
mod node;
mod order;
mod parse;
mod uri;
mod value;
mod wild;

pub use interpreter::{Interpreter, Job};
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
use wild::Wild;

/// Why an expression has no value. Its text may quote what the expression gave to `error`, so it has the
/// labels of all the expression could see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ExprError {
    /// The expression failed on this data.
    #[error("{0}")]
    Failed(String),
    /// The expression went past a bound: steps, time, memory, recursion, value size or nesting.
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
    Wild(Wild),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
    Uri(Vec<UriPart>),
}

impl Expression {
    /// Compiles one bare expression.
    pub(crate) fn jq(text: &str, scope: &Scope) -> Result<Self, Vec<Refusal>> {
        let (template, variables) = match parse::parse(text, scope) {
            Ok((node, variables)) => (Template::Jq(node), variables),
            Err(refused) if parse::is_wild(&refused) => {
                let (wild, variables) = wild::check(text, scope)?;
                (Template::Wild(wild), variables)
            }
            Err(refused) => return Err(refused),
        };
        Ok(Self { template, variables })
    }

    /// Whether it, or an expression inside, is wild: then [`evaluate`] can't evaluate it.
    #[must_use]
    pub fn is_wild(&self) -> bool {
        self.template.is_wild()
    }

    /// Whether evaluating it is no more than copying what it names: nothing in it computes or repeats.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.template.is_quick()
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
    fn is_quick(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Jq(node) => node.is_quick(),
            Self::Wild(_) | Self::Uri(_) => false,
            Self::Array(items) => items.iter().all(Self::is_quick),
            Self::Object(members) => members.iter().all(|(_, item)| item.is_quick()),
        }
    }

    fn is_wild(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Jq(_) | Self::Uri(_) => false,
            Self::Wild(_) => true,
            Self::Array(items) => items.iter().any(Self::is_wild),
            Self::Object(members) => members.iter().any(|(_, item)| item.is_wild()),
        }
    }

    /// The wild expressions inside, in the order in which they are filled in.
    fn wild<'t>(&'t self, found: &mut Vec<&'t str>) {
        match self {
            Self::Constant(_) | Self::Jq(_) | Self::Uri(_) => {}
            Self::Wild(wild) => found.push(&wild.text),
            Self::Array(items) => items.iter().for_each(|item| item.wild(found)),
            Self::Object(members) => members.iter().for_each(|(_, item)| item.wild(found)),
        }
    }

    fn reads_input(&self) -> bool {
        match self {
            Self::Constant(_) => false,
            Self::Jq(node) => node.reads_input(),
            // Nobody has looked closely; when in doubt it can.
            Self::Wild(_) => true,
            Self::Array(items) => items.iter().any(Self::reads_input),
            Self::Object(members) => members.iter().any(|(_, item)| item.reads_input()),
            Self::Uri(_) => true,
        }
    }

    fn texts<'t>(&'t self, found: &mut Vec<&'t str>) {
        match self {
            Self::Constant(_) | Self::Uri(_) => {}
            Self::Jq(node) => node.texts(found),
            Self::Wild(wild) => found.extend(wild.texts.iter().map(String::as_str)),
            Self::Array(items) => items.iter().for_each(|item| item.texts(found)),
            Self::Object(members) => members.iter().for_each(|(_, item)| item.texts(found)),
        }
    }
}

/// The wild expressions of an evaluation with all they may see, for an [`Interpreter`] in another process;
/// `None` when there are none and [`evaluate`] does it all. The canonical form of the job (RFC 8785) is what
/// counts.
#[must_use]
pub fn job(evaluation: &Evaluation) -> Option<Job> {
    let mut expressions = Vec::new();
    evaluation.expression.template.wild(&mut expressions);
    (!expressions.is_empty()).then(|| Job {
        expressions: expressions.into_iter().map(str::to_owned).collect(),
        input: Value::clone(&evaluation.input),
        variables: evaluation.variables.iter().map(|(name, value)| (name.clone(), Value::clone(value))).collect(),
    })
}

/// Evaluates in-process. Pure, deterministic, and bounded in steps, memory and result: an expression
/// that goes past a bound ends with [`ExprError::Limit`]. The result depends on the canonical form of
/// what it was given only (RFC 8785), so that a replay from a journal gives the same.
///
/// An expression has exactly one result; none or several are an error. So is a wild expression: see
/// [`evaluate_with`].
///
/// # Errors
/// [`ExprError`].
pub fn evaluate(evaluation: &Evaluation) -> Result<Value, ExprError> {
    evaluate_with(evaluation, Vec::new())
}

/// As [`evaluate`], with the values of the wild expressions inside, in the order of [`job`].
///
/// # Errors
/// [`ExprError`]; also when a value is missing.
pub fn evaluate_with(evaluation: &Evaluation, wild: Vec<Value>) -> Result<Value, ExprError> {
    let mut filling = Filling {
        evaluator: Evaluator { meter: Meter::new(), variables: &evaluation.variables },
        wild: wild.into_iter(),
    };
    let value = filling.fill(&evaluation.expression.template, &Item::Lent(&evaluation.input))?;
    fits(&value).map_err(|limit| ExprError::Limit(limit.to_owned()))?;
    Ok(value)
}

struct Filling<'a> {
    evaluator: Evaluator<'a>,
    wild: std::vec::IntoIter<Value>,
}

impl<'a> Filling<'a> {
    fn fill(&mut self, template: &'a Template, input: &Item<'a>) -> Result<Value, ExprError> {
        match template {
            Template::Constant(value) => self.evaluator.meter.copy(value),
            Template::Wild(_) => self.wild.next().ok_or_else(|| {
                ExprError::Failed("this expression needs a process of its own, and there is none here".to_owned())
            }),
            Template::Jq(node) => self.one(node, input),
            Template::Uri(parts) => uri::expand(parts, input),
            Template::Array(items) => {
                items.iter().map(|item| self.fill(item, input)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Template::Object(members) => members
                .iter()
                .map(|(key, item)| Ok((key.clone(), self.fill(item, input)?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    fn one(&self, node: &'a Node, input: &Item<'a>) -> Result<Value, ExprError> {
        let mut items = self.evaluator.run(node, input, None).all()?;
        if let Some(limit) = self.evaluator.meter.exhausted() {
            return Err(limit);
        }
        match (items.pop(), items.len()) {
            (Some(item), 0) => self.evaluator.meter.own(item),
            (None, _) => Err(ExprError::Failed("the expression gave no value; it must give exactly one".to_owned())),
            (Some(_), more) => Err(ExprError::Failed(format!(
                "the expression gave {} values; it must give exactly one (collect them with [ ])",
                more + 1
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod wild_tests;
