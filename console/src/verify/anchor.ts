// The trust anchor: what the person pinned beforehand. Nothing the server says can add to it.

import { digestText, sha256, utf8 } from "./bytes";
import { asCount, asList, asText, exactly, type Json } from "./canonical";
import { type PublicKey, publicKeyText } from "./key";
import { readVerifierKey, type VerifierKey } from "./note";

export const ANCHOR_FORMAT = "https://mandate.dev/trust/v1";

export interface TenantAnchor {
  origin: string;
  log: VerifierKey;
  evidence: PublicKey;
  token: PublicKey;
}

export interface TrustAnchor {
  witnesses: VerifierKey[];
  quorum: number;
  tenants: Map<string, TenantAnchor>;
  /** SHA-256 of the file, as `sha256sum trust.json` prints it. */
  fingerprint: string;
}

/** Reads an anchor file; throws, saying why, when it would trust nothing or contradict itself. */
export async function readAnchor(file: string): Promise<TrustAnchor> {
  let value: Json;
  try {
    value = JSON.parse(file) as Json;
  } catch {
    throw new Error("This is not a JSON file.");
  }
  const { format, witnesses, quorum, tenants } = exactly(value, ["format", "witnesses", "quorum", "tenants"]);
  if (format !== ANCHOR_FORMAT) throw new Error(`Its format is not ${ANCHOR_FORMAT}.`);
  const anchor: TrustAnchor = {
    witnesses: await Promise.all(
      asList(witnesses, "witnesses").map((one) => readVerifierKey(asText(one, "witness"))),
    ),
    quorum: asCount(quorum, "quorum"),
    tenants: new Map(),
    fingerprint: digestText(await sha256(utf8(file))),
  };
  if (tenants === null || typeof tenants !== "object" || Array.isArray(tenants))
    throw new Error("It names no tenants.");
  for (const [tenant, keys] of Object.entries(tenants ?? {})) {
    const { origin, log, evidence, token } = exactly(keys, ["origin", "log", "evidence", "token"]);
    anchor.tenants.set(tenant, {
      origin: asText(origin, "origin"),
      log: await readVerifierKey(asText(log, "log")),
      evidence: await publicKeyText(asText(evidence, "evidence")),
      token: await publicKeyText(asText(token, "token")),
    });
  }
  checkUsable(anchor);
  return anchor;
}

function checkUsable(anchor: TrustAnchor): void {
  const distinct = (values: string[]) => new Set(values).size === values.length;
  const witnessKeys = anchor.witnesses.map((one) => one.key.id);
  if (!distinct(witnessKeys) || !distinct(anchor.witnesses.map((one) => one.name))) {
    throw new Error("Two of its witnesses share a name or a key.");
  }
  if (anchor.witnesses.some((one) => one.algorithm !== 0x04))
    throw new Error("A witness key is of another type.");
  if (anchor.quorum < 1 || anchor.quorum > anchor.witnesses.length) {
    throw new Error("Its quorum must be between 1 and the number of its witnesses.");
  }
  const tenants = [...anchor.tenants.values()];
  if (tenants.some(({ log, origin }) => log.algorithm !== 0x01 || log.name !== origin)) {
    throw new Error("A log key is of another type, or not named as its log.");
  }
  const own = tenants.flatMap(({ log, evidence, token }) => [log.key.id, evidence.id, token.id]);
  if (!distinct([...own, ...witnessKeys])) throw new Error("One key stands in two roles.");
  if (!distinct(tenants.map(({ origin }) => origin))) throw new Error("Two of its tenants share a log.");
}
