//! in-toto Statement v1 (in-toto/attestation): a predicate about subjects named by digest.

use mandate_kernel::Digest;
use serde::{Deserialize, Serialize};

/// The `_type` of a statement.
pub const TYPE: &str = "https://in-toto.io/Statement/v1";
/// The DSSE payload type of a statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A statement. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Always [`TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// What shape `predicate` has: a URI.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What is said.
    pub predicate: serde_json::Value,
}

/// A thing with a name and a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: DigestSet,
}

/// A digest set with SHA-256 alone, in lower-case hexadecimal digits as in-toto writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DigestSet {
    /// 64 digits.
    pub sha256: String,
}

impl Statement {
    /// A statement about one subject.
    #[must_use]
    pub fn about(name: String, digest: &Digest, predicate_type: &str, predicate: serde_json::Value) -> Self {
        Self {
            kind: TYPE.to_owned(),
            subject: vec![Subject { name, digest: DigestSet { sha256: digest.to_hex() } }],
            predicate_type: predicate_type.to_owned(),
            predicate,
        }
    }
}
