//! Compiles `emit` and `listen`.

use super::{
    compile::{Compiler, with},
    reader::{Ptr, enclosed},
    task::{Check, EachEvent, EventMatch, Expect, Kind, Listen, Read, Strategy, Until},
};
use crate::expr::{Expression, Scope};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Filters of one task.
const MAX_FILTERS: usize = 50;

impl Compiler<'_> {
    /// `emit: {event: {with: …}}`
    pub(super) fn emit(&mut self, at: Ptr<'_>, body: &Value, scope: &Scope) -> Option<Kind> {
        let map = self.reader.object(at, body)?;
        self.reader.keys(at, map, &["event"], &[]);
        let ptr = at.key("event");
        let event = self.reader.required(at, map, "event").and_then(|event| self.reader.object(ptr, event))?;
        self.reader.keys(ptr, event, &["with"], &[]);
        let at = ptr.key("with");
        let with = self.reader.required(ptr, event, "with")?;
        let attributes = self.reader.object(at, with)?;
        self.reader.required(at, attributes, "type")?;
        self.reader.template(at, with, scope).map(|e| Kind::Emit(Arc::new(e)))
    }

    /// `listen: {to: …, read: …}` with `foreach`
    pub(super) fn listen(
        &mut self,
        ptr: Ptr<'_>,
        body: &Value,
        task: &Map<String, Value>,
        scope: &Scope,
    ) -> Option<Kind> {
        let at = ptr.key("listen");
        let map = self.reader.object(at, body)?;
        self.reader.keys(at, map, &["to", "read"], &[]);
        let read = match map.get("read").map(|value| self.reader.text(at.key("read"), value)) {
            None | Some(Some("data")) => Read::Data,
            Some(Some("envelope")) => Read::Envelope,
            Some(Some("raw")) => Read::Raw,
            Some(_) => {
                self.reader.report("flow.type", at.key("read"), "`read` is data, envelope or raw", None);
                return None;
            }
        };
        let to = at.key("to");
        let strategy = self.reader.required(at, map, "to").and_then(|value| self.reader.object(to, value))?;
        self.reader.keys(to, strategy, &["one", "any", "all", "until"], &[]);
        let (to_kind, filters) = self.strategy(to, strategy, scope)?;
        let until = match strategy.get("until") {
            None => None,
            Some(_) if to_kind != Strategy::Any => {
                self.reader.report_key("flow.listen", to.key("until"), "`until` belongs to `any`", None);
                None
            }
            Some(value @ Value::String(_)) => {
                Some(Until::Holds(self.reader.expression(to.key("until"), value, scope)?))
            }
            Some(value) => {
                let until = to.key("until");
                let inner = self.reader.object(until, value)?;
                self.reader.keys(until, inner, &["one", "any"], &["all", "until"]);
                let (_, filters) = self.strategy(until, inner, scope)?;
                if filters.is_empty() {
                    self.reader.report("flow.listen", until, "`until` names at least one event", None);
                }
                Some(Until::Consumed(filters))
            }
        };
        let each = match task.get("foreach") {
            None => None,
            Some(value) => Some(self.each_event(ptr.key("foreach"), value, scope)?),
        };
        Some(Kind::Listen(Box::new(Listen { to: to_kind, filters, until, read, each })))
    }

    fn strategy(
        &mut self,
        at: Ptr<'_>,
        map: &Map<String, Value>,
        scope: &Scope,
    ) -> Option<(Strategy, Vec<EventMatch>)> {
        let mut present = ["one", "any", "all"].into_iter().filter(|key| map.contains_key(*key));
        let (Some(key), None) = (present.next(), present.next()) else {
            self.reader.report("flow.listen", at, "this is exactly one of one, any, all", None);
            return None;
        };
        let ptr = at.key(key);
        let value = map.get(key)?;
        if key == "one" {
            return Some((Strategy::One, vec![self.event_match(ptr, value, scope)?]));
        }
        let items = self.reader.list(ptr, value)?;
        if items.len() > MAX_FILTERS || (key == "all" && items.is_empty()) {
            let why = format!("`{key}` names up to {MAX_FILTERS} events, and `all` at least one");
            self.reader.report("flow.limit", ptr, why, None);
            return None;
        }
        let filters: Vec<_> =
            items.iter().enumerate().filter_map(|(i, item)| self.event_match(ptr.index(i), item, scope)).collect();
        let strategy = if key == "any" { Strategy::Any } else { Strategy::All };
        (filters.len() == items.len()).then_some((strategy, filters))
    }

    /// `{with: …, correlate: …}`
    fn event_match(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<EventMatch> {
        let map = self.reader.object(at, value)?;
        self.reader.keys(at, map, &["with", "correlate"], &[]);
        let ptr = at.key("with");
        let attributes = self.reader.required(at, map, "with").and_then(|value| self.reader.object(ptr, value))?;
        if attributes.is_empty() {
            self.reader.report("flow.type", ptr, "an event filter names at least one attribute", None);
        }
        let mut checks = Vec::new();
        for (attribute, value) in attributes {
            let attribute = attribute.clone();
            let at = ptr.key(&attribute);
            if value.as_str().is_some_and(|text| enclosed(text).is_some()) {
                let holds = self.reader.expression(at, value, scope)?;
                checks.push(Check::Holds { attribute: attribute.clone(), holds });
                continue;
            }
            match self.reader.template(at, value, scope)?.as_constant() {
                Some(value) => checks.push(Check::Equal { value: value.clone(), attribute: attribute.clone() }),
                None => self.reader.unsupported(at, "an expression inside of an attribute"),
            }
        }
        // What is compared costs nothing; what is evaluated comes after.
        checks.sort_by_key(|check| !matches!(check, Check::Equal { .. }));
        if let Some(correlations) = map.get("correlate") {
            let ptr = at.key("correlate");
            for (name, correlation) in self.reader.object(ptr, correlations)? {
                let check = self.correlation(ptr.key(name), correlation, scope)?;
                checks.push(check);
            }
        }
        Some(EventMatch { checks })
    }

    fn correlation(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Check> {
        let map = self.reader.object(at, value)?;
        self.reader.keys(at, map, &["from", "expect"], &[]);
        let from = self.reader.required(at, map, "from")?;
        let from = self.bare(at.key("from"), from, scope)?;
        let (expect, values) = match map.get("expect") {
            None => (Expect::First, vec![from]),
            Some(expect) => (Expect::Given, vec![from, self.reader.template(at.key("expect"), expect, scope)?]),
        };
        Some(Check::Correlates { values: Arc::new(Expression::array(values)), expect })
    }

    /// An expression, with or without `${ }`.
    fn bare(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<Expression> {
        let text = self.reader.text(at, value)?;
        if enclosed(text).is_some() {
            return self.reader.template(at, value, scope);
        }
        self.reader.template(at, &Value::String(format!("${{ {text} }}")), scope)
    }

    fn each_event(&mut self, at: Ptr<'_>, value: &Value, scope: &Scope) -> Option<EachEvent> {
        let map = self.reader.object(at, value)?;
        self.reader.keys(at, map, &["item", "at", "do", "output"], &["export"]);
        let item = self.variable(at.key("item"), map.get("item"), "item");
        let index = self.variable(at.key("at"), map.get("at"), "index");
        if item == index {
            self.reader.report("flow.variable", at, "`item` and `at` are the same variable", None);
        }
        let inner = with(scope, &[&item, &index]);
        let shape = match map.get("output") {
            None => None,
            Some(output) => {
                let ptr = at.key("output");
                let output = self.reader.object(ptr, output)?;
                self.reader.keys(ptr, output, &["as"], &["schema"]);
                output.get("as").and_then(|value| self.reader.shape(ptr.key("as"), value, &inner))
            }
        };
        let block = self.reader.required(at, map, "do").and_then(|tasks| self.block(at.key("do"), tasks, &inner))?;
        Some(EachEvent { item, at: index, block, shape })
    }
}
