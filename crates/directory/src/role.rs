//! Roles: who holds which on what.

use mandate_kernel::{Caller, Project, ResourceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A role. What each allows stands in the built-in policies and in the permission table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Administers the tenant; approves nothing by being it.
    TenantAdmin,
    /// Reads and exports everything; changes nothing.
    Auditor,
    /// Owns a project or a Worker.
    Owner,
    /// Edits.
    Editor,
    /// Starts runs.
    Runner,
    /// Looks.
    Viewer,
    /// Answers approvals.
    Approver,
    /// Owns a credential.
    CredentialOwner,
}

impl RoleName {
    /// Every role.
    pub const ALL: &'static [Self] = &[
        Self::TenantAdmin,
        Self::Auditor,
        Self::Owner,
        Self::Editor,
        Self::Runner,
        Self::Viewer,
        Self::Approver,
        Self::CredentialOwner,
    ];

    /// The role as policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenantAdmin => "tenant-admin",
            Self::Auditor => "auditor",
            Self::Owner => "owner",
            Self::Editor => "editor",
            Self::Runner => "runner",
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::CredentialOwner => "credential-owner",
        }
    }
}

/// What a role is held on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum RoleScope {
    /// The whole tenant.
    Tenant,
    /// Everything in a project.
    Project(Project),
    /// One resource, `PROJECT/NAME`: a Worker with its runs, or a credential.
    Resource(ResourceName),
}

/// The content of a `RoleBinding` resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RoleBindingSpec {
    /// Who: `user:NAME` or `group:NAME`.
    pub subjects: BTreeSet<String>,
    /// The role.
    pub role: RoleName,
    /// On what.
    pub on: RoleScope,
}

impl RoleBindingSpec {
    fn names(&self, caller: &Caller) -> bool {
        self.subjects.contains(&caller.principal.subject())
            || caller.groups.iter().any(|group| self.subjects.contains(&format!("group:{group}")))
    }

    fn reaches(&self, project: Option<&Project>, resource: Option<&ResourceName>) -> bool {
        match &self.on {
            RoleScope::Tenant => true,
            RoleScope::Project(on) => project == Some(on),
            RoleScope::Resource(on) => resource == Some(on),
        }
    }
}

/// The roles a caller holds on a resource. For a run, `resource` is its Worker.
#[must_use]
pub fn roles_on<'a>(
    bindings: impl IntoIterator<Item = &'a RoleBindingSpec>,
    caller: &Caller,
    project: Option<&Project>,
    resource: Option<&ResourceName>,
) -> BTreeSet<String> {
    bindings
        .into_iter()
        .filter(|binding| binding.names(caller) && binding.reaches(project, resource))
        .map(|binding| binding.role.as_str().to_owned())
        .collect()
}
