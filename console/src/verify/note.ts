// C2SP signed notes, checkpoints and cosignatures (c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature).

import { type Bytes, concat, fromBase64, hex, same, sha256, toBase64, utf8 } from "./bytes";
import { type PublicKey, publicKey, signedBy } from "./key";

/** Signature types: a log's plain Ed25519, and a witness's timestamped one. */
export type NoteAlgorithm = 0x01 | 0x04;

/** A key that verifies lines of a note: `name+hash+base64(type ‖ key)`. */
export interface VerifierKey {
  name: string;
  algorithm: NoteAlgorithm;
  key: PublicKey;
  hash: Bytes;
}

interface Line {
  name: string;
  hash: Bytes;
  signature: Bytes;
}

export interface Checkpoint {
  origin: string;
  size: number;
  root: Bytes;
}

export interface Cosignature {
  witness: string;
  /** Seconds since 1970. */
  time: number;
}

function validName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return name.length > 0 && utf8(name).length <= 255 && !/[\s+\u0000-\u001f\u007f-\u009f]/u.test(name);
}

/** Names a key. */
export async function verifierKey(
  name: string,
  algorithm: NoteAlgorithm,
  key: PublicKey,
): Promise<VerifierKey> {
  if (!validName(name)) throw new Error("the key's name can't stand in a signature line");
  const digest = await sha256(concat(utf8(`${name}\n`), Uint8Array.of(algorithm), key.bytes));
  return { name, algorithm, key, hash: digest.slice(0, 4) };
}

/** Reads a verifier key; its hash must be that of its name and key. */
export async function readVerifierKey(text: string): Promise<VerifierKey> {
  const [, name, hash, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  if (name === undefined || encoded === undefined) throw new Error("not a verifier key (name+hash+base64)");
  const bytes = fromBase64(encoded);
  const type = bytes[0];
  if (type !== 0x01 && type !== 0x04) throw new Error("neither an Ed25519 nor a cosignature/v1 key");
  const key = await verifierKey(name, type, await publicKey(bytes.slice(1)));
  if (hex(key.hash) !== hash) throw new Error("the hash is not that of the name and key");
  return key;
}

function readNote(note: string): { text: string; lines: Line[] } {
  const cut = note.lastIndexOf("\n\n");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  if (cut < 0 || !note.endsWith("\n") || /[\u0000-\u0009\u000b-\u001f]/.test(note))
    throw new Error("not a signed note");
  const lines = note.slice(cut + 2, -1).split("\n");
  if (lines.length > 32) throw new Error("too many signatures");
  return {
    text: note.slice(0, cut + 1),
    lines: lines.map((line) => {
      const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? [];
      if (name === undefined || encoded === undefined || !validName(name))
        throw new Error("not a signature line");
      const bytes = fromBase64(encoded);
      if (bytes.length < 5) throw new Error("a signature is too short");
      return { name, hash: bytes.slice(0, 4), signature: bytes.slice(4) };
    }),
  };
}

function readCheckpoint(text: string): Checkpoint {
  const [origin, size, root, end, ...more] = text.split("\n");
  if (origin === undefined || size === undefined || root === undefined || end !== "" || more.length > 0) {
    throw new Error("not a checkpoint: three lines are needed");
  }
  if (!validName(origin)) throw new Error("the log's name can't be a key name");
  const leaves = Number(size);
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(leaves))
    throw new Error("the size is not a number");
  const hash = fromBase64(root);
  if (hash.length !== 32 || toBase64(hash) !== root) throw new Error("the root is not a hash");
  return { origin, size: leaves, root: hash };
}

function matches(key: VerifierKey, line: Line): boolean {
  return key.name === line.name && same(key.hash, line.hash);
}

/** Checks one line; gives a cosignature's time. */
async function verifyLine(key: VerifierKey, text: string, line: Line): Promise<number> {
  const refused = new Error(`the signature of ${key.name} does not verify`);
  if (key.algorithm === 0x01) {
    if (!(await signedBy(key.key, utf8(text), line.signature))) throw refused;
    return 0;
  }
  if (line.signature.length !== 72) throw refused;
  const time = new DataView(line.signature.buffer, line.signature.byteOffset).getBigUint64(0);
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) throw refused;
  const message = utf8(`cosignature/v1\ntime ${time}\n${text}`);
  if (!(await signedBy(key.key, message, line.signature.slice(8)))) throw refused;
  return Number(time);
}

/** A note split up, with the checkpoint it claims; nobody's signature is checked yet. */
export function claimedCheckpoint(note: string): { checkpoint: Checkpoint; text: string; lines: Line[] } {
  const { text, lines } = readNote(note);
  return { checkpoint: readCheckpoint(text), text, lines };
}

/** The checkpoint, if its first line is by a key of the log it names. */
export async function logCheckpoint(note: string, logKeys: VerifierKey[]): Promise<Checkpoint> {
  const { checkpoint, text, lines } = claimedCheckpoint(note);
  const [first] = lines;
  const key = first && logKeys.find((one) => matches(one, first));
  if (first === undefined || key === undefined) throw new Error("no signature by the log");
  if (key.name !== checkpoint.origin) throw new Error("signed by the key of another log");
  await verifyLine(key, text, first);
  return checkpoint;
}

/** Who cosigned: distinct witnesses in the anchor's order, at least `quorum`, and no other line. */
export async function cosignatures(
  note: string,
  witnesses: VerifierKey[],
  quorum: number,
): Promise<Cosignature[]> {
  const { text, lines } = claimedCheckpoint(note);
  const found: Cosignature[] = [];
  let rest = witnesses;
  for (const line of lines.slice(1)) {
    const at = rest.findIndex((one) => matches(one, line));
    const key = rest[at];
    if (key === undefined)
      throw new Error(`signature line by ${line.name}: unknown, repeated or out of order`);
    found.push({ witness: key.name, time: await verifyLine(key, text, line) });
    rest = rest.slice(at + 1);
  }
  if (found.length < quorum) throw new Error(`${found.length} witness cosignatures, ${quorum} needed`);
  return found;
}
