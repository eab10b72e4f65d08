//! Schemas of events at the door, of schedules and of grants.

use super::schemas::{Part, digest, list, object, or_null, page, refer, text, time};
use serde_json::json;

pub(super) fn part() -> Part {
    let attribute = |about: &str| json!({"type": "string", "minLength": 1, "maxLength": 512, "description": about});
    let event = json!({
        "type": "object",
        "description": "A CloudEvent 1.0 in JSON. Extensions are text, numbers or flags.",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": attribute("Unique for its source: the same again is known, and nothing happens."),
            "source": attribute("One that an EventSource lets the sender speak for."),
            "type": attribute("One that the EventSource lists."),
            "time": {"type": "string", "format": "date-time", "description": "When it happened: not long ago."},
            "data": {},
            "data_base64": {"type": "string"},
        },
        "required": ["specversion", "id", "source", "type", "time"],
    });
    let taken = object(
        "What became of an event.",
        &[("source", text()), ("id", text()), ("status", json!({"enum": ["accepted", "known"]}))],
    );
    let grant = object(
        "Under which a Worker starts by itself, in its holder's name.",
        &[
            ("worker", text()),
            ("worker_version", digest()),
            ("environment", text()),
            ("purpose", text()),
            ("holder", text()),
            ("given_at", time()),
            ("not_after", time()),
        ],
    );
    let trouble = object("Why it did not start.", &[("code", text()), ("detail", text()), ("at", time())]);
    let schedule = object(
        "A Worker's schedule, and how it stands.",
        &[
            ("worker", text()),
            ("schedule", json!({"type": "object"})),
            ("state", json!({"enum": ["no-grant", "lapsed", "in-trouble", "in-force"]})),
            ("lapsed", or_null(text())),
            ("grant", or_null(refer("StandingGrant"))),
            ("next", or_null(time())),
            ("last_run", or_null(text())),
            ("trouble", or_null(trouble)),
        ],
    );
    vec![
        ("CloudEvent", event),
        ("CloudEvents", list(refer("CloudEvent"))),
        ("Taken", object("Events that are durable now.", &[("items", list(taken))])),
        ("StandingGrant", grant),
        ("Schedule", schedule),
        ("SchedulePage", page("Schedule")),
    ]
}

/// A grant of a credential.
pub(super) fn grant() -> serde_json::Value {
    object(
        "A grant of a credential.",
        &[
            ("credential", text()),
            ("worker", text()),
            ("worker_version", digest()),
            ("function", text()),
            ("function_version", digest()),
            ("environment", text()),
            ("given_by", text()),
            ("given_at", time()),
            ("not_after", or_null(time())),
            ("stale", or_null(text())),
        ],
    )
}

/// A Worker that does not start by its schedule.
pub(super) fn unscheduled() -> serde_json::Value {
    object("A Worker whose schedule waits for a standing grant.", &[("worker", text()), ("why", text())])
}
