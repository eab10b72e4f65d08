//! Workflow errors: RFC 9457 problems with the error types of the Open Workflow Specification.

use mandate_kernel::{Labels, StepPath};
use serde::{Deserialize, Serialize};

/// Where the standard error types live. What this crate emits; [`same_type`] also knows their older
/// and newer addresses.
const BASE: &str = "https://open-workflow-specification.org/spec/1.0.0/errors/";

/// Hosts the standard types have lived under.
const HOSTS: [&str; 2] = ["open-workflow-specification.org", "serverlessworkflow.io"];

/// Paths the standard types have lived under, with either host.
const PATHS: [&str; 3] = ["/spec/1.0.0/errors/", "/dsl/errors/types/", "/errors/types/"];

/// The standard kinds of error, each with its type URI and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The document or its bindings are not usable (400).
    Configuration,
    /// Data does not fit its schema (400).
    Validation,
    /// An expression failed or went past its bounds (400).
    Expression,
    /// The receiver did not accept who we are (401).
    Authentication,
    /// The receiver did not allow it (403). A refusal by our own gate is never an error of the
    /// machine: the engine ends the run.
    Authorization,
    /// It took too long (408).
    Timeout,
    /// The other side failed or could not be reached (500).
    Communication,
    /// The machine met one of its own limits (500).
    Runtime,
}

impl ErrorKind {
    /// Every kind, in the order of declaration.
    pub const ALL: &'static [Self] = &[
        Self::Configuration,
        Self::Validation,
        Self::Expression,
        Self::Authentication,
        Self::Authorization,
        Self::Timeout,
        Self::Communication,
        Self::Runtime,
    ];

    /// The last part of the type URI.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Validation => "validation",
            Self::Expression => "expression",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Timeout => "timeout",
            Self::Communication => "communication",
            Self::Runtime => "runtime",
        }
    }

    /// The type URI, in the form of the specification's version 1.0.0.
    #[must_use]
    pub fn uri(self) -> String {
        format!("{BASE}{}", self.as_str())
    }

    /// The status the specification gives this kind.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Configuration | Self::Validation | Self::Expression => 400,
            Self::Authentication => 401,
            Self::Authorization => 403,
            Self::Timeout => 408,
            Self::Communication | Self::Runtime => 500,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Configuration error",
            Self::Validation => "Data does not fit its schema",
            Self::Expression => "Expression failed",
            Self::Authentication => "Not authenticated",
            Self::Authorization => "Not authorised",
            Self::Timeout => "Timed out",
            Self::Communication => "Communication failed",
            Self::Runtime => "Runtime error",
        }
    }
}

/// An error inside a run, in the form of RFC 9457. What `$error` shows in a `catch`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WorkflowError {
    /// URI of the kind of problem.
    #[serde(rename = "type")]
    pub type_: String,
    /// HTTP-like status.
    pub status: u16,
    /// A short sentence for the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What happened this time. Never a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// JSON pointer of the task it happened at; the machine fills it in where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<StepPath>,
    /// Which of its members may hold what the run has read. An error that was read from data says so of all.
    #[serde(skip)]
    pub of_data: OfData,
}

/// Which members of an error are made of the run's data, and so are for those alone who may read its results (I7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfData {
    /// `type`
    pub type_: bool,
    /// `status`
    pub status: bool,
    /// `title`
    pub title: bool,
    /// `detail`
    pub detail: bool,
    /// `instance`
    pub instance: bool,
}

impl OfData {
    /// Every word is ours or the document's.
    pub const NONE: Self = Self { type_: false, status: false, title: false, detail: false, instance: false };
}

impl Default for OfData {
    /// All of it: what nobody vouches for is data.
    fn default() -> Self {
        Self { type_: true, status: true, title: true, detail: true, instance: true }
    }
}

/// The most characters of an error's texts that are shown.
const MAX_SHOWN: usize = 2_000;

/// Stands for a detail that is not for everybody who sees that the run failed.
const WITHHELD: &str = "made of the run's data; whoever may read the run's results is shown it";

impl WorkflowError {
    /// An error of a standard kind.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            type_: kind.uri(),
            status: kind.status(),
            title: Some(kind.title().to_owned()),
            detail: Some(detail.into()),
            instance: None,
            of_data: OfData::NONE,
        }
    }

    /// The same error, whose detail repeats what the run has read.
    #[must_use]
    pub const fn quoting_data(mut self) -> Self {
        self.of_data.detail = true;
        self
    }

    /// What of it everybody may know who may know that the run failed; bounded.
    #[must_use]
    pub fn shown(&self) -> Self {
        let cut = |text: &String| text.chars().take(MAX_SHOWN).collect::<String>();
        let kind = ErrorKind::Runtime;
        let of = self.of_data;
        Self {
            type_: if of.type_ { kind.uri() } else { cut(&self.type_) },
            status: if of.status { kind.status() } else { self.status },
            title: if of.title {
                Some("An error of the Worker's own".to_owned())
            } else {
                self.title.as_ref().map(cut)
            },
            detail: match &self.detail {
                Some(_) if of.detail => Some(WITHHELD.to_owned()),
                detail => detail.as_ref().map(cut),
            },
            instance: self.instance.as_ref().filter(|_| !of.instance).map(|path| StepPath(cut(&path.0))),
            of_data: OfData::NONE,
        }
    }

    /// The same error, said to have happened at `path` unless it already says where.
    #[must_use]
    pub fn at(mut self, path: &StepPath) -> Self {
        if self.instance.is_none() {
            (self.instance, self.of_data.instance) = (Some(path.clone()), false);
        }
        self
    }
}

impl std::fmt::Display for WorkflowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title.as_deref().unwrap_or(&self.type_), self.status)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        if let Some(path) = &self.instance {
            write!(f, " at {path}")?;
        }
        Ok(())
    }
}

/// An error with the labels of what it may tell about (I7). An error text from outside carries at
/// least the labels the function's results carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error.
    pub error: WorkflowError,
    /// Its labels.
    pub labels: Labels,
}

/// Whether two type URIs name the same kind of error: equal, or the same standard kind under any of
/// its addresses.
#[must_use]
pub fn same_type(a: &str, b: &str) -> bool {
    a == b || matches!((standard(a), standard(b)), (Some(x), Some(y)) if x == y)
}

fn standard(uri: &str) -> Option<ErrorKind> {
    let rest = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://"))?;
    let path = HOSTS.iter().find_map(|host| rest.strip_prefix(host))?;
    let name = PATHS.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    ErrorKind::ALL.iter().copied().find(|kind| kind.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_types_match_under_each_address() {
        let ours = ErrorKind::Communication.uri();
        for other in [
            "https://serverlessworkflow.io/spec/1.0.0/errors/communication",
            "https://serverlessworkflow.io/dsl/errors/types/communication",
            "https://open-workflow-specification.org/dsl/errors/types/communication",
            "https://open-workflow-specification.org/errors/types/communication",
        ] {
            assert!(same_type(&ours, other), "{other}");
        }
        for other in [
            "https://serverlessworkflow.io/spec/1.0.0/errors/timeout",
            "https://serverlessworkflow.io.evil.example/spec/1.0.0/errors/communication",
            "https://example.org/spec/1.0.0/errors/communication",
        ] {
            assert!(!same_type(&ours, other), "{other}");
        }
    }
}
