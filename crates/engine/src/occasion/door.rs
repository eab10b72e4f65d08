//! The door: who may send which events, and when one is taken in.
//!
//! An event is taken from a sender that a registered source names, if it is fresh and was not taken before.
//! It is sealed and durable when the sender is answered; what becomes of it is decided where it is used.

use super::refusals::Refused;
use crate::events::{Attributes, DeliverError};
use crate::{Catalog, Engine, EngineError, TenantContext};
use mandate_directory::EventSourceSpec;
use mandate_journal::{ARRIVAL, ArrivalChange, ArrivalRecord, Change, CommitError};
use mandate_kernel::{
    Caller, Digest, Duration, Labels, ResourceName, Source, Timestamp, canonical_json, parse_rfc3339,
};
use mandate_ledger::{Event, EventKind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The most events in one request.
pub const MOST_EVENTS: usize = 100;

/// Events that may wait to be handed on, in a tenant.
const MOST_WAITING: u64 = 10_000;

/// How far a sender's clock may be ahead.
const AHEAD: Duration = Duration::from_secs(60);

/// How long an event is known at least. No source may send older ones (`EventSourceSpec::max_age_seconds` is
/// an hour at most), so that none that was forgotten is fresh.
const KNOWN: Duration = Duration::from_secs(3_600 + 2 * 60);

/// How often a batch is looked at again because others took the same events meanwhile.
const TRIES: usize = 5;

/// What became of an event that was welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is durable, and will be handed on.
    Accepted,
    /// It was taken before; nothing happens.
    Known,
}

/// Events that were turned away. None of the request was taken.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Turned {
    /// Which of the events, if it is about one.
    pub at: Option<usize>,
    /// Why.
    #[source]
    pub why: Unwelcome,
}

/// Why an event is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unwelcome {
    /// Nobody registered a source of this name for this sender.
    #[error("no event source lets you speak for this `source`; an EventSource has to name both")]
    Unregistered,
    /// Its source may not send events of this type.
    #[error("the event source may not send events of this `type`")]
    Type,
    /// It is no CloudEvent that can be taken.
    #[error("{0}")]
    Invalid(String),
    /// It is too old, or of the future, or does not say when it happened.
    #[error("{0}")]
    Time(String),
    /// There are too many, or none.
    #[error("send 1 to {MOST_EVENTS} events")]
    Number,
    /// The source has sent too many.
    #[error("the event source sends too many events")]
    TooMany(Duration),
    /// Too many events wait to be handed on.
    #[error("too many events wait to be handed on")]
    Full(Duration),
    /// It could not be made durable.
    #[error(transparent)]
    Failed(#[from] EngineError),
}

impl Unwelcome {
    /// The word for it in the ledger.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::Type => "type",
            Self::Invalid(_) => "invalid",
            Self::Time(_) => "time",
            Self::Number => "number",
            Self::TooMany(_) => "too-many",
            Self::Full(_) => "full",
            Self::Failed(_) => "failed",
        }
    }
}

/// An event of a registered source.
struct Welcome {
    source: ResourceName,
    attributes: Attributes,
    key: Digest,
    event: Value,
    labels: Labels,
}

/// Which event it is: the same `source` and `id` are the same event.
fn key(attributes: &Attributes) -> Result<Digest, EngineError> {
    Ok(Digest::of(&canonical_json(&json!(["event", attributes.source, attributes.id]))?))
}

impl Engine {
    /// Takes CloudEvents in, all or none. When this returns `Ok` they are durable and in the ledger.
    ///
    /// # Errors
    /// [`Turned`]; refusals are in the ledger, those that repeat as a number.
    pub async fn take_events(
        &self,
        context: &TenantContext,
        caller: &Caller,
        events: Vec<Value>,
    ) -> Result<Vec<Taken>, Turned> {
        match self.welcome(context, caller, events).await {
            Ok(welcome) => {
                let taken = self.take_in(context, caller, &welcome).await;
                taken.map_err(|error| Turned { at: None, why: error.into() })
            }
            Err((source, turned)) => {
                let source = source.map(|name| name.to_string());
                let (sender, reason) = (caller.principal.subject(), turned.why.reason());
                let refused = self.refused(context, Refused { sender, source, reason }).await;
                match refused {
                    Ok(()) => Err(turned),
                    Err(error) => Err(Turned { at: None, why: error.into() }),
                }
            }
        }
    }

    /// The events, if each is welcome; else by which source, which one and why not.
    async fn welcome(
        &self,
        context: &TenantContext,
        caller: &Caller,
        events: Vec<Value>,
    ) -> Result<Vec<Welcome>, (Option<ResourceName>, Turned)> {
        let of_all = |why: Unwelcome| (None, Turned { at: None, why });
        if events.is_empty() || events.len() > MOST_EVENTS {
            return Err(of_all(Unwelcome::Number));
        }
        let catalog = context.catalog().await.map_err(|error| of_all(error.into()))?;
        let now = self.ports.clock.now();
        let mut welcome = Vec::with_capacity(events.len());
        for (at, event) in events.into_iter().enumerate() {
            let turned = |source: Option<&ResourceName>, why| (source.cloned(), Turned { at: Some(at), why });
            let attributes = Attributes::of(&event).map_err(|error| match error {
                DeliverError::Invalid(why) => turned(None, Unwelcome::Invalid(why)),
                DeliverError::Failed(error) => turned(None, error.into()),
            })?;
            let (name, spec) = registered(&catalog, caller, &attributes.source)
                .ok_or_else(|| turned(None, Unwelcome::Unregistered))?;
            fresh(spec, &attributes, &event, now).map_err(|why| turned(Some(name), why))?;
            let key = key(&attributes).map_err(|error| turned(Some(name), error.into()))?;
            let mut labels = spec.event_labels();
            labels.sources = BTreeSet::from([Source { origin: format!("event:{name}"), digest: key }]);
            welcome.push(Welcome { source: name.clone(), attributes, key, event, labels });
        }
        let mut counts: BTreeMap<&ResourceName, usize> = BTreeMap::new();
        for one in &welcome {
            *counts.entry(&one.source).or_default() += 1;
        }
        for (name, count) in counts {
            let rate = catalog.event_sources.iter().find(|(of, _)| of == name).map_or(1, |(_, spec)| spec.per_minute);
            context
                .occasion
                .rates
                .take(name, rate, count, now)
                .map_err(|wait| (Some(name.clone()), Turned { at: None, why: Unwelcome::TooMany(wait) }))?;
        }
        let waiting =
            context.store.arrivals_waiting().await.map_err(|error| of_all(EngineError::from(error).into()))?;
        if waiting >= MOST_WAITING {
            let source = welcome.into_iter().next().map(|one| one.source);
            return Err((source, Turned { at: None, why: Unwelcome::Full(Duration::from_secs(5)) }));
        }
        Ok(welcome)
    }

    /// Makes those durable that are not known.
    async fn take_in(
        &self,
        context: &TenantContext,
        caller: &Caller,
        welcome: &[Welcome],
    ) -> Result<Vec<Taken>, EngineError> {
        let keys: Vec<Digest> = welcome.iter().map(|one| one.key).collect();
        for _ in 0..TRIES {
            let known = context.store.known(&keys).await?;
            let mut seen = BTreeSet::new();
            let taken: Vec<Taken> = keys
                .iter()
                .zip(&known)
                .map(|(key, known)| if *known || !seen.insert(*key) { Taken::Known } else { Taken::Accepted })
                .collect();
            let new = welcome.iter().zip(&taken).filter(|(_, taken)| **taken == Taken::Accepted).map(|(one, _)| one);
            let change = self.taking(context, caller, new).await?;
            if !change.arrivals.is_empty() {
                match context.store.change(change).await {
                    Ok(_) => {}
                    Err(CommitError::VersionConflict { kind, .. }) if kind == ARRIVAL => continue,
                    Err(error) => return Err(error.into()),
                }
                context.entries_waiting.notify_one();
                context.occasion.arrived.notify_one();
            }
            for (one, _) in welcome.iter().zip(&taken).filter(|(_, taken)| **taken == Taken::Known) {
                let (sender, source) = (caller.principal.subject(), Some(one.source.to_string()));
                self.refused(context, Refused { sender, source, reason: "known" }).await?;
            }
            return Ok(taken);
        }
        Err(EngineError::Timeout("taking events that nobody else takes".to_owned()))
    }

    async fn taking(
        &self,
        context: &TenantContext,
        caller: &Caller,
        new: impl Iterator<Item = &Welcome>,
    ) -> Result<Change, EngineError> {
        let now = self.ports.clock.now();
        let mut change = Change::new(context.tenant.clone(), now, caller.principal.subject());
        for Welcome { source, attributes, key, event, labels } in new {
            // Whose data it is: the source's, until a run has it.
            let subject = context.vault.subject(&format!("event-source:{source}")).await?;
            let whole = json!({"event_source": source, "event": event, "labels": labels});
            let (stored, sealed) = subject.seal(&whole, labels)?;
            let entry = Event {
                time: now,
                tenant: context.tenant.clone(),
                kind: EventKind::EventAccepted,
                actor: caller.principal.subject(),
                run: None,
                details: json!({
                    "event_source": source, "source": attributes.source, "id": attributes.id, "type": attributes.kind,
                    "key": key, "event": crate::record::commitment(&stored),
                }),
            };
            change.entries.push(entry.encode()?);
            let keep_until = now.plus(KNOWN);
            change.arrivals.push(ArrivalChange::Take(ArrivalRecord { key: *key, keep_until, event: sealed }));
        }
        Ok(change)
    }
}

/// The source that lets the caller speak so.
fn registered<'a>(catalog: &'a Catalog, caller: &Caller, source: &str) -> Option<&'a (ResourceName, EventSourceSpec)> {
    let sender = caller.principal.subject();
    catalog.event_sources.iter().find(|(_, spec)| spec.speaks(&sender, source))
}

fn fresh(spec: &EventSourceSpec, attributes: &Attributes, event: &Value, now: Timestamp) -> Result<(), Unwelcome> {
    if !spec.sends(&attributes.kind) {
        return Err(Unwelcome::Type);
    }
    let time = event.get("time").and_then(Value::as_str).and_then(parse_rfc3339);
    let Some(time) = time else {
        return Err(Unwelcome::Time("`time` must say when it happened, as RFC 3339 writes it".to_owned()));
    };
    let oldest = Duration::from_secs(spec.max_age_seconds);
    if time > now.plus(AHEAD) {
        return Err(Unwelcome::Time("`time` is in the future; set the sender's clock".to_owned()));
    }
    if now.since(time) > oldest {
        return Err(Unwelcome::Time(format!("`time` is more than {} seconds ago", oldest.as_secs())));
    }
    Ok(())
}
