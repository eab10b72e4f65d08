//! Evaluates wild expressions with jaq. Neither time, memory nor the stack are bounded here: only a
//! process that may be killed at any moment has an [`Interpreter`].

use super::{
    ExprError,
    library::Data,
    value::{EXACT, Num, float, number, sorted},
    wild,
};
use jaq_core::{Ctx, Filter, Vars, unwrap_valr};
use jaq_json::{Error, Map, Num as JaqNum, Val};
use mandate_kernel::Limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Programs kept ready, so that a loop does not compile its expression at each turn.
const PROGRAMS: usize = 64;

/// Wild expressions with all they may see. Their values depend on nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The texts, in the order in which their values are wanted.
    pub expressions: Vec<String>,
    /// What `.` is.
    pub input: Value,
    /// The variables, without `$`.
    pub variables: BTreeMap<String, Value>,
}

/// Evaluates jobs, one after the other. What it keeps from one to the next is compiled programs alone,
/// which hold no values.
#[derive(Default)]
pub struct Interpreter {
    programs: HashMap<(String, Vec<String>), Filter<Data>>,
}

impl std::fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interpreter").field("programs", &self.programs.len()).finish()
    }
}

impl Interpreter {
    /// The value of each expression, in order.
    ///
    /// # Errors
    /// [`ExprError`] of the first that has none, or more than one.
    pub fn evaluate(&mut self, job: &Job) -> Result<Vec<Value>, ExprError> {
        let names: Vec<String> = job.variables.keys().map(|name| format!("${name}")).collect();
        let values = Vars::new(job.variables.values().map(to_jaq));
        let input = to_jaq(&job.input);
        let mut room = Limits::DEFAULT.value;
        let mut results = Vec::with_capacity(job.expressions.len());
        for text in &job.expressions {
            let program = self.program(text, &names)?;
            let value = one(program, values.clone(), input.clone())?;
            let result = from_jaq(&value, Limits::DEFAULT.depth, &mut room);
            if result.is_err() {
                // Dropping a value that nests too deeply would itself overflow the stack. Whoever was given
                // this error ends the process.
                std::mem::forget(value);
            }
            results.push(result?);
        }
        Ok(results)
    }

    fn program(&mut self, text: &str, names: &[String]) -> Result<&Filter<Data>, ExprError> {
        let key = (text.to_owned(), names.to_vec());
        if self.programs.len() >= PROGRAMS && !self.programs.contains_key(&key) {
            self.programs.clear();
        }
        match self.programs.entry(key) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(place) => {
                let names: Vec<_> = names.iter().map(String::as_str).collect();
                let program = wild::program(text, &names)
                    .map_err(|_| ExprError::Failed("this is not an expression that compiles".to_owned()))?;
                Ok(place.insert(program))
            }
        }
    }
}

/// The one result of a program.
fn one(program: &Filter<Data>, variables: Vars<Val>, input: Val) -> Result<Val, ExprError> {
    let context = Ctx::<Data>::new(&program.lut, variables);
    let mut results = program.id.run((context, input)).map(unwrap_valr);
    let first = results
        .next()
        .ok_or_else(|| ExprError::Failed("the expression gave no value; it must give exactly one".to_owned()))?;
    let first = first.map_err(told)?;
    match results.next() {
        None => Ok(first),
        Some(Err(error)) => Err(told(error)),
        Some(Ok(_)) => Err(ExprError::Failed(
            "the expression gave more than one value; it must give exactly one (collect them with [ ])".to_owned(),
        )),
    }
}

/// An error as it is told. jaq's own quote the values they are about, which may be long and are of no
/// help; what `error` was given is told as it is.
fn told(error: Error) -> ExprError {
    let value = error.clone().into_val();
    if error == Error::new(value.clone()) {
        let text = match &value {
            Val::TStr(bytes) => String::from_utf8_lossy(bytes).chars().take(500).collect(),
            Val::Arr(_) | Val::Obj(_) => "the expression raised a value".to_owned(),
            other => other.to_string().chars().take(500).collect(),
        };
        return ExprError::Failed(text);
    }
    let text = error.to_string();
    let kinds = [
        ("cannot index", "a value can't be indexed by that"),
        ("cannot calculate", "values of these types can't be calculated with each other"),
        ("invalid path", "what is changed or asked for is not a path into the input"),
    ];
    let kind = kinds.iter().find(|(begin, _)| text.starts_with(begin)).map(|(_, kind)| *kind);
    ExprError::Failed(kind.unwrap_or("a value has the wrong type for what is done with it").to_owned())
}

/// A value as jaq has it. Of two spellings of a value both become the same: whole numbers are integers, and
/// members stand in the order of their keys.
fn to_jaq(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(n) => Val::Num(match number(n) {
            Num::Int(n) => isize::try_from(n).map_or(JaqNum::Float(Num::Int(n).float()), JaqNum::Int),
            Num::Float(x) => JaqNum::Float(x),
        }),
        Value::String(text) => Val::utf8_str(text.clone()),
        Value::Array(items) => items.iter().map(to_jaq).collect(),
        Value::Object(members) => Val::obj(
            sorted(members).into_iter().map(|(key, v)| (Val::utf8_str(key.clone()), to_jaq(v))).collect::<Map>(),
        ),
    }
}

/// A value as a run may hold it: JSON, exact, finite, within `depth` levels and `room` bytes.
fn from_jaq(value: &Val, depth: usize, room: &mut usize) -> Result<Value, ExprError> {
    let too_large = || ExprError::Failed("the result holds a whole number too large to be kept exactly".to_owned());
    take(room, 1)?;
    match value {
        Val::Null => Ok(Value::Null),
        Val::Bool(flag) => Ok(Value::Bool(*flag)),
        Val::Num(JaqNum::Int(n)) => match i64::try_from(*n) {
            Ok(n) if n.checked_abs().is_some_and(|n| n <= EXACT) => Ok(n.into()),
            _ => Err(too_large()),
        },
        Val::Num(JaqNum::BigInt(_)) => Err(too_large()),
        Val::Num(JaqNum::Float(x)) => float(*x),
        Val::Num(JaqNum::Dec(digits)) => match digits.parse::<f64>() {
            Ok(x) => float(x),
            Err(_) => Err(ExprError::Failed("the result holds a number that can't be read".to_owned())),
        },
        Val::TStr(bytes) => text(bytes, room).map(Value::String),
        Val::BStr(_) => Err(ExprError::Failed("the result holds bytes; JSON has text only".to_owned())),
        Val::Arr(items) => {
            let below = below(depth)?;
            items.iter().map(|item| from_jaq(item, below, room)).collect::<Result<_, _>>().map(Value::Array)
        }
        Val::Obj(members) => {
            let below = below(depth)?;
            let member = |(key, item): (&Val, &Val)| match key {
                Val::TStr(bytes) => Ok((text(bytes, room)?, from_jaq(item, below, room)?)),
                _ => Err(ExprError::Failed("the result holds a key that is not text".to_owned())),
            };
            members.iter().map(member).collect::<Result<_, _>>().map(Value::Object)
        }
    }
}

fn below(depth: usize) -> Result<usize, ExprError> {
    depth.checked_sub(1).ok_or_else(|| ExprError::Limit("nesting".to_owned()))
}

fn take(room: &mut usize, bytes: usize) -> Result<(), ExprError> {
    *room = room.checked_sub(bytes).ok_or_else(|| ExprError::Limit("value size".to_owned()))?;
    Ok(())
}

fn text(bytes: &[u8], room: &mut usize) -> Result<String, ExprError> {
    take(room, bytes.len())?;
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| ExprError::Failed("the result holds bytes that are not text".to_owned()))
}
