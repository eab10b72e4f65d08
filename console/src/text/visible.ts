// Text from elsewhere, made safe to look at: whatever has no shape of its own, or reorders what stands
// around it, is written out as \u{…} instead of being obeyed.

/** A stretch of text: as it is, or a character written out. */
export interface Piece {
  text: string;
  escaped: boolean;
}

// Controls, format characters (bidi controls, zero-width, soft hyphen, tags), line and paragraph separators,
// variation selectors, private use, unassigned, lone surrogates, fillers and spaces other than the plain one.
const HIDDEN =
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: each is looked for on its own.
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/u;

/** Splits a text into what may be shown and what must be written out. Newlines stay when they may. */
export function visible(text: string, keepLines = false): Piece[] {
  const pieces: Piece[] = [];
  let plain = "";
  for (const character of text) {
    if (!HIDDEN.test(character) || (keepLines && character === "\n")) {
      plain += character;
      continue;
    }
    if (plain !== "") pieces.push({ text: plain, escaped: false });
    plain = "";
    const code = character.codePointAt(0) ?? 0;
    pieces.push({ text: `\\u{${code.toString(16).toUpperCase().padStart(4, "0")}}`, escaped: true });
  }
  if (plain !== "") pieces.push({ text: plain, escaped: false });
  return pieces;
}

/** The same as one text, for titles and labels. */
export function visibleText(text: string): string {
  return visible(text)
    .map((piece) => piece.text)
    .join("");
}

/** Splits the text of exact bytes, in which the server wrote such characters out: a `\\u{…}` that no backslash
 * escapes is one of them, since the server doubles a backslash that could be taken for the beginning of one. */
export function canonicalPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(/(\\*)\\[ux]\{[0-9A-Fa-f]+\}/g)) {
    const slashes = (found[1] ?? "").length;
    if (slashes % 2 === 1) continue;
    const at = found.index + slashes;
    pieces.push(...visible(text.slice(from, at), true));
    from = found.index + found[0].length;
    pieces.push({ text: text.slice(at, from), escaped: true });
  }
  return [...pieces, ...visible(text.slice(from), true)];
}
