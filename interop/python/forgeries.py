"""What an attacker would try. Each forgery must be refused, and for the reason it is one."""

import base64
import copy
import json

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.json_format import ParseError
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, Signature

import evidence
import provenance
from evidence import Mismatch, NotCanonical

# A good key that nobody vouched for.
ATTACKER = Ed25519PrivateKey.from_private_bytes(b"A" * 32)


def signed_by_attacker(payload_type, payload, keyid=None):
    """An envelope by the attacker, under their own key id or somebody else's."""
    key = evidence.key_of(ATTACKER.public_key().public_bytes_raw())
    signature = CryptoSigner(ATTACKER, key).sign(Envelope(payload, payload_type, {}).pae())
    signature = Signature(keyid or key.keyid, signature.signature)
    return Envelope(payload, payload_type, {signature.keyid: signature}).to_dict()


def entries(report, exported):
    """Same meaning, other bytes; other bytes, no meaning."""
    entry = exported[-1]
    value = json.loads(entry)
    report.refused("an entry with its names in another order", NotCanonical, evidence.canonical,
                   json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode())
    report.refused("an entry with spaces", NotCanonical, evidence.canonical, json.dumps(value, sort_keys=True).encode())
    time = b'"time":%d' % value["time"]
    for what, other in (("as a decimal", time + b".0"), ("with an exponent", time + b"e0"), ("twice", time + b"," + time)):
        report.refused(f"an entry with its time {what}", NotCanonical, evidence.canonical, entry.replace(time, other))
    escaped = entry.replace(b"Mandate", b"\\u004dandate", 1)
    report.refused("an entry with a letter escaped", NotCanonical, evidence.canonical, escaped)
    report.refused("an entry with a newline at its end", NotCanonical, evidence.canonical, entry + b"\n")
    report.refused("an entry with a flipped byte", (NotCanonical, ValueError), evidence.canonical,
                   bytes([entry[0] ^ 1]) + entry[1:])


def passports(report, data, anchor):
    envelope = json.loads(data)
    payload = base64.b64decode(envelope["payload"])
    body = json.loads(payload)

    def refused(what, kind, altered):
        report.refused(f"a passport {what}", kind, evidence.open_passport, rfc8785.dumps(altered), anchor)

    def with_payload(altered):
        return {**envelope, "payload": base64.b64encode(altered).decode()}

    at = payload.index(b"checkpoint") + 60
    flipped = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1:]
    refused("with a flipped byte in its payload", VerificationError, with_payload(flipped))
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[5] ^= 1
    forged = copy.deepcopy(envelope)
    forged["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    refused("with a flipped byte in its signature", VerificationError, forged)
    refused("without a signature", VerificationError, {**envelope, "signatures": []})
    refused("signed by another key", VerificationError, signed_by_attacker(evidence.PASSPORT, payload))
    keyid = envelope["signatures"][0]["keyid"]
    refused("signed by another key under the evidence key's id", VerificationError,
            signed_by_attacker(evidence.PASSPORT, payload, keyid))
    refused("of another payload type", VerificationError, {**envelope, "payloadType": evidence.ARTIFACT})
    report.refused("a passport with spaces", NotCanonical, evidence.open_passport,
                   json.dumps(envelope).encode(), anchor)
    keys(report, body, anchor)
    statements(report, body, anchor)


def keys(report, body, anchor):
    """The key history, with and without the signatures it needs."""
    def refused(what, kind, change):
        statements = copy.deepcopy(body["keys"])
        change(statements)
        report.refused(f"a key history {what}", kind, anchor.keys, statements)

    def keep(index):
        def change(statements):
            for statement in statements:
                statement["signatures"] = [statement["signatures"][index]]
        return change

    refused("that no witness signed", VerificationError, keep(0))
    refused("that no predecessor signed", VerificationError, keep(1))
    refused("with a rotation twice", Mismatch, lambda history: history.append(history[0]))

    def own(statements):
        said = json.loads(base64.b64decode(statements[0]["payload"]))
        public = ATTACKER.public_key().public_bytes_raw()
        said["key"] = base64.urlsafe_b64encode(public).decode().rstrip("=")
        statements[0] = signed_by_attacker(evidence.KEY, rfc8785.dumps(said))

    refused("that brings in a key of the attacker", VerificationError, own)


def statements(report, body, anchor):
    """Statements taken apart, as whoever held no key but could edit files would."""
    evidence_keys = anchor.keys(body["keys"])
    genuine = body["statements"][1]["dsse"]
    payload = base64.b64decode(genuine["payload"])
    name = f"{body['run']}/1"
    value = json.loads(payload)

    report.refused("a statement with a flipped byte", VerificationError, evidence.verified,
                   {**genuine, "payload": base64.b64encode(payload.replace(b"allow", b"allou", 1)).decode()},
                   evidence.STATEMENT, evidence_keys)
    report.refused("a statement by another key", VerificationError, evidence.verified,
                   signed_by_attacker(evidence.STATEMENT, payload), evidence.STATEMENT, evidence_keys)

    def refused(what, kind, change):
        altered = copy.deepcopy(value)
        change(altered)
        report.refused(f"a statement {what}", kind, evidence.read_statement, rfc8785.dumps(altered), name)

    refused("of another version", ValueError, lambda v: v.update(_type="https://in-toto.io/Statement/v0.1"))
    refused("without a subject", ValueError, lambda v: v.update(subject=[]))
    refused("whose subject has no digest", ValueError, lambda v: v["subject"][0].pop("digest"))
    refused("without a predicate type", ValueError, lambda v: v.update(predicateType=""))
    refused("with a field in-toto does not know", ParseError, lambda v: v.update(extra=1))
    refused("with its entry altered", Mismatch, lambda v: v["predicate"].update(severity_id=5))
    refused("about another place in the run", Mismatch, lambda v: v["subject"][0].update(name=name + "0"))


def artifacts(report, folder, anchor, opened):
    data = (folder / "artifact-later.json").read_bytes()
    envelope = json.loads(data)
    payload = base64.b64decode(envelope["payload"])
    altered = payload.replace(b'"totals"', b'"totalz"', 1)
    report.refused("an artefact with altered content", VerificationError, evidence.open_artifact,
                   rfc8785.dumps({**envelope, "payload": base64.b64encode(altered).decode()}), anchor, opened["later"])
    report.refused("an artefact by another key", VerificationError, evidence.open_artifact,
                   rfc8785.dumps(signed_by_attacker(evidence.ARTIFACT, payload)), anchor, opened["later"])
    report.refused("an artefact beside the passport of another run", Mismatch, evidence.open_artifact,
                   data, anchor, opened["completed"])


def projections(report, text, opened):
    """A projection that says more, less or something else than its passport."""
    passport = opened["later"]

    def refused(what, change):
        document = json.loads(text)
        change(document)
        report.refused(f"PROV-JSON {what}", Mismatch, provenance.check, json.dumps(document), passport)

    def dropped(kind):
        return lambda document: document[kind].pop(sorted(document[kind])[0])

    refused("without a delegation", dropped("actedOnBehalfOf"))
    refused("without a use", dropped("used"))
    refused("without a generation", dropped("wasGeneratedBy"))
    refused("without a derivation", dropped("wasDerivedFrom"))

    def other_agent(document):
        document["agent"]["agent:user/somebody"] = {}
        relation = sorted(document["actedOnBehalfOf"])[0]
        document["actedOnBehalfOf"][relation]["prov:responsible"] = "agent:user/somebody"

    refused("on behalf of somebody else", other_agent)

    def other_purpose(document):
        document["activity"][f"activity:{passport.body['run']}"]["mandate:purpose"] = "something else"

    refused("with another purpose", other_purpose)

    def earlier(document):
        document["activity"][f"activity:{passport.body['run']}"]["prov:startTime"] = "2020-01-01T00:00:00.000Z"

    refused("with another time", earlier)
    report.refused("PROV-JSON of another run's passport", Mismatch, provenance.check, text, opened["completed"])
