// Verifies a signed artefact, and ties it to the run by the digest that the ledger holds of it.

import type { TrustAnchor } from "./anchor";
import { type Bytes, digestText, sha256 } from "./bytes";
import { asList, asText, exactly, type Json, parseCanonical } from "./canonical";
import { readEnvelope, verifiedPayload } from "./dsse";
import { keyRing } from "./keyring";

const ARTIFACT = "application/vnd.mandate.artifact+json";
const FORMAT = "https://mandate.dev/artifact/v1";

export interface Artifact {
  digest: string;
  run: string;
  name: string;
  mediaType: string;
  content: Json;
}

/** The artefact in these bytes; throws, saying why, when its signature does not lead to the anchor. */
export async function verifyArtifact(bytes: Bytes, anchor: TrustAnchor): Promise<Artifact> {
  const envelope = readEnvelope(parseCanonical(bytes));
  const members = ["format", "tenant", "run", "worker", "worker_version", "name", "media_type", "content"];
  const body = exactly(parseCanonical(envelope.payload), [...members, "labels", "produced_at", "keys"]);
  const statements = asList(body.keys, "keys").map(readEnvelope);
  const ring = await keyRing(anchor, asText(body.tenant, "tenant"), statements);
  await verifiedPayload(envelope, ARTIFACT, ring.evidence);
  if (body.format !== FORMAT) throw new Error(`its format is not ${FORMAT}`);
  return {
    digest: digestText(await sha256(bytes)),
    run: asText(body.run, "run"),
    name: asText(body.name, "name"),
    mediaType: asText(body.media_type, "media_type"),
    content: body.content ?? null,
  };
}
