//! From files to policies: parsed, named, checked in Cedar's strict mode. All errors are collected.

use crate::{Effect, GateKind, PolicyError, PolicyErrors, PolicyRef, PolicySource, vocabulary::Vocabulary};
use cedar_policy::{Policy, PolicyId, PolicySet as CedarSet, ValidationMode};
use miette::Diagnostic;
use std::collections::{BTreeMap, HashMap, HashSet};

/// One policy, checked.
pub(crate) struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) rule: Rule,
}

/// What a decision needs to know of a policy beside its evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) reference: PolicyRef,
    /// The gate that a forbid demands, and its text.
    pub(crate) gate: Option<(GateKind, String)>,
}

/// Compiles files whose names were checked.
pub(crate) fn compile(sources: &[PolicySource], names: &Vocabulary) -> Result<Vec<Compiled>, PolicyErrors> {
    let mut errors = Vec::new();
    let mut compiled = Vec::new();
    let mut files_by_id = HashMap::new();
    let mut files = HashSet::new();
    for source in sources {
        if !files.insert(&source.file) {
            errors.push(PolicyError::at(source, 0, "there are two files of this name: rename one"));
            continue;
        }
        if let Err(beyond) = crate::bounds::check(source) {
            errors.push(beyond);
            continue;
        }
        match parse(source) {
            Ok(policies) => {
                compiled.extend(check(source, policies, &mut files_by_id, names, &mut errors));
            }
            Err(mut parse_errors) => errors.append(&mut parse_errors),
        }
    }
    if errors.is_empty() {
        return Ok(compiled);
    }
    errors.sort();
    errors.dedup();
    Err(PolicyErrors(errors))
}

fn parse(source: &PolicySource) -> Result<Vec<Policy>, Vec<PolicyError>> {
    let set: CedarSet = source
        .text
        .parse()
        .map_err(|e: cedar_policy::ParseErrors| e.iter().map(|e| diagnosed(source, 0, e)).collect::<Vec<_>>())?;
    if set.templates().next().is_some() {
        let message = "templates (?principal, ?resource) are not supported: name the entity";
        return Err(vec![PolicyError::at(source, 0, message)]);
    }
    let mut policies: Vec<Policy> = set.policies().cloned().collect();
    policies.sort_by_key(offset);
    if policies.is_empty() {
        // A file cut off by accident would otherwise take its rules away without a word.
        return Err(vec![PolicyError::at(source, 0, "the file holds no policy: remove it, or write one")]);
    }
    Ok(policies)
}

/// Where the policy begins in its file.
fn offset(policy: &Policy) -> usize {
    policy.as_ref().loc().map_or(0, |loc| loc.span.offset())
}

fn diagnosed(source: &PolicySource, fallback: usize, diagnostic: &dyn Diagnostic) -> PolicyError {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    let mut message = diagnostic.to_string();
    if let Some(text) = label.as_ref().and_then(|l| l.label()) {
        message = format!("{message}: {text}");
    }
    if let Some(help) = diagnostic.help() {
        message = format!("{message} ({help})");
    }
    PolicyError::at(source, label.map_or(fallback, |l| l.offset()), message)
}

/// Names the policies of one file by their `@id`, reads their annotations and validates them.
fn check(
    source: &PolicySource,
    policies: Vec<Policy>,
    files_by_id: &mut HashMap<String, String>,
    names: &Vocabulary,
    errors: &mut Vec<PolicyError>,
) -> Vec<Compiled> {
    let mut checked = Vec::new();
    for policy in policies {
        match rule(source, &policy) {
            Ok(rule) => {
                let id = rule.reference.id.clone();
                if let Some(file) = files_by_id.insert(id.clone(), source.file.clone()) {
                    let message = format!("the id `{id}` is taken by a policy in {file}: choose another");
                    errors.push(PolicyError::at(source, offset(&policy), message));
                } else {
                    checked.push(Compiled { policy: policy.new_id(PolicyId::new(&id)), rule });
                }
            }
            Err(messages) => {
                errors.extend(messages.into_iter().map(|m| PolicyError::at(source, offset(&policy), m)));
            }
        }
    }
    validate(source, &checked, names, errors);
    checked
}

/// Strict mode, and warnings count: a rule that can never apply is a mistake.
fn validate(source: &PolicySource, checked: &[Compiled], names: &Vocabulary, errors: &mut Vec<PolicyError>) {
    let set = match CedarSet::from_policies(checked.iter().map(|c| c.policy.clone())) {
        Ok(set) => set,
        Err(e) => return errors.push(PolicyError::at(source, 0, e.to_string())),
    };
    let begin = |id: &PolicyId| set.policy(id).map_or(0, offset);
    let result = names.validator.validate(&set, ValidationMode::Strict);
    errors.extend(result.validation_errors().map(|e| diagnosed(source, begin(e.policy_id()), e)));
    errors.extend(result.validation_warnings().map(|w| diagnosed(source, begin(w.policy_id()), w)));
}

fn rule(source: &PolicySource, policy: &Policy) -> Result<Rule, Vec<String>> {
    let mut messages = Vec::new();
    let mut annotations = BTreeMap::new();
    let mut id = None;
    let mut gate = None;
    let effect = match policy.effect() {
        cedar_policy::Effect::Permit => Effect::Permit,
        cedar_policy::Effect::Forbid => Effect::Forbid,
    };
    for (name, value) in policy.annotations() {
        match name {
            "id" if is_id(value) => id = Some(value.to_owned()),
            "id" => messages.push(format!(
                "the id `{}` is not valid: use 1 to 128 of a-z, 0-9, `.`, `-` and `/`",
                value.chars().take(80).collect::<String>()
            )),
            "description" => {}
            "gate" if effect == Effect::Permit => {
                messages.push("@gate belongs on a forbid: it says how what is forbidden becomes possible".to_owned());
            }
            "gate" => match value.parse::<GateKind>() {
                Ok(kind) => gate = Some((kind, value.to_owned())),
                Err(e) => messages.push(e.to_string()),
            },
            other => messages.push(format!("@{other} is unknown: use @id, @description, @gate")),
        }
        if name != "id" {
            annotations.insert(name.to_owned(), value.to_owned());
        }
    }
    if policy.annotation("id").is_none() {
        messages.push("the policy has no @id: write @id(\"some.name\") above it".to_owned());
    }
    match id {
        Some(id) if messages.is_empty() => {
            Ok(Rule { reference: PolicyRef { id, file: source.file.clone(), effect, annotations }, gate })
        }
        _ => Err(messages),
    }
}

fn is_id(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'/');
    (1..=128).contains(&text.len()) && text.bytes().all(allowed)
}
