//! Where a sealed value belongs. It is good there and nowhere else.

use crate::VaultError;
use mandate_kernel::{Tenant, canonical_json};
use serde::Serialize;
use std::fmt;

/// The kinds of sealed records, as [`mandate_journal::SecretRecord::kind`] writes them.
pub(crate) const TENANT_KEY: &str = "tenant-key";
pub(crate) const SUBJECT_KEY: &str = "subject-key";
pub(crate) const CREDENTIAL: &str = "credential";
pub(crate) const SIGNING_KEY: &str = "signing-key";
/// A key that authenticates rows of one table.
pub(crate) const ROW_KEY: &str = "row-key";
/// A data key wrapped again, under a younger tenant key. Name: `GENERATION:KIND:NAME`.
pub(crate) const WRAPPED_KEY: &str = "wrapped-key";

/// What hangs on a tenant key.
pub(crate) const UNDER_TENANT_KEY: [&str; 4] = [SUBJECT_KEY, CREDENTIAL, SIGNING_KEY, ROW_KEY];

/// The place of one sealed value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The tenant.
    pub tenant: Tenant,
    /// `tenant-key`, `subject-key`, `credential`, `signing-key` or `row-key`.
    pub kind: String,
    /// Name within the kind.
    pub name: String,
    /// Version, from 1.
    pub version: u32,
}

impl Place {
    pub(crate) fn new(tenant: &Tenant, kind: &str, name: &str, version: u32) -> Self {
        Self { tenant: tenant.clone(), kind: kind.to_owned(), name: name.to_owned(), version }
    }

    /// The associated data of one layer: canonical JSON of place, layer, key id and format.
    pub(crate) fn bind(&self, layer: Layer, key: &str, format: u8) -> Result<Vec<u8>, VaultError> {
        #[derive(Serialize)]
        struct Bound<'a> {
            format: u8,
            key: &'a str,
            kind: &'a str,
            layer: &'a str,
            name: &'a str,
            tenant: &'a str,
            version: u32,
        }
        let bound = Bound {
            format,
            key,
            kind: &self.kind,
            layer: layer.as_str(),
            name: &self.name,
            tenant: self.tenant.as_str(),
            version: self.version,
        };
        canonical_json(&bound).map_err(|_| VaultError::Malformed { place: self.to_string() })
    }
}

/// Which of the two encryptions of a sealed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// The data key, under a tenant key or the root key.
    DataKey,
    /// The value, under the data key.
    Value,
}

impl Layer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::DataKey => "data-key",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} version {} of tenant {}", self.kind, self.name, self.version, self.tenant)
    }
}
