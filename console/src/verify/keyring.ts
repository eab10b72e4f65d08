// Key history: each key after the pinned one is vouched for by its predecessor and by the witnesses.

import type { TrustAnchor } from "./anchor";
import { asCount, asText, exactly, parseCanonical } from "./canonical";
import { countersignedPayload, type Envelope } from "./dsse";
import { type PublicKey, publicKeyText, sameKey } from "./key";
import { type VerifierKey, verifierKey } from "./note";

const KEY_STATEMENT = "application/vnd.mandate.key+json";
const ROLES = ["log", "evidence", "token"] as const;
type Role = (typeof ROLES)[number];

/** All keys of a tenant that may have signed, oldest first. */
export interface KeyRing {
  origin: string;
  log: PublicKey[];
  evidence: PublicKey[];
  token: PublicKey[];
}

/** The keys an anchor leads to, by statements in their order. */
export async function keyRing(anchor: TrustAnchor, tenant: string, statements: Envelope[]): Promise<KeyRing> {
  const pinned = anchor.tenants.get(tenant);
  if (pinned === undefined) throw new Error(`the pinned trust anchor does not know tenant ${tenant}`);
  const ring: KeyRing = {
    origin: pinned.origin,
    log: [pinned.log.key],
    evidence: [pinned.evidence],
    token: [pinned.token],
  };
  const witnesses = anchor.witnesses.map((one) => one.key);
  for (const statement of statements) await addKey(ring, statement, tenant, witnesses, anchor.quorum);
  return ring;
}

async function addKey(
  ring: KeyRing,
  envelope: Envelope,
  tenant: string,
  witnesses: PublicKey[],
  quorum: number,
): Promise<void> {
  const members = ["tenant", "role", "key", "key_name", "ordinal", "introduced_at", "predecessor"];
  const said = exactly(parseCanonical(envelope.payload), members);
  const role = ROLES.find((one) => one === said.role) as Role | undefined;
  if (role === undefined) throw new Error("a key statement names an unknown role");
  if (said.tenant !== tenant) throw new Error("a key statement is about another tenant");
  if (role === "log" && said.key_name !== ring.origin) throw new Error("a log key is not named as its log");
  const line = ring[role];
  const predecessor = line.at(-1);
  if (predecessor === undefined || said.predecessor !== predecessor.id) {
    throw new Error(`a ${role} key does not follow the one before it`);
  }
  if (asCount(said.ordinal, "ordinal") !== line.length) throw new Error(`a ${role} key is out of order`);
  const key = await publicKeyText(asText(said.key, "key"));
  if ([...ring.log, ...ring.evidence, ...ring.token, ...witnesses].some((used) => sameKey(used, key))) {
    throw new Error("a key is in use already");
  }
  await countersignedPayload(envelope, KEY_STATEMENT, predecessor, witnesses, quorum);
  line.push(key);
}

/** The log's keys as notes name them. */
export function logKeys(ring: KeyRing): Promise<VerifierKey[]> {
  return Promise.all(ring.log.map((key) => verifierKey(ring.origin, 0x01, key)));
}
