//! The facts of a question as one tree, from which both the context that policies see and the JSON
//! that an explanation shows are made: they can't differ.

use crate::{
    Facts, FactsNeeded, Question, RunFacts, StepFacts, vocabulary as words,
    vocabulary::{Term, Vocabulary},
};
use cedar_policy::RestrictedExpression;
use mandate_kernel::{Class, Digest, Labels, Readers, canonical_json};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The field that leads to a step's arguments.
pub(crate) const ARGUMENTS: &str = "arguments";

/// A fact.
pub(crate) enum Fact {
    Text(String),
    Long(i64),
    Flag(bool),
    /// A member of a closed vocabulary.
    Member(Term, String),
    /// A group.
    Group(String),
    Set(Vec<Fact>),
    Record(BTreeMap<&'static str, Fact>),
    /// The arguments of a step: policies see their leaves, explanations their digest.
    Arguments(Digest),
}

impl Fact {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) | Self::Member(_, text) | Self::Group(text) => Value::String(text.clone()),
            Self::Long(number) => json!(number),
            Self::Flag(flag) => Value::Bool(*flag),
            Self::Set(members) => Value::Array(members.iter().map(Self::json).collect()),
            Self::Record(fields) => record_json(fields),
            Self::Arguments(digest) => Value::String(digest.to_string()),
        }
    }

    fn expression(self, names: &Vocabulary) -> Result<RestrictedExpression, String> {
        Ok(match self {
            Self::Text(text) => RestrictedExpression::new_string(text),
            Self::Long(number) => RestrictedExpression::new_long(number),
            Self::Flag(flag) => RestrictedExpression::new_bool(flag),
            Self::Member(term, member) => RestrictedExpression::new_entity_uid(
                names.term(term, &member).ok_or_else(|| format!("no vocabulary {}", term.type_name()))?,
            ),
            Self::Group(name) => RestrictedExpression::new_entity_uid(names.group(&name)),
            Self::Set(members) => RestrictedExpression::new_set(
                members.into_iter().map(|m| m.expression(names)).collect::<Result<Vec<_>, _>>()?,
            ),
            Self::Record(fields) => {
                RestrictedExpression::new_record(pairs(fields, names)?).map_err(|e| e.to_string())?
            }
            Self::Arguments(_) => names.arguments_record.clone(),
        })
    }
}

fn record_json(fields: &BTreeMap<&'static str, Fact>) -> Value {
    Value::Object(fields.iter().map(|(name, fact)| ((*name).to_owned(), fact.json())).collect())
}

fn pairs<'a>(
    fields: impl IntoIterator<Item = (&'a str, Fact)>,
    names: &Vocabulary,
) -> Result<Vec<(String, RestrictedExpression)>, String> {
    fields.into_iter().map(|(name, fact)| Ok((name.to_owned(), fact.expression(names)?))).collect()
}

/// The facts of one question.
pub(crate) struct Tree(BTreeMap<&'static str, Fact>);

impl Tree {
    /// Gathers what the action is judged by.
    ///
    /// # Errors
    /// A sentence that names the missing part.
    pub(crate) fn of(question: &Question) -> Result<Self, String> {
        let Facts { roles, run, step, approval, .. } = &question.facts;
        let mut tree = BTreeMap::from([
            ("roles", Fact::Set(roles.iter().map(|r| Fact::Member(Term::Role, r.clone())).collect())),
            ("class", class(&question.resource.class)),
        ]);
        let missing = |part| format!("{} can't be judged without the facts about the {part}", question.action);
        match FactsNeeded::by(question.action) {
            FactsNeeded::Plain => {}
            FactsNeeded::Run => add_run(&mut tree, run.as_ref().ok_or_else(|| missing("run"))?),
            FactsNeeded::Step => {
                add_run(&mut tree, run.as_ref().ok_or_else(|| missing("run"))?);
                add_step(&mut tree, step.as_ref().ok_or_else(|| missing("step"))?)?;
            }
            FactsNeeded::Approval => {
                add_run(&mut tree, run.as_ref().ok_or_else(|| missing("run"))?);
                let approval = approval.as_ref().ok_or_else(|| missing("approval"))?;
                tree.insert("asked", Fact::Flag(approval.asked));
                tree.insert("function", Fact::Text(approval.function.to_string()));
            }
        }
        Ok(Self(tree))
    }

    /// The facts as an explanation shows them.
    pub(crate) fn json(&self) -> Value {
        record_json(&self.0)
    }

    /// The facts that are `mentioned`, as policies see them.
    pub(crate) fn pairs(
        self,
        names: &Vocabulary,
        mentioned: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, RestrictedExpression)>, String> {
        pairs(self.0.into_iter().filter(|(name, _)| mentioned(name)), names)
    }
}

/// Who, what and to what, as an explanation shows it beside the context.
pub(crate) fn asked(question: &Question, context: Value) -> Value {
    let mut facts = Map::new();
    facts.insert(
        "principal".into(),
        json!({
            "subject": question.principal.subject(),
            "tenant": question.principal.tenant.as_str(),
            "groups": question.groups,
        }),
    );
    facts.insert("action".into(), question.action.as_str().into());
    let mut resource = json!({
        "kind": question.resource.kind.as_str(),
        "name": question.resource.name,
        "tenant": question.resource.tenant.as_str(),
    });
    if let (Some(object), Some(project)) = (resource.as_object_mut(), &question.resource.project) {
        object.insert("project".into(), project.as_str().into());
    }
    if let (Some(object), Some(worker)) = (resource.as_object_mut(), &question.resource.worker) {
        object.insert("worker".into(), worker.as_str().into());
    }
    facts.insert("resource".into(), resource);
    facts.insert("context".into(), context);
    if !question.facts.passed_gates.is_empty() {
        facts.insert("passed_gates".into(), json!(question.facts.passed_gates));
    }
    Value::Object(facts)
}

fn class(class: &Class) -> Fact {
    let data = class.data.iter().map(|c| Fact::Member(Term::Category, words::category(*c).to_owned())).collect();
    Fact::Record(BTreeMap::from([
        ("impact", Fact::Member(Term::Impact, words::impact(class.impact).to_owned())),
        ("data", Fact::Set(data)),
    ]))
}

fn add_run(tree: &mut BTreeMap<&'static str, Fact>, run: &RunFacts) {
    tree.insert("initiator", Fact::Text(run.initiator.subject()));
    tree.insert("environment", Fact::Text(run.environment.to_string()));
    tree.insert("purpose", Fact::Text(run.purpose.clone()));
    tree.insert("run_class", class(&run.class));
}

fn add_step(tree: &mut BTreeMap<&'static str, Fact>, step: &StepFacts) -> Result<(), String> {
    let arguments = canonical_json(&step.arguments).map_err(|e| format!("the arguments can't be judged: {e}"))?;
    tree.insert("function", Fact::Text(step.function.to_string()));
    tree.insert("effect", Fact::Member(Term::Effect, step.effect.as_str().to_owned()));
    tree.insert("identity_model", Fact::Member(Term::IdentityModel, step.identity_model.as_str().to_owned()));
    tree.insert("worker_digest", Fact::Text(step.worker_digest.to_string()));
    if let Some(destination) = &step.destination {
        let integrity = Fact::Member(Term::Integrity, words::integrity(destination.integrity).to_owned());
        let address = Fact::Text(destination.address.clone());
        tree.insert("destination", Fact::Record(BTreeMap::from([("address", address), ("integrity", integrity)])));
    }
    if let Some(credential) = &step.credential {
        let mut record = BTreeMap::from([("name", Fact::Text(credential.name.to_string()))]);
        if let Some(environment) = &credential.environment {
            record.insert("environment", Fact::Text(environment.to_string()));
        }
        tree.insert("credential", Fact::Record(record));
    }
    tree.insert(ARGUMENTS, Fact::Arguments(Digest::of(&arguments)));
    tree.insert("labels", labels(&step.labels));
    tree.insert("scopes", Fact::Set(step.scopes.iter().map(|s| Fact::Text(s.clone())).collect()));
    tree.insert("seq", Fact::Long(step.seq.0.into()));
    tree.insert("attempt", Fact::Long(step.attempt.0.into()));
    tree.insert("function_allowed", Fact::Flag(step.function_allowed));
    tree.insert("environment_matches", Fact::Flag(step.environment_matches));
    tree.insert("authority_covers", Fact::Flag(step.authority_covers));
    tree.insert("grant", Fact::Flag(step.grant));
    Ok(())
}

fn labels(labels: &Labels) -> Fact {
    let categories = labels.categories.iter();
    let readers: Vec<Fact> = match &labels.readers {
        Readers::Anyone => Vec::new(),
        Readers::Groups(groups) => groups.iter().map(|g| Fact::Group(g.clone())).collect(),
    };
    let confidentiality = words::confidentiality(labels.confidentiality).to_owned();
    Fact::Record(BTreeMap::from([
        ("confidentiality", Fact::Member(Term::Confidentiality, confidentiality)),
        ("integrity", Fact::Member(Term::Integrity, words::integrity(labels.integrity).to_owned())),
        (
            "categories",
            Fact::Set(categories.map(|c| Fact::Member(Term::Category, words::category(*c).to_owned())).collect()),
        ),
        ("limited", Fact::Flag(matches!(labels.readers, Readers::Groups(_)))),
        ("readers", Fact::Set(readers)),
    ]))
}
