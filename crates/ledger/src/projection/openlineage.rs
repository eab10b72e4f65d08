//! OpenLineage run events (openlineage.io, schema 2-0-2): what data each step read and wrote, by digest.

use super::{Attempted, Named, attempts, text};
use crate::kind::EventKind;
use crate::passport::{ProvenEvent, VerifiedPassport};
use mandate_kernel::{Digest, Timestamp};
use serde_json::{Value, json};

const PRODUCER: &str = "https://mandate.dev/openlineage/v1";
const RUN_EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
const PARENT_FACET: &str = "https://openlineage.io/spec/facets/1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet";
/// The schema of our own facets: any object.
const OWN_FACET: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/BaseFacet";

/// The run's events, in the order of their time: one start and one end for the run and for each attempt
/// whose outcome is known.
#[must_use]
pub fn openlineage(passport: &VerifiedPassport) -> Vec<Value> {
    let (Some(first), Some(last)) = (passport.events().first(), passport.events().last()) else { return Vec::new() };
    let lineage = Lineage { passport, namespace: format!("mandate://t/{}", passport.report().tenant) };
    let run = lineage.whole(first);
    let mut events = vec![(first.event.time, run.event("START", first, &[Named::at(first, "/input")], &[]))];
    for attempted in attempts(passport) {
        let job = lineage.attempt(&attempted);
        let arguments = Named::at(attempted.decided, "/arguments");
        events.push((attempted.decided.event.time, job.event("START", attempted.decided, &[arguments], &[])));
        if let Some(outcome) = attempted.outcome {
            // In doubt is neither: nobody knows.
            let what = match outcome.event.kind {
                EventKind::StepSucceeded => "COMPLETE",
                EventKind::StepFailed => "FAIL",
                _ => "OTHER",
            };
            let output = Named::at(outcome, "/output");
            events.push((outcome.event.time, job.event(what, outcome, &[arguments], &[output])));
        }
    }
    let artifacts = passport.events().iter().filter(|proven| proven.event.kind == EventKind::ArtifactSigned);
    let mut written: Vec<_> = artifacts.map(file_of).collect();
    written.push(Named::at(last, "/output"));
    let end = match passport.report().state.as_str() {
        "completed" => "COMPLETE",
        "cancelled" => "ABORT",
        _ => "FAIL",
    };
    events.push((last.event.time, run.event(end, last, &[Named::at(first, "/input")], &written)));
    // A stable sort: what has the same time stays in the order of the entries.
    events.sort_by_key(|(time, _): &(Timestamp, Value)| *time);
    events.into_iter().map(|(_, event)| event).collect()
}

/// An artefact is named by the digest of its file.
fn file_of(signed: &ProvenEvent) -> Option<Named<'_>> {
    Some(Named { commitment: text(signed, "/digest")?, labels: signed.event.details.get("labels") })
}

struct Lineage<'a> {
    passport: &'a VerifiedPassport,
    namespace: String,
}

impl Lineage<'_> {
    fn whole(&self, first: &ProvenEvent) -> Job {
        let report = self.passport.report();
        let facet = json!({
            "_producer": PRODUCER, "_schemaURL": OWN_FACET,
            "run": report.run, "purpose": report.purpose, "startedBy": report.started_by, "state": report.state,
            "environment": text(first, "/environment"), "passport": self.passport.digest(),
        });
        Job {
            namespace: self.namespace.clone(),
            name: report.worker.clone().unwrap_or_else(|| "unknown".to_owned()),
            run: uuid(report.run.as_str()),
            facets: json!({"mandate_run": facet}),
        }
    }

    fn attempt(&self, attempted: &Attempted<'_>) -> Job {
        let report = self.passport.report();
        let worker = report.worker.as_deref().unwrap_or("unknown");
        let parent = json!({
            "_producer": PRODUCER, "_schemaURL": PARENT_FACET,
            "run": {"runId": uuid(report.run.as_str())}, "job": {"namespace": self.namespace, "name": worker},
        });
        let facet = json!({
            "_producer": PRODUCER, "_schemaURL": OWN_FACET,
            "step": attempted.step, "attempt": attempted.attempt,
            "actor": attempted.decided.event.actor, "onBehalfOf": text(attempted.decided, "/on_behalf_of"),
            "decision": text(attempted.decided, "/decision"),
            "destination": text(attempted.decided, "/request/destination"),
        });
        Job {
            namespace: self.namespace.clone(),
            name: format!("{worker}.{}", text(attempted.decided, "/function").unwrap_or("unknown")),
            run: uuid(&format!("{}/{}/{}", report.run, attempted.step, attempted.attempt)),
            facets: json!({"parent": parent, "mandate_step": facet}),
        }
    }
}

struct Job {
    namespace: String,
    name: String,
    run: String,
    facets: Value,
}

impl Job {
    fn event(&self, what: &str, at: &ProvenEvent, read: &[Option<Named<'_>>], written: &[Option<Named<'_>>]) -> Value {
        let mut facets = self.facets.clone();
        if let Value::Object(facets) = &mut facets {
            let entry = json!({"_producer": PRODUCER, "_schemaURL": OWN_FACET, "leaf": at.leaf, "index": at.index});
            facets.insert("mandate_entry".to_owned(), entry);
        }
        json!({
            "eventType": what,
            "eventTime": at.event.time.to_string(),
            "producer": PRODUCER,
            "schemaURL": RUN_EVENT,
            "run": {"runId": self.run, "facets": facets},
            "job": {"namespace": self.namespace, "name": self.name},
            "inputs": self.inputs(read),
            "outputs": written.iter().flatten().map(|named| self.dataset(*named)).collect::<Vec<_>>(),
        })
    }

    /// The values themselves and the sources they rest on.
    fn inputs(&self, read: &[Option<Named<'_>>]) -> Vec<Value> {
        let mut inputs = Vec::new();
        for named in read.iter().flatten() {
            inputs.push(self.dataset(*named));
            for (source, origin) in named.sources() {
                let facet = json!({"_producer": PRODUCER, "_schemaURL": OWN_FACET, "origin": origin});
                let facets = json!({"mandate_source": facet});
                inputs.push(json!({"namespace": self.namespace, "name": source, "facets": facets}));
            }
        }
        inputs
    }

    fn dataset(&self, named: Named<'_>) -> Value {
        let facet = json!({"_producer": PRODUCER, "_schemaURL": OWN_FACET, "labels": named.labels});
        json!({"namespace": self.namespace, "name": named.commitment, "facets": {"mandate_labels": facet}})
    }
}

/// OpenLineage wants a UUID: one of version 8 (RFC 9562 §5.8) out of the digest of our own name.
fn uuid(name: &str) -> String {
    let digest = Digest::of(name.as_bytes());
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *digest.as_bytes();
    let bytes = [a, b, c, d, e, f, (g & 0x0f) | 0x80, h, (i & 0x3f) | 0x80, j, k, l, m, n, o, p];
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}
