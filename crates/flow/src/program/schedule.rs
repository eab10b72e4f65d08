//! `schedule`: when a workflow starts by itself. Whoever runs it asks here when, and for which events.

use super::{
    compile::Compiler,
    components::short,
    occasion::EventStrategy,
    reader::{Ptr, enclosed},
};
use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};
use mandate_kernel::{Duration, Timestamp, canonical_json};
use serde_json::Value;

/// The shortest interval between two starts.
const SHORTEST: Duration = Duration::from_secs(1);

/// When a workflow starts by itself. At least one of the four is there; each starts runs of its own.
#[derive(Debug)]
pub struct Schedule {
    /// At this interval, whether the run before has ended or not. At least a second.
    pub every: Option<Duration>,
    /// At these times.
    pub cron: Option<Cron>,
    /// This long after the run before has ended. At least a second.
    pub after: Option<Duration>,
    /// When these events were received. The input is the list of them.
    pub on: Option<EventStrategy>,
    /// What the input holds of an event.
    pub read: ReadAs,
}

/// What is taken of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadAs {
    /// Its data.
    #[default]
    Data,
    /// The event with its attributes.
    Envelope,
    /// Its data as received, undecoded.
    Raw,
}

impl ReadAs {
    /// What it takes of an event: its attributes, and `data` or `data_base64`.
    #[must_use]
    pub fn of(self, event: &Value) -> Value {
        let data = || event.get("data").or_else(|| event.get("data_base64")).cloned().unwrap_or(Value::Null);
        match self {
            Self::Envelope => event.clone(),
            Self::Data => data(),
            Self::Raw => match data() {
                Value::String(text) => Value::String(text),
                other => canonical_json(&other)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .map_or(Value::Null, Value::String),
            },
        }
    }
}

/// Times by a cron expression of five fields, in UTC.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    times: croner::Cron,
}

impl Cron {
    /// Reads an expression: minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    /// What is wrong with it, also when no day ever fits it.
    pub fn of(text: &str) -> Result<Self, String> {
        let shown = short(text);
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let help = "write minute, hour, day of month, month, day of week, such as 0 0 * * *";
        if text.len() > 256 || text.contains('@') {
            return Err(format!("`{shown}` is not a cron expression: {help}"));
        }
        let times =
            parser.parse(text).map_err(|error| format!("`{shown}` is not a cron expression ({error}): {help}"))?;
        let cron = Self { text: text.to_owned(), times };
        // Every date there is falls into the 28 years after this moment, leap days on each weekday included.
        match cron.next_after(Timestamp::EPOCH) {
            Some(_) => Ok(cron),
            None => Err(format!("`{shown}` never happens: no such date exists")),
        }
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time later than `moment`; none in the years a calendar holds when there is none.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let from = DateTime::<Utc>::from_timestamp_millis(moment.as_millis())?;
        let next = self.times.find_next_occurrence(&from, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp_millis()))
    }
}

impl Schedule {
    /// The first start by time later than `moment`, where `began` is when the schedule came into force and
    /// `ended` when its last run did. Events are not times.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp, began: Timestamp, ended: Option<Timestamp>) -> Option<Timestamp> {
        let every = self.every.map(|every| {
            let (passed, length) = (moment.since(began).as_millis(), every.as_millis().max(1));
            began.plus(Duration::from_millis((passed / length).saturating_add(1).saturating_mul(length)))
        });
        let after = self.after.and_then(|after| Some(ended?.plus(after))).filter(|at| *at > moment);
        let cron = self.cron.as_ref().and_then(|cron| cron.next_after(moment));
        [every, after, cron].into_iter().flatten().min()
    }
}

impl Compiler<'_> {
    pub(super) fn schedule(&mut self, ptr: Ptr<'_>, value: &Value) -> Option<Schedule> {
        let map = self.reader.object(ptr, value)?;
        self.reader.keys(ptr, map, &["every", "cron", "after", "on", "read"], &[]);
        if !["every", "cron", "after", "on"].iter().any(|key| map.contains_key(*key)) {
            self.reader.report("flow.schedule", ptr, "a schedule needs one of every, cron, after, on", None);
        }
        if map.contains_key("read") && !map.contains_key("on") {
            self.reader.report_key("flow.schedule", ptr.key("read"), "`read` belongs to `on`", None);
        }
        let mut span = |key: &str| {
            let length = self.reader.duration(ptr.key(key), map.get(key)?)?;
            if length < SHORTEST {
                self.reader.report("flow.duration", ptr.key(key), format!("`{key}` is at least a second"), None);
            }
            Some(length)
        };
        let (every, after) = (span("every"), span("after"));
        let cron = map.get("cron").and_then(|value| self.cron(ptr.key("cron"), value));
        let read = map.get("read").and_then(|value| self.read_as(ptr.key("read"), value)).unwrap_or_default();
        let on = map.get("on").and_then(|value| self.occasion(ptr.key("on"), value));
        Some(Schedule { every, cron, after, on, read })
    }

    fn cron(&mut self, at: Ptr<'_>, value: &Value) -> Option<Cron> {
        let text = self.reader.text(at, value)?;
        if enclosed(text).is_some() {
            self.reader.unsupported(at, "an expression as a cron expression");
            return None;
        }
        Cron::of(text).map_err(|message| self.reader.report("flow.cron", at, message, None)).ok()
    }

    fn read_as(&mut self, at: Ptr<'_>, value: &Value) -> Option<ReadAs> {
        match self.reader.one_of(at, value, &["data", "envelope", "raw"])? {
            "envelope" => Some(ReadAs::Envelope),
            "raw" => Some(ReadAs::Raw),
            _ => Some(ReadAs::Data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
    }

    #[test]
    fn cron_times_are_utc_and_strictly_later() {
        let next = |cron: &str, from: &str| Cron::of(cron).unwrap().next_after(at(from)).unwrap();
        assert_eq!(next("0 0 * * *", "2026-11-22T00:00:00Z"), at("2026-11-23T00:00:00Z"));
        assert_eq!(next("*/15 9-17 * * 1-5", "2026-11-21T12:00:00Z"), at("2026-11-23T09:00:00Z"));
        assert_eq!(next("30 2 29 2 *", "2026-01-01T00:00:00Z"), at("2028-02-29T02:30:00Z"));
        assert_eq!(next("0 0 1 1 *", "2026-12-31T23:59:59.999Z"), at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_cron_or_never_happens_is_refused() {
        let began = std::time::Instant::now();
        for bad in
            ["", "* * * *", "60 * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "@daily", "0 0 0 * * *", "a b c d e"]
        {
            assert!(Cron::of(bad).is_err(), "{bad}");
        }
        assert!(Cron::of("0 0 30 2 *").unwrap_err().contains("never happens"));
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn the_next_start_is_the_earliest() {
        let hour = Duration::from_secs(3_600);
        let mut schedule = Schedule { every: Some(hour), cron: None, after: None, on: None, read: ReadAs::Data };
        let began = at("2026-11-22T10:30:00Z");
        assert_eq!(schedule.next_after(began, began, None), Some(at("2026-11-22T11:30:00Z")));
        assert_eq!(schedule.next_after(at("2026-11-22T15:00:00Z"), began, None), Some(at("2026-11-22T15:30:00Z")));
        schedule.cron = Some(Cron::of("0 * * * *").unwrap());
        assert_eq!(schedule.next_after(began, began, None), Some(at("2026-11-22T11:00:00Z")));
        let after = Schedule { every: None, cron: None, after: Some(hour), on: None, read: ReadAs::Data };
        assert_eq!(after.next_after(began, began, None), None);
        assert_eq!(after.next_after(began, began, Some(began)), Some(at("2026-11-22T11:30:00Z")));
    }
}
