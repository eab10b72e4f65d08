// Bytes, digests and the two base64 alphabets, read strictly: one text for each byte string.

/** Bytes of their own buffer, as WebCrypto takes them. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 of a text. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes; throws on anything else, and on lone surrogates by way of encoding. */
export function text(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

/** One byte string out of several. */
export function concat(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether two byte strings are the same. Nothing secret is compared here. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Inverse of {@link toBase64}; throws on anything that function would not have written. */
export function fromBase64(given: string): Bytes {
  let binary: string;
  try {
    binary = atob(given);
  } catch {
    throw new Error("not base64");
  }
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  if (toBase64(bytes) !== given) throw new Error("not canonical base64");
  return bytes;
}

/** URL-safe base64 without padding (RFC 4648 §5). */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Inverse of {@link toBase64Url}, as strict. */
export function fromBase64Url(given: string): Bytes {
  const padded = given.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (given.length % 4)) % 4);
  const bytes = fromBase64(padded);
  if (toBase64Url(bytes) !== given) throw new Error("not canonical base64url");
  return bytes;
}

/** SHA-256. */
export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Lower-case hexadecimal digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A digest as Mandate writes it: `sha256:` and 64 digits. */
export function digestText(bytes: Uint8Array): string {
  return `sha256:${hex(bytes)}`;
}

/** Inverse of {@link digestText}. */
export function fromDigestText(given: string): Bytes {
  if (!/^sha256:[0-9a-f]{64}$/.test(given)) throw new Error("not a digest");
  return Uint8Array.from(given.slice(7).match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
