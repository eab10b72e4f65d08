// DSSE envelopes v1: a payload, its type, and signatures over both.

import { type Bytes, concat, fromBase64, utf8 } from "./bytes";
import { asList, asText, exactly, type Json } from "./canonical";
import { type PublicKey, signedBy } from "./key";

export interface Envelope {
  payloadType: string;
  payload: Bytes;
  signatures: { keyid: string; signature: Bytes }[];
}

/** Reads an envelope out of JSON; strict about its members and its base64. */
export function readEnvelope(value: Json | undefined): Envelope {
  const { payload, payloadType, signatures } = exactly(value, ["payload", "payloadType", "signatures"]);
  return {
    payloadType: asText(payloadType, "payloadType"),
    payload: fromBase64(asText(payload, "payload")),
    signatures: asList(signatures, "signatures").map((one) => {
      const { keyid, sig } = exactly(one, ["keyid", "sig"]);
      const signature = fromBase64(asText(sig, "sig"));
      if (signature.length !== 64) throw new Error("a signature has 64 bytes");
      return { keyid: asText(keyid, "keyid"), signature };
    }),
  };
}

/** What is signed, `PAE(type, payload)`. */
function signedBytes(envelope: Envelope): Bytes {
  const type = utf8(envelope.payloadType);
  const head = utf8(`DSSEv1 ${type.length} ${envelope.payloadType} ${envelope.payload.length} `);
  return concat(head, envelope.payload);
}

function expectType(envelope: Envelope, type: string): void {
  if (envelope.payloadType !== type)
    throw new Error(`signed content is of type ${envelope.payloadType}, not ${type}`);
}

/** The payload, if exactly one of the keys signed it. */
export async function verifiedPayload(
  envelope: Envelope,
  type: string,
  allowed: PublicKey[],
): Promise<Bytes> {
  expectType(envelope, type);
  const [only] = envelope.signatures;
  if (only === undefined || envelope.signatures.length !== 1)
    throw new Error("exactly one signature is expected");
  const key = allowed.find((one) => one.id === only.keyid);
  if (key === undefined)
    throw new Error(`signed by key ${only.keyid}, which the trust anchor does not lead to`);
  if (!(await signedBy(key, signedBytes(envelope), only.signature)))
    throw new Error("the signature does not verify");
  return envelope.payload;
}

/** The payload, if `first` and then at least `quorum` distinct others, in their order, signed it. */
export async function countersignedPayload(
  envelope: Envelope,
  type: string,
  first: PublicKey,
  others: PublicKey[],
  quorum: number,
): Promise<Bytes> {
  expectType(envelope, type);
  if (envelope.signatures.length < quorum + 1) throw new Error("too few signatures");
  let rest = [first];
  for (const [n, { keyid, signature }] of envelope.signatures.entries()) {
    const found = rest.findIndex((key) => key.id === keyid);
    const key = rest[found];
    if (key === undefined) throw new Error(`signed by key ${keyid}, which may not sign this`);
    if (!(await signedBy(key, signedBytes(envelope), signature)))
      throw new Error("a signature does not verify");
    rest = n === 0 ? others : rest.slice(found + 1);
  }
  return envelope.payload;
}
