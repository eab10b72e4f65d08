//! A run as it happens: its journal as server-sent events.
//!
//! The id of an event is its place in the run's journal, which is durable and has no gaps: whoever comes
//! back with the last id they saw gets everything after it, once, also from a server that was started
//! again meanwhile. What is told is a projection: what happened, where and when. No value, no
//! commitment to one and no digest of a request is in it.

use crate::auth::Authenticated;
use crate::body::{Asked, Named};
use crate::handlers::runs;
use crate::streams::Place;
use crate::{ApiState, Problem};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use mandate_engine::Target;
use mandate_journal::{Doubt, EventBody, JournalEvent, Outcome, RunRecord, RunState, WaitingFor};
use mandate_kernel::{Action, RunId, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often something is sent when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the journal is looked at when nobody told of a commit.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a watcher's rights are taken for granted; with a look each second, asked again within 30 s.
const ASK_EVERY: Duration = Duration::from_secs(25);
/// The longest that a stream lives. Its client comes back with the last id it saw.
const LONGEST: mandate_kernel::Duration = mandate_kernel::Duration::from_secs(3600);
/// Events of one look.
const BATCH: usize = 256;
/// How soon a client is asked to come back.
const COME_BACK: Duration = Duration::from_secs(1);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventsQuery {
    /// Only events after this one; the header `Last-Event-ID` says the same, and wins.
    after: Option<u64>,
}

pub(crate) async fn events(
    State(state): State<ApiState>,
    who: Authenticated,
    headers: HeaderMap,
    Named(run): Named<String>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Response, Problem> {
    let (record, _) = runs::allowed(&state, &who, &run, Action::RunView).await?;
    let after = position(&headers, query.after, &record)?;
    let watching = Watching {
        place: state.streams.enter(&who.caller)?,
        until: who.until.min(state.engine.ports().clock.now().plus(LONGEST)),
        cookie: state.door.session_cookie(&headers)?.map(str::to_owned),
        commits: who.context.commits(),
        closing: state.streams.closing(),
        asked: Instant::now(),
        ready: VecDeque::from([Event::default().retry(COME_BACK)]),
        run: record.run,
        after,
        ended: false,
        state,
        who,
    };
    let stream = unfold(watching, |watching| async { watching.next().await });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(HEARTBEAT).text("nothing new")).into_response())
}

/// The event after which to go on.
fn position(headers: &HeaderMap, asked: Option<u64>, record: &RunRecord) -> Result<u64, Problem> {
    let after = match headers.get("last-event-id") {
        None => asked.unwrap_or(0),
        Some(value) => value
            .to_str()
            .ok()
            .filter(|text| text.len() <= 20)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Problem::invalid("invalid-cursor", "Last-Event-ID is not an id that this stream gave"))?,
    };
    if after > record.journal_seq {
        let detail = format!("the run has had {} events, so none has id {after}", record.journal_seq);
        return Err(Problem::invalid("invalid-cursor", detail));
    }
    Ok(after)
}

/// Somebody who watches a run.
struct Watching {
    state: ApiState,
    who: Authenticated,
    run: RunId,
    /// The last event that was taken from the journal.
    after: u64,
    /// What is about to be sent.
    ready: VecDeque<Event>,
    /// Whether what is ready is the last.
    ended: bool,
    until: Timestamp,
    cookie: Option<String>,
    /// When their rights were asked for last.
    asked: Instant,
    commits: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    #[expect(dead_code, reason = "held while the stream lives, given back when it is dropped")]
    place: Place,
}

impl Watching {
    async fn next(mut self) -> Option<(Result<Event, axum::Error>, Self)> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            if self.ended || *self.closing.borrow() || !self.still_may().await {
                return None;
            }
            // Marked before the journal is read: a commit in between is not missed.
            self.commits.borrow_and_update();
            match self.look().await {
                Ok(()) => {}
                Err(problem) => {
                    tracing::warn!(run = %self.run, problem = problem.title, "a stream of events ends early");
                    return None;
                }
            }
            if self.ready.is_empty() {
                self.wait().await;
            }
        }
    }

    /// Reads what is new.
    async fn look(&mut self) -> Result<(), Problem> {
        let store = self.who.context.store();
        let new = store.journal_after(&self.run, self.after, BATCH).await?;
        let ends = new.iter().any(|event| matches!(event.body, EventBody::Ended { .. }));
        let record = if new.is_empty() || ends { store.run(&self.run).await? } else { None };
        for event in &new {
            let data = shown(event, record.as_ref().map(|record| record.status.state));
            let event = Event::default().id(event.seq.to_string()).event("journal").json_data(data);
            self.ready.push_back(event.map_err(Problem::internal_error)?);
        }
        self.after = new.last().map_or(self.after, |event| event.seq);
        // The journal was read before the record: a run that is over there has no event beyond.
        if let Some(record) = record
            && record.status.state.is_terminal()
            && record.journal_seq == self.after
        {
            let data = json!({"run": self.run, "state": record.status.state});
            let event = Event::default().id(self.after.to_string()).event("end").json_data(data);
            self.ready.push_back(event.map_err(Problem::internal_error)?);
            self.ended = true;
        }
        Ok(())
    }

    /// Until something was committed, or it is time to look anyway.
    async fn wait(&mut self) {
        tokio::select! {
            // Whoever commits is gone only when the process ends.
            _ = self.commits.changed() => {}
            _ = self.closing.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }

    /// Whether they may still watch. A refusal is in the ledger.
    async fn still_may(&mut self) -> bool {
        let now = self.state.engine.ports().clock.now();
        if now >= self.until {
            return false;
        }
        if self.asked.elapsed() < ASK_EVERY {
            return true;
        }
        self.asked = Instant::now();
        if let Some(cookie) = &self.cookie
            && self.state.door.open(&self.state.engine, cookie).await.is_err()
        {
            return false;
        }
        let Ok(Some(record)) = self.who.context.store().run(&self.run).await else { return false };
        let (context, caller) = (&self.who.context, &self.who.caller);
        self.state.engine.authorize(context, caller, Action::RunView, &Target::Run(&record)).await.is_ok()
    }
}

/// A journal event as watchers see it. `state` is the run's, where the event ended it.
pub(crate) fn shown(event: &JournalEvent, state: Option<RunState>) -> Value {
    let mut data = Map::from_iter([
        ("seq".to_owned(), json!(event.seq)),
        ("at".to_owned(), json!(event.at.to_string())),
        ("type".to_owned(), json!(kind(&event.body))),
    ]);
    let mut put = |name: &str, value: Value| {
        data.insert(name.to_owned(), value);
    };
    match &event.body {
        EventBody::Started { .. } => put("state", json!(RunState::Running)),
        EventBody::Admitted { step, attempt, path, function, decision, .. } => {
            put("step", json!(step));
            put("attempt", json!(attempt));
            put("path", json!(path));
            put("function", json!(function));
            put("decision", json!(decision));
        }
        EventBody::Returned { step, attempt, outcome } => {
            put("step", json!(step));
            put("attempt", json!(attempt));
            put("outcome", json!(if matches!(outcome, Outcome::Value(_)) { "value" } else { "error" }));
        }
        EventBody::AttemptFailed { step, attempt, retry_at, .. } => {
            put("step", json!(step));
            put("attempt", json!(attempt));
            put("waiting_for", json!(WaitingFor::Timer));
            put("until", json!(retry_at.to_string()));
        }
        EventBody::InDoubt { step, attempt, why } => {
            put("step", json!(step));
            put("attempt", json!(attempt));
            // A run that was stopped does not wait to find out.
            if *why != Doubt::Stopped {
                put("state", json!(RunState::Waiting));
                put("waiting_for", json!(WaitingFor::OutcomeUnknown));
            }
        }
        EventBody::TimerSet { due, .. } => {
            put("state", json!(RunState::Waiting));
            put("waiting_for", json!(WaitingFor::Timer));
            put("until", json!(due.to_string()));
        }
        EventBody::Woke { .. } => put("state", json!(RunState::Running)),
        EventBody::Ended { .. } => put("state", json!(state)),
        people => about_people(people, put),
    }
    Value::Object(data)
}

/// What is told of events in which people have a part.
fn about_people(body: &EventBody, mut put: impl FnMut(&str, Value)) {
    match body {
        EventBody::Resolved { step, .. } => put("step", json!(step)),
        EventBody::Gated { step, path, attempt, decision, approvals, until, .. } => {
            let waits = if approvals.is_empty() { WaitingFor::StepUp } else { WaitingFor::Approval };
            put("step", json!(step));
            put("attempt", json!(attempt));
            put("path", json!(path));
            put("decision", json!(decision));
            put("approvals", json!(approvals));
            put("state", json!(RunState::Waiting));
            put("waiting_for", json!(waits));
            if let Some(until) = until {
                put("until", json!(until.to_string()));
            }
        }
        EventBody::Asked { step, attempt, path, function, decision, approval, until } => {
            put("step", json!(step));
            put("attempt", json!(attempt));
            put("path", json!(path));
            put("function", json!(function));
            put("decision", json!(decision));
            put("approvals", json!([approval]));
            put("state", json!(RunState::Waiting));
            put("waiting_for", json!(WaitingFor::Approval));
            put("until", json!(until.to_string()));
        }
        EventBody::Answered { step, approval, .. }
        | EventBody::Approved { step, approval, .. }
        | EventBody::Declined { step, approval, .. } => {
            put("step", json!(step));
            put("approvals", json!([approval]));
        }
        _ => {}
    }
}

/// The names of events, as the journal writes them. The interface's description lists them.
pub(crate) const KINDS: [&str; 17] = [
    "started",
    "admitted",
    "returned",
    "attempt-failed",
    "in-doubt",
    "resolved",
    "evaluation-ended",
    "timer-set",
    "woke",
    "emitted",
    "received",
    "gated",
    "asked",
    "answered",
    "approved",
    "declined",
    "ended",
];

const fn kind(body: &EventBody) -> &'static str {
    match body {
        EventBody::Started { .. } => "started",
        EventBody::Admitted { .. } => "admitted",
        EventBody::Returned { .. } => "returned",
        EventBody::AttemptFailed { .. } => "attempt-failed",
        EventBody::InDoubt { .. } => "in-doubt",
        EventBody::Resolved { .. } => "resolved",
        EventBody::EvaluationEnded { .. } => "evaluation-ended",
        EventBody::TimerSet { .. } => "timer-set",
        EventBody::Woke { .. } => "woke",
        EventBody::Emitted { .. } => "emitted",
        EventBody::Received { .. } => "received",
        EventBody::Gated { .. } => "gated",
        EventBody::Asked { .. } => "asked",
        EventBody::Answered { .. } => "answered",
        EventBody::Approved { .. } => "approved",
        EventBody::Declined { .. } => "declined",
        EventBody::Ended { .. } => "ended",
    }
}
