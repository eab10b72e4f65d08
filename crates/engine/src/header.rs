//! What a run is pinned to when it begins. Stored with the run, never changed.

use crate::EngineError;
use crate::pinned::Pinned;
use mandate_identity::{Authority, Trigger};
use mandate_journal::EpochKey;
use mandate_kernel::{Caller, DecisionId, Digest, FunctionName, GroupName, RunId, StepSeq};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The pinned facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunHeader {
    /// The initiator's groups at the start.
    pub groups: BTreeSet<GroupName>,
    /// What the run may do on the initiator's authority.
    pub authority: Authority,
    /// The versions of functions and connections.
    pub functions: BTreeMap<FunctionName, FunctionPin>,
    /// Epochs at the start; one that rose since has been revoked.
    pub epochs: Vec<(EpochKey, u64)>,
    /// The decision that admitted the start.
    pub decision: DecisionId,
    /// Digest of the policies in force at the start.
    pub policy: Digest,
    /// The run whose effects it undoes, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<RollbackHeader>,
    /// Ordinal of the token key that signed the run's envelope, so that recovery makes the same again.
    pub token_key: u32,
    /// What started the run, if no request did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Trigger>,
}

/// What a rollback is made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackHeader {
    /// The run whose effects it undoes.
    pub of: RunId,
    /// Its document, instead of the Worker's.
    pub document: serde_json::Value,
    /// The steps that its own steps undo, in order.
    pub steps: Vec<StepSeq>,
}

impl RunHeader {
    /// What is recorded of a start, with what it undoes if it undoes another run.
    pub(crate) fn told(&self, mut details: Value) -> Result<Value, EngineError> {
        if let (Some(rollback), Value::Object(map)) = (&self.rollback, &mut details) {
            map.insert("rollback".to_owned(), rollback.evidence()?);
        }
        Ok(details)
    }
}

/// The versions one function is pinned to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionPin {
    /// Digest of the function's definition.
    pub function: Digest,
    /// Digest of its connection.
    pub connection: Option<Digest>,
}

/// Whose authority this run rests on: raising any of these epochs stops its admissions.
pub(crate) fn epoch_keys(caller: &Caller, run: &RunId, pinned: &Pinned) -> Vec<EpochKey> {
    let project = pinned.worker.project();
    let mut keys = vec![
        EpochKey::Tenant,
        EpochKey::User(caller.principal.subject()),
        EpochKey::Worker(pinned.worker.to_string()),
        EpochKey::Run(run.to_string()),
    ];
    for (name, function) in &pinned.functions {
        keys.push(EpochKey::Function(name.in_project(&project).to_string()));
        if let Some(bound) = &function.credential {
            keys.push(EpochKey::Credential(bound.name.to_string()));
            if let Some((grant, _)) = &bound.grant {
                keys.push(EpochKey::Grant(grant.clone()));
            }
        }
    }
    keys
}
