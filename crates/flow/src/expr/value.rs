//! Values inside an evaluation: cheap to pass on, ordered and calculated as jq does, and the meter
//! that bounds the work.
//!
//! Everything here depends on a value's *canonical* form only: a journal stores that form, so a
//! replay must not tell `1.0` from `1` or one order of keys from another.

use super::{ExprError, node::Math};
use mandate_kernel::{Limits, canonical_json};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, cmp::Ordering, ops::Deref, rc::Rc};

/// The largest integer that JSON keeps exactly (RFC 7493 §2.2).
pub(super) const EXACT: i64 = (1 << 53) - 1;

/// Steps of one evaluation: nodes visited, outputs passed on, comparisons.
const STEPS: u64 = 5_000_000;
/// Cells of one evaluation: values copied or made, and 32-byte pieces of text.
const CELLS: u64 = 1_000_000;

/// A value on its way: lent by the caller or the expression, or made underway.
#[derive(Debug, Clone)]
pub(super) enum Item<'a> {
    /// Lent.
    Lent(&'a Value),
    /// Made.
    Made(Rc<Value>),
}

impl Deref for Item<'_> {
    type Target = Value;
    fn deref(&self) -> &Value {
        match self {
            Self::Lent(value) => value,
            Self::Made(value) => value,
        }
    }
}

impl<T: Into<Value>> From<T> for Item<'_> {
    fn from(value: T) -> Self {
        Self::Made(Rc::new(value.into()))
    }
}

/// Failure inside an evaluation.
pub(super) type Fail<T> = Result<T, ExprError>;

/// Counts work. Once a bound is met every later charge fails, so no `?` or `//` can hide it.
#[derive(Debug)]
pub(super) struct Meter {
    steps: Cell<u64>,
    cells: Cell<u64>,
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self { steps: Cell::new(STEPS), cells: Cell::new(CELLS) }
    }

    /// The bound that was met, if one was.
    pub(super) fn exhausted(&self) -> Option<ExprError> {
        if self.steps.get() == 0 {
            Some(ExprError::Limit("steps".to_owned()))
        } else if self.cells.get() == 0 {
            Some(ExprError::Limit("memory".to_owned()))
        } else {
            None
        }
    }

    pub(super) fn steps(&self, n: usize) -> Fail<()> {
        self.steps.set(self.steps.get().saturating_sub(n as u64));
        self.exhausted().map_or(Ok(()), Err)
    }

    pub(super) fn cells(&self, n: usize) -> Fail<()> {
        self.cells.set(self.cells.get().saturating_sub(n as u64));
        self.exhausted().map_or(Ok(()), Err)
    }

    pub(super) fn text(&self, bytes: usize) -> Fail<()> {
        self.cells(1 + bytes / 32)
    }

    /// Takes a value out of an item, charging for a copy where one is needed.
    pub(super) fn own(&self, item: Item<'_>) -> Fail<Value> {
        match item {
            Item::Lent(value) => self.copy(value),
            Item::Made(value) => match Rc::try_unwrap(value) {
                Ok(value) => Ok(value),
                Err(shared) => self.copy(&shared),
            },
        }
    }

    pub(super) fn copy(&self, value: &Value) -> Fail<Value> {
        self.weigh(value)?;
        Ok(value.clone())
    }

    fn weigh(&self, value: &Value) -> Fail<()> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.cells(1),
            Value::String(text) => self.text(text.len()),
            Value::Array(items) => {
                self.cells(1)?;
                items.iter().try_for_each(|item| self.weigh(item))
            }
            Value::Object(map) => self.weigh_members(map),
        }
    }

    pub(super) fn weigh_members(&self, map: &Map<String, Value>) -> Fail<()> {
        self.cells(1)?;
        map.iter().try_for_each(|(key, item)| {
            self.text(key.len())?;
            self.weigh(item)
        })
    }

    /// Orders two values as jq does: null, false, true, numbers, text, arrays, objects.
    pub(super) fn compare(&self, a: &Value, b: &Value) -> Fail<Ordering> {
        self.steps(1)?;
        match (a, b) {
            (Value::String(x), Value::String(y)) => {
                self.steps(x.len().min(y.len()) / 64)?;
                Ok(x.cmp(y))
            }
            (Value::Number(x), Value::Number(y)) => Ok(match (number(x), number(y)) {
                (Num::Int(x), Num::Int(y)) => x.cmp(&y),
                (x, y) => x.float().total_cmp(&y.float()),
            }),
            (Value::Array(x), Value::Array(y)) => self.sequence(x.iter(), y.iter()),
            (Value::Object(x), Value::Object(y)) => {
                let (x, y) = (sorted(x), sorted(y));
                self.steps(x.len() + y.len())?;
                let keys = x.iter().map(|(k, _)| *k).cmp(y.iter().map(|(k, _)| *k));
                if keys != Ordering::Equal {
                    return Ok(keys);
                }
                self.sequence(x.iter().map(|(_, v)| *v), y.iter().map(|(_, v)| *v))
            }
            (a, b) => Ok(rank(a).cmp(&rank(b))),
        }
    }

    fn sequence<'v>(
        &self,
        mut a: impl Iterator<Item = &'v Value>,
        mut b: impl Iterator<Item = &'v Value>,
    ) -> Fail<Ordering> {
        loop {
            match (a.next(), b.next()) {
                (None, None) => return Ok(Ordering::Equal),
                (None, Some(_)) => return Ok(Ordering::Less),
                (Some(_), None) => return Ok(Ordering::Greater),
                (Some(x), Some(y)) => match self.compare(x, y)? {
                    Ordering::Equal => {}
                    other => return Ok(other),
                },
            }
        }
    }

    /// `tostring`: text as it is, anything else as canonical JSON.
    pub(super) fn to_text(&self, value: &Value) -> Fail<String> {
        self.weigh(value)?;
        if let Value::String(text) = value {
            return Ok(text.clone());
        }
        let bytes = canonical_json(value).map_err(|e| ExprError::Failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| ExprError::Failed(e.to_string()))
    }

    /// Arithmetic as jq does it, on numbers, text, arrays and objects.
    pub(super) fn math(&self, op: Math, a: Item<'_>, b: Item<'_>) -> Fail<Value> {
        match (op, &*a, &*b) {
            (Math::Add, Value::Null, _) => self.own(b),
            (Math::Add, _, Value::Null) => self.own(a),
            (_, Value::Number(x), Value::Number(y)) => calculate(op, number(x), number(y)),
            (Math::Add, Value::String(x), Value::String(y)) => {
                self.text(x.len() + y.len())?;
                Ok(Value::String(format!("{x}{y}")))
            }
            (Math::Add, Value::Array(_), Value::Array(_)) => {
                let (mut x, mut y) = (array(self.own(a)?), array(self.own(b)?));
                x.append(&mut y);
                Ok(Value::Array(x))
            }
            (Math::Add, Value::Object(_), Value::Object(_)) => {
                let (mut x, y) = (object(self.own(a)?), object(self.own(b)?));
                x.extend(y);
                Ok(Value::Object(x))
            }
            (Math::Sub, Value::Array(x), Value::Array(y)) => self.without(x, y),
            (Math::Mul, Value::String(text), Value::Number(n)) | (Math::Mul, Value::Number(n), Value::String(text)) => {
                self.repeat(text, n)
            }
            (Math::Div, Value::String(x), Value::String(y)) => self.split(x, y),
            (_, x, y) => Err(ExprError::Failed(format!("{} and {} can't be {}", kind(x), kind(y), verb(op)))),
        }
    }

    fn without(&self, x: &[Value], y: &[Value]) -> Fail<Value> {
        let mut kept = Vec::new();
        for item in x {
            let mut found = false;
            for other in y {
                found = found || self.compare(item, other)? == Ordering::Equal;
            }
            if !found {
                kept.push(self.copy(item)?);
            }
        }
        Ok(Value::Array(kept))
    }

    fn repeat(&self, text: &str, times: &Number) -> Fail<Value> {
        match number(times) {
            Num::Int(n) if n <= 0 => Ok(Value::Null),
            Num::Int(n) => {
                let n = usize::try_from(n).unwrap_or(usize::MAX);
                self.text(text.len().saturating_mul(n))?;
                Ok(Value::String(text.repeat(n)))
            }
            Num::Float(_) => Err(ExprError::Failed("text can only be repeated a whole number of times".to_owned())),
        }
    }

    /// Splits text at a plain separator; an empty one splits into characters.
    pub(super) fn split(&self, text: &str, separator: &str) -> Fail<Value> {
        self.text(text.len())?;
        let piece = |piece: &str| self.text(piece.len()).map(|()| Value::String(piece.to_owned()));
        let pieces: Fail<Vec<_>> = match (text, separator) {
            ("", _) => Ok(Vec::new()),
            (_, "") => text.chars().map(|c| piece(c.encode_utf8(&mut [0; 4]))).collect(),
            _ => text.split(separator).map(piece).collect(),
        };
        pieces.map(Value::Array)
    }
}

/// The members of an object by key, so that no result depends on the order they came in.
pub(super) fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = map.iter().collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    members
}

/// Whether a condition holds: all but null and false do.
pub(super) const fn truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// The kind of a value, as messages name it. Messages never hold the value itself.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

const fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    }
}

/// A number by its value: an integer that JSON keeps exactly, or anything else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Num {
    Int(i64),
    Float(f64),
}

impl Num {
    pub(super) fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "integers here are at most 2^53 and exact")]
            Self::Int(n) => n as f64,
            Self::Float(x) => x,
        }
    }
}

pub(super) fn number(n: &Number) -> Num {
    match n.as_i64() {
        Some(int) if int.abs() <= EXACT => Num::Int(int),
        _ => whole(n.as_f64().unwrap_or(0.0)),
    }
}

/// A whole float in range is an integer: `1.0` and `1` are one value.
#[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53, checked right before")]
#[expect(clippy::cast_precision_loss, reason = "the bound itself is exact")]
fn whole(x: f64) -> Num {
    if x.fract() == 0.0 && x.abs() <= EXACT as f64 { Num::Int(x as i64) } else { Num::Float(x) }
}

/// A float as a value.
pub(super) fn float(x: f64) -> Fail<Value> {
    match whole(x) {
        Num::Int(n) => Ok(n.into()),
        Num::Float(x) => Number::from_f64(x)
            .map(Value::Number)
            .ok_or_else(|| ExprError::Failed("the result is not a finite number".to_owned())),
    }
}

fn calculate(op: Math, a: Num, b: Num) -> Fail<Value> {
    let zero = || ExprError::Failed("division by zero".to_owned());
    if let (Num::Int(x), Num::Int(y)) = (a, b) {
        let exact = match op {
            Math::Add => x.checked_add(y),
            Math::Sub => x.checked_sub(y),
            Math::Mul => x.checked_mul(y),
            Math::Rem => Some(x.checked_rem(y).ok_or_else(zero)?),
            Math::Div if y == 0 => return Err(zero()),
            Math::Div => return float(a.float() / b.float()),
        };
        return match exact {
            Some(n) if n.abs() <= EXACT => Ok(n.into()),
            _ => Err(ExprError::Failed("the result is too large to be kept exactly".to_owned())),
        };
    }
    let (x, y) = (a.float(), b.float());
    match op {
        Math::Add => float(x + y),
        Math::Sub => float(x - y),
        Math::Mul => float(x * y),
        Math::Div | Math::Rem if y == 0.0 => Err(zero()),
        Math::Div => float(x / y),
        Math::Rem => float(x % y),
    }
}

const fn verb(op: Math) -> &'static str {
    match op {
        Math::Add => "added",
        Math::Sub => "subtracted",
        Math::Mul => "multiplied",
        Math::Div => "divided",
        Math::Rem => "divided with remainder",
    }
}

pub(super) fn array(value: Value) -> Vec<Value> {
    if let Value::Array(items) = value { items } else { Vec::new() }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(map) = value { map } else { Map::new() }
}

/// Checks that a value may live in a run: its size as JSON and its nesting.
///
/// # Errors
/// The limit it goes past.
pub(crate) fn fits(value: &Value) -> Result<(), &'static str> {
    if !shallow(value, Limits::DEFAULT.depth) {
        return Err("nesting");
    }
    let mut counter = Counter(Limits::DEFAULT.value);
    serde_json::to_writer(&mut counter, value).map_err(|_| "value size")
}

/// Whether a value nests at most `depth` levels; looks no deeper.
pub(crate) fn shallow(value: &Value, depth: usize) -> bool {
    match (value, depth.checked_sub(1)) {
        (Value::Array(items), Some(below)) => items.iter().all(|item| shallow(item, below)),
        (Value::Object(map), Some(below)) => map.values().all(|item| shallow(item, below)),
        (Value::Array(_) | Value::Object(_), None) => false,
        _ => true,
    }
}

/// Counts bytes down and fails past zero.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
