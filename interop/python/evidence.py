"""Passports, artefacts and entries: who signed them, and whether they are written as they must be."""

import base64
import copy
import hashlib
import json
from pathlib import Path

import rfc8785
from google.protobuf import json_format
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

KEY = "application/vnd.mandate.key+json"
PASSPORT = "application/vnd.mandate.passport+json"
ARTIFACT = "application/vnd.mandate.artifact+json"
STATEMENT = "application/vnd.in-toto+json"
PREDICATE = "https://mandate.dev/ledger-entry/v1"


class NotCanonical(ValueError):
    """The bytes are JSON, and not in its RFC 8785 form."""


class Mismatch(ValueError):
    """Signed, and yet not what belongs here."""


def key_of(public):
    """An Ed25519 key as securesystemslib has it; its id is the RFC 7638 thumbprint, as envelopes name it."""
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}
    keyid = base64.urlsafe_b64encode(hashlib.sha256(rfc8785.dumps(jwk)).digest()).decode().rstrip("=")
    return SSlibKey(keyid, "ed25519", "ed25519", {"public": public.hex()})


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Anchor:
    """What a verifier was given beforehand."""

    def __init__(self, file, tenant):
        own = file["tenants"][tenant]
        self.tenant = tenant
        self.quorum = file["quorum"]
        # A verifier key is name, hash and the base64 of type and key.
        self.witnesses = [key_of(base64.b64decode(vkey.split("+", 2)[2])[1:]) for vkey in file["witnesses"]]
        self.first = {
            "log": key_of(base64.b64decode(own["log"].split("+", 2)[2])[1:]),
            "evidence": key_of(from_base64url(own["evidence"])),
            "token": key_of(from_base64url(own["token"])),
        }

    def keys(self, statements):
        """The evidence keys: the pinned one and its successors, each introduced by the one before and the witnesses."""
        lines = {role: [key] for role, key in self.first.items()}
        for raw in statements:
            said = json.loads(envelope_of(raw).payload)
            line = lines[said["role"]]
            if (said["tenant"], said["predecessor"], said["ordinal"]) != (self.tenant, line[-1].keyid, len(line)):
                raise Mismatch("a key statement that does not follow")
            verified(raw, KEY, [line[-1]])
            verified(raw, KEY, self.witnesses, self.quorum)
            line.append(key_of(from_base64url(said["key"])))
        return lines["evidence"]


def envelope_of(raw):
    # from_dict writes into what it is given.
    return Envelope.from_dict(copy.deepcopy(raw))


def verified(raw, payload_type, keys, threshold=1):
    """The payload of an envelope that securesystemslib found signed by these keys."""
    envelope = envelope_of(raw)
    envelope.verify(keys, threshold)
    if envelope.payload_type != payload_type:
        raise Mismatch(f"payload type {envelope.payload_type}")
    return envelope.payload


def canonical(data):
    """The value of bytes that rfc8785 writes the same."""
    value = json.loads(data)
    if rfc8785.dumps(value) != data:
        raise NotCanonical(data[:80])
    return value


class Passport:
    """An opened passport: its entries in order, and its file's digest."""

    def __init__(self, body, entries, leaves, digest):
        self.body = body
        self.entries = entries
        self.leaves = leaves
        self.digest = digest

    def kinds(self):
        return [entry["metadata"]["event_code"] for entry in self.entries]


def open_passport(data, anchor):
    envelope = canonical(data)
    # Whose keys they are is known only after the key history in the payload, which its own signatures carry.
    keys = anchor.keys(json.loads(envelope_of(envelope).payload)["keys"])
    body = canonical(verified(envelope, PASSPORT, keys))
    if body["tenant"] != anchor.tenant or not body["statements"]:
        raise Mismatch("of another tenant, or empty")
    entries, leaves = [], []
    for seq, proven in enumerate(body["statements"]):
        payload = verified(proven["dsse"], STATEMENT, keys)
        entry, leaf = read_statement(payload, f"{body['run']}/{seq}")
        link = entry["unmapped"]["mandate"]["run"]
        if link["run"] != body["run"] or link["seq"] != seq or link.get("prev") != (leaves[-1] if leaves else None):
            raise Mismatch("an entry that does not follow in its run")
        entries.append(entry)
        leaves.append(f"sha256:{leaf}")
    return Passport(body, entries, leaves, f"sha256:{hashlib.sha256(data).hexdigest()}")


def read_statement(payload, name):
    """The entry a statement is about, read by in-toto-attestation, which refuses unknown fields."""
    value = canonical(payload)
    parsed = json_format.ParseDict(value, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    if json_format.MessageToDict(parsed) != value:
        raise Mismatch("in-toto-attestation reads something else")
    entry = rfc8785.dumps(value["predicate"])
    leaf = hashlib.sha256(b"\x00" + entry).hexdigest()
    if parsed.predicate_type != PREDICATE or len(parsed.subject) != 1:
        raise Mismatch("a statement of another kind")
    if parsed.subject[0].name != name or dict(parsed.subject[0].digest) != {"sha256": leaf}:
        raise Mismatch("the subject is not the entry")
    return value["predicate"], leaf


def open_artifact(data, anchor, passport):
    envelope = canonical(data)
    keys = anchor.keys(json.loads(envelope_of(envelope).payload)["keys"])
    body = canonical(verified(envelope, ARTIFACT, keys))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    signed = [details(entry)["digest"] for entry, kind in zip(passport.entries, passport.kinds()) if kind == "artifact-signed"]
    if body["run"] != passport.body["run"] or digest not in signed:
        raise Mismatch("the passport does not name this file")
    if not body["content"]:
        raise Mismatch("it is empty")
    return body


def details(entry):
    return entry["unmapped"]["mandate"]["details"]


def exported_entries(folder):
    """All entries of an export, in order: bundles of entries with big-endian lengths of 16 bits."""
    def order(path):
        return [part for part in path.relative_to(folder).parts]

    entries = []
    bundles = [path for path in Path(folder, "tile", "entries").rglob("*") if path.is_file()]
    for path in sorted(bundles, key=order):
        data = path.read_bytes()
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            if end > len(data):
                raise Mismatch("a bundle that ends within an entry")
            entries.append(data[2:end])
            data = data[end:]
    size = int(Path(folder, "checkpoint").read_text().split("\n")[1])
    if len(entries) != size:
        raise Mismatch(f"{len(entries)} entries, and a checkpoint of {size}")
    return entries


def all_canonical(entries):
    for entry in entries:
        canonical(entry)
