//! A restored state is in quarantine: nothing works on it until somebody entitled to releases it.
//!
//! What happened after the backup is not in it: steps that were performed, authority that was withdrawn. So the
//! mark stands in the restored database itself, recorded in its ledger, where every node finds it; the witness is
//! asked what it has seen; and runs that had not ended are stopped by the release, because what they did since is
//! not known here.

use crate::{Denied, Engine, EngineError, Target, TenantContext, WitnessError};
use mandate_gate::{Access, Permit};
use mandate_journal::{Change, ResourceRecord, ResourceWrite, RunQuery, RunRecord, StoreError, TenantStore};
use mandate_kernel::{Action, Caller, Digest, Timestamp, canonical_json};
use mandate_ledger::{AddCheckpoint, Event, EventKind, SignedNote};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where the mark is: a resource that no manifest can be of.
const KIND: &str = "Quarantine";
const NAME: &str = "restored";

/// Runs looked at together.
const PAGE: usize = 200;

/// The mark of a restored state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quarantine {
    /// Digest of the backup's manifest.
    pub backup: Digest,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// When it was restored.
    pub restored_at: Timestamp,
    /// Entries in the tree of the backup.
    pub entries: u64,
    /// Entries that the witness was found to have seen, if that is more than there are.
    pub witnessed: Option<u64>,
}

/// What the witness says of the newest checkpoint that it cosigned and that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It has seen nothing beyond what is here.
    Nothing,
    /// It has seen more.
    More {
        /// Entries it has seen.
        seen: u64,
        /// Entries here.
        here: u64,
    },
    /// It has seen another history.
    Other(String),
    /// It can't be asked now.
    Away(String),
}

/// How a state is to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Why: the ledger keeps it.
    pub reason: String,
    /// Whether it is known that what the witness saw beyond this state is lost.
    pub accept_loss: bool,
    /// Whether unfinished runs go on. Otherwise they are stopped.
    pub resume_runs: bool,
}

/// What a release did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Released {
    /// Entries in the tree of the backup.
    pub entries: u64,
    /// Entries that the witness has seen and that are lost.
    pub lost: u64,
    /// Runs that had not ended and were stopped.
    pub stopped: u64,
}

/// Why a state was not released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// There is nothing to release.
    #[error("the tenant is not in quarantine")]
    NotQuarantined,
    /// The witness would cosign nothing of it.
    #[error("the witness has seen {seen} entries, and here are {here}")]
    Behind {
        /// Entries it has seen.
        seen: u64,
        /// Entries here.
        here: u64,
    },
    /// The witness has another history.
    #[error("the ledger is not the one the witness has seen: {0}")]
    Other(String),
    /// Something is lost, and nobody said that it may be.
    #[error("the witness had seen {seen} entries, and the backup holds {here}: what came after is lost")]
    Loss {
        /// Entries it had seen.
        seen: u64,
        /// Entries of the backup.
        here: u64,
    },
    /// Runs can't go on from a state that is known to be behind.
    #[error("runs can't go on: what they did after the backup is lost")]
    RunsBehind,
    /// The caller may not, or something failed.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl From<EngineError> for ReleaseError {
    fn from(error: EngineError) -> Self {
        Self::Denied(Denied::Failed(error))
    }
}

/// The mark of a tenant's state, if it has one.
///
/// # Errors
/// [`StoreError`] when it can't be read: then nothing may work on the state.
pub async fn mark(store: &dyn TenantStore) -> Result<Option<Quarantine>, StoreError> {
    Ok(marked(store).await?.map(|(_, mark)| mark))
}

async fn marked(store: &dyn TenantStore) -> Result<Option<(ResourceRecord, Quarantine)>, StoreError> {
    let Some(record) = store.resource(KIND, NAME).await? else { return Ok(None) };
    let mark = serde_json::from_value(record.spec.clone())
        .map_err(|error| StoreError::Corrupt(format!("the mark of a restored state: {error}")))?;
    Ok(Some((record, mark)))
}

impl Engine {
    /// Puts a restored state into quarantine; again for one that is.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn quarantine(&self, context: &TenantContext, mark: &Quarantine) -> Result<(), EngineError> {
        let held = context.store.resource(KIND, NAME).await?;
        self.write_mark(context, "system:restore", held.map_or(0, |held| held.version), mark).await
    }

    async fn write_mark(
        &self,
        context: &TenantContext,
        by: &str,
        version: u64,
        mark: &Quarantine,
    ) -> Result<(), EngineError> {
        let spec = serde_json::to_value(mark).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let details =
            json!({"kind": KIND, "resource": NAME, "digest": Digest::of(&canonical_json(&spec)?), "restored": mark});
        let change = self.marking(context, by, EventKind::StateQuarantined, details, version, Some(spec))?;
        context.store.change(change).await?;
        Ok(())
    }

    fn marking(
        &self,
        context: &TenantContext,
        by: &str,
        kind: EventKind,
        details: Value,
        version: u64,
        spec: Option<Value>,
    ) -> Result<Change, EngineError> {
        let now = self.ports.clock.now();
        let tenant = context.tenant.clone();
        let mut change = Change::new(tenant.clone(), now, by.to_owned());
        let event = Event { time: now, tenant, kind, actor: by.to_owned(), run: None, details };
        change.entries.push(event.encode()?);
        // A mark that was taken away before leaves its history: what is written then is a next version.
        let expected = (version > 0).then_some(version);
        change.resources.push(ResourceWrite { kind: KIND.to_owned(), name: NAME.to_owned(), expected, spec });
        Ok(change)
    }

    /// Asks the witness whether it has seen more than is here. Changes nothing, here or there.
    ///
    /// # Errors
    /// [`EngineError`] when the ledger can't be read.
    pub async fn ask_witness(&self, context: &TenantContext) -> Result<Seen, EngineError> {
        let head = context.store.head().await?;
        let here = head.frontier.size();
        let Some(note) = head.cosigned else { return Ok(Seen::Nothing) };
        let checkpoint = SignedNote::parse(&note).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let request = AddCheckpoint { old_size: head.cosigned_size, proof: Vec::new(), checkpoint };
        Ok(match self.ports.witness.add_checkpoint(&request.to_string()).await {
            Err(WitnessError::Conflict { known }) if known > here => Seen::More { seen: known, here },
            // It saw a checkpoint whose cosignature a crash kept from us: it shows when it cosigns the next.
            Ok(_) | Err(WitnessError::Conflict { .. }) => Seen::Nothing,
            Err(WitnessError::Refused(why)) => Seen::Other(why),
            Err(WitnessError::Unreachable(why) | WitnessError::UnknownLog(why)) => Seen::Away(why),
        })
    }

    /// Lets a restored state work again, on the word of somebody entitled to, and only if the witness goes along.
    ///
    /// # Errors
    /// [`ReleaseError`]; the state stays in quarantine then.
    pub async fn release(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        caller: &Caller,
        wanted: &Release,
    ) -> Result<Released, ReleaseError> {
        let permit = self.authorize(context, caller, Action::StateRelease, &Target::Tenant).await?;
        let Some((record, mark)) = marked(context.store.as_ref()).await.map_err(EngineError::from)? else {
            return Err(ReleaseError::NotQuarantined);
        };
        self.witness_agrees(context, &record, &mark).await?;
        if let Some(seen) = mark.witnessed {
            if wanted.resume_runs {
                return Err(ReleaseError::RunsBehind);
            }
            if !wanted.accept_loss {
                return Err(ReleaseError::Loss { seen, here: mark.entries });
            }
        }
        let stopped = if wanted.resume_runs { 0 } else { self.stop_all(context, caller).await? };
        let lost = mark.witnessed.map_or(0, |seen| seen.saturating_sub(mark.entries));
        self.take_mark_away(context, &permit, record.version, &mark, wanted, stopped).await?;
        self.sequence_once(context).await?;
        Ok(Released { entries: mark.entries, lost, stopped })
    }

    /// The witness has nothing that is not here, and cosigns what is.
    async fn witness_agrees(
        &self,
        context: &TenantContext,
        record: &ResourceRecord,
        mark: &Quarantine,
    ) -> Result<(), ReleaseError> {
        match self.ask_witness(context).await? {
            Seen::Nothing => {}
            Seen::Other(why) => return Err(ReleaseError::Other(why)),
            Seen::Away(why) => return Err(EngineError::Witness(why).into()),
            Seen::More { seen, here } => {
                // Told once, it is kept: a witness that goes back forgets it.
                if mark.witnessed.is_none_or(|known| known < seen) {
                    let more = Quarantine { witnessed: Some(seen), ..mark.clone() };
                    self.write_mark(context, "system:restore", record.version, &more).await?;
                }
                return Err(ReleaseError::Behind { seen, here });
            }
        }
        match self.sequence_once(context).await {
            Err(EngineError::RolledBack { why, .. }) => Err(ReleaseError::Other(why)),
            other => Ok(other?),
        }
    }

    /// Stops every run that has not ended; gives their number.
    async fn stop_all(self: &Arc<Self>, context: &Arc<TenantContext>, caller: &Caller) -> Result<u64, ReleaseError> {
        let mut stopped = 0;
        let mut before = None;
        loop {
            let query = RunQuery { limit: PAGE, before: before.clone(), ..RunQuery::default() };
            let page = context.store.runs(query).await.map_err(EngineError::from)?;
            for run in &page.items {
                if !run.status.state.is_terminal() {
                    self.stop_one(context, caller, run).await?;
                    stopped += 1;
                }
            }
            match page.items.last() {
                Some(last) if page.more => before = Some(last.run.clone()),
                _ => return Ok(stopped),
            }
        }
    }

    async fn stop_one(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        caller: &Caller,
        run: &RunRecord,
    ) -> Result<(), ReleaseError> {
        let permit = self.authorize(context, caller, Action::RunKill, &Target::Run(run)).await?;
        self.kill(context, &permit, run).await?;
        Ok(())
    }

    async fn take_mark_away(
        &self,
        context: &TenantContext,
        permit: &Permit<Access>,
        version: u64,
        mark: &Quarantine,
        wanted: &Release,
        stopped: u64,
    ) -> Result<(), EngineError> {
        let details = json!({
            "kind": KIND, "resource": NAME, "digest": null, "restored": mark, "reason": wanted.reason,
            "accept_loss": wanted.accept_loss && mark.witnessed.is_some(), "runs": if wanted.resume_runs { "resumed" } else { "stopped" },
            "stopped": stopped, "decision": permit.decision(),
        });
        let by = permit.caller().principal.subject();
        let change = self.marking(context, &by, EventKind::StateReleased, details, version, None)?;
        context.store.change(change).await?;
        Ok(())
    }
}
