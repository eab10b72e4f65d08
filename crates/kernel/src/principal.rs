//! Who acts. Identity classes are kept apart (mission 1): a person is never a workload.

use crate::{GroupName, Tenant};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// The class of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A Worker acting on delegation.
    Worker,
    /// A service account.
    ServiceAccount,
    /// A part of this system, named in the ledger.
    System,
}

impl PrincipalKind {
    /// The kind as ids and policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Worker => "worker",
            Self::ServiceAccount => "service-account",
            Self::System => "system",
        }
    }
}

/// An identity inside a tenant. Text form: `kind:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Principal {
    /// Which trust boundary it belongs to.
    pub kind: PrincipalKind,
    /// The tenant that knows it.
    pub tenant: Tenant,
    /// Its stable name: the `sub` of the provider, or a resource name.
    pub name: String,
}

impl Principal {
    /// A person of a tenant.
    #[must_use]
    pub fn user(tenant: Tenant, name: impl Into<String>) -> Self {
        Self { kind: PrincipalKind::User, tenant, name: name.into() }
    }

    /// A part of this system acting in a tenant.
    #[must_use]
    pub fn system(tenant: Tenant, name: impl Into<String>) -> Self {
        Self { kind: PrincipalKind::System, tenant, name: name.into() }
    }

    /// `kind:name`, the form used as `sub` and in the ledger.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{}:{}", self.kind.as_str(), self.name)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@{}", self.kind.as_str(), self.name, self.tenant)
    }
}

/// On whose behalf a query or request is made. No query without one (I5): the store hands out its
/// methods only for a caller, and looks only into that caller's tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The verified identity.
    pub principal: Principal,
    /// The groups the provider vouched for.
    pub groups: BTreeSet<GroupName>,
}

impl Caller {
    /// A caller with its groups.
    #[must_use]
    pub const fn new(principal: Principal, groups: BTreeSet<GroupName>) -> Self {
        Self { principal, groups }
    }

    /// A part of this system acting in a tenant (recovery, sequencer).
    #[must_use]
    pub fn system(tenant: Tenant, name: impl Into<String>) -> Self {
        Self { principal: Principal::system(tenant, name), groups: BTreeSet::new() }
    }

    /// The tenant all its queries are confined to.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.principal.tenant
    }
}
