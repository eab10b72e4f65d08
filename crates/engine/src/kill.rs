//! Stopping a run: admission ends at once, and the answer says what was in flight (I9).

use crate::driver::Wake;
use crate::hold::LOOK_AGAIN;
use crate::{Engine, EngineError, TenantContext};
use mandate_gate::{Access, InFlight, Permit};
use mandate_journal::{Change, Doubt, EpochKey, EventBody, RunRecord};
use mandate_kernel::{FunctionName, RunId, StepKey, Timestamp};
use mandate_ledger::{Entry, Event, EventKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

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
        let mut in_flight = stopped.in_flight;
        if in_flight.is_empty() && self.claims.node().is_some() {
            in_flight = recorded(context, &record).await?;
        }
        Ok((Killed { stopped_at: now, in_flight, already_ended: false }, record))
    }

    /// A driver that has the run notices at its next commit; a run without one gets one. One that another node
    /// drives is ended there; if that node is gone, it is ended here once its claim is over, and with it all that
    /// the node may still have done.
    async fn see_it_end(self: &Arc<Self>, context: &Arc<TenantContext>, run: &RunId) -> Result<RunRecord, EngineError> {
        let (since, mut looks) = (Instant::now(), 0);
        while looks < 50 || since.elapsed() < self.patience_with_nodes() {
            looks += 1;
            self.until_idle(run).await;
            let record = context.store.run(run).await?.ok_or_else(|| EngineError::Absent(format!("run {run}")))?;
            if record.status.state.is_terminal() {
                return Ok(record);
            }
            let elsewhere = !self.claims.has(run) && self.ask_for(context, run).await?;
            if elsewhere {
                tokio::time::sleep(LOOK_AGAIN).await;
            } else if !self.resume(context, run, Wake::Person) {
                tokio::task::yield_now().await;
                if self.holds.holds(run) {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
            if looks >= 50 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Err(EngineError::Timeout(format!("the end of {run}: nothing of it is admitted any more, but its end")))
    }
}

/// What was on the wire at another node, as that node recorded it when it ended the run, or as the node that took
/// the run over found it.
async fn recorded(context: &TenantContext, run: &RunRecord) -> Result<Vec<InFlight>, EngineError> {
    let mut destinations = BTreeMap::new();
    for (_, bytes) in context.store.run_entries(&run.run).await? {
        let entry =
            Entry::decode(&bytes).map_err(|e| EngineError::Inconsistent(format!("an entry of {}: {e}", run.run)));
        let (_, event) = entry?;
        let part = |at: &str| event.details.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        if event.kind == EventKind::StepDecided {
            destinations.insert(part("/decision"), part("/request/destination"));
        }
    }
    let (mut admitted, mut in_flight) = (BTreeMap::new(), Vec::new());
    for event in context.store.journal(&run.run).await? {
        match event.body {
            EventBody::Admitted { step, attempt, function, decision, not_after, .. } => {
                let destination = destinations.get(&decision.to_string()).cloned().unwrap_or_default();
                let function = FunctionName::new(function).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
                let step = StepKey { run: run.run.clone(), seq: step, attempt };
                let live =
                    InFlight { step, function, destination, decision, on_wire: true, token_valid_until: not_after };
                admitted.insert((live.step.seq, attempt), live);
            }
            EventBody::InDoubt { step, attempt, why: Doubt::Stopped | Doubt::Crash } => {
                in_flight.extend(admitted.remove(&(step, attempt)));
            }
            _ => {}
        }
    }
    Ok(in_flight)
}
