//! Entitlements: what a person may do in other systems, and so may lend to a run.

use mandate_identity::{ArgumentLimits, Audience, Authority, Scope};
use mandate_kernel::{Caller, Duration, Environment, FunctionName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How deep an initiator's authority may be delegated: run, step, and two levels below.
const DEPTH: u8 = 4;

/// The content of an `Entitlement` resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EntitlementSpec {
    /// Who: `user:NAME` or `group:NAME`.
    pub subjects: BTreeSet<String>,
    /// Where it holds.
    pub environments: BTreeSet<Environment>,
    /// Scopes at the audiences.
    pub scopes: BTreeSet<Scope>,
    /// Receivers it holds at.
    pub audiences: BTreeSet<Audience>,
    /// Functions, with limits on their arguments.
    pub functions: BTreeMap<FunctionName, ArgumentLimits>,
}

impl EntitlementSpec {
    fn names(&self, caller: &Caller) -> bool {
        self.subjects.contains(&caller.principal.subject())
            || caller.groups.iter().any(|group| self.subjects.contains(&format!("group:{group}")))
    }
}

/// The initiator's own authority in an environment: the union of their entitlements there. Where two
/// entitlements limit the same function differently, the one that covers the other counts; where
/// neither does, the function is left out, because the lattice has no union of them.
#[must_use]
pub fn own_authority<'a>(
    entitlements: impl IntoIterator<Item = &'a EntitlementSpec>,
    caller: &Caller,
    environment: &Environment,
    now: Timestamp,
    lifetime: Duration,
) -> Authority {
    let mut authority = Authority {
        scopes: BTreeSet::new(),
        audiences: BTreeSet::new(),
        functions: BTreeMap::new(),
        environment: environment.clone(),
        not_after: now.plus(lifetime),
        depth: DEPTH,
    };
    let mut disputed = BTreeSet::new();
    for held in entitlements.into_iter().filter(|e| e.names(caller) && e.environments.contains(environment)) {
        authority.scopes.extend(held.scopes.iter().cloned());
        authority.audiences.extend(held.audiences.iter().cloned());
        for (function, limits) in &held.functions {
            let kept = match authority.functions.get(function) {
                Some(other) if other.cover(limits).is_ok() => continue,
                Some(other) if limits.cover(other).is_err() => {
                    disputed.insert(function.clone());
                    continue;
                }
                _ => limits.clone(),
            };
            authority.functions.insert(function.clone(), kept);
        }
    }
    authority.functions.retain(|function, _| !disputed.contains(function));
    authority
}
