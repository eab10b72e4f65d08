//! The evaluator: each node gives a stream of items, collected at once. Its recursion follows the
//! syntax tree, which the parser bounds; its work is bounded by the [`Meter`].

use super::{
    ExprError,
    node::{Compare, Node, Part, TextPart},
    value::{Fail, Item, Meter, Num, kind, number, sorted, truthy},
};
use serde_json::{Map, Value};
use std::{cmp::Ordering, collections::BTreeMap, rc::Rc, sync::Arc};

/// What a node gave: items in order, and the error that ended the stream, if one did.
#[derive(Debug, Default)]
pub(super) struct Outs<'a> {
    pub(super) items: Vec<Item<'a>>,
    pub(super) error: Option<ExprError>,
}

impl<'a> Outs<'a> {
    pub(super) fn one(item: impl Into<Item<'a>>) -> Self {
        Self { items: vec![item.into()], error: None }
    }

    pub(super) fn fail(error: ExprError) -> Self {
        Self { items: Vec::new(), error: Some(error) }
    }

    /// All items, or the error.
    pub(super) fn all(self) -> Fail<Vec<Item<'a>>> {
        match self.error {
            None => Ok(self.items),
            Some(error) => Err(error),
        }
    }

    /// The stream of streams, ended by the first error.
    pub(super) fn then(self, mut f: impl FnMut(Item<'a>) -> Self) -> Self {
        let mut out = Self::default();
        for item in self.items {
            let mut next = f(item);
            out.items.append(&mut next.items);
            if next.error.is_some() {
                out.error = next.error;
                return out;
            }
        }
        out.error = self.error;
        out
    }
}

impl<'a, T: Into<Item<'a>>> From<Fail<T>> for Outs<'a> {
    fn from(result: Fail<T>) -> Self {
        result.map_or_else(Self::fail, Self::one)
    }
}

/// A variable bound by `as`, and those bound around it.
pub(super) struct Bound<'e, 'a> {
    name: &'a str,
    item: Item<'a>,
    outer: Env<'e, 'a>,
}

/// The innermost binding, if any.
pub(super) type Env<'e, 'a> = Option<&'e Bound<'e, 'a>>;

/// One evaluation.
pub(super) struct Evaluator<'a> {
    pub(super) meter: Meter,
    pub(super) variables: &'a BTreeMap<String, Arc<Value>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn run(&self, node: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        if let Err(limit) = self.meter.steps(1) {
            return Outs::fail(limit);
        }
        match node {
            Node::Identity => Outs { items: vec![input.clone()], error: None },
            Node::Literal(value) => Outs { items: vec![Item::Lent(value)], error: None },
            Node::Text(parts) => self.text(parts, input, env),
            Node::Array(items) => self.collect(self.run(items, input, env)).into(),
            Node::Object(entries) => self.object(entries, input, env),
            Node::Negate(inner) => self.run(inner, input, env).then(|item| negate(&item).into()),
            Node::Pipe(left, right) => self.run(left, input, env).then(|item| self.run(right, &item, env)),
            Node::Bind(source, name, body) => {
                self.run(source, input, env).then(|item| self.run(body, input, Some(&Bound { name, item, outer: env })))
            }
            Node::Comma(left, right) => self.comma(left, right, input, env),
            Node::Alternative(left, right) => self.alternative(left, right, input, env),
            Node::Or(left, right) => self.logic(true, left, right, input, env),
            Node::And(left, right) => self.logic(false, left, right, input, env),
            Node::Math(op, left, right) => {
                self.pairs(left, right, input, env, |a, b| self.meter.math(*op, a, b).map(Item::from))
            }
            Node::Compare(op, left, right) => self.pairs(left, right, input, env, |a, b| {
                self.meter.compare(&a, &b).map(|order| Item::from(holds(*op, order)))
            }),
            Node::Optional(inner) => Outs { error: self.meter.exhausted(), ..self.run(inner, input, env) },
            Node::If(branches, otherwise) => self.branch(branches, otherwise.as_deref(), input, env),
            Node::Variable(name) => self.variable(name, env),
            Node::Path(head, parts) => self.path(head, parts, input, env),
            Node::Call(builtin, args) => self.call(*builtin, args, input, env),
        }
    }

    fn variable(&self, name: &str, mut env: Env<'_, 'a>) -> Outs<'a> {
        while let Some(bound) = env {
            if bound.name == name {
                return Outs { items: vec![bound.item.clone()], error: None };
            }
            env = bound.outer;
        }
        self.variables.get(name).map_or_else(
            || Outs::fail(ExprError::Failed(format!("${name} was not given"))),
            |value| Outs { items: vec![Item::Lent(value)], error: None },
        )
    }

    /// An array of a stream.
    pub(super) fn collect(&self, outs: Outs<'a>) -> Fail<Value> {
        let items = outs.all()?;
        self.meter.cells(1)?;
        items.into_iter().map(|item| self.meter.own(item)).collect::<Fail<Vec<_>>>().map(Value::Array)
    }

    fn text(&self, parts: &'a [TextPart], input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let mut texts = vec![String::new()];
        for part in parts {
            let pieces = match part {
                TextPart::Plain(text) => Ok(vec![text.clone()]),
                TextPart::Hole(node) => self
                    .run(node, input, env)
                    .all()
                    .and_then(|items| items.iter().map(|item| self.meter.to_text(item)).collect()),
            };
            let longer = pieces.and_then(|pieces| {
                let mut longer = Vec::new();
                for text in &texts {
                    for piece in &pieces {
                        self.meter.text(text.len() + piece.len())?;
                        longer.push(format!("{text}{piece}"));
                    }
                }
                Ok(longer)
            });
            match longer {
                Ok(longer) => texts = longer,
                Err(error) => return Outs::fail(error),
            }
        }
        Outs { items: texts.into_iter().map(Item::from).collect(), error: None }
    }

    fn object(&self, entries: &'a [(Node, Node)], input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let mut maps = vec![Map::new()];
        for (key, value) in entries {
            match self.widen(maps, self.run(key, input, env), self.run(value, input, env)) {
                Ok(wider) => maps = wider,
                Err(error) => return Outs::fail(error),
            }
        }
        Outs { items: maps.into_iter().map(|map| Item::from(Value::Object(map))).collect(), error: None }
    }

    fn widen(
        &self,
        mut maps: Vec<Map<String, Value>>,
        keys: Outs<'a>,
        values: Outs<'a>,
    ) -> Fail<Vec<Map<String, Value>>> {
        let (keys, values) = (keys.all()?, values.all()?);
        let name = |key: &Item<'a>| match &**key {
            Value::String(name) => self.meter.text(name.len()).map(|()| name.clone()),
            other => Err(ExprError::Failed(format!("a key must be text, not {}", kind(other)))),
        };
        if let ([map], [key], [value]) = (maps.as_mut_slice(), keys.as_slice(), values.as_slice()) {
            map.insert(name(key)?, self.meter.copy(value)?);
            return Ok(maps);
        }
        let mut wider = Vec::new();
        for map in &maps {
            for key in &keys {
                for value in &values {
                    self.meter.weigh_members(map)?;
                    let mut next = map.clone();
                    next.insert(name(key)?, self.meter.copy(value)?);
                    wider.push(next);
                }
            }
        }
        Ok(wider)
    }

    fn comma(&self, left: &'a Node, right: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let mut outs = self.run(left, input, env);
        if outs.error.is_none() {
            let mut more = self.run(right, input, env);
            if let Err(limit) = self.meter.cells(more.items.len()) {
                return Outs::fail(limit);
            }
            outs.items.append(&mut more.items);
            outs.error = more.error;
        }
        outs
    }

    fn alternative(&self, left: &'a Node, right: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let mut outs = self.run(left, input, env);
        if let Some(limit) = self.meter.exhausted() {
            return Outs::fail(limit);
        }
        outs.items.retain(|item| truthy(item));
        outs.error = None;
        if outs.items.is_empty() { self.run(right, input, env) } else { outs }
    }

    /// `or` when `decided` is true, `and` when it is false: the value at which the right side is not
    /// looked at.
    fn logic(&self, decided: bool, left: &'a Node, right: &'a Node, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        self.run(left, input, env).then(|item| {
            if truthy(&item) == decided {
                Outs::one(decided)
            } else {
                self.run(right, input, env).then(|item| Outs::one(truthy(&item)))
            }
        })
    }

    fn pairs(
        &self,
        left: &'a Node,
        right: &'a Node,
        input: &Item<'a>,
        env: Env<'_, 'a>,
        f: impl Fn(Item<'a>, Item<'a>) -> Fail<Item<'a>>,
    ) -> Outs<'a> {
        self.run(left, input, env).then(|a| {
            self.run(right, input, env).then(|b| match f(a.clone(), b) {
                Ok(item) => Outs { items: vec![item], error: None },
                Err(error) => Outs::fail(error),
            })
        })
    }

    fn branch(
        &self,
        branches: &'a [(Node, Node)],
        otherwise: Option<&'a Node>,
        input: &Item<'a>,
        env: Env<'_, 'a>,
    ) -> Outs<'a> {
        match (branches.split_first(), otherwise) {
            (Some(((condition, then), rest)), _) => self.run(condition, input, env).then(|item| {
                if truthy(&item) { self.run(then, input, env) } else { self.branch(rest, otherwise, input, env) }
            }),
            (None, Some(node)) => self.run(node, input, env),
            (None, None) => Outs { items: vec![input.clone()], error: None },
        }
    }

    fn path(&self, head: &'a Node, parts: &'a [(Part, bool)], input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        let mut outs = self.run(head, input, env);
        for (part, optional) in parts {
            outs = outs.then(|item| {
                let step = self.part(part, item, input, env);
                if *optional { Outs { error: self.meter.exhausted(), ..step } } else { step }
            });
        }
        outs
    }

    fn part(&self, part: &'a Part, item: Item<'a>, input: &Item<'a>, env: Env<'_, 'a>) -> Outs<'a> {
        match part {
            Part::Index(Node::Literal(key)) => self.lift(self.index(&item, key)),
            Part::Index(key) => self.run(key, input, env).then(|key| self.lift(self.index(&item, &key))),
            Part::Each => match self.each(item) {
                Ok(items) => Outs { items, error: None },
                Err(error) => Outs::fail(error),
            },
            Part::Slice(from, to) => {
                let bound = |node: &'a Option<Node>| {
                    node.as_ref().map_or_else(|| Outs::one(Value::Null), |node| self.run(node, input, env))
                };
                bound(from).then(|from| bound(to).then(|to| self.slice(&item, &from, &to).into()))
            }
        }
    }

    fn lift(&self, result: Fail<Item<'a>>) -> Outs<'a> {
        match self.meter.steps(1).and(result) {
            Ok(item) => Outs { items: vec![item], error: None },
            Err(error) => Outs::fail(error),
        }
    }

    fn index(&self, item: &Item<'a>, key: &Value) -> Fail<Item<'a>> {
        match (&**item, key) {
            (Value::Null, Value::Null | Value::String(_) | Value::Number(_)) => Ok(Item::Lent(&Value::Null)),
            (Value::Object(_), Value::String(name)) => {
                self.child(item, |v| v.as_object().and_then(|map| map.get(name)))
            }
            (Value::Array(items), Value::Number(n)) => {
                let Num::Int(n) = number(n) else {
                    return Err(ExprError::Failed("an array is indexed by whole numbers".to_owned()));
                };
                let at = position(n, items.len());
                self.child(item, |v| v.as_array().zip(at).and_then(|(items, at)| items.get(at)))
            }
            (value, key) => Err(ExprError::Failed(format!("{} can't be indexed by {}", kind(value), kind(key)))),
        }
    }

    /// A part of an item: lent on from a lent one, copied out of a made one.
    fn child(&self, item: &Item<'a>, get: impl Fn(&Value) -> Option<&Value>) -> Fail<Item<'a>> {
        match item {
            Item::Lent(value) => Ok(get(value).map_or(Item::Lent(&Value::Null), Item::Lent)),
            Item::Made(value) => {
                get(value).map_or(Ok(Item::Lent(&Value::Null)), |v| self.meter.copy(v).map(Item::from))
            }
        }
    }

    /// The members of an array, or the values of an object by key.
    pub(super) fn each(&self, item: Item<'a>) -> Fail<Vec<Item<'a>>> {
        let count = match &*item {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            other => return Err(ExprError::Failed(format!("{} can't be iterated over", kind(other)))),
        };
        self.meter.cells(count)?;
        match item {
            Item::Lent(Value::Array(items)) => Ok(items.iter().map(Item::Lent).collect()),
            Item::Lent(Value::Object(map)) => Ok(sorted(map).into_iter().map(|(_, v)| Item::Lent(v)).collect()),
            Item::Made(value) if matches!(*value, Value::Array(_)) => {
                let owned = self.meter.own(Item::Made(value))?;
                Ok(super::value::array(owned).into_iter().map(|v| Item::Made(Rc::new(v))).collect())
            }
            other => {
                let Value::Object(map) = &*other else { return Ok(Vec::new()) };
                sorted(map).into_iter().map(|(_, v)| self.meter.copy(v).map(Item::from)).collect()
            }
        }
    }

    fn slice(&self, item: &Item<'a>, from: &Value, to: &Value) -> Fail<Value> {
        let len = match &**item {
            Value::Null => return Ok(Value::Null),
            Value::Array(items) => items.len(),
            Value::String(text) => {
                self.meter.text(text.len())?;
                text.chars().count()
            }
            other => return Err(ExprError::Failed(format!("{} can't be sliced", kind(other)))),
        };
        let (from, to) = (edge(from, len, 0)?, edge(to, len, len)?);
        let take = to.saturating_sub(from);
        match &**item {
            Value::Array(items) => items
                .iter()
                .skip(from)
                .take(take)
                .map(|v| self.meter.copy(v))
                .collect::<Fail<Vec<_>>>()
                .map(Value::Array),
            Value::String(text) => Ok(Value::String(text.chars().skip(from).take(take).collect())),
            _ => Ok(Value::Null),
        }
    }
}

fn negate(item: &Value) -> Fail<Value> {
    match item {
        Value::Number(n) => match number(n) {
            Num::Int(n) => Ok((-n).into()),
            Num::Float(x) => super::value::float(-x),
        },
        other => Err(ExprError::Failed(format!("{} can't be negated", kind(other)))),
    }
}

const fn holds(op: Compare, order: Ordering) -> bool {
    match op {
        Compare::Lt => order.is_lt(),
        Compare::Le => order.is_le(),
        Compare::Gt => order.is_gt(),
        Compare::Ge => order.is_ge(),
        Compare::Eq => order.is_eq(),
        Compare::Ne => order.is_ne(),
    }
}

/// The place an index means, counted from the end when negative.
fn position(n: i64, len: usize) -> Option<usize> {
    match usize::try_from(n) {
        Ok(at) => Some(at),
        Err(_) => len.checked_sub(usize::try_from(n.unsigned_abs()).ok()?),
    }
}

fn edge(bound: &Value, len: usize, default: usize) -> Fail<usize> {
    match bound {
        Value::Null => Ok(default),
        Value::Number(n) => match number(n) {
            Num::Int(n) => Ok(position(n, len).unwrap_or(0).min(len)),
            Num::Float(_) => Err(ExprError::Failed("a slice is bounded by whole numbers".to_owned())),
        },
        other => Err(ExprError::Failed(format!("a slice is bounded by numbers, not {}", kind(other)))),
    }
}
