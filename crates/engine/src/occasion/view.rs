//! Schedules as people look at them.

use super::progress::{Progress, Standing};
use super::starting::versions;
use crate::{Engine, EngineError, TenantContext};
use mandate_directory::StandingGrantSpec;
use mandate_kernel::{ResourceName, RunId, Timestamp};
use serde_json::Value;

/// The schedule of a Worker, and how it stands.
#[derive(Debug, Clone)]
pub struct ScheduleView {
    /// The Worker.
    pub worker: ResourceName,
    /// `schedule` as the document has it.
    pub schedule: Value,
    /// The standing grant; without one the Worker does not start by itself.
    pub grant: Option<StandingGrantSpec>,
    /// Why the grant does not cover the Worker as it is.
    pub lapsed: Option<&'static str>,
    /// The next start by time.
    pub next: Option<Timestamp>,
    /// The latest run.
    pub last_run: Option<RunId>,
    /// Why it did not start when it last was due: a word, what to do, and when that was.
    pub trouble: Option<(String, String, Timestamp)>,
}

impl Engine {
    /// Every Worker of the tenant that has a schedule, by name.
    ///
    /// # Errors
    /// [`EngineError`] when something can't be read.
    pub async fn schedules(&self, context: &TenantContext) -> Result<Vec<ScheduleView>, EngineError> {
        let mut found = Vec::new();
        for record in context.store.resources("Worker").await? {
            let Some(schedule) = record.spec.pointer("/document/schedule") else { continue };
            let worker =
                ResourceName::new(record.name.clone()).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
            found.push(self.schedule_of(context, worker, schedule.clone()).await?);
        }
        Ok(found)
    }

    async fn schedule_of(
        &self,
        context: &TenantContext,
        worker: ResourceName,
        schedule: Value,
    ) -> Result<ScheduleView, EngineError> {
        let mut view =
            ScheduleView { worker, schedule, grant: None, lapsed: None, next: None, last_run: None, trouble: None };
        let catalog = context.catalog().await?;
        let Some((version, grant)) = catalog.standing_grants.iter().find(|(_, grant)| grant.worker == view.worker)
        else {
            return Ok(view);
        };
        let now = self.ports.clock.now();
        let found = context.workers.find(&self.ports, context.store.as_ref(), &view.worker).await?;
        let Progress { last, began, runs, trouble, .. } =
            Standing::read(context.store.as_ref(), *version, grant, now).await?.progress;
        if let Some(pinned) = found {
            view.lapsed = grant.lapsed(now, &pinned.version, &versions(&pinned));
            // The end of the run before is not looked for: a schedule that goes by it shows no time.
            let next = pinned.program.schedule().and_then(|schedule| schedule.next_after(last, began, None));
            view.next = next.filter(|_| view.lapsed.is_none());
        }
        view.grant = Some(grant.clone());
        view.last_run = runs.last().cloned();
        view.trouble = trouble.map(|told| (told.code, told.detail, told.at));
        Ok(view)
    }
}
