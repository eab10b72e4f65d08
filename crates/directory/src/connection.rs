//! A connection: where a system is, per environment, and which slot its credential goes into.

use mandate_identity::Audience;
use mandate_kernel::Environment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The content of a `Connection` resource. It holds no credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ConnectionSpec {
    /// What is there, for people.
    #[serde(default)]
    pub description: String,
    /// Where it is, by environment. An environment that is not here can't be reached (mission 14).
    pub environments: BTreeMap<Environment, Endpoint>,
    /// Where a static credential goes, for systems that know nothing better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotSpec>,
    /// Whether the receiver is inside the trust domain and gets the envelope (`Txn-Token`).
    #[serde(default)]
    pub envelope: bool,
}

/// One environment's endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// Base URL, `https://host[:port][/path]`; plain `http` only on the loopback.
    pub url: String,
    /// The audience that hop tokens for it name (RFC 8707); absent for receivers that take none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
}

/// The one place a static credential may go (I4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SlotSpec {
    /// Header name.
    pub header: String,
    /// Text before the secret, such as `Bearer `.
    #[serde(default)]
    pub prefix: String,
}
