// Text from elsewhere, with what hides or reorders written out.

import { canonicalPieces, type Piece, visible } from "../text/visible";
import { join } from "./join";

function Pieces({ of }: { of: Piece[] }) {
  return of.map((piece, n) =>
    piece.escaped ? (
      <span
        // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text never change places.
        key={n}
        className="rounded bg-warn-wash px-0.5 font-mono text-[0.85em] text-warn"
        title="A character that would hide or reorder text"
      >
        {piece.text}
      </span>
    ) : (
      piece.text
    ),
  );
}

/** Shows a text exactly, never interpreting it. `lines` keeps its line breaks. */
export function Visible({
  text,
  lines = false,
  className,
}: {
  text: string;
  lines?: boolean;
  className?: string;
}) {
  return (
    <bdi className={join(lines && "whitespace-pre-wrap", "break-words", className)}>
      <Pieces of={visible(text, lines)} />
    </bdi>
  );
}

/** Shows canonical text, marking what the server wrote out. */
export function Canonical({ text }: { text: string }) {
  return (
    <bdi>
      <Pieces of={canonicalPieces(text)} />
    </bdi>
  );
}
