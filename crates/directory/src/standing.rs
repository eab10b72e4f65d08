//! A standing grant: somebody lets a Worker start by itself, in their name, for a while.

use mandate_kernel::{Caller, Digest, Environment, FunctionName, GroupName, Principal, ResourceName, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The kind under which standing grants are stored, each by the name of its Worker.
pub const STANDING_GRANT: &str = "StandingGrant";

/// The content of a `StandingGrant` resource. Made by command only: people lend their own authority and
/// nobody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StandingGrantSpec {
    /// The Worker.
    pub worker: ResourceName,
    /// Digest of the Worker version it was given to.
    pub worker_version: Digest,
    /// Digests of the function versions it was given for, by the Worker's names for them.
    pub functions: BTreeMap<FunctionName, Digest>,
    /// Where the runs are.
    pub environment: Environment,
    /// Why, in the holder's words: the purpose of each run.
    pub purpose: String,
    /// In whose name the runs are.
    pub holder: Principal,
    /// The holder's groups when it was given, as their provider vouched for them then.
    pub groups: BTreeSet<GroupName>,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends.
    pub not_after: Timestamp,
}

impl StandingGrantSpec {
    /// On whose behalf the Worker starts.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::new(self.holder.clone(), self.groups.clone())
    }

    /// Why it covers nothing now, or `None` when it does: the Worker and its functions are those it was given
    /// for, and it has not ended.
    #[must_use]
    pub fn lapsed(
        &self,
        now: Timestamp,
        worker_version: &Digest,
        functions: &BTreeMap<FunctionName, Digest>,
    ) -> Option<&'static str> {
        if now >= self.not_after {
            Some("it has ended")
        } else if self.worker_version != *worker_version {
            Some("the Worker was edited after it was given")
        } else if self.functions != *functions {
            Some("a function was edited after it was given")
        } else {
            None
        }
    }
}

/// The name under which a standing grant is revoked: no run under it is admitted anything from then on.
#[must_use]
pub fn standing_epoch(worker: &ResourceName) -> String {
    format!("standing:{worker}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_covers_what_it_was_given_for_until_it_ends() {
        let (worker, function) = (Digest::of(b"worker"), Digest::of(b"function"));
        let functions = BTreeMap::from([("crm.read".parse().unwrap(), function)]);
        let grant = StandingGrantSpec {
            worker: ResourceName::new("finance/w").unwrap(),
            worker_version: worker,
            functions: functions.clone(),
            environment: "sandbox".parse().unwrap(),
            purpose: "p".to_owned(),
            holder: Principal::user("demo".parse().unwrap(), "jo"),
            groups: BTreeSet::new(),
            given_at: Timestamp::from_secs(1),
            not_after: Timestamp::from_secs(10),
        };
        let at = Timestamp::from_secs;
        assert_eq!(grant.lapsed(at(9), &worker, &functions), None);
        assert_eq!(grant.lapsed(at(10), &worker, &functions), Some("it has ended"));
        assert!(grant.lapsed(at(9), &function, &functions).unwrap().contains("Worker was edited"));
        assert!(grant.lapsed(at(9), &worker, &BTreeMap::new()).unwrap().contains("function was edited"));
        assert_eq!(grant.caller().principal.subject(), "user:jo");
    }
}
