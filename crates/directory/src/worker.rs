//! A Worker: its workflow document, and everything about it that stays outside the document.

use mandate_kernel::{Category, Class, Confidentiality, Environment, FunctionName, ResourceName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The content of a `Worker` resource. Its version is the SHA-256 of the canonical JSON of all this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WorkerSpec {
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// The Open Workflow document.
    pub document: serde_json::Value,
    /// The class it declares. A run's class is the maximum of this and what its functions imply.
    #[serde(default)]
    pub class: Class,
    /// What its input is; absent for input as sensitive as all the kinds of data in the Worker's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_labels: Option<InputLabels>,
    /// Environments it may run in.
    pub environments: BTreeSet<Environment>,
    /// The environment when a start names none.
    pub default_environment: Environment,
    /// The functions it may call; no others, whatever the document says.
    pub functions: BTreeSet<FunctionName>,
    /// Credentials for the slots of functions that need one.
    #[serde(default)]
    pub bindings: BTreeMap<FunctionName, ResourceName>,
    /// Which credential each name in the document's `use.secrets` stands for. It goes through functions whose
    /// binding is that credential, and through no others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, ResourceName>,
    /// The signed artefact made of its output, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactSpec>,
    /// How long a run's authority lasts, in seconds.
    #[serde(default = "default_lifetime")]
    pub authority_seconds: u64,
}

fn default_lifetime() -> u64 {
    3600
}

/// The labels of what a run is started with, besides its source.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InputLabels {
    /// How confidential.
    #[serde(default)]
    pub confidentiality: Confidentiality,
    /// Kinds of data.
    #[serde(default)]
    pub data: BTreeSet<Category>,
}

/// What artefact a run's output becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ArtifactSpec {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
}
