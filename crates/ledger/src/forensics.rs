//! Why a run went wrong, told from its entries alone: four causes that look alike from outside and leave
//! different traces (mission: forensics).

use crate::{Event, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// The causes that can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A source was asked for the right thing and gave an old one.
    StaleData,
    /// What came back is not about what was asked: the wrong file, the wrong quarter.
    MisScopedRetrieval,
    /// What a model wrote led to an action that nobody had authorised.
    PromptInjection,
    /// The sources were right, and what the Worker made of them was not.
    BadTransform,
}

impl Cause {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StaleData => "stale-data",
            Self::MisScopedRetrieval => "mis-scoped-retrieval",
            Self::PromptInjection => "prompt-injection",
            Self::BadTransform => "bad-transform",
        }
    }
}

/// One cause found, with the entries that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The cause.
    pub cause: Cause,
    /// The step it shows at; `None` where it is no call.
    pub step: Option<u64>,
    /// One sentence for people.
    pub says: String,
    /// Ordinals in the run's chain of the entries that show it.
    pub evidence: Vec<u32>,
}

/// What a run's entries show, in the order in which it happened. Empty for a run that nothing is known
/// against. The events are those of one run, in the order of its chain.
#[must_use]
pub fn findings(events: &[Event]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut models = BTreeSet::new();
    for event in events {
        match event.kind {
            EventKind::StepDecided => {
                if text(event, "/request/method") == Some("model") {
                    models.extend(text(event, "/function").map(str::to_owned));
                }
                found.extend(led_astray(event, &models));
            }
            EventKind::StepSucceeded => found.extend(failed_checks(event)),
            EventKind::StepFailed => found.extend(asked_for_a_tool(event, &models)),
            _ => {}
        }
    }
    if found.is_empty() {
        found.extend(bad_transform(events));
    }
    found
}

fn text<'a>(event: &'a Event, pointer: &str) -> Option<&'a str> {
    event.details.pointer(pointer).and_then(Value::as_str)
}

fn place(event: &Event) -> Vec<u32> {
    event.run.iter().map(|link| link.seq).collect()
}

fn step(event: &Event) -> Option<u64> {
    event.details.get("step").and_then(Value::as_u64)
}

/// A reply that was old, or about something else.
fn failed_checks(event: &Event) -> Vec<Finding> {
    let checks = event.details.get("checks").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let failed = checks.iter().filter(|check| check.get("passed") == Some(&Value::Bool(false)));
    failed
        .filter_map(|check| {
            let cause = match check.get("check").and_then(Value::as_str)? {
                "fresh" => Cause::StaleData,
                "about" => Cause::MisScopedRetrieval,
                _ => return None,
            };
            let function = text(event, "/function").unwrap_or("a function");
            let what = check.get("found").and_then(Value::as_str).unwrap_or("not as it should be");
            let at = check.get("at").and_then(Value::as_str).unwrap_or_default();
            let says = format!("{function} answered with data that is not as asked: {what} (at {at})");
            Some(Finding { cause, step: step(event), says, evidence: place(event) })
        })
        .collect()
}

/// A refusal of a call whose arguments a model had a hand in.
fn led_astray(event: &Event, models: &BTreeSet<String>) -> Option<Finding> {
    if text(event, "/status") != Some("deny") || text(event, "/arguments/labels/integrity") != Some("untrusted") {
        return None;
    }
    let sources = event.details.pointer("/arguments/labels/sources").and_then(Value::as_array)?;
    let model = sources
        .iter()
        .filter_map(|source| source.get("origin").and_then(Value::as_str))
        .find(|origin| models.contains(*origin))?;
    let function = text(event, "/function").unwrap_or("a function");
    let why = text(event, "/reason").unwrap_or("it is not allowed");
    let says = format!("what {model} wrote went into a call of {function} that nobody had authorised: {why}");
    Some(Finding { cause: Cause::PromptInjection, step: step(event), says, evidence: place(event) })
}

/// A model that answered with a call of a tool, where none is offered.
fn asked_for_a_tool(event: &Event, models: &BTreeSet<String>) -> Option<Finding> {
    let function = text(event, "/function").filter(|function| models.contains(*function))?;
    let detail = text(event, "/problem/detail").filter(|detail| detail.contains("asked for a tool"))?;
    let says = format!("{function} wanted to act instead of answering: {detail}");
    Some(Finding { cause: Cause::PromptInjection, step: step(event), says, evidence: place(event) })
}

/// The run broke in the Worker's own steps, after every call it made had succeeded.
fn bad_transform(events: &[Event]) -> Option<Finding> {
    let fault = events.iter().find(|event| event.kind == EventKind::RunFaulted)?;
    let error = text(fault, "/problem/type")?.rsplit('/').next()?;
    let own = matches!(error, "expression" | "validation" | "data" | "runtime");
    let at = text(fault, "/problem/instance");
    let called = events.iter().any(|event| {
        matches!(event.kind, EventKind::StepDecided | EventKind::StepFailed)
            && text(event, "/path") == at
            && at.is_some()
    });
    // A failure that was asked again for is none, once the answer came.
    let for_good = |event: &Event| event.details.get("final") != Some(&Value::Bool(false));
    let failed = events.iter().any(|event| event.kind == EventKind::StepFailed && for_good(event));
    let succeeded: Vec<&Event> = events.iter().filter(|event| event.kind == EventKind::StepSucceeded).collect();
    if !own || called || failed || succeeded.is_empty() {
        return None;
    }
    let detail = text(fault, "/problem/detail").or_else(|| text(fault, "/problem/title")).unwrap_or("it failed");
    let at = at.map(|at| format!(" at {at}")).unwrap_or_default();
    let says = format!("every source answered as asked, and what the Worker made of it does not hold{at}: {detail}");
    let evidence = succeeded.into_iter().chain([fault]).flat_map(place).collect();
    Some(Finding { cause: Cause::BadTransform, step: None, says, evidence })
}
