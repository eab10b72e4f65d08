//! Conditions on messages: what an `asyncapi` subscription filters by, and how long it consumes.
//!
//! They hold or not for each message, while the call goes on, so they travel in the call's arguments: the text
//! of the expression, and the values of the variables it names, taken when the call begins.

use super::{
    compile::Compiler,
    components::short,
    reader::{Ptr, enclosed},
};
use crate::{
    expr::{ExprError, Expression, Scope, evaluate},
    machine::{EvalId, Evaluation},
};
use mandate_kernel::StepPath;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// A condition on a message, as the arguments of a call carry it: `{expression, variables}`.
#[derive(Debug)]
pub struct Predicate {
    expression: Arc<Expression>,
    variables: BTreeMap<String, Arc<Value>>,
}

impl Predicate {
    /// Reads one from arguments.
    ///
    /// # Errors
    /// What is wrong with it. The compiler makes none of that kind.
    pub fn of(value: &Value) -> Result<Self, String> {
        let text = value.get("expression").and_then(Value::as_str).ok_or("a condition needs `expression`, a text")?;
        let given = value.get("variables").and_then(Value::as_object);
        let variables: BTreeMap<String, Arc<Value>> =
            given.into_iter().flatten().map(|(name, value)| (name.clone(), Arc::new(value.clone()))).collect();
        let scope: Scope = variables.keys().cloned().collect();
        let expression = Expression::jq(text, &scope)
            .map_err(|refused| refused.first().map_or_else(String::new, |first| first.message.clone()))?;
        Ok(Self { expression: Arc::new(expression), variables })
    }

    /// Whether it holds for a message: unless it gives null or false.
    ///
    /// # Errors
    /// [`ExprError`] when the expression fails on the message.
    pub fn holds(&self, message: &Value) -> Result<bool, ExprError> {
        let verdict = evaluate(&Evaluation {
            id: EvalId(0),
            path: StepPath("/".to_owned()),
            expression: self.expression.clone(),
            input: Arc::new(message.clone()),
            variables: self.variables.clone(),
        })?;
        Ok(!matches!(verdict, Value::Null | Value::Bool(false)))
    }
}

impl Compiler<'_> {
    /// `{filter?, consume: {for?, amount | while | until}}`
    pub(super) fn subscription(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let map = self.reader.object(at, value)?;
        self.reader.keys(at, map, &["filter", "consume"], &["foreach"]);
        let filter = map.get("filter").map(|filter| self.predicate(at.key("filter"), filter, scope));
        let ptr = at.key("consume");
        let consume = self.reader.required(at, map, "consume").and_then(|value| self.reader.object(ptr, value))?;
        self.reader.keys(ptr, consume, &["for", "amount", "while", "until"], &[]);
        let mut present = ["amount", "while", "until"].into_iter().filter(|key| consume.contains_key(*key));
        let (Some(key), None) = (present.next(), present.next()) else {
            self.reader.report("flow.call", ptr, "this needs exactly one of amount, while, until", None);
            return None;
        };
        let mut inner = Vec::new();
        if let Some(span) = consume.get("for") {
            let span = self.reader.duration(ptr.key("for"), span)?;
            let span = Value::Object(Map::from_iter([("milliseconds".to_owned(), Value::from(span.as_millis()))]));
            inner.push(("for".to_owned(), Expression::constant(span)));
        }
        let limit = consume.get(key)?;
        if key == "amount" {
            if limit.as_u64().is_none_or(|amount| !(1..=10_000).contains(&amount)) {
                let why = "`amount` must be a whole number from 1 to 10000";
                self.reader.report("flow.limit", ptr.key(key), why, None);
            }
            inner.push((key.to_owned(), Expression::constant(limit.clone())));
        } else {
            inner.push((key.to_owned(), self.predicate(ptr.key(key), limit, scope)?));
        }
        inner.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut members = vec![("consume".to_owned(), Expression::object(inner))];
        if let Some(filter) = filter {
            members.push(("filter".to_owned(), filter?));
        }
        Some(Expression::object(members))
    }

    fn predicate(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let text = self.reader.text(at, value)?;
        let Some((_, inner)) = enclosed(text) else {
            let why = format!("`{}` is not an expression in ${{ }}", short(text));
            self.reader.report("flow.type", at, why, None);
            return None;
        };
        let read = self.reader.expression(at, value, scope)?;
        let variables: Option<Vec<_>> = read
            .variables()
            .iter()
            .map(|name| Some((name.clone(), Expression::jq(&format!("${name}"), scope).ok()?)))
            .collect();
        Some(Expression::object(vec![
            ("expression".to_owned(), Expression::constant(Value::String(inner.trim().to_owned()))),
            ("variables".to_owned(), Expression::object(variables?)),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn holds_for_messages_with_the_variables_of_the_call() {
        let given = json!({"expression": ".user == $context.user", "variables": {"context": {"user": "ann"}}});
        let predicate = Predicate::of(&given).unwrap();
        assert_eq!(predicate.holds(&json!({"user": "ann"})), Ok(true));
        assert_eq!(predicate.holds(&json!({"user": "bob"})), Ok(false));
        assert!(predicate.holds(&json!(["ann"])).is_err());
        for bad in [json!({}), json!({"expression": "$context"}), json!({"expression": ".a |"})] {
            assert!(Predicate::of(&bad).is_err(), "{bad}");
        }
    }
}
