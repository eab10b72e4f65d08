//! Refusals at the door, told to the ledger once in a while: a flood of events is not one of entries.

use crate::{Engine, EngineError, TenantContext};
use mandate_journal::Change;
use mandate_kernel::{Duration, Timestamp};
use mandate_ledger::{Event, EventKind};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How long refusals of one kind are counted before they are recorded again.
const WINDOW: Duration = Duration::from_secs(60);

/// Kinds counted at once; beyond that they are counted together.
const MOST: usize = 256;

/// By whom, of which source if it is one, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub sender: String,
    pub source: Option<String>,
    pub reason: &'static str,
}

#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<Refused, (Timestamp, u64)>>);

impl Refusals {
    /// Counts one more; how many to record now: the first of a kind at once.
    fn note(&self, refused: &Refused, now: Timestamp) -> Option<(Refused, u64)> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = refused.clone();
        if table.len() >= MOST && !table.contains_key(&key) {
            key = Refused { sender: "others".to_owned(), source: None, reason: refused.reason };
        }
        match table.get_mut(&key) {
            Some((_, count)) => {
                *count = count.saturating_add(1);
                None
            }
            None => {
                table.insert(key.clone(), (now, 0));
                Some((key, 1))
            }
        }
    }

    /// Those whose time has come, with what came since; `all` of them at the end.
    fn due(&self, now: Timestamp, all: bool) -> Vec<(Refused, u64)> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |since: Timestamp| all || now.since(since) >= WINDOW || since > now;
        let due: Vec<_> = table
            .iter()
            .filter(|(_, (since, _))| is_due(*since))
            .map(|(key, (_, count))| (key.clone(), *count))
            .collect();
        for (key, _) in &due {
            table.remove(key);
        }
        due.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

impl Engine {
    /// Counts a refusal, and records it if it is the first of its kind for a while.
    pub(super) async fn refused(&self, context: &TenantContext, refused: Refused) -> Result<(), EngineError> {
        tracing::warn!(tenant = %context.tenant, sender = refused.sender, reason = refused.reason, "event refused");
        match context.occasion.refusals.note(&refused, self.ports.clock.now()) {
            Some((key, count)) => self.record(context, vec![(key, count)]).await,
            None => Ok(()),
        }
    }

    /// Records what was counted.
    pub(super) async fn record_refusals(&self, context: &TenantContext, all: bool) {
        let due = context.occasion.refusals.due(self.ports.clock.now(), all);
        if due.is_empty() {
            return;
        }
        if let Err(error) = self.record(context, due).await {
            tracing::error!(tenant = %context.tenant, %error, "refused events can't be recorded");
        }
    }

    async fn record(&self, context: &TenantContext, refused: Vec<(Refused, u64)>) -> Result<(), EngineError> {
        let now = self.ports.clock.now();
        let mut change = Change::new(context.tenant.clone(), now, "system:engine".to_owned());
        for (Refused { sender, source, reason }, count) in refused {
            let event = Event {
                time: now,
                tenant: context.tenant.clone(),
                kind: EventKind::EventRefused,
                actor: sender,
                run: None,
                details: json!({"event_source": source, "reason": reason, "count": count}),
            };
            change.entries.push(event.encode()?);
        }
        context.store.change(change).await?;
        context.entries_waiting.notify_one();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sender: &str) -> Refused {
        Refused { sender: sender.to_owned(), source: None, reason: "too-many" }
    }

    #[test]
    fn a_flood_is_two_entries_a_minute() {
        let refusals = Refusals::default();
        let at = |secs: i64| Timestamp::from_secs(1_800_000_000 + secs);
        assert_eq!(refusals.note(&of("user:erp"), at(0)), Some((of("user:erp"), 1)));
        for _ in 0..10_000 {
            assert_eq!(refusals.note(&of("user:erp"), at(1)), None);
        }
        assert!(refusals.due(at(59), false).is_empty());
        assert_eq!(refusals.due(at(60), false), [(of("user:erp"), 10_000)]);
        assert!(refusals.due(at(60), true).is_empty());
        assert_eq!(refusals.note(&of("user:erp"), at(61)), Some((of("user:erp"), 1)));
        assert!(refusals.due(at(200), false).is_empty(), "what was recorded is not recorded again");
    }

    #[test]
    fn many_senders_are_counted_together() {
        let refusals = Refusals::default();
        let now = Timestamp::from_secs(1);
        let recorded = (0..10_000).filter(|n| refusals.note(&of(&format!("user:{n}")), now).is_some()).count();
        assert_eq!(recorded, MOST + 1);
        assert_eq!(refusals.due(now, true), [(of("others"), 10_000 - MOST as u64 - 1)]);
    }
}
