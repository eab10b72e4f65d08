//! Configuration resources and people's rights: the domain, without storage.
//!
//! Everything that a tenant configures is a versioned resource, `apiVersion/kind/metadata/spec`, held
//! by the generic store of `mandate-journal`. This crate gives each kind its type, checks it, and
//! computes from them what the gate has to know: the roles of a caller on a resource, the authority
//! of an initiator, whether a grant still covers what it was given for.

mod bounds;
mod checks;
mod compensation;
mod connection;
mod credential;
mod description;
mod entitlement;
mod error;
mod event_source;
mod function;
mod grant;
mod mail;
mod manifest;
mod policy;
mod redaction;
mod returns;
mod role;
mod session;
mod standing;
mod target;
mod worker;

pub use checks::{Check, Checked, Freshness, ReplyChecks};
pub use compensation::{Compensation, Taken};
pub use connection::{ConnectionSpec, Endpoint, HeaderSlot, MailServer, PolicySlot, SlotSpec, SmtpSlot, SmtpSlotUse};
pub use credential::CredentialSpec;
pub use description::{Body, BodyForm, Operation, Parameter, Place, Spread};
pub use entitlement::{EntitlementSpec, own_authority};
pub use error::DirectoryError;
pub use event_source::EventSourceSpec;
pub use function::{ArgumentSpec, ArgumentType, FunctionSpec, RetrySpec};
pub use grant::{GrantSpec, grant_name};
pub use mail::MailAddress;
pub use manifest::{API_VERSION, Kind, Manifest, Metadata, Spec};
pub use policy::PolicySpec;
pub use redaction::{Clearance, WITHHELD, redact};
pub use returns::{FieldLabels, FieldPattern, ReturnLabels};
pub use role::{RoleBindingSpec, RoleName, RoleScope, roles_on};
pub use session::{MOST_SESSIONS, SessionLifetimes, SessionRecord, SessionStoreError, Sessions};
pub use standing::{STANDING_GRANT, StandingGrantSpec, standing_epoch};
pub use target::{
    CallTarget, HttpTemplate, LocalTarget, MailTarget, Method, ModelTarget, PinnedDocument, Protocol, ReviewPeriod,
    ReviewTarget, Target,
};
pub use worker::{ArtifactSpec, InputLabels, WorkerSpec};
