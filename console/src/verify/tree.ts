// Merkle tree hashing (RFC 6962 §2.1) and inclusion proofs (RFC 9162 §2.1.3.2).

import { type Bytes, concat, same, sha256 } from "./bytes";

/** `SHA-256(0x00 ‖ entry)`. */
export function leafHash(entry: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(0), entry));
}

/** `SHA-256(0x01 ‖ left ‖ right)`. */
export function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}

/** Throws unless `leaf` is at `index` in the tree of `size` leaves with this `root`. */
export async function checkInclusion(
  leaf: Bytes,
  index: number,
  size: number,
  proof: Bytes[],
  root: Bytes,
): Promise<void> {
  if (index >= size) throw new Error(`entry ${index} is not within a tree of ${size}`);
  // Sizes may exceed 32 bits, so no bit operators here.
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0) throw new Error("the proof has too many hashes");
    if (at % 2 === 1 || at === last) {
      hash = await nodeHash(sibling, hash);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = await nodeHash(hash, sibling);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (last !== 0) throw new Error("the proof has too few hashes");
  if (!same(hash, root)) throw new Error("the proof leads to another root");
}
