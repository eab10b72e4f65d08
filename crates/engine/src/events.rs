//! Events: what runs emit, and what comes for those that listen.
//!
//! An event that came is a part of the run's journal before the run is told. So a crash loses none, and the
//! same event (`source` and `id`) is taken once. A run that listens is rows: no task, no memory.

use crate::draft::Draft;
use crate::driver::{Driver, Ended, StepEnd, Wake};
use crate::history::History;
use crate::{Engine, EngineError, TenantContext, record};
use async_trait::async_trait;
use mandate_flow::{EmitId, Event, Labelled};
use mandate_journal::{EventBody, Stored, TimerChange, TimerRecord, event_timer};
use mandate_kernel::{Limits, RunId, Tenant, Timestamp, canonical_json};
use mandate_ledger::EventKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The row that has a run looked at, because an event came.
pub(crate) const ARRIVED: &str = "arrived";

/// When rows that say what a run listens to are due: never (the end of the year 9999).
const NEVER: Timestamp = Timestamp::from_secs(253_402_300_799);

/// Runs looked up at once.
const BATCH: usize = 500;

/// Events that one run takes in all.
const MAX_EVENTS: usize = 10_000;

/// Takes events that runs have emitted, to hand them on outside. What it does with them is not a step of the
/// run: an effect that has to be judged is a call of a function.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Takes one event, a CloudEvent with its labels. The same may come again after a crash: `source` and
    /// `id` tell.
    async fn take(&self, tenant: &Tenant, run: &RunId, event: &Labelled);
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivered {
    /// Runs that have it in their journal now.
    pub taken: usize,
    /// Runs that had it before.
    pub known: usize,
}

/// Why an event was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// It is not a CloudEvent 1.0 that fits the limits.
    #[error("the event can't be taken: {0}")]
    Invalid(String),
    /// It could not be recorded for every run that listens; deliver it again.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

/// The attributes every event has.
pub(crate) struct Attributes {
    pub source: String,
    pub id: String,
    pub kind: String,
}

impl Attributes {
    pub(crate) fn of(event: &Value) -> Result<Self, DeliverError> {
        let invalid = |why: String| DeliverError::Invalid(why);
        let size = canonical_json(event).map_err(|e| invalid(e.to_string()))?.len();
        if size > Limits::DEFAULT.value {
            return Err(invalid(format!("it is {size} bytes, and at most {} are taken", Limits::DEFAULT.value)));
        }
        let attribute = |name: &str| {
            let text = event.get(name).and_then(Value::as_str).unwrap_or_default();
            let fits = (1..=512).contains(&text.len()) && !text.chars().any(char::is_control);
            if fits { Ok(text.to_owned()) } else { Err(invalid(format!("`{name}` must be text of up to 512 bytes"))) }
        };
        if attribute("specversion")? != "1.0" {
            return Err(invalid("`specversion` must be 1.0".to_owned()));
        }
        Ok(Self { source: attribute("source")?, id: attribute("id")?, kind: attribute("type")? })
    }
}

impl Engine {
    /// Hands emitted events to somebody besides the runs that listen. The first one counts.
    pub fn emit_to(&self, sink: Arc<dyn EventSink>) {
        // A second one is a mistake of the wiring, and harmless.
        let _ = self.sink.set(sink);
    }

    /// Delivers a CloudEvent to every run of the tenant that listens to its type. Whoever calls this has made
    /// sure of its source, and gives it the labels of that: as a rule *untrusted*.
    ///
    /// # Errors
    /// [`DeliverError`]. Delivering it again is safe.
    pub async fn deliver(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        event: &Labelled,
    ) -> Result<Delivered, DeliverError> {
        let attributes = Attributes::of(&event.value)?;
        let (mut delivered, mut after, mut failed) = (Delivered::default(), None, None);
        loop {
            let page = context.store.listening(&attributes.kind, after.as_ref(), BATCH).await;
            let page = page.map_err(EngineError::from)?;
            for run in &page {
                match self.deliver_to(context, run, &attributes, event).await {
                    Ok(Some(true)) => delivered.taken += 1,
                    Ok(Some(false)) => delivered.known += 1,
                    Ok(None) => {}
                    // What one run can't take is no reason for the others to go without.
                    Err(error) => {
                        tracing::warn!(%run, %error, "an event did not reach a run that listens");
                        failed = Some(error);
                    }
                }
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        Ok(delivered)
    }

    /// Whether the run has it now, or had it before; `None` when it does not listen any more.
    async fn deliver_to(
        self: &Arc<Self>,
        context: &Arc<TenantContext>,
        run: &RunId,
        attributes: &Attributes,
        event: &Labelled,
    ) -> Result<Option<bool>, EngineError> {
        let hold = self.hold(context, run).await?;
        let names = [event_timer(Some(&attributes.kind)), event_timer(None)];
        let store = &context.store;
        let listens = store.timers(run).await?.iter().any(|timer| names.contains(&timer.name));
        let history = History::of(store.journal(run).await?);
        if !listens || history.ended || history.received.len() >= MAX_EVENTS {
            return Ok(None);
        }
        if history.received.contains(&(attributes.source.clone(), attributes.id.clone())) {
            return Ok(Some(false));
        }
        let epoch = hold.epoch;
        let found = store.run(run).await?.ok_or_else(|| EngineError::Absent(format!("run {run}")))?;
        let now = self.ports.clock.now();
        let mut draft = Draft::new(context.tenant().clone(), run.clone(), found.journal_seq, epoch, found.chain);
        let subject = context.vault.subject(&found.new.initiator.subject()).await?;
        let (stored, payload) = subject.seal(&event.value, &event.labels)?;
        draft.payload(payload);
        let details = json!({
            "source": attributes.source, "id": attributes.id, "type": attributes.kind, "event": record::commitment(&stored),
        });
        draft.entry(now, EventKind::EventReceived, "system:engine".to_owned(), details)?;
        let Attributes { source, id, kind } = attributes;
        let (source, id, kind) = (source.clone(), id.clone(), kind.clone());
        draft.event(now, EventBody::Received { source, id, kind, event: stored });
        // Should the process end here, the scheduler finds the run by this.
        draft.timer(TimerChange::Set(TimerRecord { name: ARRIVED.to_owned(), due: now }));
        store.commit(draft.transition()).await?;
        draft.committed();
        context.entries_waiting.notify_one();
        drop(hold);
        self.resume(context, run, Wake::Event);
        Ok(Some(true))
    }
}

impl Driver {
    /// Records an event that the machine emits, and hands it on.
    pub(crate) async fn emit(
        &mut self,
        engine: &Arc<Engine>,
        id: EmitId,
        event: Labelled,
    ) -> Result<StepEnd, EngineError> {
        let now = engine.ports.clock.now();
        let stored = self.seal(&event.value, &event.labels)?;
        let of = |name: &str| event.value.get(name).cloned().unwrap_or(Value::Null);
        let details = json!({
            "emit": id, "source": of("source"), "id": of("id"), "type": of("type"), "event": record::commitment(&stored),
        });
        self.draft.entry(now, EventKind::EventEmitted, self.actor(), details)?;
        self.event(now, EventBody::Emitted { emit: id.0, event: stored });
        // It is recorded before anybody has it.
        self.commit(engine).await?;
        self.hand_on(engine, event);
        Ok(StepEnd::Tell(Event::Emitted { id, at: now }))
    }

    /// Hands an emitted event to the runs of the tenant that listen, and to whoever else takes them.
    pub(crate) fn hand_on(&self, engine: &Arc<Engine>, event: Labelled) {
        let (engine, context, run) = (Arc::clone(engine), Arc::clone(&self.context), self.run.clone());
        tokio::spawn(async move {
            if let Err(error) = engine.deliver(&context, &event).await {
                tracing::error!(%run, %error, "an emitted event reached not every run that listens");
            }
            if let Some(sink) = engine.sink.get() {
                sink.take(context.tenant(), &run, &event).await;
            }
        });
    }

    /// Tells the machine of an event that came: every task that listens to its type.
    pub(crate) async fn hear(
        &mut self,
        engine: &Engine,
        kind: &str,
        at: Timestamp,
        event: &Stored,
    ) -> Result<Option<Ended>, EngineError> {
        let listeners = self.board.listeners(kind);
        if listeners.is_empty() {
            return Ok(None);
        }
        let event = Labelled { value: self.open(event).await?, labels: event.labels.clone() };
        for id in listeners {
            // One of them may have cut off the next.
            if self.board.listens.contains_key(&id) {
                self.tell(engine, Event::Received { id, at, event: event.clone() })?;
                if let Some(ended) = self.evaluate_all(engine).await? {
                    return Ok(Some(ended));
                }
            }
        }
        Ok(None)
    }

    /// The rows by which events find the run, as its tasks listen now.
    pub(crate) fn say_what_is_heard(&mut self) {
        let mut wanted = BTreeSet::new();
        for types in self.board.listens.values() {
            match types {
                Some(types) => wanted.extend(types.iter().map(|kind| event_timer(Some(kind)))),
                None => {
                    wanted.insert(event_timer(None));
                }
            }
        }
        let is_one = |name: &&String| name.starts_with("event");
        let gone: Vec<String> =
            self.timers.iter().filter(is_one).filter(|name| !wanted.contains(*name)).cloned().collect();
        for name in gone {
            self.clear_timer(&name);
        }
        for name in wanted {
            if !self.timers.contains(&name) {
                self.set_timer(name, NEVER);
            }
        }
    }
}
