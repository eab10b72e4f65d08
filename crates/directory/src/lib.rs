//! Configuration resources and people's rights: the domain, without storage.
//!
//! Everything that a tenant configures is a versioned resource, `apiVersion/kind/metadata/spec`, held
//! by the generic store of `mandate-journal`. This crate gives each kind its type, checks it, and
//! computes from them what the gate has to know: the roles of a caller on a resource, the authority
//! of an initiator, whether a grant still covers what it was given for.

mod connection;
mod credential;
mod entitlement;
mod error;
mod function;
mod grant;
mod manifest;
mod policy;
mod role;
mod worker;

pub use connection::{ConnectionSpec, Endpoint, SlotSpec};
pub use credential::CredentialSpec;
pub use entitlement::{EntitlementSpec, own_authority};
pub use error::DirectoryError;
pub use function::{
    ArgumentSpec, ArgumentType, FunctionSpec, HttpTemplate, LocalTarget, Method, RetrySpec, ReturnLabels, Target,
};
pub use grant::{GrantSpec, grant_name};
pub use manifest::{API_VERSION, Kind, Manifest, Metadata, Spec};
pub use policy::PolicySpec;
pub use role::{RoleBindingSpec, RoleName, RoleScope, roles_on};
pub use worker::{ArtifactSpec, WorkerSpec};
