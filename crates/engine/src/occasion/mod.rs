//! What starts and wakes runs without a person: events that come through the door, and schedules.
//!
//! An event is durable when its sender is answered. One task for each tenant hands it on, to the runs that
//! listen and to the Workers that start by it, and starts Workers whose time has come. Both rest on rows: what
//! a crash cut off is done again, and starts and deliveries know by their keys whether they were made.

mod door;
mod handing;
mod progress;
mod rates;
mod refusals;
mod starting;
mod times;
mod view;

pub use door::{MOST_EVENTS, Taken, Turned, Unwelcome};
pub use view::ScheduleView;

use crate::{Engine, TenantContext};
use handing::Handed;
use mandate_directory::standing_epoch;
use mandate_identity::Trigger;
use mandate_journal::EpochKey;
use mandate_kernel::{Labels, ResourceName, Timestamp};
use rates::Rates;
use refusals::Refusals;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest the task sleeps without looking: what another process took in is found by then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The same where there is neither a source of events nor a standing grant: that another process applied one
/// is found by then.
const LOOK_IDLE: Duration = Duration::from_secs(10);

/// How soon it goes on when more waits than was handed on at once.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What a process has in hand of one tenant's events and schedules. All of it can be lost.
#[derive(Default)]
pub(crate) struct Occasion {
    /// Wakes the task: an event came, or the configuration changed.
    pub(crate) arrived: Notify,
    rates: Rates,
    refusals: Refusals,
    /// When to look at a Worker's schedule again, unless the configuration changed since: its generation.
    looks: Mutex<BTreeMap<ResourceName, (u64, Timestamp)>>,
    /// When events were forgotten last.
    swept: Mutex<Option<Timestamp>>,
}

/// Where a run comes from that nobody asked for.
pub(crate) struct Origin {
    pub trigger: Trigger,
    /// The labels of the events it begins with.
    pub labels: Option<Labels>,
}

/// What is recorded of a start, with what started it if nobody did.
pub(crate) fn with_trigger(mut details: Value, origin: Option<&Origin>) -> Value {
    if let (Some(origin), Value::Object(map)) = (origin, &mut details) {
        map.insert("trigger".to_owned(), json!(origin.trigger));
    }
    details
}

impl Origin {
    /// The labels of what the run begins with, and the epochs it rests on.
    pub(crate) fn of(
        origin: Option<&Self>,
        worker: &ResourceName,
        labels: Labels,
        mut keys: Vec<EpochKey>,
    ) -> (Labels, Vec<EpochKey>) {
        let Some(origin) = origin else { return (labels, keys) };
        keys.push(EpochKey::Grant(standing_epoch(worker)));
        (origin.labels.iter().fold(labels, |labels, of| labels.join(of)), keys)
    }
}

impl Engine {
    /// Hands events on and starts what is due, until the engine closes.
    pub(crate) async fn keep_occasions(self: Arc<Self>, context: Arc<TenantContext>) {
        let mut closing = self.closing.subscribe();
        // What a process before this one left is looked at first.
        let (mut rest, mut left) = (LOOK_EVERY, true);
        loop {
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => {}
                () = context.occasion.arrived.notified() => left = true,
                () = tokio::time::sleep(rest) => {}
            }
            let ends = *closing.borrow();
            self.record_refusals(&context, ends).await;
            if ends {
                return;
            }
            let busy = match context.catalog().await {
                Ok(catalog) => !catalog.event_sources.is_empty() || !catalog.standing_grants.is_empty(),
                Err(_) => true,
            };
            rest = if busy { LOOK_EVERY } else { LOOK_IDLE };
            if !busy && !left {
                continue;
            }
            match self.hand_on_arrivals(&context).await {
                Ok(Handed { more, failed }) => {
                    left = more || failed;
                    if more {
                        rest = LOOK_AGAIN;
                    }
                }
                Err(error) => {
                    left = true;
                    tracing::warn!(tenant = %context.tenant, %error, "events are not handed on now");
                }
            }
            if let Err(error) = self.start_what_is_due(&context).await {
                tracing::warn!(tenant = %context.tenant, %error, "schedules can't be read now");
            }
        }
    }
}
