// Canonical JSON (RFC 8785): JSON.stringify writes numbers and strings as the RFC asks; keys are sorted
// by UTF-16 code units, which is JavaScript's own order.

import { type Bytes, same, text, utf8 } from "./bytes";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** The canonical text of a value. */
export function canonicalText(value: Json): string {
  if (value === null || typeof value !== "object") {
    if (typeof value === "string" && !value.isWellFormed()) throw new Error("a lone surrogate has no form");
    if (typeof value === "number" && !Number.isFinite(value)) throw new Error("the number has no form");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${canonicalText(key)}:${canonicalText(value[key] ?? null)}`);
  return `{${members.join(",")}}`;
}

/** The canonical bytes of a value. */
export function canonical(value: Json): Bytes {
  return utf8(canonicalText(value));
}

/** Reads bytes that must be canonical: spacing, key order, repeated keys and other spellings are refused. */
export function parseCanonical(bytes: Uint8Array): Json {
  let value: Json;
  try {
    value = JSON.parse(text(bytes)) as Json;
  } catch {
    throw new Error("not JSON");
  }
  if (!same(canonical(value), bytes)) throw new Error("JSON is not in canonical form (RFC 8785)");
  return value;
}

/** An object with exactly these members, and perhaps the optional ones. */
export function exactly(
  value: Json | undefined,
  names: string[],
  optional: string[] = [],
): Record<string, Json> {
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw new Error("an object is expected");
  for (const name of names) if (!Object.hasOwn(value, name)) throw new Error(`\`${name}\` is missing`);
  for (const name of Object.keys(value)) {
    if (!names.includes(name) && !optional.includes(name))
      throw new Error(`\`${name}\` is not expected here`);
  }
  return value;
}

/** A text. */
export function asText(value: Json | undefined, name: string): string {
  if (typeof value !== "string") throw new Error(`\`${name}\` must be text`);
  return value;
}

/** A whole number from 0. */
export function asCount(value: Json | undefined, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw new Error(`\`${name}\` must be a whole number`);
  }
  return value;
}

/** A list. */
export function asList(value: Json | undefined, name: string): Json[] {
  if (!Array.isArray(value)) throw new Error(`\`${name}\` must be a list`);
  return value;
}

/** What stands at a path of member names, if anything does. */
export function at(value: Json | undefined, ...path: string[]): Json | undefined {
  let here = value;
  for (const name of path) {
    if (here === undefined || here === null || typeof here !== "object" || Array.isArray(here))
      return undefined;
    here = Object.hasOwn(here, name) ? here[name] : undefined;
  }
  return here;
}
