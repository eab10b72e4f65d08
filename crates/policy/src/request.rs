//! A question in Cedar's terms: a request and the two entities it is about.

use crate::{
    Question, arguments, askers,
    facts::{ARGUMENTS, Tree},
    vocabulary::Vocabulary,
};
use cedar_policy::{Context, Entities, Entity, EntityUid, Request, RestrictedExpression};
use mandate_kernel::{PrincipalKind, ResourceName};
use std::collections::HashMap;

/// What Cedar is asked.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// The two sides of a question, before its facts.
pub(crate) struct Sides {
    principal: EntityUid,
    resource: EntityUid,
    pub(crate) entities: Entities,
}

impl Sides {
    /// The entities of a question that makes sense.
    ///
    /// # Errors
    /// A sentence that says how the question contradicts itself.
    pub(crate) fn of(question: &Question, names: &Vocabulary) -> Result<Self, String> {
        let Question { principal, action, resource, .. } = question;
        if resource.kind != action.resource_kind() {
            return Err(format!("{action} is about a {}, not a {}", action.resource_kind(), resource.kind));
        }
        if !askers(*action).contains(&principal.kind) {
            return Err(format!("a {} can't ask for {action}", principal.kind.as_str()));
        }
        let unknown = || "the question is of an unknown kind".to_owned();
        let asker = names.principal(principal).ok_or_else(unknown)?;
        let asked = names.resource(resource.kind, &resource.name).ok_or_else(unknown)?;
        let entities = if asker == asked {
            // A Worker that asks about itself is one entity; two tenants' Workers of one name are not.
            if principal.tenant != resource.tenant {
                return Err("a Worker of another tenant goes by the name of the one asked about".to_owned());
            }
            let parents = principal_parents(question, names).into_iter().chain(resource_parents(question, names));
            vec![entity(asker.clone(), principal_attributes(question), parents)?]
        } else {
            vec![
                entity(asker.clone(), principal_attributes(question), principal_parents(question, names))?,
                entity(asked.clone(), resource_attributes(question), resource_parents(question, names))?,
            ]
        };
        let entities = Entities::from_entities(entities, None).map_err(|e| e.to_string())?;
        Ok(Self { principal: asker, resource: asked, entities })
    }

    /// The resource and all it is in.
    pub(crate) fn resource_and_ancestors(&self) -> impl Iterator<Item = &EntityUid> {
        std::iter::once(&self.resource).chain(self.entities.ancestors(&self.resource).into_iter().flatten())
    }

    /// The principal and all it is in.
    pub(crate) fn principal_and_ancestors(&self) -> impl Iterator<Item = &EntityUid> {
        std::iter::once(&self.principal).chain(self.entities.ancestors(&self.principal).into_iter().flatten())
    }

    /// The whole request, with the facts that are `mentioned` by a policy in question.
    ///
    /// # Errors
    /// A sentence, when the facts have no form that policies can look at.
    pub(crate) fn ask(
        self,
        question: &Question,
        tree: Tree,
        names: &Vocabulary,
        mentioned: impl Fn(&str) -> bool,
    ) -> Result<Asked, String> {
        let action = names.action(question.action).ok_or("the action is unknown")?.clone();
        let context = Context::from_pairs(tree.pairs(names, &mentioned)?).map_err(|e| e.to_string())?;
        let mut entities = self.entities;
        if let Some(step) = &question.facts.step
            && mentioned(ARGUMENTS)
        {
            let leaves = arguments::entities(&step.arguments, names)?;
            entities = entities.add_entities(leaves, None).map_err(|e| e.to_string())?;
        }
        let request = Request::new(self.principal, action, self.resource, context, None).map_err(|e| e.to_string())?;
        Ok(Asked { request, entities })
    }
}

type Attributes = HashMap<String, RestrictedExpression>;

fn entity(
    uid: EntityUid,
    attributes: Attributes,
    parents: impl IntoIterator<Item = EntityUid>,
) -> Result<Entity, String> {
    Entity::new(uid, attributes, parents.into_iter().collect()).map_err(|e| e.to_string())
}

fn text(name: &str, value: String) -> (String, RestrictedExpression) {
    (name.to_owned(), RestrictedExpression::new_string(value))
}

fn principal_attributes(question: &Question) -> Attributes {
    let principal = &question.principal;
    let mut attributes =
        Attributes::from([text("tenant", principal.tenant.to_string()), text("subject", principal.subject())]);
    if principal.kind == PrincipalKind::Worker {
        attributes.extend([text("name", principal.name.clone())]);
    }
    attributes
}

fn principal_parents(question: &Question, names: &Vocabulary) -> Vec<EntityUid> {
    let mut parents: Vec<EntityUid> = question.groups.iter().map(|g| names.group(g.as_str())).collect();
    if question.principal.kind == PrincipalKind::Worker {
        parents.push(names.tenant(question.principal.tenant.as_str()));
        if let Ok(name) = ResourceName::new(question.principal.name.as_str()) {
            parents.push(names.project(name.project().as_str()));
        }
    }
    parents
}

fn resource_attributes(question: &Question) -> Attributes {
    let resource = &question.resource;
    let mut attributes =
        Attributes::from([text("tenant", resource.tenant.to_string()), text("name", resource.name.clone())]);
    if resource.kind == mandate_kernel::ResourceKind::Worker {
        attributes.extend([text("subject", format!("{}:{}", PrincipalKind::Worker.as_str(), resource.name))]);
    }
    attributes
}

fn resource_parents(question: &Question, names: &Vocabulary) -> Vec<EntityUid> {
    let resource = &question.resource;
    if resource.kind == mandate_kernel::ResourceKind::Tenant {
        return Vec::new();
    }
    let mut parents = vec![names.tenant(resource.tenant.as_str())];
    parents.extend(resource.project.as_ref().map(|p| names.project(p.as_str())));
    parents.extend(resource.worker.as_ref().map(|w| names.worker(w.as_str())));
    parents
}
