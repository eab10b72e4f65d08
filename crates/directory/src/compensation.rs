//! How a function's effect is undone: by which function, and with what of the call that is undone.

use mandate_kernel::FunctionName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The inverse that a function declares. Whoever declares it says that it undoes the effect; nobody can check that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Compensation {
    /// The function of the same project that undoes it.
    pub function: FunctionName,
    /// The inverse's arguments, by name.
    #[serde(default)]
    pub with: BTreeMap<String, Taken>,
}

/// Where an argument of the inverse comes from: exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Taken {
    /// JSON pointer (RFC 6901) into the arguments of the call that is undone.
    Argument(String),
    /// JSON pointer into what that call returned.
    Result(String),
    /// This value.
    Value(Value),
}

impl Compensation {
    /// Checks what can be known to be wrong before it is ever used.
    ///
    /// # Errors
    /// JSON pointer into the content, and what is wrong there.
    pub fn check(&self) -> Result<(), (String, String)> {
        for (name, taken) in &self.with {
            let (Taken::Argument(pointer) | Taken::Result(pointer)) = taken else { continue };
            if !(pointer.is_empty() || pointer.starts_with('/')) {
                let why = "a JSON pointer is empty, or begins with `/`";
                return Err((format!("/with/{name}"), why.to_owned()));
            }
        }
        Ok(())
    }

    /// The inverse's arguments for a call.
    ///
    /// # Errors
    /// The name of the first argument for which the call has nothing.
    pub fn arguments(&self, arguments: &Value, result: &Value) -> Result<Map<String, Value>, String> {
        let found = |(name, taken): (&String, &Taken)| {
            let value = match taken {
                Taken::Argument(pointer) => arguments.pointer(pointer).cloned(),
                Taken::Result(pointer) => result.pointer(pointer).cloned(),
                Taken::Value(value) => Some(value.clone()),
            };
            value.map(|value| (name.clone(), value)).ok_or_else(|| name.clone())
        };
        self.with.iter().map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(with: Value) -> Compensation {
        serde_json::from_value(json!({"function": "report.retract", "with": with})).unwrap()
    }

    #[test]
    fn arguments_come_from_the_call_that_is_undone() {
        let (arguments, result) = (json!({"quarter": "2026-Q3"}), json!({"id": "r1", "rows": [{"n": 2}]}));
        let inverse =
            read(json!({"id": {"result": "/id"}, "n": {"result": "/rows/0/n"}, "q": {"argument": "/quarter"},
            "why": {"value": "undone"}, "whole": {"argument": ""}}));
        assert_eq!(
            Value::Object(inverse.arguments(&arguments, &result).unwrap()),
            json!({"id": "r1", "n": 2, "q": "2026-Q3", "why": "undone", "whole": {"quarter": "2026-Q3"}})
        );
        let none = read(json!({"id": {"result": "/none"}})).arguments(&arguments, &result);
        assert_eq!(none.unwrap_err(), "id");
        assert!(read(json!({"id": {"result": "id"}})).check().is_err());
        assert!(serde_json::from_value::<Taken>(json!({"result": "/a", "value": 1})).is_err());
        assert!(serde_json::from_value::<Taken>(json!({"expression": ".id"})).is_err());
    }
}
