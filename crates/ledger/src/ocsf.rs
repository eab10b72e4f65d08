//! How events map to OCSF 1.8 (schema.ocsf.io): class, activity, severity, outcome, and the objects
//! each class requires.
//!
//! Our own facts go under `unmapped.mandate`. OCSF prefers a registered extension for attributes of
//! one's own; an extension needs a registered uid and makes an event invalid for consumers without
//! it, while `unmapped` is part of the base event and validates everywhere.

use crate::entry::Event;
use crate::kind::EventKind;
use serde_json::{Map, Value, json};

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
            K::StepResolved => (ApiActivity, OTHER, "Resolve", LOW, Success),
            K::ArtifactSigned => (ApiActivity, 1, "Create", INFORMATIONAL, Success),
            K::AuthorityRevoked => (UserAccess, 2, "Revoke Privileges", LOW, Success),
            K::AccessDenied => (ApiActivity, OTHER, "Access", LOW, Failure),
            K::LedgerExported | K::PassportExported | K::ArtifactRead => {
                (ApiActivity, 2, "Read", INFORMATIONAL, Success)
            }
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
    fn status<'a>(&self, details: &'a Value) -> (u32, &'a str) {
        match self.outcome {
            Outcome::Success => (1, "Success"),
            Outcome::Failure => (2, "Failure"),
            Outcome::Unknown => (0, "Unknown"),
            Outcome::Stated => match details.get("status").and_then(Value::as_str) {
                Some("allow") => (1, "Success"),
                Some("deny") => (2, "Failure"),
                Some(other) => (99, other),
                None => (0, "Unknown"),
            },
        }
    }
}

/// The whole entry object of an event. Everything in it is a function of the event, so that an entry
/// is read strictly by writing it again.
pub(crate) fn entry_object(event: &Event) -> Value {
    let ocsf = Ocsf::of(event.kind);
    let (status_id, status) = ocsf.status(&event.details);
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "product": {"name": "Mandate", "vendor_name": "Mandate"},
        "tenant_uid": event.tenant,
        "event_code": event.kind,
    });
    let mut own = json!({"details": event.details});
    if let Some(link) = &event.run {
        insert(&mut metadata, "correlation_uid", json!(link.run));
        insert(&mut own, "run", json!(link));
    }
    let mut object = json!({
        "class_uid": ocsf.class_uid(), "class_name": ocsf.class_name(), "category_uid": ocsf.category_uid(),
        "activity_id": ocsf.activity_id, "activity_name": ocsf.activity_name, "type_uid": ocsf.type_uid(),
        "severity_id": ocsf.severity_id, "status_id": status_id, "status": status,
        "time": event.time, "metadata": metadata,
        "actor": {"user": user(&event.actor)},
        "unmapped": {"mandate": own},
    });
    for (name, value) in class_objects(ocsf.class, event) {
        insert(&mut object, &name, value);
    }
    object
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(name.to_owned(), value);
    }
}

/// The OCSF user object of a subject. `type_id`: 1 user, 3 system, 4 service.
fn user(subject: &str) -> Value {
    let (type_id, kind) = match subject.split_once(':').map(|(kind, _)| kind) {
        Some("user") => (1, "User"),
        Some("system") => (3, "System"),
        Some("worker" | "service-account") => (4, "Service"),
        _ => (0, "Unknown"),
    };
    json!({"uid": subject, "type_id": type_id, "type": kind})
}

/// What a class requires beyond the base event.
fn class_objects(class: Class, event: &Event) -> Map<String, Value> {
    let code = event.kind.as_str();
    let named = |names: &[&str]| names.iter().find_map(|name| event.details.get(name)?.as_str()).unwrap_or(code);
    let objects = match class {
        Class::ApplicationLifecycle => json!({"app": {"name": named(&["worker"]), "vendor_name": "Mandate"}}),
        Class::ApiActivity => json!({
            "api": {"operation": named(&["function", "action"])},
            "src_endpoint": {"svc_name": "mandate"},
        }),
        Class::AuthorizeSession => json!({"user": user(&event.actor), "privileges": [named(&["function", "action"])]}),
        Class::EntityManagement => json!({
            "entity": {"name": named(&["resource", "credential", "lease", "key_name", "name"]), "type": entity_type(event.kind)},
        }),
        Class::UserAccess => {
            json!({"user": {"name": named(&["worker"])}, "privileges": [named(&["function", "credential"])]})
        }
    };
    match objects {
        Value::Object(map) => map,
        _ => Map::new(),
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
