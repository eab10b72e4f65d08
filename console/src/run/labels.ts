// Labels on data: their order, and how they are said.

import type { Confidentiality, Integrity, Labels } from "../api/types";

export const CONFIDENTIALITY: readonly Confidentiality[] = [
  "public",
  "internal",
  "confidential",
  "restricted",
];
export const INTEGRITY: readonly Integrity[] = ["untrusted", "derived", "authoritative"];

/** 0 for public up to 3 for restricted; what is unknown counts as the strictest. */
export function secrecy(labels: Pick<Labels, "confidentiality">): number {
  const level = CONFIDENTIALITY.indexOf(labels.confidentiality);
  return level < 0 ? CONFIDENTIALITY.length - 1 : level;
}

/** 0 for untrusted up to 2 for authoritative; what is unknown counts as untrusted. */
export function trust(labels: Pick<Labels, "integrity">): number {
  return Math.max(0, INTEGRITY.indexOf(labels.integrity));
}

/** Who may read, in words. */
export function readersText(readers: Labels["readers"]): string {
  if (readers === "anyone") return "anyone";
  return readers.groups.length === 0 ? "nobody" : readers.groups.join(", ");
}

/** What changed from one label to another: how it rose, in words. Empty when nothing did. */
export function rose(from: Labels, to: Labels): string[] {
  const changes: string[] = [];
  if (secrecy(to) > secrecy(from)) changes.push(`${from.confidentiality} → ${to.confidentiality}`);
  if (trust(to) < trust(from)) changes.push(`${from.integrity} → ${to.integrity}`);
  if (readersText(from.readers) !== readersText(to.readers))
    changes.push(`readers: ${readersText(to.readers)}`);
  return changes;
}

/** Whether something is wrong: a label may never get lower along a flow. */
export function sank(from: Labels, to: Labels): boolean {
  return secrecy(to) < secrecy(from) || trust(to) > trust(from);
}
