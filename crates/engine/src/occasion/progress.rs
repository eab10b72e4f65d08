//! Where a Worker's schedule stands: one row, moved by its version, so that of several nodes one takes each
//! occurrence.

use crate::{Engine, EngineError, TenantContext};
use mandate_directory::StandingGrantSpec;
use mandate_journal::{Change, CommitError, SCHEDULE, ScheduleWrite, SealedPayload, TenantStore};
use mandate_kernel::{Digest, Duration, ResourceName, RunId, Timestamp};
use mandate_ledger::{Event, EventKind};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Runs of its own that a Worker may have open by the clock. Beyond that an occurrence is let go.
pub(super) const MOST_OPEN: usize = 32;

/// A clock set back further than this begins anew from where it stands.
const SET_BACK: Duration = Duration::from_secs(300);

/// After a refusal the clock starts nothing for so long, unless the configuration changes.
pub(super) const REST: Duration = Duration::from_secs(3_600);

/// Why a Worker did not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    /// A word for it.
    pub code: String,
    /// What to do, without anything of a run.
    pub detail: String,
    pub at: Timestamp,
    /// The configuration under which it happened.
    pub generation: u64,
}

/// An occurrence that was taken, and may not have been started yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Due {
    pub at: Timestamp,
    /// How many more were due since.
    pub missed: u32,
}

/// One of the events that a schedule waits for together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gathered {
    /// Which event.
    pub key: Digest,
    /// Its sealed payload, and whose key sealed it.
    pub payload: Digest,
    pub subject: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The version of the standing grant this is under.
    pub grant: u64,
    /// Since when the schedule is in force.
    pub began: Timestamp,
    /// The latest occurrence that was taken.
    pub last: Timestamp,
    pub pending: Option<Due>,
    /// The latest runs, oldest first.
    pub runs: Vec<RunId>,
    pub trouble: Option<Trouble>,
    /// Events of `all`, by the filter they fit.
    pub gathered: BTreeMap<usize, Gathered>,
    /// The events the last run by `all` began with.
    pub consumed: Vec<Digest>,
}

/// A schedule's row as it was read.
pub(super) struct Standing {
    pub version: u64,
    pub progress: Progress,
}

impl Standing {
    /// Reads where a Worker stands, under the grant in force.
    pub(super) async fn read(
        store: &dyn TenantStore,
        version: u64,
        grant: &StandingGrantSpec,
        now: Timestamp,
    ) -> Result<Self, EngineError> {
        let fresh = Progress {
            grant: version,
            began: grant.given_at,
            last: grant.given_at,
            pending: None,
            runs: Vec::new(),
            trouble: None,
            gathered: BTreeMap::new(),
            consumed: Vec::new(),
        };
        let Some(record) = store.schedule(&grant.worker).await? else {
            return Ok(Self { version: 0, progress: fresh });
        };
        let held: Progress = serde_json::from_value(record.state)
            .map_err(|e| EngineError::Inconsistent(format!("the schedule of {}: {e}", grant.worker)))?;
        let mut progress = if held.grant == version {
            held
        } else {
            // What the grant before took is not taken again.
            let last = held.last.max(fresh.last);
            Progress { last, runs: held.runs, consumed: held.consumed, ..fresh }
        };
        if progress.last > now.plus(SET_BACK) {
            progress.last = now;
        }
        Ok(Self { version: record.version, progress })
    }
}

impl Progress {
    /// Whether the clock waits after a refusal that nothing has changed about.
    pub(super) fn rests(&self, generation: u64, now: Timestamp) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| {
            trouble.generation == generation && trouble.at <= now && now.since(trouble.at) < REST
        })
    }

    pub(super) fn began_run(&mut self, run: RunId) {
        if !self.runs.contains(&run) {
            self.runs.push(run);
        }
        if let Some(over) = self.runs.len().checked_sub(MOST_OPEN) {
            self.runs.drain(..over);
        }
    }
}

impl Engine {
    /// Writes where a Worker stands; `false` when another node was faster.
    pub(super) async fn keep_progress(
        &self,
        context: &TenantContext,
        worker: &ResourceName,
        standing: &mut Standing,
        payload: Option<SealedPayload>,
    ) -> Result<bool, EngineError> {
        let change = self.progressing(context, worker, standing)?;
        self.write_progress(context, standing, Change { payloads: payload.into_iter().collect(), ..change }).await
    }

    /// The same, with the ledger told why the Worker did not start: once, until something changes about it.
    pub(super) async fn keep_trouble(
        &self,
        context: &TenantContext,
        grant: &StandingGrantSpec,
        standing: &mut Standing,
        trouble: Trouble,
    ) -> Result<bool, EngineError> {
        let same = |held: &Trouble| (&held.code, held.generation) == (&trouble.code, trouble.generation);
        let told = standing.progress.trouble.as_ref().is_some_and(same);
        let details = json!({
            "worker": grant.worker, "grant": mandate_directory::standing_epoch(&grant.worker),
            "grant_version": standing.progress.grant, "reason": trouble.code, "summary": trouble.detail,
        });
        standing.progress.trouble = Some(trouble);
        let mut change = self.progressing(context, &grant.worker, standing)?;
        if !told {
            let (time, tenant, actor) = (change.at, context.tenant.clone(), grant.holder.subject());
            let event = Event { time, tenant, kind: EventKind::ScheduleRefused, actor, run: None, details };
            change.entries.push(event.encode()?);
        }
        let kept = self.write_progress(context, standing, change).await?;
        context.entries_waiting.notify_one();
        Ok(kept)
    }

    fn progressing(
        &self,
        context: &TenantContext,
        worker: &ResourceName,
        standing: &Standing,
    ) -> Result<Change, EngineError> {
        let state = serde_json::to_value(&standing.progress).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
        let now = self.ports.clock.now();
        let mut change = Change::new(context.tenant.clone(), now, "system:engine".to_owned());
        change.schedules.push(ScheduleWrite { worker: worker.clone(), expected: standing.version, state });
        Ok(change)
    }

    async fn write_progress(
        &self,
        context: &TenantContext,
        standing: &mut Standing,
        change: Change,
    ) -> Result<bool, EngineError> {
        match context.store.change(change).await {
            Ok(_) => {
                standing.version += 1;
                Ok(true)
            }
            Err(CommitError::VersionConflict { kind, .. }) if kind == SCHEDULE => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
