import { describe, expect, it } from "vitest";
import type { JsonSchema } from "../api/types";
import { controlFor, errorsIn, filled, initialAnswer, isFormable } from "./schema";

const schema: JsonSchema = {
  type: "object",
  required: ["fit", "quarter"],
  properties: {
    fit: { type: "boolean" },
    quarter: { type: "string", pattern: "^20[0-9]{2}-Q[1-4]$" },
    audience: { enum: ["board", "all"] },
    score: { type: "integer", minimum: 0, maximum: 10 },
    remarks: { type: "string", maxLength: 2000 },
  },
};

describe("a form out of a schema", () => {
  it("asks with the fitting control", () => {
    expect(Object.values(schema.properties ?? {}).map(controlFor)).toEqual([
      "boolean",
      "text",
      "choice",
      "number",
      "area",
    ]);
    expect(isFormable(schema)).toBe(true);
    expect(isFormable({ type: "object", properties: { rows: { type: "array" } } })).toBe(false);
    expect(isFormable({ type: "object", required: ["x"], properties: {} })).toBe(false);
    expect(isFormable(null)).toBe(false);
  });

  it("begins with defaults and sends only what was answered", () => {
    expect(filled(initialAnswer(schema))).toEqual({ fit: false });
  });

  it("tells what is wrong before the server does", () => {
    expect(errorsIn(schema, {})).toEqual({ fit: "This is needed.", quarter: "This is needed." });
    const wrong = errorsIn(schema, { fit: true, quarter: "Q3", audience: "x", score: 11.5, remarks: "" });
    expect(Object.keys(wrong)).toEqual(["quarter", "audience", "score"]);
    expect(errorsIn(schema, { fit: true, quarter: "2026-Q3", audience: "board", score: 10 })).toEqual({});
  });

  it("leaves to the server what it can't judge", () => {
    const odd: JsonSchema = { type: "object", properties: { a: { type: "string", pattern: "(" } } };
    expect(errorsIn(odd, { a: "x" })).toEqual({});
  });
});
