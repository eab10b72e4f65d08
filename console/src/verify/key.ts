// Ed25519 keys (RFC 8032) through WebCrypto.

import { type Bytes, fromBase64Url, same, sha256, toBase64Url, utf8 } from "./bytes";

/** A public key with its id, the RFC 7638 thumbprint of its JWK. */
export interface PublicKey {
  bytes: Bytes;
  id: string;
}

/** Wraps 32 bytes. */
export async function publicKey(bytes: Bytes): Promise<PublicKey> {
  if (bytes.length !== 32) throw new Error("an Ed25519 key has 32 bytes");
  const jwk = `{"crv":"Ed25519","kty":"OKP","x":"${toBase64Url(bytes)}"}`;
  return { bytes, id: toBase64Url(await sha256(utf8(jwk))) };
}

/** A key in its text form: base64url of its bytes. */
export async function publicKeyText(text: string): Promise<PublicKey> {
  return publicKey(fromBase64Url(text));
}

/** Whether two keys are one. */
export function sameKey(a: PublicKey, b: PublicKey): boolean {
  return same(a.bytes, b.bytes);
}

/** Whether a signature over `message` is by this key. */
export async function signedBy(key: PublicKey, message: Bytes, signature: Bytes): Promise<boolean> {
  if (signature.length !== 64) return false;
  const imported = await crypto.subtle.importKey("raw", key.bytes, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
}

/** Whether this browser can verify at all: a secure context with Ed25519. */
export async function canVerify(): Promise<boolean> {
  try {
    // RFC 8032 §7.1, test 1: the empty message.
    const key = await publicKey(fromBase64Url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"));
    const signature = fromBase64Url(
      "5VZDAMNgrHKQhuLMgG6CioSHfx64500gGYGYYpB1pxTxVRbXmFMKS-6o-YJUHRQfO6nJmnGv5Cw-AH5rGfFrCw",
    );
    await signedBy(key, new Uint8Array(0), signature);
    return true;
  } catch {
    return false;
  }
}
