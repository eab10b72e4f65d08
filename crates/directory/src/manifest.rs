//! Manifests: what people write, `apiVersion/kind/metadata/spec`, read into types.

use crate::{
    ConnectionSpec, CredentialSpec, DirectoryError, EntitlementSpec, EventSourceSpec, FunctionSpec, PolicySpec,
    RoleBindingSpec, WorkerSpec,
};
use mandate_kernel::{Action, ResourceKind, ResourceName};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The version of the manifest format.
pub const API_VERSION: &str = "mandate.dev/v1";

/// The kinds that can be applied from files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Where a system is.
    Connection,
    /// A credential's metadata.
    Credential,
    /// A registered capability.
    Function,
    /// What people may do elsewhere.
    Entitlement,
    /// Who holds which role on what.
    RoleBinding,
    /// A Cedar file.
    Policy,
    /// Who may send which events.
    EventSource,
    /// A Worker.
    Worker,
}

impl Kind {
    /// Every kind, in the order in which a folder is applied: what is named comes before what names it.
    pub const ALL: &'static [Self] = &[
        Self::Connection,
        Self::Credential,
        Self::Function,
        Self::Entitlement,
        Self::RoleBinding,
        Self::Policy,
        Self::EventSource,
        Self::Worker,
    ];

    /// The kind as manifests write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "Connection",
            Self::Credential => "Credential",
            Self::Function => "Function",
            Self::Entitlement => "Entitlement",
            Self::RoleBinding => "RoleBinding",
            Self::Policy => "Policy",
            Self::EventSource => "EventSource",
            Self::Worker => "Worker",
        }
    }

    /// What looking at one asks of the gate.
    #[must_use]
    pub const fn view(self) -> Action {
        match self {
            // A way in is judged as a way out is.
            Self::Connection | Self::EventSource => Action::ConnectionView,
            Self::Credential => Action::CredentialView,
            Self::Function => Action::FunctionView,
            Self::Entitlement | Self::RoleBinding => Action::DirectoryView,
            Self::Policy => Action::PolicyView,
            Self::Worker => Action::WorkerView,
        }
    }

    /// What changing one asks of the gate.
    #[must_use]
    pub const fn edit(self) -> Action {
        match self {
            Self::Connection | Self::EventSource => Action::ConnectionEdit,
            Self::Credential => Action::CredentialEdit,
            Self::Function => Action::FunctionEdit,
            Self::Entitlement | Self::RoleBinding => Action::DirectoryEdit,
            Self::Policy => Action::PolicyEdit,
            Self::Worker => Action::WorkerEdit,
        }
    }

    /// The kind of resource policies see.
    #[must_use]
    pub const fn resource_kind(self) -> ResourceKind {
        self.view().resource_kind()
    }
}

impl std::str::FromStr for Kind {
    type Err = DirectoryError;
    /// Takes the kind in any case, singular or plural, as people type it.
    fn from_str(text: &str) -> Result<Self, DirectoryError> {
        let wanted = text.to_ascii_lowercase();
        let fits = |kind: &&Self| {
            let name = kind.as_str().to_ascii_lowercase();
            wanted == name
                || wanted == format!("{name}s")
                || name.strip_suffix('y').is_some_and(|stem| wanted == format!("{stem}ies"))
        };
        Self::ALL.iter().find(fits).copied().ok_or_else(|| DirectoryError::UnknownKind {
            given: text.chars().take(80).collect(),
            expected: API_VERSION,
            kinds: Self::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "),
        })
    }
}

/// Which resource it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// `PROJECT/NAME`.
    pub name: ResourceName,
    /// The version that the change has to find; 0 for none at all. Without it any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// A resource as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Manifest {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// The kind.
    pub kind: Kind,
    /// Which one.
    pub metadata: Metadata,
    /// Its content, shaped by the kind.
    pub spec: Value,
}

/// A resource's content, typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// See [`ConnectionSpec`].
    Connection(ConnectionSpec),
    /// See [`CredentialSpec`].
    Credential(CredentialSpec),
    /// See [`FunctionSpec`].
    Function(Box<FunctionSpec>),
    /// See [`EntitlementSpec`].
    Entitlement(EntitlementSpec),
    /// See [`RoleBindingSpec`].
    RoleBinding(RoleBindingSpec),
    /// See [`PolicySpec`].
    Policy(PolicySpec),
    /// See [`EventSourceSpec`].
    EventSource(EventSourceSpec),
    /// See [`WorkerSpec`].
    Worker(Box<WorkerSpec>),
}

impl Manifest {
    /// Reads a manifest from JSON.
    ///
    /// # Errors
    /// [`DirectoryError`] naming what is wrong.
    pub fn from_json(value: Value) -> Result<Self, DirectoryError> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("(no name)").to_owned();
        let kind = text("kind");
        if value.get("kind").is_none() {
            let known = ["apiVersion", "metadata", "spec"];
            let odd = value.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())));
            return Err(DirectoryError::NoKind {
                hint: odd.map(|key| format!(" (there is `{}`)", shortened(key))).unwrap_or_default(),
                kinds: Kind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "),
            });
        }
        if text("apiVersion") != API_VERSION || !Kind::ALL.iter().any(|k| k.as_str() == kind) {
            return Err(DirectoryError::UnknownKind {
                given: format!("{} {}", text("apiVersion"), kind).chars().take(120).collect(),
                expected: API_VERSION,
                kinds: Kind::ALL.iter().map(|k| k.as_str()).collect::<Vec<_>>().join(", "),
            });
        }
        serde_json::from_value(value).map_err(|e| DirectoryError::Malformed { kind, name, why: e.to_string() })
    }

    /// The content, typed and checked as far as it can be on its own.
    ///
    /// # Errors
    /// [`DirectoryError::Malformed`].
    pub fn typed(&self) -> Result<Spec, DirectoryError> {
        Ok(match self.kind {
            Kind::Connection => Spec::Connection(self.read()?),
            Kind::Credential => Spec::Credential(self.read()?),
            Kind::Function => Spec::Function(Box::new(self.function()?)),
            Kind::Entitlement => Spec::Entitlement(self.read()?),
            Kind::RoleBinding => Spec::RoleBinding(self.read()?),
            Kind::Policy => Spec::Policy(self.read()?),
            Kind::EventSource => Spec::EventSource(self.event_source()?),
            Kind::Worker => Spec::Worker(Box::new(self.read()?)),
        })
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, DirectoryError> {
        serde_json::from_value(self.spec.clone()).map_err(|e| self.malformed(e.to_string()))
    }

    fn function(&self) -> Result<FunctionSpec, DirectoryError> {
        let spec: FunctionSpec = self.read()?;
        match spec.check() {
            Ok(()) => Ok(spec),
            Err((pointer, why)) => Err(self.malformed(format!("/spec{pointer}: {why}"))),
        }
    }

    fn event_source(&self) -> Result<EventSourceSpec, DirectoryError> {
        let spec: EventSourceSpec = self.read()?;
        match spec.check() {
            Ok(()) => Ok(spec),
            Err((pointer, why)) => Err(self.malformed(format!("/spec{pointer}: {why}"))),
        }
    }

    fn malformed(&self, why: String) -> DirectoryError {
        DirectoryError::Malformed { kind: self.kind.as_str().to_owned(), name: self.metadata.name.to_string(), why }
    }
}

fn shortened(key: &str) -> String {
    key.chars().take(60).collect()
}
