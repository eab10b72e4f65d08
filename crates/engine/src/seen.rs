//! What a model is shown: results of earlier steps by name, as far as their labels let it see them. The
//! document names them, the engine fetches them: a model never gets a value around its labels.

use crate::driver::Driver;
use crate::step::Wanted;
use mandate_directory::{ModelTarget, ReturnLabels, Target, WITHHELD, redact};
use mandate_flow::{ErrorKind, Labelled, WorkflowError};
use mandate_kernel::{Digest, FunctionName, Labels, Source, StepPath};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Results of a run's steps by task name, for Workers that ask a model. The latest of a name counts.
#[derive(Default)]
pub(crate) struct Results(BTreeMap<String, Returned>);

/// What one step returned.
struct Returned {
    function: FunctionName,
    value: Value,
    returns: ReturnLabels,
    /// The labels of what it was asked with.
    asked: Labels,
    /// Digest of the very bytes that came back.
    observed: Digest,
}

impl Driver {
    /// Whether this Worker asks a model, so that results have to be kept.
    fn asks_a_model(&self) -> bool {
        self.pinned.functions.values().any(|function| matches!(function.spec.target, Target::Model(_)))
    }

    /// Keeps a step's result for a model that may be shown it later.
    pub(crate) fn keep_result(&mut self, wanted: &Wanted, returned: &Labelled) {
        let Some(function) = self.pinned.functions.get(&wanted.function) else { return };
        if !self.asks_a_model() {
            return;
        }
        let origin = wanted.function.to_string();
        let of_this = |source: &&Source| source.origin == origin;
        let Some(source) = returned.labels.sources.iter().rfind(of_this) else { return };
        let kept = Returned {
            function: wanted.function.clone(),
            value: returned.value.clone(),
            returns: function.spec.returns.clone(),
            asked: wanted.arguments.labels.clone(),
            observed: source.digest,
        };
        self.results.0.insert(task_of(&wanted.path), kept);
    }

    /// A call of a model gets `shown` in the place of `sources`; every other call stays as it is.
    pub(crate) fn with_shown(&self, mut wanted: Wanted) -> Result<Wanted, Box<(Wanted, WorkflowError)>> {
        let function = self.pinned.functions.get(&wanted.function);
        let Some(Target::Model(model)) = function.map(|function| &function.spec.target) else { return Ok(wanted) };
        match self.results.show(&wanted.arguments, model) {
            Ok(arguments) => {
                wanted.arguments = arguments;
                Ok(wanted)
            }
            Err((kind, why)) => Err(Box::new((wanted, WorkflowError::new(kind, why)))),
        }
    }
}

impl Results {
    fn show(&self, arguments: &Labelled, model: &ModelTarget) -> Result<Labelled, (ErrorKind, String)> {
        let invalid = |why: &str| (ErrorKind::Validation, why.to_owned());
        if !model.clearance.admits(&arguments.labels) {
            let why = "what the document passes to the model is beyond the model's clearance; name steps in `sources` instead, and it is shown what it may see of them";
            return Err((ErrorKind::Authorization, why.to_owned()));
        }
        let mut map = arguments.value.as_object().cloned().ok_or_else(|| invalid("arguments must be an object"))?;
        if map.contains_key("shown") {
            return Err(invalid("`shown` is what the engine adds; name steps in `sources`"));
        }
        let names = match map.remove("sources") {
            None => Vec::new(),
            Some(Value::Array(names)) => names,
            Some(_) => return Err(invalid("`sources` is a list of task names")),
        };
        let (mut shown, mut labels, mut seen) = (Vec::new(), arguments.labels.clone(), BTreeSet::new());
        for name in names {
            let name = name.as_str().ok_or_else(|| invalid("`sources` is a list of task names"))?.to_owned();
            let returned = self.0.get(&name).ok_or_else(|| {
                (
                    ErrorKind::Validation,
                    format!("`sources` names `{}`, and no such task has returned yet", short(&name)),
                )
            })?;
            if !seen.insert(name.clone()) {
                return Err((ErrorKind::Validation, format!("`sources` names `{}` twice", short(&name))));
            }
            let (entry, its_labels) = returned.seen_by(&name, model);
            shown.push(entry);
            labels = labels.join(&its_labels);
        }
        map.insert("shown".to_owned(), Value::Array(shown));
        Ok(Labelled { value: Value::Object(map), labels })
    }
}

impl Returned {
    /// What the model sees of it, and the labels that this adds to the question.
    fn seen_by(&self, name: &str, model: &ModelTarget) -> (Value, Labels) {
        let base = self.returns.base().join(&self.asked);
        let (value, withheld) = if model.clearance.admits(&base) {
            redact(&self.value, &self.returns.fields, &model.clearance)
        } else {
            (json!(WITHHELD), vec![String::new()])
        };
        let all = withheld.iter().any(String::is_empty);
        let mut entry = Map::new();
        entry.insert("source".to_owned(), json!(name));
        entry.insert("function".to_owned(), json!(self.function));
        entry.insert("value".to_owned(), value);
        entry.insert("withheld".to_owned(), json!(withheld));
        entry.insert("digest".to_owned(), json!(self.observed));
        let source = Source { origin: self.function.to_string(), digest: self.observed };
        // Of what is withheld whole, the model learns that it exists: its origin, and no more.
        let labels = if all { Labels::default() } else { base };
        (Value::Object(entry), Labels { sources: labels.sources.iter().cloned().chain([source]).collect(), ..labels })
    }
}

/// The task's name: the last part of its path.
fn task_of(path: &StepPath) -> String {
    path.0.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~")
}

fn short(name: &str) -> String {
    name.chars().take(80).collect()
}
