//! The functions of the closed list.

use super::{
    ExprError,
    eval::{Env, Evaluator, Outs},
    node::{Builtin, Math, Node},
    value::{Fail, Item, Num, array, float, kind, number, sorted, truthy},
};
use serde_json::{Map, Value};
use std::cmp::Ordering;

/// Levels that `flatten` opens.
const FLATTEN_DEPTH: usize = 128;

pub(super) fn wrong<T>(function: &str, value: &Value) -> Fail<T> {
    Err(ExprError::Failed(format!("{function} does not apply to {}", kind(value))))
}

impl<'a> Evaluator<'a> {
    pub(super) fn call(&self, builtin: Builtin, args: &'a [Node], input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        match args {
            [] => self.nullary(builtin, input),
            [f] => self.unary(builtin, f, input, env),
            [f, g] => self.binary(builtin, f, g, input, env),
            [from, to, by] => self.run(from, input, env).then(|from| {
                self.run(to, input, env).then(|to| self.run(by, input, env).then(|by| self.range(&from, &to, &by)))
            }),
            _ => Outs::default(),
        }
    }

    fn nullary(&self, builtin: Builtin, input: &Item<'a>) -> Outs<'a> {
        match builtin {
            Builtin::Empty => Outs::default(),
            Builtin::Error => Outs::fail(self.raised(input)),
            Builtin::Values if input.is_null() => Outs::default(),
            Builtin::Values => Outs { items: vec![input.clone()], error: None },
            Builtin::First | Builtin::Last => self.end(builtin, input).into(),
            Builtin::Min | Builtin::Max => self
                .keyed(input, |item| Outs { items: vec![item.clone()], error: None })
                .and_then(|keyed| self.extreme(keyed, builtin == Builtin::Max))
                .into(),
            Builtin::Not => Outs::one(!truthy(input)),
            Builtin::Type => Outs::one(kind(input)),
            Builtin::Length => self.length(input).into(),
            Builtin::ToString => self.meter.to_text(input).into(),
            Builtin::ToNumber => to_number(input).into(),
            Builtin::Floor => rounded(input, f64::floor).into(),
            Builtin::Ceil => rounded(input, f64::ceil).into(),
            Builtin::Round => rounded(input, f64::round).into(),
            Builtin::Abs => absolute(input).into(),
            Builtin::Downcase => self.cased(input, str::to_ascii_lowercase).into(),
            Builtin::Upcase => self.cased(input, str::to_ascii_uppercase).into(),
            Builtin::Add => self.each(input.clone()).and_then(|items| self.sum(items)).into(),
            Builtin::All => self.quantified(self.members(input), false),
            Builtin::Any => self.quantified(self.members(input), true),
            Builtin::Keys => self.keys(input).into(),
            Builtin::ToEntries => self.to_entries(input).into(),
            Builtin::FromEntries => self.object_of(self.members(input)).into(),
            Builtin::Flatten => self.flatten(input).into(),
            Builtin::Reverse => self.reverse(input).into(),
            Builtin::Sort => self.sorted_by(input, |item| Outs { items: vec![item.clone()], error: None }).into(),
            Builtin::Unique => self
                .groups(input, |item| Outs { items: vec![item.clone()], error: None })
                .and_then(|g| self.firsts(g))
                .into(),
            _ => Outs::default(),
        }
    }

    fn unary(&self, builtin: Builtin, f: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let on = |item: &Item<'a>| self.run(f, item, env);
        match builtin {
            Builtin::Select => on(input).then(|verdict| {
                if truthy(&verdict) { Outs { items: vec![input.clone()], error: None } } else { Outs::default() }
            }),
            Builtin::Map => self.collect(self.members(input).then(|item| on(&item))).into(),
            Builtin::MapValues => self.map_values(input, on).into(),
            Builtin::WithEntries => self
                .to_entries(input)
                .and_then(|entries| self.object_of(self.members(&Item::from(entries)).then(|item| on(&item))))
                .into(),
            Builtin::AddOf => on(input).all().and_then(|items| self.sum(items)).into(),
            Builtin::AllOf => self.quantified(self.members(input).then(|item| on(&item)), false),
            Builtin::AnyOf => self.quantified(self.members(input).then(|item| on(&item)), true),
            Builtin::FirstOf => {
                let mut outs = on(input);
                outs.items.truncate(1);
                if !outs.items.is_empty() {
                    outs.error = self.meter.exhausted();
                }
                outs
            }
            Builtin::LastOf => match on(input).all() {
                Ok(mut items) => Outs { items: items.pop().into_iter().collect(), error: None },
                Err(error) => Outs::fail(error),
            },
            Builtin::MinBy | Builtin::MaxBy => {
                self.keyed(input, on).and_then(|keyed| self.extreme(keyed, builtin == Builtin::MaxBy)).into()
            }
            Builtin::SortBy => self.sorted_by(input, on).into(),
            Builtin::GroupBy => self.groups(input, on).and_then(|groups| self.grouped(groups)).into(),
            Builtin::UniqueBy => self.groups(input, on).and_then(|groups| self.firsts(groups)).into(),
            Builtin::Range => on(input).then(|to| self.range(&Value::from(0), &to, &Value::from(1))),
            Builtin::ErrorOf => on(input).then(|message| Outs::fail(self.raised(&message))),
            Builtin::Has => on(input).then(|key| has(input, &key).into()),
            Builtin::Contains => on(input).then(|part| self.contains(input, &part, true).into()),
            Builtin::StartsWith => on(input).then(|part| affix(input, &part, |t, p| t.starts_with(p)).into()),
            Builtin::EndsWith => on(input).then(|part| affix(input, &part, |t, p| t.ends_with(p)).into()),
            Builtin::Join => on(input).then(|separator| self.join(input, &separator).into()),
            Builtin::Split => on(input).then(|separator| match (&**input, &*separator) {
                (Value::String(text), Value::String(separator)) => self.meter.split(text, separator).into(),
                (other, _) => wrong::<Value>("split", other).into(),
            }),
            _ => Outs::default(),
        }
    }

    fn binary(&self, builtin: Builtin, f: &'a Node, g: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        match builtin {
            Builtin::AllIn => self.quantified(self.run(f, input, env).then(|item| self.run(g, &item, env)), false),
            Builtin::AnyIn => self.quantified(self.run(f, input, env).then(|item| self.run(g, &item, env)), true),
            Builtin::RangeFrom => self
                .run(f, input, env)
                .then(|from| self.run(g, input, env).then(|to| self.range(&from, &to, &Value::from(1)))),
            Builtin::Limit => self.run(f, input, env).then(|count| match &*count {
                Value::Number(n) => {
                    let count = number(n).float().max(0.0);
                    let mut outs = if count > 0.0 { self.run(g, input, env) } else { Outs::default() };
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "saturates, and is not negative"
                    )]
                    let count = count.ceil() as usize;
                    if outs.items.len() >= count {
                        outs.items.truncate(count);
                        outs.error = self.meter.exhausted();
                    }
                    outs
                }
                other => wrong::<Value>("limit", other).into(),
            }),
            _ => Outs::default(),
        }
    }

    fn members(&self, input: &Item<'a>) -> Outs<'a> {
        match self.each(input.clone()) {
            Ok(items) => Outs { items, error: None },
            Err(error) => Outs::fail(error),
        }
    }

    fn raised(&self, message: &Value) -> ExprError {
        match self.meter.to_text(message) {
            Ok(text) => ExprError::Failed(text.chars().take(500).collect()),
            Err(error) => error,
        }
    }

    fn end(&self, builtin: Builtin, input: &Item<'a>) -> Fail<Value> {
        match &**input {
            Value::Null => Ok(Value::Null),
            Value::Array(items) => {
                let item = if builtin == Builtin::First { items.first() } else { items.last() };
                item.map_or(Ok(Value::Null), |item| self.meter.copy(item))
            }
            other => wrong("first or last", other),
        }
    }

    fn length(&self, input: &Value) -> Fail<Value> {
        match input {
            Value::Null => Ok(0.into()),
            Value::Number(_) => absolute(input),
            Value::String(text) => {
                self.meter.steps(text.len() / 64)?;
                Ok(text.chars().count().into())
            }
            Value::Array(items) => Ok(items.len().into()),
            Value::Object(map) => Ok(map.len().into()),
            Value::Bool(_) => wrong("length", input),
        }
    }

    fn cased(&self, input: &Value, f: impl Fn(&str) -> String) -> Fail<Value> {
        let Value::String(text) = input else { return wrong("a change of case", input) };
        self.meter.text(text.len())?;
        Ok(Value::String(f(text)))
    }

    fn sum(&self, items: Vec<Item<'a>>) -> Fail<Value> {
        let mut total = Value::Null;
        for item in items {
            total = match (total, &*item) {
                (Value::String(mut text), Value::String(more)) => {
                    self.meter.text(more.len())?;
                    text.push_str(more);
                    Value::String(text)
                }
                (total, _) => self.meter.math(Math::Add, Item::from(total), item)?,
            };
        }
        Ok(total)
    }

    /// `any` when `decided` is true, `all` when it is false.
    fn quantified(&self, outs: Outs<'a>, decided: bool) -> Outs<'a> {
        if outs.items.iter().any(|item| truthy(item) == decided) && self.meter.exhausted().is_none() {
            return Outs::one(decided);
        }
        outs.error.map_or_else(|| Outs::one(!decided), Outs::fail)
    }

    fn keys(&self, input: &Value) -> Fail<Value> {
        match input {
            Value::Object(map) => sorted(map)
                .into_iter()
                .map(|(key, _)| self.meter.text(key.len()).map(|()| Value::String(key.clone())))
                .collect::<Fail<Vec<_>>>()
                .map(Value::Array),
            Value::Array(items) => {
                self.meter.cells(items.len())?;
                Ok((0..items.len()).collect())
            }
            other => wrong("keys", other),
        }
    }

    fn to_entries(&self, input: &Value) -> Fail<Value> {
        let Value::Object(map) = input else { return wrong("to_entries", input) };
        let entry = |(key, value): (&String, &Value)| {
            self.meter.text(key.len() + 64)?;
            let members = [("key", Value::String(key.clone())), ("value", self.meter.copy(value)?)];
            Ok(Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
        };
        sorted(map).into_iter().map(entry).collect::<Fail<Vec<_>>>().map(Value::Array)
    }

    fn object_of(&self, entries: Outs<'a>) -> Fail<Value> {
        let mut map = Map::new();
        for entry in entries.all()? {
            let Value::Object(members) = &*entry else { return wrong("from_entries", &entry) };
            let Some(Value::String(key)) = members.get("key") else {
                return Err(ExprError::Failed("from_entries needs a text as each `key`".to_owned()));
            };
            self.meter.text(key.len())?;
            map.insert(key.clone(), self.meter.copy(members.get("value").unwrap_or(&Value::Null))?);
        }
        Ok(Value::Object(map))
    }

    fn map_values(&self, input: &Item<'a>, f: impl Fn(&Item<'a>) -> Outs<'a>) -> Fail<Value> {
        match &**input {
            Value::Array(_) => self.collect(self.members(input).then(|item| f(&item))),
            Value::Object(map) => {
                let mut mapped = Map::new();
                let keys = sorted(map).into_iter().map(|(key, _)| key.clone());
                for (key, item) in keys.zip(self.each(input.clone())?) {
                    self.meter.text(key.len())?;
                    let outs = f(&item);
                    match (outs.items.into_iter().next(), outs.error) {
                        (Some(first), _) => {
                            mapped.insert(key, self.meter.own(first)?);
                        }
                        (None, Some(error)) => return Err(error),
                        (None, None) => {}
                    }
                }
                Ok(Value::Object(mapped))
            }
            other => wrong("map_values", other),
        }
    }

    fn flatten(&self, input: &Value) -> Fail<Value> {
        let Value::Array(items) = input else { return wrong("flatten", input) };
        let mut flat = Vec::new();
        self.flatten_into(items, FLATTEN_DEPTH, &mut flat)?;
        Ok(Value::Array(flat))
    }

    fn flatten_into(&self, items: &[Value], depth: usize, flat: &mut Vec<Value>) -> Fail<()> {
        for item in items {
            self.meter.steps(1)?;
            match (item, depth.checked_sub(1)) {
                (Value::Array(inner), Some(below)) => self.flatten_into(inner, below, flat)?,
                (other, _) => flat.push(self.meter.copy(other)?),
            }
        }
        Ok(())
    }

    fn reverse(&self, input: &Item<'a>) -> Fail<Value> {
        match &**input {
            Value::Null => Ok(Value::Array(Vec::new())),
            Value::Array(_) => {
                let mut items = array(self.meter.own(input.clone())?);
                items.reverse();
                Ok(Value::Array(items))
            }
            other => wrong("reverse", other),
        }
    }

    fn join(&self, input: &Item<'a>, separator: &Value) -> Fail<Value> {
        let Value::String(separator) = separator else { return wrong("join", separator) };
        let mut joined = String::new();
        for (i, item) in self.each(input.clone())?.into_iter().enumerate() {
            let piece = match &*item {
                Value::Null => String::new(),
                Value::Array(_) | Value::Object(_) => return wrong("join", &item),
                _ => self.meter.to_text(&item)?,
            };
            self.meter.text(separator.len() + piece.len())?;
            if i > 0 {
                joined.push_str(separator);
            }
            joined.push_str(&piece);
        }
        Ok(Value::String(joined))
    }

    fn contains(&self, whole: &Value, part: &Value, outermost: bool) -> Fail<bool> {
        self.meter.steps(1)?;
        match (whole, part) {
            (Value::String(whole), Value::String(part)) => {
                self.meter.steps(whole.len() / 16)?;
                Ok(whole.contains(part.as_str()))
            }
            (Value::Array(whole), Value::Array(parts)) => {
                for part in parts {
                    let mut found = false;
                    for item in whole {
                        found = found || self.contains(item, part, false)?;
                    }
                    if !found {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Object(whole), Value::Object(parts)) => {
                for (key, part) in sorted(parts) {
                    let Some(item) = whole.get(key) else { return Ok(false) };
                    if !self.contains(item, part, false)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (whole, part) if outermost && std::mem::discriminant(whole) != std::mem::discriminant(part) => {
                Err(ExprError::Failed(format!("{} can't contain {}", kind(whole), kind(part))))
            }
            (whole, part) => Ok(self.meter.compare(whole, part)? == Ordering::Equal),
        }
    }

    fn range(&self, from: &Value, to: &Value, by: &Value) -> Outs<'a> {
        let (Value::Number(from), Value::Number(to), Value::Number(by)) = (from, to, by) else {
            return wrong::<Value>("range", [from, to, by].into_iter().find(|v| !v.is_number()).unwrap_or(from)).into();
        };
        let (mut at, to, by) = (number(from), number(to).float(), number(by));
        let mut outs = Outs::default();
        loop {
            let (here, step) = (at.float(), by.float());
            if (step >= 0.0 && here >= to) || (step < 0.0 && here <= to) {
                return outs;
            }
            let next = self.meter.cells(1).and_then(|()| float(here)).map(|item| outs.items.push(Item::from(item)));
            if let Err(error) = next {
                outs.error = Some(error);
                return outs;
            }
            at = match (at, by) {
                (Num::Int(a), Num::Int(b)) => Num::Int(a.saturating_add(b)),
                _ => Num::Float(here + step),
            };
        }
    }
}

fn to_number(input: &Value) -> Fail<Value> {
    match input {
        Value::Number(_) => Ok(input.clone()),
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Number(n)) => Ok(Value::Number(n)),
            _ => Err(ExprError::Failed("tonumber was given a text that is not a number".to_owned())),
        },
        other => wrong("tonumber", other),
    }
}

fn rounded(input: &Value, f: impl Fn(f64) -> f64) -> Fail<Value> {
    match input {
        Value::Number(n) => float(f(number(n).float())),
        other => wrong("rounding", other),
    }
}

fn absolute(input: &Value) -> Fail<Value> {
    match input {
        Value::Number(n) => match number(n) {
            Num::Int(n) => Ok(n.abs().into()),
            Num::Float(x) => float(x.abs()),
        },
        other => wrong("abs", other),
    }
}

fn has(input: &Value, key: &Value) -> Fail<bool> {
    match (input, key) {
        (Value::Object(map), Value::String(name)) => Ok(map.contains_key(name)),
        (Value::Array(items), Value::Number(n)) => {
            Ok(matches!(number(n), Num::Int(n) if usize::try_from(n).is_ok_and(|at| at < items.len())))
        }
        (other, _) => wrong("has", other),
    }
}

fn affix(input: &Value, part: &Value, f: impl Fn(&str, &str) -> bool) -> Fail<bool> {
    match (input, part) {
        (Value::String(text), Value::String(part)) => Ok(f(text, part)),
        (Value::String(_), other) | (other, _) => wrong("startswith or endswith", other),
    }
}
