//! How events map to OCSF 1.8 (schema.ocsf.io): class, activity, severity, outcome, and the objects
//! each class requires.
//!
//! Our own facts go under `unmapped.mandate`. OCSF prefers a registered extension for attributes of
//! one's own; an extension needs a registered uid and makes an event invalid for consumers without
//! it, while `unmapped` is part of the base event and validates everywhere.

use crate::entry::{Details, Event, RunLink};
use crate::kind::EventKind;
use mandate_kernel::{RunId, Tenant, Timestamp};
use serde::Serialize;

/// The schema version entries declare in `metadata.version`.
pub(crate) const OCSF_VERSION: &str = "1.8.0";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    AuthorizeSession,
    EntityManagement,
    UserAccess,
    ApplicationLifecycle,
    ApiActivity,
}

impl Class {
    const fn uid(self) -> u32 {
        match self {
            Self::AuthorizeSession => 3003,
            Self::EntityManagement => 3004,
            Self::UserAccess => 3005,
            Self::ApplicationLifecycle => 6002,
            Self::ApiActivity => 6003,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::AuthorizeSession => "Authorize Session",
            Self::EntityManagement => "Entity Management",
            Self::UserAccess => "User Access Management",
            Self::ApplicationLifecycle => "Application Lifecycle",
            Self::ApiActivity => "API Activity",
        }
    }
}

/// The outcome an event kind stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Unknown,
    /// `details.status` says: `allow`, `deny`, anything else as it stands.
    Stated,
}

/// The OCSF classification of one event kind. `class_uid` is in thousands the category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ocsf {
    class: Class,
    activity_id: u32,
    activity_name: &'static str,
    severity_id: u32,
    outcome: Outcome,
}

const INFORMATIONAL: u32 = 1;
const LOW: u32 = 2;
const MEDIUM: u32 = 3;
/// `activity_id` of an activity that the class doesn't list; `activity_name` says which.
const OTHER: u32 = 99;

impl Ocsf {
    /// The classification of a kind.
    #[must_use]
    pub const fn of(kind: EventKind) -> Self {
        use Class::{ApiActivity, ApplicationLifecycle, AuthorizeSession, EntityManagement, UserAccess};
        use EventKind as K;
        use Outcome::{Failure, Stated, Success, Unknown};
        let (class, activity_id, activity_name, severity_id, outcome) = match kind {
            K::RunStarted => (ApplicationLifecycle, 3, "Start", INFORMATIONAL, Success),
            K::RunRefused => (ApplicationLifecycle, 3, "Start", LOW, Failure),
            K::RunWaiting => (ApplicationLifecycle, OTHER, "Wait", INFORMATIONAL, Success),
            K::RunResumed => (ApplicationLifecycle, OTHER, "Resume", INFORMATIONAL, Success),
            K::RunRecovered => (ApplicationLifecycle, 5, "Restart", LOW, Success),
            K::RunCompleted => (ApplicationLifecycle, 4, "Stop", INFORMATIONAL, Success),
            K::RunFaulted => (ApplicationLifecycle, 4, "Stop", LOW, Failure),
            K::RunCancelled => (ApplicationLifecycle, 4, "Stop", LOW, Success),
            K::RunKilled => (ApplicationLifecycle, 4, "Stop", MEDIUM, Success),
            K::StepDecided => (AuthorizeSession, 1, "Assign Privileges", INFORMATIONAL, Stated),
            K::StepSucceeded => (ApiActivity, OTHER, "Call", INFORMATIONAL, Success),
            K::StepFailed => (ApiActivity, OTHER, "Call", LOW, Failure),
            K::StepInDoubt => (ApiActivity, OTHER, "Call", MEDIUM, Unknown),
            K::ApprovalRequested => (AuthorizeSession, OTHER, "Request Approval", INFORMATIONAL, Unknown),
            K::ApprovalGiven => (AuthorizeSession, OTHER, "Approve", LOW, Success),
            K::ApprovalDenied | K::ApprovalExpired => (AuthorizeSession, OTHER, "Deny", LOW, Failure),
            K::ApprovalRefused => (AuthorizeSession, OTHER, "Approve", MEDIUM, Failure),
            K::EventEmitted => (ApiActivity, OTHER, "Emit", INFORMATIONAL, Success),
            K::EventReceived => (ApiActivity, OTHER, "Receive", INFORMATIONAL, Success),
            K::EventAccepted => (ApiActivity, OTHER, "Receive", INFORMATIONAL, Success),
            K::EventRefused => (ApiActivity, OTHER, "Receive", LOW, Failure),
            K::ScheduleRefused => (ApplicationLifecycle, 3, "Start", LOW, Failure),
            K::StepResolved => (ApiActivity, OTHER, "Resolve", LOW, Success),
            K::ArtifactSigned => (ApiActivity, 1, "Create", INFORMATIONAL, Success),
            K::AuthorityRevoked => (UserAccess, 2, "Revoke Privileges", LOW, Success),
            K::AccessDenied => (ApiActivity, OTHER, "Access", LOW, Failure),
            K::LedgerExported | K::PassportExported | K::ArtifactRead => {
                (ApiActivity, 2, "Read", INFORMATIONAL, Success)
            }
            K::RollbackStarted => (EntityManagement, 3, "Update", MEDIUM, Success),
            K::StateQuarantined => (EntityManagement, 11, "Deactivate", MEDIUM, Success),
            K::StateReleased => (EntityManagement, 10, "Activate", MEDIUM, Success),
            K::LeaseEnded => (EntityManagement, 11, "Deactivate", INFORMATIONAL, Success),
            K::ResourceApplied | K::SecretPut => (EntityManagement, 3, "Update", INFORMATIONAL, Success),
            K::KeyIntroduced => (EntityManagement, 1, "Create", LOW, Success),
            K::KeyRotated => (EntityManagement, 3, "Update", LOW, Success),
            K::GrantGiven => (UserAccess, 1, "Assign Privileges", LOW, Success),
            K::GrantRevoked | K::GrantInvalidated => (UserAccess, 2, "Revoke Privileges", LOW, Success),
        };
        Self { class, activity_id, activity_name, severity_id, outcome }
    }

    /// The event class, such as 6003 for API Activity.
    #[must_use]
    pub const fn class_uid(&self) -> u32 {
        self.class.uid()
    }

    /// The class's caption.
    #[must_use]
    pub const fn class_name(&self) -> &'static str {
        self.class.name()
    }

    /// The category: 3 Identity & Access Management, 6 Application Activity.
    #[must_use]
    pub const fn category_uid(&self) -> u32 {
        self.class.uid() / 1000
    }

    /// The activity within the class.
    #[must_use]
    pub const fn activity_id(&self) -> u32 {
        self.activity_id
    }

    /// The activity's caption.
    #[must_use]
    pub const fn activity_name(&self) -> &'static str {
        self.activity_name
    }

    /// `class_uid * 100 + activity_id`.
    #[must_use]
    pub const fn type_uid(&self) -> u32 {
        self.class.uid() * 100 + self.activity_id
    }

    /// 1 informational, 2 low, 3 medium.
    #[must_use]
    pub const fn severity_id(&self) -> u32 {
        self.severity_id
    }

    /// `(status_id, status)` of an event with these details.
    fn status<'a>(&self, details: &'a impl Details) -> (u32, &'a str) {
        match self.outcome {
            Outcome::Success => (1, "Success"),
            Outcome::Failure => (2, "Failure"),
            Outcome::Unknown => (0, "Unknown"),
            Outcome::Stated => match details.text("status") {
                Some("allow") => (1, "Success"),
                Some("deny") => (2, "Failure"),
                Some(other) => (99, other),
                None => (0, "Unknown"),
            },
        }
    }
}

/// An entry as it is written. Members stand in canonical order, so that nothing has to be sorted.
#[derive(Serialize)]
pub(crate) struct EntryObject<'a, D> {
    activity_id: u32,
    activity_name: &'static str,
    actor: Actor<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<App<'a>>,
    category_uid: u32,
    class_name: &'static str,
    class_uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<Entity<'a>>,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    privileges: Option<[&'a str; 1]>,
    severity_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_endpoint: Option<Endpoint>,
    status: &'a str,
    status_id: u32,
    time: Timestamp,
    type_uid: u32,
    unmapped: Unmapped<'a, D>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
}

#[derive(Serialize)]
struct Actor<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
struct Api<'a> {
    operation: &'a str,
}

#[derive(Serialize)]
struct App<'a> {
    name: &'a str,
    vendor_name: &'static str,
}

#[derive(Serialize)]
struct Entity<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    type_: &'static str,
}

#[derive(Serialize)]
struct Endpoint {
    svc_name: &'static str,
}

#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_uid: Option<&'a RunId>,
    event_code: EventKind,
    product: App<'static>,
    tenant_uid: &'a Tenant,
    version: &'static str,
}

#[derive(Serialize)]
struct Unmapped<'a, D> {
    mandate: Own<'a, D>,
}

/// What is ours.
#[derive(Serialize)]
struct Own<'a, D> {
    details: &'a D,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a RunLink>,
}

/// The OCSF user object: of a subject, or of nothing but a name.
#[derive(Serialize)]
#[serde(untagged)]
enum User<'a> {
    Subject {
        #[serde(rename = "type")]
        type_: &'static str,
        /// 1 user, 3 system, 4 service.
        type_id: u32,
        uid: &'a str,
    },
    Named {
        name: &'a str,
    },
}

impl<'a, D: Details> EntryObject<'a, D> {
    /// The whole entry of an event. Everything in it is a function of the event, so that an entry is read
    /// strictly by writing it again.
    pub(crate) fn of(event: &'a Event<D>) -> Self {
        let ocsf = Ocsf::of(event.kind);
        let (status_id, status) = ocsf.status(&event.details);
        let plain = Self {
            activity_id: ocsf.activity_id,
            activity_name: ocsf.activity_name,
            actor: Actor { user: User::of(&event.actor) },
            api: None,
            app: None,
            category_uid: ocsf.category_uid(),
            class_name: ocsf.class_name(),
            class_uid: ocsf.class_uid(),
            entity: None,
            metadata: Metadata {
                correlation_uid: event.run.as_ref().map(|link| &link.run),
                event_code: event.kind,
                product: App { name: "Mandate", vendor_name: "Mandate" },
                tenant_uid: &event.tenant,
                version: OCSF_VERSION,
            },
            privileges: None,
            severity_id: ocsf.severity_id,
            src_endpoint: None,
            status,
            status_id,
            time: event.time,
            type_uid: ocsf.type_uid(),
            unmapped: Unmapped { mandate: Own { details: &event.details, run: event.run.as_ref() } },
            user: None,
        };
        plain.with_objects_of(ocsf.class, event)
    }

    /// Adds what a class requires beyond the base event.
    fn with_objects_of(self, class: Class, event: &'a Event<D>) -> Self {
        let code = event.kind.as_str();
        let named = |names: &[&str]| names.iter().find_map(|name| event.details.text(name)).unwrap_or(code);
        match class {
            Class::ApplicationLifecycle => {
                Self { app: Some(App { name: named(&["worker"]), vendor_name: "Mandate" }), ..self }
            }
            Class::ApiActivity => Self {
                api: Some(Api { operation: named(&["function", "action"]) }),
                src_endpoint: Some(Endpoint { svc_name: "mandate" }),
                ..self
            },
            Class::AuthorizeSession => {
                Self { user: Some(User::of(&event.actor)), privileges: Some([named(&["function", "action"])]), ..self }
            }
            Class::EntityManagement => {
                let name = named(&["resource", "credential", "lease", "key_name", "name"]);
                Self { entity: Some(Entity { name, type_: entity_type(event.kind) }), ..self }
            }
            Class::UserAccess => Self {
                user: Some(User::Named { name: named(&["worker"]) }),
                privileges: Some([named(&["function", "credential"])]),
                ..self
            },
        }
    }
}

impl<'a> User<'a> {
    fn of(subject: &'a str) -> Self {
        let (type_id, type_) = match subject.split_once(':').map(|(kind, _)| kind) {
            Some("user") => (1, "User"),
            Some("system") => (3, "System"),
            Some("worker" | "service-account") => (4, "Service"),
            _ => (0, "Unknown"),
        };
        Self::Subject { type_, type_id, uid: subject }
    }
}

const fn entity_type(kind: EventKind) -> &'static str {
    match kind {
        EventKind::LeaseEnded => "Lease",
        EventKind::SecretPut => "Credential",
        EventKind::KeyIntroduced | EventKind::KeyRotated => "Key",
        _ => "Resource",
    }
}
