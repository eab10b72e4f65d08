//! Stopping a run: admission ends at once, and the answer says what was in flight (I9).

use crate::driver::Wake;
use crate::{Engine, EngineError, TenantContext};
use mandate_gate::{Access, InFlight, Permit};
use mandate_journal::{Change, EpochKey, RunRecord};
use mandate_kernel::{RunId, Timestamp};
use mandate_ledger::{Event, EventKind};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// What a stop found and did.
#[derive(Debug, Clone, Serialize)]
pub struct Killed {
    /// When admission ended: from the commit of the revocation on, nothing of this run is admitted.
    pub stopped_at: Timestamp,
    /// Permits that were alive then. Those on the wire may have happened.
    pub in_flight: Vec<InFlight>,
    /// Whether the run had ended before.
    pub already_ended: bool,
}

impl Engine {
    /// Stops a run. When this returns, no permit of it is alive and its end is durable.
    ///
    /// # Errors
    /// [`EngineError`]; if the revocation was durable, the run ends as soon as it is looked at.
    pub async fn kill(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        permit: &Permit<Access>,
        run: &RunRecord,
    ) -> Result<(Killed, RunRecord), EngineError> {
        let now = self.ports.clock.now();
        if run.status.state.is_terminal() {
            return Ok((Killed { stopped_at: now, in_flight: Vec::new(), already_ended: true }, run.clone()));
        }
        let by = permit.caller().principal.subject();
        let event = Event {
            time: now,
            tenant: context.tenant().clone(),
            kind: EventKind::AuthorityRevoked,
            actor: by.clone(),
            run: None,
            details: json!({"of": "run", "name": run.run, "decision": permit.decision()}),
        };
        let mut change = Change::new(context.tenant().clone(), now, by);
        change.entries.push(event.encode()?);
        change.revoke.push(EpochKey::Run(run.run.to_string()));
        context.store.change(change).await?;
        self.set_stopping(&run.run, true);
        let stopped = self.gate.live().stop(&run.run).await;
        let ended = self.see_it_end(context, &run.run).await;
        self.set_stopping(&run.run, false);
        let record = ended?;
        Ok((Killed { stopped_at: now, in_flight: stopped.in_flight, already_ended: false }, record))
    }

    /// A driver that has the run notices at its next commit; a run without one gets one.
    async fn see_it_end(self: &Arc<Self>, context: &Arc<TenantContext>, run: &RunId) -> Result<RunRecord, EngineError> {
        for _ in 0..50 {
            self.until_idle(run).await;
            let record = context.store.run(run).await?.ok_or_else(|| EngineError::Absent(format!("run {run}")))?;
            if record.status.state.is_terminal() {
                return Ok(record);
            }
            if !self.resume(context, run, Wake::Person) {
                tokio::task::yield_now().await;
                if self.holds.holds(run) {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
        Err(EngineError::Timeout(format!("the end of {run}: nothing of it is admitted any more, but its end")))
    }
}
