//! W3C PROV in its JSON form (PROV-JSON, W3C member submission of 2013-04-24; terms of PROV-DM).
//!
//! The run and each allowed attempt are activities, people and Workers agents, values entities named by
//! commitment or digest. A refused or waiting step is a decision and no activity: nothing happened.

use super::{Attempted, Named, attempts, text};
use crate::kind::EventKind;
use crate::passport::{ProvenEvent, VerifiedPassport};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The namespace of our own attributes and types.
const VOCABULARY: &str = "https://mandate.dev/prov/v1#";
/// Things named by digest, wherever they are.
const DIGESTS: &str = "https://mandate.dev/digest/";

/// The run as a PROV-JSON document.
#[must_use]
pub fn prov_json(passport: &VerifiedPassport) -> Value {
    let mut doc = Document::default();
    let run = qualified("activity", passport.report().run.as_str());
    doc.passport(passport);
    doc.run(passport, &run);
    for attempted in attempts(passport) {
        doc.attempt(&attempted, &run);
    }
    for proven in passport.events() {
        match proven.event.kind {
            EventKind::StepDecided => doc.decision(proven, &run),
            EventKind::ArtifactSigned => doc.artifact(proven, passport, &run),
            _ => {}
        }
        doc.act(proven, &run);
    }
    doc.finish(&format!("https://mandate.dev/t/{}/", passport.report().tenant))
}

#[derive(Default)]
struct Document {
    records: BTreeMap<&'static str, BTreeMap<String, Map<String, Value>>>,
    said: BTreeSet<String>,
}

impl Document {
    /// Says something about an element; what was said of it before stays.
    fn element(&mut self, kind: &'static str, id: &str, attributes: Value) {
        let element = self.records.entry(kind).or_default().entry(id.to_owned()).or_default();
        let Value::Object(attributes) = attributes else { return };
        for (name, value) in attributes {
            if !value.is_null() {
                element.entry(name).or_insert(value);
            }
        }
    }

    /// Relates elements, once.
    fn relation(&mut self, kind: &'static str, attributes: Value) {
        let Value::Object(attributes) = attributes else { return };
        let attributes: Map<String, Value> = attributes.into_iter().filter(|(_, value)| !value.is_null()).collect();
        if self.said.insert(format!("{kind} {}", Value::Object(attributes.clone()))) {
            let id = format!("_:r{}", self.said.len());
            self.records.entry(kind).or_default().insert(id, attributes);
        }
    }

    fn finish(self, base: &str) -> Value {
        let within = |kind: &str| format!("{base}{kind}/");
        let mut document = Map::new();
        document.insert(
            "prefix".to_owned(),
            json!({
                "mandate": VOCABULARY, "digest": DIGESTS,
                "agent": within("agent"), "activity": within("activity"), "decision": within("decision"),
            }),
        );
        for (kind, records) in self.records {
            document.insert(kind.to_owned(), json!(records));
        }
        Value::Object(document)
    }

    /// The evidence itself: where this projection comes from.
    fn passport(&mut self, passport: &VerifiedPassport) {
        let report = passport.report();
        let about = json!({
            "prov:type": of_type("mandate:Passport"),
            "prov:label": format!("passport of {}", report.run),
            "mandate:log": report.origin,
            "mandate:checkpoint_size": report.checkpoint_size,
            "mandate:entries": report.entries,
        });
        self.element("entity", &digest(&passport.digest().to_string()), about);
    }

    fn agent(&mut self, subject: &str) -> String {
        let id = qualified("agent", subject);
        let class = if subject.starts_with("user:") { "prov:Person" } else { "prov:SoftwareAgent" };
        self.element("agent", &id, json!({"prov:type": of_type(class), "mandate:subject": subject}));
        id
    }

    fn plan(&mut self, version: Option<&str>, kind: &str, name: Option<&str>) -> Option<String> {
        let id = digest(version?);
        let types = [of_type("prov:Plan"), of_type(kind)];
        self.element("entity", &id, json!({"prov:type": types, "prov:label": name}));
        Some(id)
    }

    fn value(&mut self, named: Named<'_>) -> String {
        let id = digest(named.commitment);
        let label = |name: &str| named.labels.and_then(|labels| labels.get(name)).cloned();
        let readers =
            label("readers").map(|readers| readers.as_str().map_or_else(|| readers.to_string(), str::to_owned));
        let about = json!({
            "prov:type": of_type("mandate:Value"),
            "mandate:confidentiality": label("confidentiality"),
            "mandate:integrity": label("integrity"),
            "mandate:readers": readers,
            "mandate:category": label("categories").filter(|c| c.as_array().is_some_and(|c| !c.is_empty())),
        });
        self.element("entity", &id, about);
        for (source, origin) in named.sources() {
            let source = digest(source);
            self.element("entity", &source, json!({"prov:type": of_type("mandate:Source"), "mandate:origin": origin}));
            self.derived(&id, &source);
        }
        id
    }

    fn derived(&mut self, from: &str, source: &str) {
        self.relation("wasDerivedFrom", json!({"prov:generatedEntity": from, "prov:usedEntity": source}));
    }

    fn used(&mut self, activity: &str, entity: &str, at: &ProvenEvent) {
        let time = at.event.time.to_string();
        self.relation("used", json!({"prov:activity": activity, "prov:entity": entity, "prov:time": time}));
    }

    fn generated(&mut self, entity: &str, activity: &str, at: &ProvenEvent) {
        let time = at.event.time.to_string();
        self.relation("wasGeneratedBy", json!({"prov:entity": entity, "prov:activity": activity, "prov:time": time}));
    }

    fn associated(&mut self, activity: &str, agent: &str, plan: Option<&str>) {
        self.relation("wasAssociatedWith", json!({"prov:activity": activity, "prov:agent": agent, "prov:plan": plan}));
    }

    fn run(&mut self, passport: &VerifiedPassport, run: &str) {
        let report = passport.report();
        let (Some(first), Some(last)) = (passport.events().first(), passport.events().last()) else { return };
        let about = json!({
            "prov:startTime": report.started_at.to_string(),
            "prov:endTime": report.ended_at.to_string(),
            "prov:type": of_type("mandate:Run"),
            "prov:label": report.worker,
            "mandate:state": report.state,
            "mandate:purpose": report.purpose,
            "mandate:environment": text(first, "/environment"),
            "mandate:leaf": first.leaf.to_string(),
        });
        self.element("activity", run, about);
        let worker = report.worker.as_deref();
        let plan = self.plan(text(first, "/worker_version"), "mandate:Worker", worker);
        let initiator = self.agent(&report.started_by);
        self.associated(run, &initiator, plan.as_deref());
        // What was refused at its start never acted.
        if let Some(worker) = worker.filter(|_| first.event.kind == EventKind::RunStarted) {
            let worker = self.agent(&format!("worker:{worker}"));
            self.associated(run, &worker, plan.as_deref());
            self.on_behalf(&worker, &initiator, run, None);
        }
        if let Some(input) = Named::at(first, "/input") {
            let input = self.value(input);
            self.used(run, &input, first);
        }
        if let Some(output) = Named::at(last, "/output") {
            let output = self.value(output);
            self.generated(&output, run, last);
        }
    }

    fn on_behalf(&mut self, delegate: &str, responsible: &str, activity: &str, grant: Option<&str>) {
        let said = json!({
            "prov:delegate": delegate, "prov:responsible": responsible, "prov:activity": activity,
            "mandate:grant": grant,
        });
        self.relation("actedOnBehalfOf", said);
    }

    fn attempt(&mut self, attempted: &Attempted<'_>, run: &str) {
        let (decided, outcome) = (attempted.decided, attempted.outcome);
        let id = format!("{run}/{}/{}", attempted.step, attempted.attempt);
        let about = json!({
            "prov:startTime": decided.event.time.to_string(),
            "prov:endTime": outcome.map(|outcome| outcome.event.time.to_string()),
            "prov:type": of_type("mandate:Step"),
            "prov:label": text(decided, "/function"),
            "mandate:step": attempted.step,
            "mandate:attempt": attempted.attempt,
            "mandate:path": text(decided, "/path"),
            "mandate:model": text(decided, "/model"),
            "mandate:outcome": outcome.map_or("unknown", |outcome| outcome.event.kind.as_str()),
            "mandate:destination": text(decided, "/request/destination"),
            "mandate:method": text(decided, "/request/method"),
            "mandate:request": text(decided, "/request/digest"),
            "mandate:envelope": text(decided, "/envelope/digest"),
            "mandate:token": text(decided, "/token/jti"),
            "mandate:credential": text(decided, "/credential/name"),
            "mandate:leaf": decided.leaf.to_string(),
            "mandate:outcome_leaf": outcome.map(|outcome| outcome.leaf.to_string()),
        });
        self.element("activity", &id, about);
        let time = decided.event.time.to_string();
        self.relation("wasStartedBy", json!({"prov:activity": id, "prov:starter": run, "prov:time": time}));
        let function = self.plan(text(decided, "/function_version"), "mandate:Function", text(decided, "/function"));
        let actor = self.agent(&decided.event.actor);
        self.associated(&id, &actor, function.as_deref());
        if let Some(initiator) = text(decided, "/on_behalf_of") {
            let initiator = self.agent(initiator);
            self.on_behalf(&actor, &initiator, &id, None);
        }
        if let Some(owner) = text(decided, "/authority/owner") {
            let owner = self.agent(owner);
            self.on_behalf(&actor, &owner, &id, text(decided, "/authority/grant"));
        }
        if let Some(decision) = text(decided, "/decision") {
            self.used(&id, &qualified("decision", decision), decided);
        }
        let arguments = Named::at(decided, "/arguments").map(|arguments| self.value(arguments));
        if let Some(arguments) = &arguments {
            self.used(&id, arguments, decided);
        }
        if let Some(outcome) = outcome {
            self.outcome(outcome, &id, arguments.as_deref());
        }
    }

    fn outcome(&mut self, outcome: &ProvenEvent, id: &str, arguments: Option<&str>) {
        if let Some(reply) = text(outcome, "/observed/reply_digest").map(digest) {
            let about = json!({"prov:type": of_type("mandate:Source"), "mandate:origin": text(outcome, "/function")});
            self.element("entity", &reply, about);
            // Read, not made: the same reply to two calls would have been generated twice.
            self.used(id, &reply, outcome);
        }
        if let Some(output) = Named::at(outcome, "/output") {
            let output = self.value(output);
            self.generated(&output, id, outcome);
            if let Some(arguments) = arguments {
                self.derived(&output, arguments);
            }
        }
    }

    fn decision(&mut self, decided: &ProvenEvent, run: &str) {
        let Some(decision) = text(decided, "/decision") else { return };
        let id = qualified("decision", decision);
        let about = json!({
            "prov:type": of_type("mandate:Decision"),
            "prov:label": text(decided, "/policy/summary"),
            "mandate:status": text(decided, "/status"),
            "mandate:reason": text(decided, "/reason"),
            "mandate:function": text(decided, "/function"),
            "mandate:leaf": decided.leaf.to_string(),
        });
        self.element("entity", &id, about);
        self.generated(&id, run, decided);
        if let Some(policies) = self.plan(text(decided, "/policy/digest"), "mandate:PolicySet", None) {
            self.derived(&id, &policies);
        }
    }

    fn artifact(&mut self, signed: &ProvenEvent, passport: &VerifiedPassport, run: &str) {
        let Some(file) = text(signed, "/digest").map(digest) else { return };
        let about = json!({
            "prov:type": of_type("mandate:Artifact"),
            "prov:label": text(signed, "/name"),
            "mandate:media_type": text(signed, "/media_type"),
            "mandate:leaf": signed.leaf.to_string(),
        });
        self.element("entity", &file, about);
        self.generated(&file, run, signed);
        if let Some(content) = Named::at(signed, "") {
            let content = self.value(content);
            self.derived(&file, &content);
        }
        if let Some(worker) = &passport.report().worker {
            let worker = self.agent(&format!("worker:{worker}"));
            self.relation("wasAttributedTo", json!({"prov:entity": file, "prov:agent": worker}));
        }
    }

    /// What a person did to the run while it was under way: an approval, a resolution, a stop.
    fn act(&mut self, proven: &ProvenEvent, run: &str) {
        let Some(link) = proven.event.run.as_ref().filter(|link| link.seq > 0) else { return };
        if !proven.event.actor.starts_with("user:") {
            return;
        }
        let (id, time) = (format!("{run}/act/{}", link.seq), proven.event.time.to_string());
        let about = json!({
            "prov:startTime": time, "prov:endTime": time,
            "prov:type": of_type("mandate:Act"),
            "prov:label": proven.event.kind.as_str(),
            "mandate:leaf": proven.leaf.to_string(),
        });
        self.element("activity", &id, about);
        let agent = self.agent(&proven.event.actor);
        self.associated(&id, &agent, None);
        self.relation("wasInformedBy", json!({"prov:informed": run, "prov:informant": id}));
    }
}

fn of_type(name: &str) -> Value {
    json!({"$": name, "type": "prov:QUALIFIED_NAME"})
}

fn digest(text: &str) -> String {
    qualified("digest", text)
}

/// A qualified name. The colon after the kind (`user:`, `sha256:`) becomes a slash, and whatever PROV-N
/// does not take in a local name is percent-encoded, so that two texts of a kind never share a name.
fn qualified(prefix: &str, text: &str) -> String {
    let mut name = format!("{prefix}:");
    let text = match text.split_once(':') {
        Some((kind, rest)) => {
            name.push_str(kind);
            name.push('/');
            rest
        }
        None => text,
    };
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'@' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            // Writing to a string can't fail.
            _ => drop(write!(name, "%{byte:02X}")),
        }
    }
    name
}
