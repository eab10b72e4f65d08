//! Handing events on: to the runs that listen, and to the Workers that start by them.

use super::progress::{Gathered, Standing, Trouble};
use super::starting::{Begun, versions};
use super::{Origin, TenantContext};
use crate::events::DeliverError;
use crate::{Engine, EngineError};
use mandate_directory::{StandingGrantSpec, standing_epoch};
use mandate_flow::{EventFilter, EventStrategy, Labelled, ReadAs};
use mandate_identity::{Trigger, TriggerKind};
use mandate_journal::{ArrivalChange, ArrivalRecord, Change, SealedPayload};
use mandate_kernel::{Digest, Duration, Labels, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, PoisonError};

/// Events handed on before what was handed on is noted.
const BATCH: usize = 128;

/// How often events are forgotten, while some come and while none do.
const SWEEP: Duration = Duration::from_secs(60);
const SWEEP_IDLE: Duration = Duration::from_secs(3_600);

/// An event as it was sealed at the door.
#[derive(Deserialize)]
struct Sealed {
    event: Value,
    labels: Labels,
}

/// What is left after a round.
pub(super) struct Handed {
    /// There may be more that waits.
    pub more: bool,
    /// Some could not be handed on, and are tried again.
    pub failed: bool,
}

/// A Worker that may start by an event.
struct Offered<'a> {
    context: &'a Arc<TenantContext>,
    grant: &'a StandingGrantSpec,
    version: u64,
    read: ReadAs,
}

impl Engine {
    /// Hands on what waits. What could not be handed on waits on.
    pub(super) async fn hand_on_arrivals(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
    ) -> Result<Handed, EngineError> {
        let arrivals = context.store.arrivals(BATCH).await?;
        let now = self.ports.clock.now();
        let mut change = Change::new(context.tenant.clone(), now, "system:engine".to_owned());
        for arrival in &arrivals {
            if *self.closing.borrow() {
                break;
            }
            match self.hand_on_arrival(context, arrival).await {
                Ok(()) => change.arrivals.push(ArrivalChange::Done(arrival.key)),
                Err(error) => tracing::warn!(event = %arrival.key, %error, "an event is handed on again later"),
            }
        }
        let handed_on = change.arrivals.len();
        if is_time_to_sweep(context, now, handed_on > 0) {
            change.arrivals.push(ArrivalChange::Forget(now));
        }
        if !change.arrivals.is_empty() {
            mandate_kernel::crash::point("engine.events-handed-on");
            context.store.change(change).await?;
        }
        Ok(Handed { more: handed_on == BATCH, failed: handed_on < arrivals.len() })
    }

    async fn hand_on_arrival(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        arrival: &ArrivalRecord,
    ) -> Result<(), EngineError> {
        let event = match opened(context, &arrival.event).await {
            Ok(event) => event,
            Err(error) if error.is_passing() => return Err(error),
            // Shredded, or not as it was written: no repetition mends it.
            Err(error) => {
                tracing::error!(event = %arrival.key, %error, "an event can't be opened and is let go");
                return Ok(());
            }
        };
        match self.deliver(context, &event).await {
            Ok(_) => {}
            Err(DeliverError::Failed(error)) => return Err(error),
            Err(DeliverError::Invalid(why)) => tracing::error!(event = %arrival.key, why, "an event is let go"),
        }
        self.offer(context, arrival, &event).await
    }

    /// Starts every Worker whose schedule the event fits.
    async fn offer(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        arrival: &ArrivalRecord,
        event: &Labelled,
    ) -> Result<(), EngineError> {
        let catalog = context.catalog().await?;
        for (version, grant) in &catalog.standing_grants {
            let found = context.workers.find(&self.ports, context.store.as_ref(), &grant.worker).await?;
            let Some(pinned) = found else { continue };
            let Some(schedule) = pinned.program.schedule() else { continue };
            let Some(on) = &schedule.on else { continue };
            let offered = Offered { context, grant, version: *version, read: schedule.read };
            if !fits(on, &event.value) {
                continue;
            }
            let now = self.ports.clock.now();
            if let Some(why) = grant.lapsed(now, &pinned.version, &versions(&pinned)) {
                let mut standing = Standing::read(context.store.as_ref(), *version, grant, now).await?;
                let (code, detail) =
                    ("grant-lapsed".to_owned(), format!("the standing grant does not cover it: {why}"));
                let trouble = Trouble { code, detail, at: now, generation: catalog.generation };
                self.keep_trouble(context, grant, &mut standing, trouble).await?;
                continue;
            }
            match on {
                EventStrategy::One(_) | EventStrategy::Any(_) => {
                    let key = format!("event {} {}", grant.worker, arrival.key);
                    self.begin_with(&offered, &[(arrival.key, event.clone())], key).await?;
                }
                EventStrategy::All(filters) => self.gather(&offered, filters, arrival, event).await?,
            }
        }
        Ok(())
    }

    /// Starts a run whose input is these events.
    async fn begin_with(
        self: &Arc<Self>,
        offered: &Offered<'_>,
        events: &[(Digest, Labelled)],
        key: String,
    ) -> Result<(), EngineError> {
        let Offered { context, grant, version, read, .. } = *offered;
        let trigger = Trigger {
            by: TriggerKind::Event,
            grant: standing_epoch(&grant.worker),
            grant_version: version,
            occurrence: None,
            missed: 0,
            events: events.iter().map(|(key, _)| *key).collect(),
        };
        let labels = events.iter().map(|(_, event)| event.labels.clone()).reduce(|all, labels| all.join(&labels));
        let origin = Origin { trigger, labels };
        let input = Value::Array(events.iter().map(|(_, event)| read.of(&event.value)).collect());
        let begun = self.start_standing(context, grant, &origin, input, key).await?;
        let now = self.ports.clock.now();
        let mut standing = Standing::read(context.store.as_ref(), version, grant, now).await?;
        // That the row moved on meanwhile does no harm: the run is there, or the refusal is.
        match begun {
            Begun::Run(run, refused) => {
                standing.progress.began_run(run);
                standing.progress.trouble = refused;
                self.keep_progress(context, &grant.worker, &mut standing, None).await?;
            }
            Begun::Not(trouble) => {
                self.keep_trouble(context, grant, &mut standing, trouble).await?;
            }
        }
        Ok(())
    }

    /// Puts an event beside those that came before, and starts a run when there is one for each filter.
    async fn gather(
        self: &Arc<Self>,
        offered: &Offered<'_>,
        filters: &[EventFilter],
        arrival: &ArrivalRecord,
        event: &Labelled,
    ) -> Result<(), EngineError> {
        let Offered { context, grant, version, .. } = *offered;
        let again = || EngineError::Timeout("an event beside those that came before".to_owned());
        let mut standing = Standing::read(context.store.as_ref(), version, grant, self.ports.clock.now()).await?;
        let progress = &mut standing.progress;
        if progress.consumed.contains(&arrival.key) {
            return Ok(());
        }
        if !progress.gathered.values().any(|held| held.key == arrival.key) {
            let open = |at: &usize| !progress.gathered.contains_key(at);
            let fitting =
                (0..filters.len()).filter(open).find(|at| filters.get(*at).is_some_and(|f| holds(f, &event.value)));
            // There is one for each filter it fits already.
            let Some(at) = fitting else { return Ok(()) };
            let SealedPayload { commitment, subject, .. } = arrival.event.clone();
            progress.gathered.insert(at, Gathered { key: arrival.key, payload: commitment, subject });
            let payload = Some(arrival.event.clone());
            if !self.keep_progress(context, &grant.worker, &mut standing, payload).await? {
                return Err(again());
            }
        }
        if standing.progress.gathered.len() < filters.len() {
            return Ok(());
        }
        let mut events = Vec::with_capacity(filters.len());
        for held in standing.progress.gathered.values() {
            let absent = || EngineError::Absent(format!("event {}", held.key));
            let sealed = context.store.payload(&held.payload).await?.ok_or_else(absent)?;
            events.push((held.key, opened(context, &sealed).await?));
        }
        let keys: Vec<Digest> = events.iter().map(|(key, _)| *key).collect();
        let all: Vec<u8> = keys.iter().flat_map(|key| *key.as_bytes()).collect();
        self.begin_with(offered, &events, format!("events {} {}", grant.worker, Digest::of(&all))).await?;
        let mut standing = Standing::read(context.store.as_ref(), version, grant, self.ports.clock.now()).await?;
        standing.progress.gathered.clear();
        standing.progress.consumed = keys;
        if self.keep_progress(context, &grant.worker, &mut standing, None).await? { Ok(()) } else { Err(again()) }
    }
}

/// A while after the last time, if events come at all; else once in a long while.
fn is_time_to_sweep(context: &TenantContext, now: Timestamp, events_come: bool) -> bool {
    let mut swept = context.occasion.swept.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(last) = *swept else {
        *swept = Some(now);
        return false;
    };
    let wait = if events_come { SWEEP } else { SWEEP_IDLE };
    let due = now.since(last) >= wait || last > now;
    if due {
        *swept = Some(now);
    }
    due
}

/// Opens an event with the labels it was given at the door.
async fn opened(context: &TenantContext, payload: &SealedPayload) -> Result<Labelled, EngineError> {
    let whole = context.vault.subject(&payload.subject).await?.open(payload)?;
    let sealed: Sealed = serde_json::from_value(whole).map_err(|e| EngineError::Inconsistent(e.to_string()))?;
    Ok(Labelled { value: sealed.event, labels: sealed.labels })
}

fn fits(on: &EventStrategy, event: &Value) -> bool {
    match on {
        EventStrategy::One(filter) => holds(filter, event),
        EventStrategy::Any(filters) if filters.is_empty() => true,
        EventStrategy::Any(filters) | EventStrategy::All(filters) => filters.iter().any(|f| holds(f, event)),
    }
}

/// A filter whose expression fails on an event does not fit it.
fn holds(filter: &EventFilter, event: &Value) -> bool {
    filter.fits(event).unwrap_or(false)
}
