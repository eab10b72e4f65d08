//! Which events start a workflow: `schedule.on`.

use super::{
    compile::{Compiler, with},
    reader::{Ptr, enclosed},
};
use crate::{
    expr::{ExprError, Expression, Scope, evaluate},
    machine::{EvalId, Evaluation},
};
use mandate_kernel::{StepPath, canonical_json};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// How many of the events must have been received.
#[derive(Debug)]
pub enum EventStrategy {
    /// One that fits.
    One(EventFilter),
    /// One that fits any of them; any event at all when there are none.
    Any(Vec<EventFilter>),
    /// One for each.
    All(Vec<EventFilter>),
}

/// Attributes that an event must have.
#[derive(Debug)]
pub struct EventFilter {
    with: BTreeMap<String, Matcher>,
}

#[derive(Debug)]
enum Matcher {
    Equal(Value),
    Holds(Arc<Expression>),
}

impl EventFilter {
    /// The type an event must have, where it is written out: what one may look events up by.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        match self.with.get("type") {
            Some(Matcher::Equal(Value::String(name))) => Some(name),
            _ => None,
        }
    }

    /// Whether an event (its attributes, and `data`) fits. A literal must be equal; an expression sees the
    /// attribute and must not give null or false.
    ///
    /// # Errors
    /// [`ExprError`] when an expression fails on the event.
    pub fn fits(&self, event: &Value) -> Result<bool, ExprError> {
        for (name, matcher) in &self.with {
            let value = event.get(name).unwrap_or(&Value::Null);
            let fits = match matcher {
                Matcher::Equal(wanted) => {
                    matches!((canonical_json(wanted), canonical_json(value)), (Ok(a), Ok(b)) if a == b)
                }
                Matcher::Holds(expression) => {
                    let verdict = evaluate(&Evaluation {
                        id: EvalId(0),
                        path: StepPath("/".to_owned()),
                        expression: expression.clone(),
                        input: Arc::new(value.clone()),
                        variables: BTreeMap::new(),
                    })?;
                    !matches!(verdict, Value::Null | Value::Bool(false))
                }
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Compiler<'_> {
    pub(super) fn occasion(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<EventStrategy> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["one", "any", "all"], &["until"]);
        let mut members = map.iter().filter(|(key, _)| *key != "until");
        let (Some((key, value)), None) = (members.next(), members.next()) else {
            self.reader.report("flow.schedule", ptr, "`on` is exactly one of one, any, all", None);
            return None;
        };
        let at = ptr.key(key);
        if key == "one" {
            return self.event_filter(at, value).map(EventStrategy::One);
        }
        let items = self.reader.list(at, value)?;
        let filters: Option<Vec<_>> =
            items.iter().enumerate().map(|(i, item)| self.event_filter(at.index(i), item)).collect();
        match key.as_str() {
            "any" => filters.map(EventStrategy::Any),
            "all" if items.is_empty() => {
                self.reader.report("flow.schedule", at, "`all` needs at least one event", None);
                None
            }
            "all" => filters.map(EventStrategy::All),
            _ => None,
        }
    }

    fn event_filter(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<EventFilter> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["with"], &["correlate"]);
        let wanted = self.reader.required(ptr, map, "with")?;
        let at = ptr.key("with");
        let wanted = self.reader.object(at, wanted)?;
        if wanted.is_empty() {
            self.reader.report("flow.type", at, "an event filter names at least one attribute", None);
        }
        let scope = with(&Scope::new(), &[]);
        let mut found = BTreeMap::new();
        for (name, value) in wanted {
            let at = at.key(name);
            let matcher = if value.as_str().is_some_and(|text| enclosed(text).is_some()) {
                Matcher::Holds(self.reader.expression(at, value, &scope)?)
            } else {
                self.reader.template(at, value, &scope)?.as_constant().cloned().map(Matcher::Equal).or_else(|| {
                    self.reader.unsupported(at, "an expression inside of an attribute");
                    None
                })?
            };
            found.insert(name.clone(), matcher);
        }
        Some(EventFilter { with: found })
    }
}
