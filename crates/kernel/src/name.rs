//! Names that people type: tenant, project, environment, group, function, `project/name`.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused. The message says which name, and what a good one looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Characters outside `a-z 0-9 -`, a leading or trailing dash, or a wrong length.
    #[error(
        "{kind} name `{given}` is not valid: use 1 to 63 of a-z, 0-9 and `-`, starting and ending with a letter or digit"
    )]
    Label {
        /// What was being named.
        kind: &'static str,
        /// What was given, shortened to 80 characters.
        given: String,
    },
    /// Not of the form `project/name`.
    #[error("resource name `{given}` is not valid: write it as PROJECT/NAME")]
    Resource {
        /// What was given, shortened to 80 characters.
        given: String,
    },
    /// Not of the form `label(.label)*`.
    #[error(
        "function name `{given}` is not valid: use dot-separated labels of a-z, 0-9 and `-`, such as `warehouse.revenue`"
    )]
    Function {
        /// What was given, shortened to 80 characters.
        given: String,
    },
}

fn shortened(given: &str) -> String {
    given.chars().take(80).collect()
}

/// One DNS-style label (RFC 1123): it is safe in URLs, file names, SQL parameters and logs.
fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (1..=63).contains(&bytes.len())
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

macro_rules! label_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`NameError::Label`] when it is not one DNS-style label.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                if is_label(&name) {
                    Ok(Self(name))
                } else {
                    Err(NameError::Label { kind: $kind, given: shortened(&name) })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        string_forms!($name);
    };
}

macro_rules! string_forms {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

label_name!(
    /// A tenant: the outermost security boundary. Every query, token and log line names one.
    Tenant, "tenant"
);
label_name!(
    /// A project inside a tenant: it holds Workers, functions, credentials.
    Project, "project"
);
label_name!(
    /// An environment of a tenant (`sandbox`, `production`). Tokens, grants and runs belong to one.
    Environment, "environment"
);
label_name!(
    /// A group of people, as the identity provider names it.
    GroupName, "group"
);

/// A configuration resource inside a tenant: `PROJECT/NAME`. NAME may hold dots, as functions do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ResourceName(String);

impl ResourceName {
    /// Checks and wraps `PROJECT/NAME`.
    ///
    /// # Errors
    /// [`NameError::Resource`] when it has another form.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        match name.split_once('/') {
            Some((project, rest)) if is_label(project) && rest.len() <= 128 && rest.split('.').all(is_label) => {
                Ok(Self(name))
            }
            _ => Err(NameError::Resource { given: shortened(&name) }),
        }
    }

    /// The name as `PROJECT/NAME`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The project part.
    #[must_use]
    pub fn project(&self) -> Project {
        Project(self.0.split_once('/').map_or_else(String::new, |(project, _)| project.to_owned()))
    }

    /// The part after the slash.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}
string_forms!(ResourceName);

/// A function as a Worker calls it: `warehouse.revenue`. Inside a project it is the resource
/// `PROJECT/warehouse.revenue`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FunctionName(String);

impl FunctionName {
    /// Checks and wraps a function name.
    ///
    /// # Errors
    /// [`NameError::Function`] when it is not dot-separated labels.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.len() <= 128 && name.split('.').all(is_label) {
            Ok(Self(name))
        } else {
            Err(NameError::Function { given: shortened(&name) })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The resource this function is in `project`.
    #[must_use]
    pub fn in_project(&self, project: &Project) -> ResourceName {
        ResourceName(format!("{project}/{}", self.0))
    }
}
string_forms!(FunctionName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_dns_style() {
        for good in ["demo", "a", "finance-2", "0x"] {
            assert!(Tenant::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "ä", &"a".repeat(64)] {
            assert!(Tenant::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn resource_names_have_one_slash() {
        let name = ResourceName::new("finance/warehouse.revenue").unwrap();
        assert_eq!((name.project().as_str(), name.local()), ("finance", "warehouse.revenue"));
        for bad in ["finance", "finance/", "/x", "a/b/c", "a/..", "a/b..c"] {
            assert!(ResourceName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn serde_checks_names() {
        assert!(serde_json::from_str::<Tenant>("\"Bad Name\"").is_err());
        assert_eq!(serde_json::to_string(&Tenant::new("demo").unwrap()).unwrap(), "\"demo\"");
    }
}
