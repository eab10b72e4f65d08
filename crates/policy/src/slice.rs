//! Which policies could apply to a question, known before it is asked. Policies are filed by action,
//! and within it by the one entity that their scope demands of the resource or, failing that, of the
//! principal. Cedar evaluates the scope first, so a policy left out can neither apply nor fail.

use crate::{compile::Compiled, mentions::Mentions, vocabulary::Vocabulary};
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PolicySet as CedarSet, PrincipalConstraint,
    ResourceConstraint,
};
use mandate_kernel::Action;
use std::collections::HashMap;

/// Policies evaluated together. Permits and forbids are apart: Cedar alone names only the side that
/// won, and a gate needs to know both.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) permits: CedarSet,
    pub(crate) forbids: CedarSet,
    /// The facts that any of them may look at.
    pub(crate) mentions: Mentions,
}

impl Slice {
    fn add(&mut self, policy: &Policy) -> Result<(), String> {
        self.mentions.add(policy);
        let side = match policy.effect() {
            Effect::Permit => &mut self.permits,
            Effect::Forbid => &mut self.forbids,
        };
        side.add(policy.clone()).map_err(|e| e.to_string())
    }
}

/// The policies of one action.
#[derive(Debug, Default)]
struct Filed {
    anyone: Slice,
    by_resource: HashMap<EntityUid, Slice>,
    by_principal: HashMap<EntityUid, Slice>,
}

/// All policies, filed.
#[derive(Debug)]
pub(crate) struct Index(Vec<Filed>);

impl Index {
    pub(crate) fn new(compiled: &[Compiled], names: &Vocabulary) -> Result<Self, String> {
        let mut index = Vec::with_capacity(Action::ALL.len());
        for action in Action::ALL {
            let mut filed = Filed::default();
            for Compiled { policy, .. } in compiled {
                if concerns(policy, *action, names) {
                    filed.slot(policy).add(policy)?;
                }
            }
            index.push(filed);
        }
        Ok(Self(index))
    }

    /// The slices for a question, given what the resource and the principal are and are in.
    pub(crate) fn slices<'a, 'q>(
        &'a self,
        action: Action,
        resource: impl Iterator<Item = &'q EntityUid>,
        principal: impl Iterator<Item = &'q EntityUid>,
    ) -> Vec<&'a Slice> {
        let Some(filed) = self.0.get(action as usize) else { return Vec::new() };
        let mut slices = vec![&filed.anyone];
        if !filed.by_resource.is_empty() {
            slices.extend(resource.filter_map(|uid| filed.by_resource.get(uid)));
        }
        if !filed.by_principal.is_empty() {
            slices.extend(principal.filter_map(|uid| filed.by_principal.get(uid)));
        }
        slices
    }
}

impl Filed {
    fn slot(&mut self, policy: &Policy) -> &mut Slice {
        match (policy.resource_constraint(), policy.principal_constraint()) {
            (ResourceConstraint::Eq(e) | ResourceConstraint::In(e) | ResourceConstraint::IsIn(_, e), _) => {
                self.by_resource.entry(e).or_default()
            }
            (_, PrincipalConstraint::Eq(e) | PrincipalConstraint::In(e) | PrincipalConstraint::IsIn(_, e)) => {
                self.by_principal.entry(e).or_default()
            }
            _ => &mut self.anyone,
        }
    }
}

/// Whether the scope leaves room for a question about `action`, which is always about its own kind of
/// resource.
fn concerns(policy: &Policy, action: Action, names: &Vocabulary) -> bool {
    let Some(uid) = names.action(action) else { return true };
    let by_action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == *uid,
        ActionConstraint::In(list) => list.contains(uid),
    };
    let of_kind = |t: &EntityTypeName| names.resource_type(action.resource_kind()).is_none_or(|kind| kind == t);
    let by_kind = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::In(_) => true,
        ResourceConstraint::Eq(only) => of_kind(only.type_name()),
        ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => of_kind(&kind),
    };
    by_action && by_kind
}
