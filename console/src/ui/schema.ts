// Forms out of JSON Schemas: which schemas a form can be drawn for, and what is wrong with an answer.
// The server has the last word; this tells people early.

import type { Json, JsonSchema } from "../api/types";

export type Answer = Record<string, Json | undefined>;

function typeOf(schema: JsonSchema): string {
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== "null") : schema.type;
  return type ?? (schema.enum ? "enum" : "");
}

/** The control that a property is asked with; `null` when only JSON can say it. */
export function controlFor(schema: JsonSchema): "text" | "area" | "number" | "boolean" | "choice" | null {
  if (schema.enum !== undefined) return "choice";
  const type = typeOf(schema);
  if (type === "boolean") return "boolean";
  if (type === "number" || type === "integer") return "number";
  if (type !== "string") return null;
  const long = (schema.maxLength ?? 0) > 200 || schema.format === "textarea" || schema.format === "multiline";
  return long ? "area" : "text";
}

/** Whether a form can ask for everything the schema allows. */
export function isFormable(schema: JsonSchema | null | undefined): schema is JsonSchema {
  if (!schema || typeOf(schema) !== "object" || !schema.properties) return false;
  const known = Object.values(schema.properties);
  const required = schema.required ?? [];
  return (
    known.every((one) => controlFor(one) !== null) &&
    required.every((name) => Object.hasOwn(schema.properties ?? {}, name))
  );
}

/** The answer to begin with: defaults, and no for each question that must be answered yes or no. */
export function initialAnswer(schema: JsonSchema): Answer {
  const required = schema.required ?? [];
  return Object.fromEntries(
    Object.entries(schema.properties ?? {}).map(([name, one]) => {
      const unanswered = controlFor(one) === "boolean" && required.includes(name) ? false : undefined;
      return [name, one.default ?? unanswered];
    }),
  );
}

/** What an answer is sent as: without what was left open. */
export function filled(answer: Answer): { [name: string]: Json } {
  return Object.fromEntries(
    Object.entries(answer).filter((one): one is [string, Json] => one[1] !== undefined),
  );
}

function wrongWith(schema: JsonSchema, value: Json): string | undefined {
  if (
    schema.enum !== undefined &&
    !schema.enum.some((one) => JSON.stringify(one) === JSON.stringify(value))
  ) {
    return "Choose one of the offered values.";
  }
  if (typeof value === "string") {
    const length = [...value].length;
    if (schema.minLength !== undefined && length < schema.minLength)
      return `At least ${schema.minLength} characters.`;
    if (schema.maxLength !== undefined && length > schema.maxLength)
      return `At most ${schema.maxLength} characters.`;
    if (schema.pattern !== undefined && !fits(schema.pattern, value)) return `Must match ${schema.pattern}`;
  }
  if (typeof value === "number") {
    if (typeOf(schema) === "integer" && !Number.isInteger(value)) return "A whole number.";
    if (schema.minimum !== undefined && value < schema.minimum) return `At least ${schema.minimum}.`;
    if (schema.maximum !== undefined && value > schema.maximum) return `At most ${schema.maximum}.`;
  }
  return undefined;
}

/** A pattern this engine can't read is left to the server; so is a value long enough to be a trap for it. */
function fits(pattern: string, value: string): boolean {
  if (value.length > 200 || pattern.length > 200) return true;
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true;
  }
}

/** What is wrong, by property. */
export function errorsIn(schema: JsonSchema, answer: Answer): Record<string, string> {
  const errors: Record<string, string> = {};
  for (const [name, one] of Object.entries(schema.properties ?? {})) {
    const value = answer[name];
    if (value === undefined) {
      if (schema.required?.includes(name)) errors[name] = "This is needed.";
      continue;
    }
    const wrong = wrongWith(one, value);
    if (wrong !== undefined) errors[name] = wrong;
  }
  return errors;
}

/** What a property takes, in a few words. */
export function hintFor(schema: JsonSchema): string {
  const hints: string[] = [];
  if (schema.description) hints.push(schema.description);
  if (schema.pattern) hints.push(`Form: ${schema.pattern}`);
  if (schema.minimum !== undefined && schema.maximum !== undefined)
    hints.push(`From ${schema.minimum} to ${schema.maximum}.`);
  else if (schema.minimum !== undefined) hints.push(`At least ${schema.minimum}.`);
  else if (schema.maximum !== undefined) hints.push(`At most ${schema.maximum}.`);
  return hints.join(" ");
}
