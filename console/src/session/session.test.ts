import { describe, expect, it } from "vitest";
import { safeReturn, signInAt } from "./session";

describe("where a sign-in leads back to", () => {
  it("is a path of this site, or the start page", () => {
    expect(safeReturn("/runs/run_1?x=1#entry-2")).toBe("/runs/run_1?x=1#entry-2");
    for (const foreign of [
      undefined,
      "",
      "runs",
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "javascript:alert(1)",
      "/\t/evil.example",
      "/sign-in?return_to=/x",
      `/${"a".repeat(3000)}`,
    ]) {
      expect([foreign, safeReturn(foreign)]).toEqual([foreign, "/"]);
    }
  });

  it("is carried to the server, escaped", () => {
    expect(signInAt("a&b", "/runs?x=1")).toBe("/auth/login?tenant=a%26b&return_to=%2Fruns%3Fx%3D1");
  });
});
