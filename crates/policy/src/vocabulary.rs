//! The names Cedar knows us by, parsed once: entity types, actions, the schema.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema, SchemaFragment, Validator};
use mandate_kernel::{Action, Category, Confidentiality, Impact, Integrity, Principal, PrincipalKind, ResourceKind};
use std::{str::FromStr, sync::LazyLock};

/// The schema's text.
pub(crate) const SCHEMA: &str = include_str!("../schema/mandate.cedarschema");

/// Closed vocabularies: in Cedar, enumerated entity types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    Role,
    Impact,
    Category,
    Confidentiality,
    Integrity,
    Effect,
    IdentityModel,
}

impl Term {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Role,
        Self::Impact,
        Self::Category,
        Self::Confidentiality,
        Self::Integrity,
        Self::Effect,
        Self::IdentityModel,
    ];

    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::Impact => "Impact",
            Self::Category => "Category",
            Self::Confidentiality => "Confidentiality",
            Self::Integrity => "Integrity",
            Self::Effect => "Effect",
            Self::IdentityModel => "IdentityModel",
        }
    }
}

/// The type of principal as policies write it.
pub(crate) const fn principal_type(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "User",
        PrincipalKind::Worker => "Worker",
        PrincipalKind::ServiceAccount => "ServiceAccount",
        PrincipalKind::System => "System",
    }
}

pub(crate) const PRINCIPAL_KINDS: &[PrincipalKind] =
    &[PrincipalKind::User, PrincipalKind::Worker, PrincipalKind::ServiceAccount, PrincipalKind::System];

pub(crate) const fn impact(impact: Impact) -> &'static str {
    match impact {
        Impact::ReadOnly => "read-only",
        Impact::AnalysisOnly => "analysis-only",
        Impact::ActionTaking => "action-taking",
    }
}

pub(crate) const fn category(category: Category) -> &'static str {
    match category {
        Category::Internal => "internal",
        Category::Financial => "financial",
        Category::Personal => "personal",
        Category::Regulated => "regulated",
    }
}

pub(crate) const fn confidentiality(confidentiality: Confidentiality) -> &'static str {
    match confidentiality {
        Confidentiality::Public => "public",
        Confidentiality::Internal => "internal",
        Confidentiality::Confidential => "confidential",
        Confidentiality::Restricted => "restricted",
    }
}

pub(crate) const fn integrity(integrity: Integrity) -> &'static str {
    match integrity {
        Integrity::Untrusted => "untrusted",
        Integrity::Derived => "derived",
        Integrity::Authoritative => "authoritative",
    }
}

/// Everything parsed that does not depend on a question. The vectors are ordered as the enums are.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    pub(crate) validator: Validator,
    principals: Vec<EntityTypeName>,
    resources: Vec<EntityTypeName>,
    terms: Vec<EntityTypeName>,
    actions: Vec<EntityUid>,
    group: EntityTypeName,
    project: EntityTypeName,
    tenant: EntityTypeName,
    worker: EntityTypeName,
    /// The entities that carry a step's arguments, in the order of [`ARGUMENT_TYPES`].
    pub(crate) arguments: Vec<EntityUid>,
    /// `context.arguments`: a record that points at them.
    pub(crate) arguments_record: RestrictedExpression,
}

/// Field of `context.arguments`, and the entity type whose tags hold it.
pub(crate) const ARGUMENT_TYPES: &[(&str, &str)] =
    &[("text", "Texts"), ("number", "Numbers"), ("decimal", "Decimals"), ("flag", "Flags"), ("list", "Lists")];

fn type_name(name: &str) -> Result<EntityTypeName, String> {
    EntityTypeName::from_str(name).map_err(|e| e.to_string())
}

fn uid(type_name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id))
}

/// It is the same for all tenants and costs a millisecond to parse.
static SHARED: LazyLock<Result<Vocabulary, String>> = LazyLock::new(Vocabulary::load);

impl Vocabulary {
    /// The one vocabulary there is.
    ///
    /// # Errors
    /// A sentence, never with a schema that passes the tests of this module.
    pub(crate) fn shared() -> Result<&'static Self, String> {
        SHARED.as_ref().map_err(Clone::clone)
    }

    /// Parses the schema and every name.
    fn load() -> Result<Self, String> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
        let schema: Schema = fragment.try_into().map_err(|e: cedar_policy::SchemaError| e.to_string())?;
        let action_type = type_name("Action")?;
        let arguments: Vec<EntityUid> = ARGUMENT_TYPES
            .iter()
            .map(|(_, name)| Ok(uid(&type_name(name)?, "arguments")))
            .collect::<Result<_, String>>()?;
        let fields = ARGUMENT_TYPES
            .iter()
            .zip(&arguments)
            .map(|((field, _), uid)| ((*field).to_owned(), RestrictedExpression::new_entity_uid(uid.clone())));
        Ok(Self {
            arguments_record: RestrictedExpression::new_record(fields).map_err(|e| e.to_string())?,
            arguments,
            principals: PRINCIPAL_KINDS.iter().map(|k| type_name(principal_type(*k))).collect::<Result<_, _>>()?,
            resources: ResourceKind::ALL.iter().map(|k| type_name(k.as_str())).collect::<Result<_, _>>()?,
            terms: Term::ALL.iter().map(|t| type_name(t.type_name())).collect::<Result<_, _>>()?,
            actions: Action::ALL.iter().map(|a| uid(&action_type, a.as_str())).collect(),
            group: type_name("Group")?,
            project: type_name("Project")?,
            tenant: type_name("Tenant")?,
            worker: type_name("Worker")?,
            validator: Validator::new(schema),
        })
    }

    pub(crate) fn principal(&self, principal: &Principal) -> Option<EntityUid> {
        self.principals.get(principal.kind as usize).map(|t| uid(t, &principal.name))
    }

    pub(crate) fn resource_type(&self, kind: ResourceKind) -> Option<&EntityTypeName> {
        self.resources.get(kind as usize)
    }

    pub(crate) fn resource(&self, kind: ResourceKind, name: &str) -> Option<EntityUid> {
        self.resource_type(kind).map(|t| uid(t, name))
    }

    pub(crate) fn action(&self, action: Action) -> Option<&EntityUid> {
        self.actions.get(action as usize)
    }

    pub(crate) fn term(&self, term: Term, member: &str) -> Option<EntityUid> {
        self.terms.get(term as usize).map(|t| uid(t, member))
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    pub(crate) fn project(&self, name: &str) -> EntityUid {
        uid(&self.project, name)
    }

    pub(crate) fn tenant(&self, name: &str) -> EntityUid {
        uid(&self.tenant, name)
    }

    pub(crate) fn worker(&self, name: &str) -> EntityUid {
        uid(&self.worker, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FactsNeeded, ROLES, askers};
    use mandate_kernel::{EffectClass, IdentityModel};
    use std::collections::BTreeSet;

    fn schema_json() -> serde_json::Value {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
        fragment.to_json_value().unwrap()[""].clone()
    }

    #[test]
    fn actions_are_those_of_the_kernel_both_ways() {
        let vocabulary = Vocabulary::shared().unwrap();
        let schema = vocabulary.validator.schema();
        let ours: BTreeSet<String> = Action::ALL.iter().map(|a| a.as_str().to_owned()).collect();
        let theirs: BTreeSet<String> = schema.actions().map(|a| a.id().unescaped().to_owned()).collect();
        assert_eq!(ours, theirs);
        for action in Action::ALL {
            let uid = vocabulary.action(*action).unwrap();
            let resources: BTreeSet<&str> = schema.resources_for_action(uid).unwrap().map(|t| t.basename()).collect();
            assert_eq!(resources, BTreeSet::from([action.resource_kind().as_str()]), "{action}");
            let principals: BTreeSet<&str> = schema.principals_for_action(uid).unwrap().map(|t| t.basename()).collect();
            assert_eq!(principals, askers(*action).iter().map(|k| principal_type(*k)).collect(), "{action}");
            let context = schema_json()["actions"][action.as_str()]["appliesTo"]["context"].to_string();
            let expected = match FactsNeeded::by(*action) {
                FactsNeeded::Plain => "Plain",
                FactsNeeded::Run => "OnRun",
                FactsNeeded::Step => "OnStep",
                FactsNeeded::Approval => "OnApproval",
            };
            assert!(context.contains(&format!("\"{expected}\"")), "{action}: {context}");
        }
    }

    #[test]
    fn entity_types_are_ours_and_no_others() {
        let vocabulary = Vocabulary::shared().unwrap();
        let theirs: BTreeSet<&str> = vocabulary.validator.schema().entity_types().map(|t| t.basename()).collect();
        let ours: BTreeSet<&str> = ResourceKind::ALL
            .iter()
            .map(|k| k.as_str())
            .chain(PRINCIPAL_KINDS.iter().map(|k| principal_type(*k)))
            .chain(Term::ALL.iter().map(|t| t.type_name()))
            .chain(ARGUMENT_TYPES.iter().map(|(_, name)| *name))
            .chain(["Group", "Project"])
            .collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn closed_vocabularies_are_ours_both_ways() {
        fn names<T: serde::Serialize + Copy>(all: &[T], text: impl Fn(T) -> &'static str) -> Vec<&'static str> {
            for member in all {
                assert_eq!(serde_json::to_value(member).unwrap(), text(*member));
            }
            all.iter().map(|m| text(*m)).collect()
        }
        let json = schema_json();
        for term in Term::ALL {
            let ours: Vec<&str> = match term {
                Term::Role => ROLES.to_vec(),
                Term::Impact => names(&[Impact::ReadOnly, Impact::AnalysisOnly, Impact::ActionTaking], impact),
                Term::Category => {
                    names(&[Category::Internal, Category::Financial, Category::Personal, Category::Regulated], category)
                }
                Term::Confidentiality => names(
                    &[
                        Confidentiality::Public,
                        Confidentiality::Internal,
                        Confidentiality::Confidential,
                        Confidentiality::Restricted,
                    ],
                    confidentiality,
                ),
                Term::Integrity => {
                    names(&[Integrity::Untrusted, Integrity::Derived, Integrity::Authoritative], integrity)
                }
                Term::Effect => names(EffectClass::ALL, EffectClass::as_str),
                Term::IdentityModel => names(IdentityModel::ALL, IdentityModel::as_str),
            };
            assert_eq!(json["entityTypes"][term.type_name()]["enum"], serde_json::json!(ours), "{term:?}");
        }
    }

    #[test]
    fn kinds_index_their_own_names() {
        let vocabulary = Vocabulary::shared().unwrap();
        for (index, kind) in PRINCIPAL_KINDS.iter().enumerate() {
            assert_eq!((*kind as usize, vocabulary.principals[index].basename()), (index, principal_type(*kind)));
        }
        for kind in ResourceKind::ALL {
            assert_eq!(vocabulary.resource_type(*kind).unwrap().basename(), kind.as_str());
        }
        for action in Action::ALL {
            assert_eq!(vocabulary.action(*action).unwrap().id().unescaped(), action.as_str());
        }
        for term in Term::ALL {
            assert_eq!(vocabulary.term(*term, "x").unwrap().type_name().basename(), term.type_name());
        }
    }
}
