//! Starting Workers when it is time.
//!
//! The next occurrence is computed from the row that says which one was taken last. Taking one moves the row
//! first and starts the run then, by a key made of Worker and occurrence: a crash in between is made good, and
//! no occurrence starts two runs. What was missed while nothing ran here is made up for by one run.

use super::progress::{Due, MOST_OPEN, Progress, REST, Standing, Trouble};
use super::starting::{Begun, versions};
use super::{Origin, TenantContext};
use crate::pinned::Pinned;
use crate::{Catalog, Engine, EngineError};
use mandate_directory::{StandingGrantSpec, standing_epoch};
use mandate_flow::Schedule;
use mandate_identity::{Trigger, TriggerKind};
use mandate_kernel::{Duration, Timestamp};
use serde_json::Value;
use std::sync::{Arc, PoisonError};

/// Occurrences that were missed and are counted; beyond that they are many.
const COUNTED: u32 = 1_000;

/// The longest a schedule is not looked at.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How often the end of a run is looked for that the next one comes after.
const SOON: Duration = Duration::from_secs(1);

/// A schedule to be looked at.
struct Attended<'a> {
    context: &'a Arc<TenantContext>,
    catalog: &'a Catalog,
    grant: &'a StandingGrantSpec,
    version: u64,
    pinned: &'a Pinned,
    schedule: &'a Schedule,
}

impl Engine {
    /// Starts every Worker whose time has come.
    pub(super) async fn start_what_is_due(self: &Arc<Self>, context: &Arc<TenantContext>) -> Result<(), EngineError> {
        let catalog = context.catalog().await?;
        for (version, grant) in &catalog.standing_grants {
            let (now, generation) = (self.ports.clock.now(), catalog.generation);
            let looks = &context.occasion.looks;
            let held = looks.lock().unwrap_or_else(PoisonError::into_inner).get(&grant.worker).copied();
            if held.is_some_and(|(of, next)| of == generation && now < next && next <= now.plus(LONGEST)) {
                continue;
            }
            let next = match self.attend(context, &catalog, *version, grant).await {
                Ok(next) => next.min(now.plus(LONGEST)),
                Err(error) => {
                    tracing::warn!(worker = %grant.worker, %error, "a schedule is looked at again");
                    now.plus(SOON)
                }
            };
            looks.lock().unwrap_or_else(PoisonError::into_inner).insert(grant.worker.clone(), (generation, next));
        }
        Ok(())
    }

    /// Looks at one schedule; when to look again.
    async fn attend(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        catalog: &Catalog,
        version: u64,
        grant: &StandingGrantSpec,
    ) -> Result<Timestamp, EngineError> {
        let now = self.ports.clock.now();
        let never = now.plus(LONGEST);
        let Some(pinned) = context.workers.find(&self.ports, context.store.as_ref(), &grant.worker).await? else {
            return Ok(never);
        };
        let Some(schedule) = pinned.program.schedule() else { return Ok(never) };
        let attended = Attended { context, catalog, grant, version, pinned: &pinned, schedule };
        let mut standing = Standing::read(context.store.as_ref(), version, grant, now).await?;
        if standing.progress.pending.is_some() {
            self.begin_pending(&attended, &mut standing).await?;
        }
        let ended = self.ended(&attended, &standing.progress).await?;
        let Progress { last, began, .. } = standing.progress;
        let waits_for_end = schedule.after.is_some() && ended.is_none();
        let look_by = if waits_for_end { now.plus(SOON) } else { never };
        match schedule.next_after(last, began, ended) {
            Some(at) if at > now => Ok(at.min(look_by)),
            None => Ok(look_by),
            Some(at) => {
                if standing.progress.rests(catalog.generation, now) {
                    let since = standing.progress.trouble.as_ref().map_or(now, |trouble| trouble.at);
                    return Ok(since.plus(REST));
                }
                self.come_due(&attended, &mut standing, at, ended).await?;
                Ok(now)
            }
        }
    }

    /// When the run before has ended, for a schedule that goes by it. Before the first run it is when the
    /// schedule came into force.
    async fn ended(&self, attended: &Attended<'_>, progress: &Progress) -> Result<Option<Timestamp>, EngineError> {
        if attended.schedule.after.is_none() {
            return Ok(None);
        }
        let Some(last) = progress.runs.last() else { return Ok(Some(progress.began)) };
        let record = attended.context.store.run(last).await?;
        Ok(match record {
            Some(record) if !record.status.state.is_terminal() => None,
            Some(record) => Some(record.status.since),
            None => Some(progress.began),
        })
    }

    /// Takes the occurrence at `at`, and with it those that were due since, and starts a run for them.
    async fn come_due(
        self: &Arc<Self>,
        attended: &Attended<'_>,
        standing: &mut Standing,
        at: Timestamp,
        ended: Option<Timestamp>,
    ) -> Result<(), EngineError> {
        let Attended { context, grant, pinned, schedule, .. } = *attended;
        let now = self.ports.clock.now();
        let (latest, missed) = missed(schedule, at, standing.progress.began, ended, now);
        standing.progress.last = latest;
        let trouble = |code: &str, detail: String| {
            let generation = attended.catalog.generation;
            Trouble { code: code.to_owned(), detail, at: now, generation }
        };
        let told = match grant.lapsed(now, &pinned.version, &versions(pinned)) {
            Some(why) => Some(trouble("grant-lapsed", format!("the standing grant does not cover it: {why}"))),
            None if self.is_full(context, &mut standing.progress).await? => {
                Some(trouble("too-many-open", format!("{MOST_OPEN} runs that it started have not ended")))
            }
            None => None,
        };
        if let Some(told) = told {
            self.keep_trouble(context, grant, standing, told).await?;
            return Ok(());
        }
        standing.progress.pending = Some(Due { at, missed });
        if !self.keep_progress(context, &grant.worker, standing, None).await? {
            return Ok(());
        }
        mandate_kernel::crash::point("engine.occurrence-taken");
        self.begin_pending(attended, standing).await
    }

    /// Whether as many of its runs are open as may be.
    async fn is_full(&self, context: &TenantContext, progress: &mut Progress) -> Result<bool, EngineError> {
        if progress.runs.len() < MOST_OPEN {
            return Ok(false);
        }
        let mut open = 0;
        for run in &progress.runs {
            let record = context.store.run(run).await?;
            open += usize::from(record.is_some_and(|record| !record.status.state.is_terminal()));
        }
        Ok(open >= MOST_OPEN)
    }

    /// Starts the run of an occurrence that was taken.
    async fn begin_pending(
        self: &Arc<Self>,
        attended: &Attended<'_>,
        standing: &mut Standing,
    ) -> Result<(), EngineError> {
        let Some(Due { at, missed }) = standing.progress.pending.clone() else { return Ok(()) };
        let (context, grant) = (attended.context, attended.grant);
        let trigger = Trigger {
            by: TriggerKind::Time,
            grant: standing_epoch(&grant.worker),
            grant_version: attended.version,
            occurrence: Some(at),
            missed,
            events: Vec::new(),
        };
        let origin = Origin { trigger, labels: None };
        let key = format!("time {} {}", grant.worker, at.as_millis());
        let begun = self.start_standing(context, grant, &origin, Value::Null, key).await?;
        mandate_kernel::crash::point("engine.occurrence-started");
        standing.progress.pending = None;
        match begun {
            Begun::Run(run, refused) => {
                standing.progress.began_run(run);
                standing.progress.trouble = refused;
                self.keep_progress(context, &grant.worker, standing, None).await?;
            }
            Begun::Not(trouble) => {
                self.keep_trouble(context, grant, standing, trouble).await?;
            }
        }
        Ok(())
    }
}

/// The latest occurrence that is due, and how many there were after the first.
fn missed(
    schedule: &Schedule,
    first: Timestamp,
    began: Timestamp,
    ended: Option<Timestamp>,
    now: Timestamp,
) -> (Timestamp, u32) {
    let mut latest = first;
    for count in 0..COUNTED {
        match schedule.next_after(latest, began, ended) {
            Some(next) if next <= now => latest = next,
            _ => return (latest, count),
        }
    }
    (now, COUNTED)
}
