//! Search in the ledger: from its own bytes, each checked against the tree, so that every hit can be
//! proven (`GET /v1/audit/proof/{index}`). A request looks at a bounded number of entries; its cursor goes
//! on from there.

use crate::auth::Authenticated;
use crate::body::Asked;
use crate::cursor::Listing;
use crate::handlers::{audit, page_size};
use crate::{ApiState, Problem, view};
use axum::Json;
use axum::extract::State;
use mandate_journal::TenantStore;
use mandate_kernel::{Duration, RunId, Timestamp, parse_utc};
use mandate_ledger::{Entry, Event, EventKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchQuery {
    /// A person, such as `finance-lead` or `user:finance-lead`: what they did, what was done on their
    /// behalf in runs they started, and what was done about them.
    person: Option<String>,
    /// Exactly who acted, such as `worker:finance/quarterly-summary`.
    actor: Option<String>,
    /// The function, such as `mail.send`.
    function: Option<String>,
    /// The kind of entry, such as `step-decided`.
    kind: Option<String>,
    /// The run.
    run: Option<String>,
    /// Not before: RFC 3339 in UTC, or a date.
    since: Option<String>,
    /// Before: RFC 3339 in UTC, or a date.
    until: Option<String>,
    /// At most so many; 50 when absent, 500 at most.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<usize>,
    /// `next` of the page before.
    #[serde(alias = "before")]
    cursor: Option<String>,
}

/// Entries looked at in one request at most.
const LOOK_AT: u64 = 5_000;
/// Entries read at once.
const CHUNK: u64 = 256;
/// How far entries may stand from the order of their times: they wait for the sequencer, and clocks are set.
const DISORDER: Duration = Duration::from_secs(600);

pub(crate) async fn search(
    State(state): State<ApiState>,
    who: Authenticated,
    Asked(query): Asked<SearchQuery>,
) -> Result<Json<Value>, Problem> {
    audit::may_read(&state, &who).await?;
    let limit = page_size(query.limit);
    let listing = Listing { tenant: who.context.tenant(), list: "audit", filters: filters(&query) };
    let cursor: Option<u64> = listing.parsed(query.cursor.as_deref())?;
    let mut wanted = Wanted::new(&query)?;
    let store = who.context.store();
    let size = store.head().await.map_err(Problem::of_ledger)?.frontier.size();
    let mut end = match (cursor, wanted.until) {
        (Some(cursor), _) => cursor.min(size),
        (None, Some(until)) => first_later(store, size, until.plus(DISORDER)).await?,
        (None, None) => size,
    };
    let mut items = Vec::new();
    while end > 0 && wanted.looked < LOOK_AT {
        let start = end.saturating_sub(CHUNK);
        let chunk = audit::whole(store, start, end).await?;
        wanted.looked += end - start;
        let mut any_in_time = false;
        for (bytes, index) in chunk.iter().rev().zip((start..end).rev()) {
            let Ok((_, event)) = Entry::decode(bytes) else { continue };
            any_in_time |= wanted.since.is_none_or(|since| event.time.plus(DISORDER) >= since);
            if wanted.fits(store, &event).await? {
                items.push(view::entry(Some(index), bytes));
                if items.len() == limit {
                    let next = (index > 0).then(|| listing.after(&index.to_string()));
                    return Ok(Json(view::list(items, next)));
                }
            }
        }
        // All of it is long before what is asked for, and so is what comes before it.
        end = if any_in_time { start } else { 0 };
    }
    Ok(Json(view::list(items, (end > 0).then(|| listing.after(&end.to_string())))))
}

/// What a cursor is good for: the same question.
fn filters(query: &SearchQuery) -> String {
    let SearchQuery { person, actor, function, kind, run, since, until, .. } = query;
    format!("{:?}", [person, actor, function, kind, run, since, until])
}

/// The first index whose entry is later than a time, and all of whose successors are; entries stand nearly
/// in the order of their times.
async fn first_later(store: &dyn TenantStore, size: u64, time: Timestamp) -> Result<u64, Problem> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = audit::whole(store, middle, middle + 1).await?;
        let later = entry.first().and_then(|bytes| Entry::decode(bytes).ok()).is_some_and(|(_, e)| e.time > time);
        if later {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// What is looked for, and how much has been looked at.
struct Wanted {
    person: Option<String>,
    actor: Option<String>,
    function: Option<String>,
    kind: Option<EventKind>,
    run: Option<RunId>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    looked: u64,
    /// Who started the runs met so far, as their first entries say.
    initiators: BTreeMap<RunId, String>,
}

impl Wanted {
    fn new(query: &SearchQuery) -> Result<Self, Problem> {
        let bad = |what: &str, why: &str| Problem::invalid("invalid-query", format!("`{what}` {why}"));
        let time = |what: &str, text: &Option<String>| {
            let wrong = || bad(what, "takes a time such as 2026-10-01 or 2026-10-01T08:00:00Z");
            text.as_deref().map(|text| parse_utc(text).ok_or_else(wrong)).transpose()
        };
        let kind = |text: &String| {
            let found = EventKind::ALL.iter().copied().find(|kind| kind.as_str() == text);
            found.ok_or_else(|| bad("kind", "is not a kind of entry"))
        };
        let person = |text: &String| if text.contains(':') { text.clone() } else { format!("user:{text}") };
        Ok(Self {
            person: query.person.as_ref().map(person),
            actor: query.actor.clone(),
            function: query.function.clone(),
            kind: query.kind.as_ref().map(kind).transpose()?,
            run: query.run.as_deref().map(str::parse).transpose().map_err(|_| bad("run", "is not a run's id"))?,
            since: time("since", &query.since)?,
            until: time("until", &query.until)?,
            looked: 0,
            initiators: BTreeMap::new(),
        })
    }

    async fn fits(&mut self, store: &dyn TenantStore, event: &Event) -> Result<bool, Problem> {
        let detail = |name: &str| event.details.get(name).and_then(Value::as_str);
        let plain = self.kind.is_none_or(|kind| kind == event.kind)
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor)
            && self.function.as_deref().is_none_or(|function| detail("function") == Some(function))
            && self.run.as_ref().is_none_or(|run| run_of(event).as_ref() == Some(run))
            && self.since.is_none_or(|since| event.time >= since)
            && self.until.is_none_or(|until| event.time < until);
        let Some(person) = self.person.clone().filter(|_| plain) else { return Ok(plain) };
        let named = ["by", "on_behalf_of", "owner", "given_by"].iter().any(|name| detail(name) == Some(&person));
        if event.actor == person || named {
            return Ok(true);
        }
        let Some(link) = &event.run else { return Ok(false) };
        Ok(self.initiator(store, &link.run).await? == person)
    }

    /// Who started a run: the actor of its first entry.
    async fn initiator(&mut self, store: &dyn TenantStore, run: &RunId) -> Result<String, Problem> {
        if let Some(known) = self.initiators.get(run) {
            return Ok(known.clone());
        }
        let entries = store.run_entries(run).await.map_err(Problem::of_ledger)?;
        self.looked += entries.len() as u64;
        let first = entries.first().and_then(|(_, bytes)| Entry::decode(bytes).ok());
        let initiator = first.map(|(_, event)| event.actor).unwrap_or_default();
        self.initiators.insert(run.clone(), initiator.clone());
        Ok(initiator)
    }
}

/// The run an entry is about: that of its chain, or the one it names.
fn run_of(event: &Event) -> Option<RunId> {
    let named = || {
        let text = ["run", "name"].iter().find_map(|key| event.details.get(*key).and_then(Value::as_str))?;
        text.parse().ok()
    };
    event.run.as_ref().map(|link| link.run.clone()).or_else(named)
}
