//! How things look over HTTP.

use mandate_gate::InFlight;
use mandate_journal::{ResourceRecord, RunRecord};
use mandate_kernel::Timestamp;
use mandate_ledger::Entry;
use serde_json::{Value, json};

/// A run, flat.
pub(crate) fn run(record: &RunRecord) -> Value {
    json!({
        "run": record.run,
        "state": record.status.state,
        "waiting_for": record.status.waiting_for,
        "worker": record.new.worker,
        "worker_version": record.new.worker_version,
        "environment": record.new.environment,
        "purpose": record.new.purpose,
        "class": record.new.class,
        "initiator": record.new.initiator.subject(),
        "started_at": record.new.started_at.to_string(),
        "since": record.status.since.to_string(),
        "problem": record.status.problem,
    })
}

/// A permit that was alive when a stop came.
pub(crate) fn in_flight(found: &InFlight) -> Value {
    json!({
        "step": found.step.seq,
        "attempt": found.step.attempt,
        "function": found.function,
        "destination": found.destination,
        "decision": found.decision,
        "on_wire": found.on_wire,
        "token_valid_until": found.token_valid_until.to_string(),
    })
}

/// A configuration resource.
pub(crate) fn resource(record: &ResourceRecord) -> Value {
    json!({
        "apiVersion": mandate_directory::API_VERSION,
        "kind": record.kind,
        "metadata": {
            "name": record.name, "version": record.version, "digest": record.digest,
            "writtenBy": record.written_by, "writtenAt": record.written_at.to_string(),
        },
        "spec": record.spec,
    })
}

/// A ledger entry, decoded.
pub(crate) fn entry(index: Option<u64>, bytes: &[u8]) -> Value {
    match Entry::decode(bytes) {
        Ok((_, event)) => json!({
            "index": index,
            "time": event.time.to_string(),
            "kind": event.kind,
            "actor": event.actor,
            "run": event.run.as_ref().map(|link| &link.run),
            "seq": event.run.as_ref().map(|link| link.seq),
            "details": event.details,
        }),
        Err(error) => json!({"index": index, "unreadable": error.to_string()}),
    }
}

/// A listing.
pub(crate) fn list(items: Vec<Value>, next: Option<String>) -> Value {
    json!({"items": items, "next": next})
}

pub(crate) fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}
