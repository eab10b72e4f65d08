//! The operator's switches: what no document gets unless whoever operates the installation turned it on.
//!
//! Which are on is a resource of each tenant, so that the ledger records every change of them and a tenant opens
//! only with what its ledger says ([`crate::configuration`]).

use crate::{Engine, EngineError, Ports, TenantContext};
use mandate_flow::{Need, Program};
use mandate_journal::{Change, CommitError, EpochKey, ResourceWrite, RunStatus};
use mandate_kernel::{Digest, canonical_json};
use mandate_ledger::{Event, EventKind};
use serde_json::json;
use std::collections::BTreeSet;

/// Kind and name of the resource.
const KIND: &str = "OperatorSwitches";
const NAME: &str = "operator";
const ACTOR: &str = "system:operator";

impl Engine {
    /// Whether the operator turned something on.
    #[must_use]
    pub fn allows(&self, need: Need) -> bool {
        self.config.allow.contains(&need)
    }

    /// The names of the switches that are on, in order.
    #[must_use]
    pub fn allowed(&self) -> Vec<&'static str> {
        self.config.allow.iter().map(|need| need.switch()).collect()
    }

    /// The switches that a program needs and that are off, for people: `` `run-script`, `run-shell` ``. `None` when
    /// it has all it needs.
    #[must_use]
    pub fn switched_off(&self, program: &Program) -> Option<String> {
        let off = program.needs().difference(&self.config.allow);
        let names: Vec<String> = off.map(|need| format!("`{}`", need.switch())).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Whether a run that is taken up may go on. One that has ended is only looked at for its leases.
    pub(crate) fn still_allows(&self, status: &RunStatus, program: &Program) -> Result<(), EngineError> {
        match self.switched_off(program) {
            Some(off) if !status.state.is_terminal() => Err(EngineError::SwitchedOff(off)),
            _ => Ok(()),
        }
    }
}

/// Records in the tenant's ledger which switches are on, where that is not what it says already.
pub(crate) async fn record(ports: &Ports, context: &TenantContext, on: &BTreeSet<Need>) -> Result<(), EngineError> {
    let (tenant, store) = (context.tenant(), context.store());
    let held = store.resource(KIND, NAME).await?;
    if held.is_none() && on.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = on.iter().map(|need| need.switch()).collect();
    let spec = json!({"allow": names});
    let digest = Digest::of(&canonical_json(&spec)?);
    if held.as_ref().is_some_and(|held| held.digest == digest) {
        return Ok(());
    }
    let version = held.as_ref().map_or(0, |held| held.version);
    let now = ports.clock.now();
    let mut change = Change::new(tenant.clone(), now, ACTOR.to_owned());
    let event = Event {
        time: now,
        tenant: tenant.clone(),
        kind: EventKind::ResourceApplied,
        actor: ACTOR.to_owned(),
        run: None,
        details: json!({
            "kind": KIND, "resource": NAME, "version": version + 1, "digest": digest, "before": held.map(|held| held.digest),
            "allow": names,
        }),
    };
    change.entries.push(event.encode()?);
    let (kind, name) = (KIND.to_owned(), NAME.to_owned());
    change.resources.push(ResourceWrite { kind, name, expected: Some(version), spec: Some(spec) });
    change.revoke.push(EpochKey::Configuration);
    match store.change(change).await {
        // Another node of this store, set up alike, was first.
        Ok(_) | Err(CommitError::VersionConflict { .. }) => Ok(()),
        Err(other) => Err(other.into()),
    }
}
