import { describe, expect, it } from "vitest";
import { canonicalPieces, visible, visibleText } from "./visible";

describe("text from elsewhere", () => {
  it("leaves what people write as it is", () => {
    for (const plain of [
      "Board meeting",
      "Größe 10 €, «naïve»",
      "会議 — итог",
      "family: 👩",
      "<img src=x onerror=alert(1)>",
    ]) {
      expect(visible(plain)).toEqual([{ text: plain, escaped: false }]);
    }
  });

  it("writes out what hides or reorders", () => {
    expect(visibleText("pay\u202Egpj.exe")).toBe("pay\\u{202E}gpj.exe");
    expect(visibleText("a\u200Bb\u2066c\uFEFFd\u00ADe\u061Cf")).toBe(
      "a\\u{200B}b\\u{2066}c\\u{FEFF}d\\u{00AD}e\\u{061C}f",
    );
    expect(visibleText("x\u0000\u001B[31m\u0085\u2028")).toBe("x\\u{0000}\\u{001B}[31m\\u{0085}\\u{2028}");
    expect(visibleText("\u{E0041}\u{E0100}\u3164\u00A0")).toBe("\\u{E0041}\\u{E0100}\\u{3164}\\u{00A0}");
    expect(visibleText("\ud800")).toBe("\\u{D800}");
  });

  it("keeps lines only where lines are shown", () => {
    expect(visibleText("a\nb")).toBe("a\\u{000A}b");
    expect(visible("a\nb", true)).toEqual([{ text: "a\nb", escaped: false }]);
    expect(visible("a\r\nb", true)[1]).toEqual({ text: "\\u{000D}", escaped: true });
  });

  it("tells what the server wrote out from what somebody typed", () => {
    expect(canonicalPieces('{"a":"x\\u{202E}y"}')).toEqual([
      { text: '{"a":"x', escaped: false },
      { text: "\\u{202E}", escaped: true },
      { text: 'y"}', escaped: false },
    ]);
    expect(canonicalPieces('{"a":"x\\\\u{202E}y"}').some((piece) => piece.escaped)).toBe(false);
    expect(canonicalPieces("a\u202Eb").map((piece) => piece.escaped)).toEqual([false, true, false]);
  });
});
