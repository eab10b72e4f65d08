"""The projections, held against the passport they are made of: nothing missing, nothing added."""

import io
import json
import uuid
from datetime import datetime, timezone
from urllib.parse import quote

from prov import model

from evidence import Mismatch, details

VOCABULARY = "https://mandate.dev/prov/v1#"


class Names:
    """What things are called, from the passport's own words."""

    def __init__(self, passport):
        self.base = f"https://mandate.dev/t/{passport.body['tenant']}/"
        self.run = f"{self.base}activity/{passport.body['run']}"

    def agent(self, subject):
        kind, name = subject.split(":", 1)
        return f"{self.base}agent/{kind}/{quote(name, safe='/-_.@')}"

    def decision(self, name):
        return f"{self.base}decision/{name}"

    def step(self, number, attempt):
        return f"{self.run}/{number}/{attempt}"

    @staticmethod
    def digest(text):
        return "https://mandate.dev/digest/" + text.replace(":", "/", 1)


def said(passport):
    """What a projection must say, worked out from the entries alone."""
    names = Names(passport)
    tell = {kind: set() for kind in ("agents", "activities", "used", "generated", "derived", "delegated", "associated")}
    timeline = {}
    arguments = {}

    def value(named):
        entity = names.digest(named["commitment"])
        for source in named["labels"].get("sources", []):
            tell["derived"].add((entity, names.digest(source["digest"])))
        return entity

    def agent(subject):
        tell["agents"].add(names.agent(subject))
        return names.agent(subject)

    first, last = passport.entries[0], passport.entries[-1]
    started_by = first["actor"]["user"]["uid"]
    worker = f"worker:{details(first)['worker']}"
    tell["activities"].add(names.run)
    tell["associated"].add((names.run, agent(started_by)))
    timeline[names.run] = [first["time"], last["time"]]
    for entry, kind in zip(passport.entries, passport.kinds()):
        facts, actor, seq = details(entry), entry["actor"]["user"]["uid"], entry["unmapped"]["mandate"]["run"]["seq"]
        if kind == "run-started":
            tell["delegated"].add((agent(worker), agent(started_by), names.run))
            tell["associated"].add((names.run, agent(worker)))
            tell["used"].add((names.run, value(facts["input"])))
        elif kind == "step-decided":
            decision = names.decision(facts["decision"])
            tell["generated"].add((decision, names.run))
            if facts["policy"] is not None:
                tell["derived"].add((decision, names.digest(facts["policy"]["digest"])))
            if facts["status"] != "allow":
                continue
            step = names.step(facts["step"], facts["attempt"])
            arguments[step] = value(facts["arguments"])
            tell["activities"].add(step)
            timeline[step] = [entry["time"], None]
            tell["used"] |= {(step, decision), (step, arguments[step])}
            tell["associated"].add((step, agent(actor)))
            tell["delegated"].add((agent(actor), agent(facts["on_behalf_of"]), step))
            if facts["authority"].get("owner"):
                tell["delegated"].add((agent(actor), agent(facts["authority"]["owner"]), step))
        elif kind in ("step-succeeded", "step-failed", "step-in-doubt"):
            step = names.step(facts["step"], facts["attempt"])
            timeline[step][1] = entry["time"]
            reply = (facts.get("observed") or {}).get("reply_digest")
            if reply:
                tell["used"].add((step, names.digest(reply)))
            if facts.get("output"):
                output = value(facts["output"])
                tell["generated"].add((output, step))
                tell["derived"].add((output, arguments[step]))
        elif kind == "artifact-signed":
            file = names.digest(facts["digest"])
            tell["generated"].add((file, names.run))
            tell["derived"].add((file, value(facts)))
            agent(worker)
        if entry is last and (facts.get("output") or {}).get("commitment"):
            tell["generated"].add((value(facts["output"]), names.run))
        if seq > 0 and actor.startswith("user:"):
            act = f"{names.run}/act/{seq}"
            tell["activities"].add(act)
            tell["associated"].add((act, agent(actor)))
            timeline[act] = [entry["time"], entry["time"]]
    return tell, timeline


def uri(name):
    return name.uri if name is not None else None


def ends_of(relation, count):
    return tuple(uri(value) for _, value in relation.formal_attributes[:count])


def check(text, passport):
    document = model.ProvDocument.deserialize(content=text, format="json")
    everything_declared(document)
    expected, timeline = said(passport)
    found = {
        "agents": {uri(record.identifier) for record in document.get_records(model.ProvAgent)},
        "activities": {uri(record.identifier) for record in document.get_records(model.ProvActivity)},
        "used": {ends_of(record, 2) for record in document.get_records(model.ProvUsage)},
        "generated": {ends_of(record, 2) for record in document.get_records(model.ProvGeneration)},
        "derived": {ends_of(record, 2) for record in document.get_records(model.ProvDerivation)},
        "delegated": {ends_of(record, 3) for record in document.get_records(model.ProvDelegation)},
        "associated": {ends_of(record, 2) for record in document.get_records(model.ProvAssociation)},
    }
    for kind, facts in expected.items():
        if found[kind] != facts:
            raise Mismatch(f"{kind}: only in the passport {sorted(facts - found[kind])}, "
                           f"only in the projection {sorted(found[kind] - facts)}")
    constraints(document)
    for record in document.get_records(model.ProvActivity):
        times = [record.get_startTime(), record.get_endTime()]
        if times != [moment(time) for time in timeline[uri(record.identifier)]]:
            raise Mismatch(f"{record.identifier}: {times}")
    run = document.get_record(f"activity:{passport.body['run']}")[0]
    purposes = {str(value) for value in run.get_attribute(VOCABULARY_NAME(document, "purpose"))}
    if purposes != {details(passport.entries[0])["purpose"]}:
        raise Mismatch(f"purpose {purposes}")
    evidence = Names.digest(passport.digest)
    if evidence not in {uri(record.identifier) for record in document.get_records(model.ProvEntity)}:
        raise Mismatch("it does not name its passport")


def VOCABULARY_NAME(document, local):
    return document.valid_qualified_name(f"mandate:{local}")


def moment(millis):
    if millis is None:
        return None
    return datetime.fromtimestamp(millis // 1000, timezone.utc).replace(microsecond=millis % 1000 * 1000)


def everything_declared(document):
    """prov reads and writes it whole, and each name that a relation uses is declared as an element."""
    again = io.StringIO()
    document.serialize(again, format="json")
    if model.ProvDocument.deserialize(content=again.getvalue(), format="json") != document:
        raise Mismatch("prov does not read what it wrote")
    declared = {record.identifier for record in document.get_records(model.ProvElement)}
    if not document.get_provn().startswith("document"):
        raise Mismatch("it has no PROV-N form")
    for relation in document.get_records(model.ProvRelation):
        for _, value in relation.formal_attributes:
            if isinstance(value, model.QualifiedName) and value not in declared:
                raise Mismatch(f"{relation} names {value}, which is not declared")


def constraints(document):
    """Of W3C PROV-CONSTRAINTS: one generation for each entity, none after a use, uses within the activity."""
    generated, spans = {}, {}
    for record in document.get_records(model.ProvActivity):
        spans[record.identifier] = (record.get_startTime(), record.get_endTime())
    for record in document.get_records(model.ProvGeneration):
        (_, entity), (_, activity), (_, time) = record.formal_attributes[:3]
        if entity in generated:
            raise Mismatch(f"{entity} was generated twice")
        generated[entity] = time
        within(spans[activity], time, record)
    for record in document.get_records(model.ProvUsage):
        (_, activity), (_, entity), (_, time) = record.formal_attributes[:3]
        within(spans[activity], time, record)
        if entity in generated and generated[entity] > time:
            raise Mismatch(f"{entity} was used before it was generated")


def within(span, time, record):
    start, end = span
    if time < start or (end is not None and time > end):
        raise Mismatch(f"{record} is outside of its activity")


def check_lineage(lines, passport):
    events = [json.loads(line) for line in lines]
    for event in events:
        uuid.UUID(event["run"]["runId"])
        if not {"eventType", "eventTime", "producer", "schemaURL", "job"} <= event.keys():
            raise Mismatch("an event without what the schema requires")
    expected = []
    for entry, kind in zip(passport.entries, passport.kinds()):
        facts = details(entry)
        if kind == "step-decided" and facts["status"] == "allow":
            expected.append(("START", facts["arguments"]["commitment"], None))
        elif kind == "step-succeeded":
            expected.append(("COMPLETE", None, facts["output"]["commitment"]))
        elif kind == "step-failed":
            expected.append(("FAIL", None, None))
    steps = [event for event in events if "parent" in event["run"]["facets"]]
    if [event["eventType"] for event in steps] != [what for what, _, _ in expected]:
        raise Mismatch("other events than the passport's steps")
    for event, (_, read, written) in zip(steps, expected):
        if read and event["inputs"][0]["name"] != read or written and event["outputs"][0]["name"] != written:
            raise Mismatch("other data sets than the passport's")
    whole = [event["eventType"] for event in events if "parent" not in event["run"]["facets"]]
    ends = {"run-completed": "COMPLETE", "run-killed": "ABORT", "run-cancelled": "ABORT"}
    if whole != ["START", ends.get(passport.kinds()[-1], "FAIL")]:
        raise Mismatch(f"the run's events are {whole}")
