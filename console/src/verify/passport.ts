// Verifies the passport of a run in this browser, against the anchor the person pinned. Formats: the
// passport is a DSSE envelope; in it the key history, a cosigned checkpoint, and for each ledger entry an
// in-toto statement in an envelope of its own, with its place in the tree and the proof of that.

import type { TrustAnchor } from "./anchor";
import { type Bytes, digestText, fromBase64, hex, same } from "./bytes";
import { asCount, asList, asText, at, canonical, exactly, type Json, parseCanonical } from "./canonical";
import { type Envelope, readEnvelope, verifiedPayload } from "./dsse";
import { type KeyRing, keyRing, logKeys } from "./keyring";
import { type Checkpoint, type Cosignature, cosignatures, logCheckpoint } from "./note";
import { checkInclusion, leafHash } from "./tree";

const PASSPORT = "application/vnd.mandate.passport+json";
const FORMAT = "https://mandate.dev/passport/v1";
const STATEMENT = "application/vnd.in-toto+json";
const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
const PREDICATE = "https://mandate.dev/ledger-entry/v1";
const LARGEST_ENTRY = 65_535;
const BEGINNINGS = ["run-started", "run-refused"];
const ENDINGS = ["run-refused", "run-completed", "run-faulted", "run-cancelled", "run-killed"];

/** The checks, in the order they are made; each rests on those before it. */
export const CHECKS = [
  "form",
  "keys",
  "seal",
  "subject",
  "checkpoint",
  "witness",
  "statements",
  "chain",
  "inclusion",
] as const;
export type CheckName = (typeof CHECKS)[number] | "page";

export interface Check {
  name: CheckName;
  outcome: "pass" | "fail" | "skipped";
  /** What was found: a measure when it passed, the reason when it failed. */
  says: string;
}

/** An entry out of a verified passport. */
export interface ProvenEntry {
  index: number;
  seq: number;
  kind: string;
  actor: string;
  /** Milliseconds since 1970. */
  time: number;
  details: Json;
  leaf: string;
}

export interface PassportReport {
  holds: boolean;
  checks: Check[];
  entries: ProvenEntry[];
  checkpoint: { origin: string; size: number; root: string } | null;
  cosignatures: Cosignature[];
  fingerprint: string;
}

interface Proven {
  index: number;
  proof: Bytes[];
  envelope: Envelope;
}

interface Body {
  tenant: string;
  run: string;
  origin: string;
  keys: Envelope[];
  checkpoint: string;
  statements: Proven[];
}

interface Said extends ProvenEntry {
  leafBytes: Bytes;
  prev: string | null;
}

function readBody(bytes: Bytes): Body {
  const members = ["format", "tenant", "run", "origin", "keys", "checkpoint", "statements"];
  const body = exactly(parseCanonical(bytes), members);
  if (body.format !== FORMAT) throw new Error(`its format is not ${FORMAT}`);
  return {
    tenant: asText(body.tenant, "tenant"),
    run: asText(body.run, "run"),
    origin: asText(body.origin, "origin"),
    keys: asList(body.keys, "keys").map(readEnvelope),
    checkpoint: asText(body.checkpoint, "checkpoint"),
    statements: asList(body.statements, "statements").map((one) => {
      const { index, proof, dsse } = exactly(one, ["index", "proof", "dsse"]);
      const hashes = asList(proof, "proof").map((hash) => fromBase64(asText(hash, "proof")));
      if (hashes.some((hash) => hash.length !== 32)) throw new Error("a proof's hash has 32 bytes");
      return { index: asCount(index, "index"), proof: hashes, envelope: readEnvelope(dsse) };
    }),
  };
}

/** The entry that a signed statement is about, hashed again from the predicate. */
async function entryOf(proven: Proven, ring: KeyRing, body: Body): Promise<Said> {
  const payload = await verifiedPayload(proven.envelope, STATEMENT, ring.evidence);
  const said = exactly(parseCanonical(payload), ["_type", "subject", "predicateType", "predicate"]);
  const entry = said.predicate ?? null;
  const bytes = canonical(entry);
  if (bytes.length > LARGEST_ENTRY) throw new Error("the entry is too large");
  const leafBytes = await leafHash(bytes);
  const link = exactly(at(entry, "unmapped", "mandate", "run"), ["run", "seq"], ["prev"]);
  const seq = asCount(link.seq, "seq");
  const expected: Json = {
    _type: STATEMENT_TYPE,
    subject: [{ name: `${body.run}/${seq}`, digest: { sha256: hex(leafBytes) } }],
    predicateType: PREDICATE,
    predicate: entry,
  };
  if (!same(canonical(expected), payload)) throw new Error("the statement is not about its entry");
  if (at(entry, "metadata", "tenant_uid") !== body.tenant) throw new Error("an entry of another tenant");
  if (link.run !== body.run) throw new Error("an entry of another run");
  return {
    index: proven.index,
    seq,
    kind: asText(at(entry, "metadata", "event_code"), "event_code"),
    actor: asText(at(entry, "actor", "user", "uid"), "uid"),
    time: asCount(at(entry, "time"), "time"),
    details: at(entry, "unmapped", "mandate", "details") ?? null,
    leaf: digestText(leafBytes),
    leafBytes,
    prev: link.prev === undefined ? null : asText(link.prev, "prev"),
  };
}

function checkChain(entries: Said[]): string {
  let last: Said | undefined;
  for (const entry of entries) {
    if (last !== undefined && ENDINGS.includes(last.kind))
      throw new Error(`entry ${entry.seq} follows the run's end`);
    const expected = last === undefined ? 0 : last.seq + 1;
    if (entry.seq !== expected)
      throw new Error(`entry ${entry.seq} stands where ${expected} is next: one is missing`);
    const begins = last === undefined ? BEGINNINGS.includes(entry.kind) : entry.kind !== "run-started";
    if (!begins) throw new Error(`a run can't have ${entry.kind} as its entry ${entry.seq}`);
    if (entry.prev !== (last?.leaf ?? null))
      throw new Error(`entry ${entry.seq} does not name the one before it`);
    if (last !== undefined && entry.index <= last.index)
      throw new Error(`entry ${entry.seq} stands before its predecessor`);
    last = entry;
  }
  if (last === undefined || !ENDINGS.includes(last.kind)) throw new Error("the run has no end in it");
  return `${entries.length} entries, from ${entries[0]?.kind} to ${last.kind}, none left out`;
}

async function checkProofs(body: Body, entries: Said[], checkpoint: Checkpoint): Promise<string> {
  for (const [n, entry] of entries.entries()) {
    const proof = body.statements[n]?.proof ?? [];
    try {
      await checkInclusion(entry.leafBytes, entry.index, checkpoint.size, proof, checkpoint.root);
    } catch (reason) {
      throw new Error(`entry ${entry.index}: ${messageOf(reason)}`);
    }
  }
  return `${entries.length} entries proven in a log of ${checkpoint.size}`;
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

/** Verifies the bytes of a passport, and that it is that of this run. Never throws: the report says it all. */
export async function verifyPassport(
  bytes: Bytes,
  anchor: TrustAnchor,
  run: string,
): Promise<PassportReport> {
  const report: PassportReport = {
    holds: false,
    checks: [],
    entries: [],
    checkpoint: null,
    cosignatures: [],
    fingerprint: anchor.fingerprint,
  };
  let failed = false;
  const check = async <T>(name: CheckName, what: () => Promise<[T, string]>): Promise<T | undefined> => {
    if (failed) {
      report.checks.push({ name, outcome: "skipped", says: "rests on a check that failed" });
      return undefined;
    }
    try {
      const [found, says] = await what();
      report.checks.push({ name, outcome: "pass", says });
      return found;
    } catch (reason) {
      failed = true;
      report.checks.push({ name, outcome: "fail", says: messageOf(reason) });
      return undefined;
    }
  };

  const read = await check("form", async () => {
    const envelope = readEnvelope(parseCanonical(bytes));
    const body = readBody(envelope.payload);
    return [{ envelope, body }, `${(bytes.length / 1024).toFixed(1)} KiB of canonical JSON`];
  });
  const body = read?.body as Body;
  const ring = (await check("keys", async () => {
    const found = await keyRing(anchor, body.tenant, body.keys);
    if (found.origin !== body.origin) throw new Error("it names another log than the anchor");
    const since = body.keys.length;
    return [
      found,
      since === 0 ? "the pinned keys themselves" : `the pinned keys and ${since} signed successors`,
    ];
  })) as KeyRing;
  await check("seal", async () => {
    await verifiedPayload((read as { envelope: Envelope }).envelope, PASSPORT, ring.evidence);
    return [null, `signed by the evidence key of ${body.tenant}`];
  });
  await check("subject", async () => {
    if (body.run !== run) throw new Error(`it is the passport of ${body.run}`);
    return [null, `the passport of this run, in tenant ${body.tenant}`];
  });
  const checkpoint = await check("checkpoint", async () => {
    const found = await logCheckpoint(body.checkpoint, await logKeys(ring));
    if (found.origin !== ring.origin) throw new Error("the checkpoint is of another log");
    report.checkpoint = { origin: found.origin, size: found.size, root: digestText(found.root) };
    return [found, `${found.origin} signed for its first ${found.size} entries`];
  });
  await check("witness", async () => {
    const found = await cosignatures(body.checkpoint, anchor.witnesses, anchor.quorum);
    report.cosignatures = found;
    const names = found.map(({ witness }) => witness).join(", ");
    return [found, `cosigned by ${names}: ${found.length} of ${anchor.quorum} needed`];
  });
  const entries = await check("statements", async () => {
    const found: Said[] = [];
    for (const [n, proven] of body.statements.entries()) {
      try {
        found.push(await entryOf(proven, ring, body));
      } catch (reason) {
        throw new Error(`statement ${n}: ${messageOf(reason)}`);
      }
    }
    return [found, `${found.length} statements signed, each entry hashed again`];
  });
  await check("chain", async () => [null, checkChain(entries ?? [])]);
  await check("inclusion", async () => [
    null,
    await checkProofs(body, entries ?? [], checkpoint as Checkpoint),
  ]);
  report.holds = !failed;
  if (report.holds) report.entries = (entries ?? []).map(({ leafBytes: _, prev: __, ...entry }) => entry);
  return report;
}

/** What the page shows of an entry. */
export interface ShownEntry {
  index: number | null;
  seq: number | null;
  kind: string;
  actor: string;
  time: string;
  details: Json;
}

/** Whether what the page shows is what was signed: each entry, none more and none fewer. */
export function comparePage(report: PassportReport, shown: ShownEntry[]): Check {
  const name = "page";
  if (!report.holds) return { name, outcome: "skipped", says: "rests on a check that failed" };
  const fail = (says: string): Check => ({ name, outcome: "fail", says });
  if (shown.length !== report.entries.length) {
    return fail(`the page shows ${shown.length} entries, the passport holds ${report.entries.length}`);
  }
  for (const [n, entry] of shown.entries()) {
    const proven = report.entries[n];
    const agrees =
      proven !== undefined &&
      proven.seq === entry.seq &&
      // An entry that was not yet in the tree when the page loaded has no index to compare.
      (entry.index === null || proven.index === entry.index) &&
      proven.kind === entry.kind &&
      proven.actor === entry.actor &&
      proven.time === Date.parse(entry.time) &&
      same(canonical(proven.details), canonical(entry.details));
    if (!agrees) return fail(`entry ${entry.seq} on this page is not what was signed`);
  }
  return {
    name,
    outcome: "pass",
    says: `all ${shown.length} entries on this page are those that were signed`,
  };
}
